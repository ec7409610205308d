"""The report card of a bundle: its figures, what is kept of it, and what cannot be scored."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import foreword
from command import refusal, run, tree
from foreword.bundle.card import FIGURES
from foreword.bundle.store import open_bundle
from foreword.evaluation.latency import measure
from foreword.evaluation.parts import size_by_part
from foreword.evaluation.plot import _ticks
from foreword.evaluation.text import built_in
from tiny import write_tiny_bundle
from tiny_bigram import built_in_tokens, write_bigram_gguf
from tiny_gguf import write_tiny_gguf

CONTEXT = 48
QUICK = ("--tokens", "200", "--threads", "1")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `float32` and `int8` of one model, and `other`, of other tokens."""
    directory = tmp_path_factory.mktemp("report")
    _, random = write_tiny_bundle(directory)
    gguf = write_bigram_gguf(directory / "bigram.gguf", built_in_tokens(random))
    for recipe in ("float32", "int8"):
        foreword.convert(gguf, directory / recipe, recipe=recipe, context=CONTEXT, check=False)

    def grow(metadata: dict[str, object], tensors: dict[str, object]) -> None:
        tokens = metadata["tokenizer.ggml.tokens"]
        kinds = metadata["tokenizer.ggml.token_type"]
        assert isinstance(tokens, list)
        assert isinstance(kinds, list)
        tokens.append("filler")
        kinds.append(1)
        metadata["llama.vocab_size"] = len(tokens)
        import numpy as np

        table = tensors["token_embd.weight"]
        assert isinstance(table, np.ndarray)
        tensors["token_embd.weight"] = np.concatenate([table, table[:1]])

    other = write_tiny_gguf(directory / "other.gguf", mutate=grow)
    foreword.convert(other.path, directory / "other", context=CONTEXT, check=False)
    return directory


@pytest.fixture(scope="module")
def document(bundles: Path) -> dict[str, object]:
    result = run("report", bundles / "int8", "--against", bundles / "float32", *QUICK, "--json")
    assert (result.status, result.err) == (0, "")
    found: dict[str, object] = json.loads(result.out)
    return found


def test_json_has_every_figure(document: dict[str, object], bundles: Path) -> None:
    for name in FIGURES:
        assert isinstance(document[name], int | float), name
    assert document["size_bytes"] == open_bundle(bundles / "int8").size_bytes
    assert document["against"] == {
        "name": "float32",
        "recipe": "float32",
        "size_bytes": open_bundle(bundles / "float32").size_bytes,
        "perplexity": pytest.approx(
            document["perplexity"] / document["perplexity_ratio"]  # type: ignore[operator]
        ),
    }
    assert document["tokens"] == 200
    assert document["threads"] == 1
    assert document["nonfinite_at"] is None
    assert 0.9 < document["top1_agreement"] <= document["top5_agreement"] <= 1  # type: ignore[operator]


def test_without_a_reference_what_needs_one_is_null(bundles: Path) -> None:
    found = json.loads(run("report", bundles / "float32", *QUICK, "--json").out)
    nulls = {name for name in FIGURES if found[name] is None}
    assert nulls == {
        *("perplexity_ratio", "perplexity_ratio_stderr", "kl_mean", "kl_p99", "kl_max"),
        *("top1_agreement", "top5_agreement", "greedy_divergence"),
    }
    assert found["against"] is None


def test_a_bundle_beside_itself_differs_in_nothing(bundles: Path) -> None:
    same = bundles / "float32"
    found = json.loads(run("report", same, "--against", same, *QUICK, "--json").out)
    assert (found["perplexity_ratio"], found["kl_max"], found["top1_agreement"]) == (1, 0, 1)


def test_the_report_is_kept_and_inspect_shows_it(
    document: dict[str, object], bundles: Path
) -> None:
    kept = json.loads(run("inspect", bundles / "int8", "--json", "--verify").out)["report"]
    assert kept["against"] == "float32"
    assert {name: kept[name] for name in FIGURES} == {name: document[name] for name in FIGURES}
    rows = dict(
        line.split(maxsplit=1) for line in run("inspect", bundles / "int8").out.splitlines()
    )
    assert rows["report"].startswith(f"perplexity {document['perplexity']:.2f}, ")
    assert tree(bundles / "int8") == ["bundle.json", "model.tflite", "tokenizer.json"]


def test_a_bundle_that_cannot_be_written_is_reported_all_the_same(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foreword.bundle.store._sync", full)
    result = run("report", bundles / "float32", *QUICK)
    assert result.status == 0
    assert "perplexity  " in result.out
    assert result.err.startswith("foreword: the report is not kept in the bundle: ")


def test_on_a_pipe_the_report_is_plain_lines(bundles: Path) -> None:
    out = run("report", bundles / "int8", "--against", bundles / "float32", *QUICK).out
    assert "\x1b" not in out
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    assert {
        "perplexity",
        "KL divergence",
        "top-1 agreement",
        "decode",
        "peak memory",
    } <= rows.keys()


@pytest.mark.parametrize("no_colour", [False, True])
def test_on_a_terminal_it_is_a_table_which_obeys_no_color(bundles: Path, no_colour: bool) -> None:
    pty = pytest.importorskip("pty")
    primary, secondary = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("NO_COLOR", None)
    if no_colour:
        environment["NO_COLOR"] = "1"
    command = [sys.executable, "-m", "foreword.cli", "report", str(bundles / "int8"), *QUICK, "-q"]
    with subprocess.Popen(command, stdout=secondary, env=environment) as process:
        os.close(secondary)
        out = b""
        try:
            while part := os.read(primary, 4096):
                out += part
        except OSError:  # the other side is closed
            pass
    os.close(primary)
    assert process.returncode == 0
    assert b"Quality" in out
    assert b"perplexity" in out
    assert (b"\x1b[3" in out) is False  # bold may stay, colours may not


class Page(HTMLParser):
    """Collects what a page refers to, checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_broken_bundle_is_told_and_not_measured(tmp_path: Path) -> None:
    large = write_tiny_gguf(
        tmp_path / "l.gguf", tied=False, mutate=lambda m, t: t["output.weight"].fill(3e38)
    )
    bundle = foreword.convert(
        large.path, tmp_path / "b", recipe="float32", context=CONTEXT, check=False
    )
    arguments = ("report", bundle.path, *QUICK, "--html", tmp_path / "page.html")
    out = run(*arguments).out
    assert "FOUND at token 0" in out
    assert "not a finite number at token 0" in (tmp_path / "page.html").read_text()
    found = json.loads(run(*arguments, "--json").out)
    assert found["nonfinite_at"] == 0
    assert all(found[name] is None for name in FIGURES)
    assert "output not finite" in run("inspect", bundle.path).out


def test_the_page_is_one_file_that_parses_and_refers_to_nothing(
    bundles: Path, tmp_path: Path
) -> None:
    html = tmp_path / "a report.html"
    arguments = ("--against", bundles / "float32", *QUICK, "--html", html)
    assert run("report", bundles / "int8", *arguments).status == 0
    assert tree(tmp_path) == [html.name]
    text = html.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.references == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert page.tags.count("svg") == 3
    # Each drawing says in words what it shows.
    assert page.tags.count("desc") == 3
    assert page.tags.count("title") == 4


def test_a_name_cannot_put_markup_into_the_page(bundles: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "<script>&"
    shutil.copytree(bundles / "int8", hostile)
    html = tmp_path / "page.html"
    assert run("report", hostile, *QUICK, "--html", html).status == 0
    assert "<script>" not in html.read_text()
    assert Page(html.read_text()).open == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"too short", "expected at least 32 tokens, found"),
        (b"good \xff bad" * 40, "is not UTF-8: byte 0xff at position 5"),
        (None, "no such file"),
    ],
)
def test_a_text_that_cannot_be_scored_is_refused(
    bundles: Path, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    refused = refusal(run("report", bundles / "int8", "--text", path), status=2)
    assert refused.startswith("--text: ")
    assert message in refused


def test_a_directory_is_no_text(bundles: Path, tmp_path: Path) -> None:
    refused = refusal(run("report", bundles / "int8", "--text", tmp_path), status=2)
    assert "found a directory or a device" in refused


def test_a_text_is_read_as_far_as_it_is_scored(bundles: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("é" * 200_000, encoding="utf-8")
    arguments = ("--text", path, "--tokens", "33", "--threads", "1", "--json")
    found = json.loads(run("report", bundles / "int8", *arguments).out)
    assert (found["text"], found["tokens"]) == ("long.txt", 33)


def test_bundles_of_other_vocabularies_are_not_compared(bundles: Path) -> None:
    refused = run("report", bundles / "int8", "--against", bundles / "other", *QUICK)
    assert refusal(refused, status=2).startswith("--against: expected a bundle with the same voc")


@pytest.mark.parametrize("option", ["--against", None])
def test_what_is_no_bundle_is_refused(bundles: Path, tmp_path: Path, option: str | None) -> None:
    given_ = ("report", bundles / "int8", option, tmp_path) if option else ("report", tmp_path)
    assert "bundle.json" in refusal(run(*map(str, given_)))


@pytest.mark.parametrize("tokens", ["0", "31", "10000001"])
def test_a_number_of_tokens_that_tells_nothing_is_refused(bundles: Path, tokens: str) -> None:
    refused = refusal(run("report", bundles / "int8", "--tokens", tokens), status=2)
    assert refused.startswith("--tokens: expected from 32 to ")


def test_a_page_in_no_directory_is_refused_before_the_work(bundles: Path, tmp_path: Path) -> None:
    page = tmp_path / "missing" / "page.html"
    assert "make it first" in refusal(run("report", bundles / "int8", "--html", page))


@pytest.mark.parametrize("recipe", ["float32", "float16", "int8", "int4"])
def test_the_parts_add_up_to_the_size(tmp_path: Path, recipe: str) -> None:
    gguf, path = write_tiny_bundle(tmp_path, "gpt2", tied=False, recipe=recipe)
    bundle = open_bundle(path)
    parts = size_by_part(bundle)
    assert sum(parts.values()) == bundle.size_bytes
    bits = {"float32": 32, "float16": 16, "int8": 8, "int4": 4}[recipe]
    up = sum(a.size for name, a in gguf.arrays.items() if name.endswith("ffn_up.weight"))
    assert parts["up"] == up * bits // 8
    assert ("scales" in parts) is (recipe in ("int8", "int4"))
    assert {"embedding", "output", "positions", "q", "norms and biases"} <= parts.keys()


def test_tables_that_cannot_be_read_are_refused(bundles: Path, tmp_path: Path) -> None:
    shutil.copytree(bundles / "int8", tmp_path / "b")
    bundle = open_bundle(tmp_path / "b")
    bundle.model_path.write_bytes(b"\x7f" * bundle.model_path.stat().st_size)
    with pytest.raises(foreword.ForewordError, match="tables that cannot be read"):
        size_by_part(bundle)


def test_speed_and_memory_are_those_of_a_process_of_its_own(bundles: Path) -> None:
    ballast = bytearray(300 << 20)
    found = measure(bundles / "int8", 1)
    assert set(found) < set(FIGURES)
    assert all(value > 0 for value in found.values())
    assert found["peak_rss_bytes"] < len(ballast)


def test_the_built_in_text_is_plain_and_long_enough() -> None:
    text = built_in()
    assert len(text.content.split()) > 1000
    assert text.content.isascii()


@given(st.floats(1e-9, 1e12))
def test_ticks_are_few_and_reach_the_largest_value(largest: float) -> None:
    ticks = _ticks(largest)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 8
    assert ticks[-1] >= largest * (1 - 1e-6)
