"""`foreword benchmark`: what it prints, against whom, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command import PROGRAM, Result, finish, refusal, run, start
from foreword.bundle.manifest import Provenance
from foreword.bundle.store import open_bundle, rewrite_manifest
from foreword.evaluation.benchmark import bandwidth, llama, schedule
from foreword.evaluation.benchmark.schedule import Options
from foreword.evaluation.text import built_in
from foreword.sources import known
from tiny import write_tiny_bundle

FAKE = Path(__file__).parents[1] / "fake_llama"
FEW = ("--rounds", "1", "--keystrokes", "100", "--threads", "1")
RATIOS = (
    *("decode_ratio", "prefill_ratio", "continue_ratio"),
    *(f"{kind}keystroke_p{p}_ratio" for kind in ("", "default_") for p in (50, 95)),
)

# A real signal in the middle of the measuring.
IN_THE_MIDDLE = """
import contextlib, signal
from foreword.cli import benchmark
from foreword.evaluation.benchmark import bandwidth, schedule
schedule.SETTLE_SECONDS, bandwidth.ELEMENTS = 0, 1000
@contextlib.contextmanager
def progress(quiet):
    def report(stage, done, total):
        if stage == "benchmark" and done == int({where} * total):
            signal.raise_signal(signal.SIGINT)
    yield report
benchmark.progress = progress
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A GGUF file and the bundle made of it."""
    tiny, bundle = write_tiny_bundle(tmp_path_factory.mktemp("benchmark"))
    return tiny.path, bundle


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(bandwidth, "ELEMENTS", 1000)


@pytest.fixture
def with_llama(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKE))
    paths = [str(FAKE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been measured, each time that something was to be."""
    calls: list[Any] = []

    def measure(entries: object, texts: object, options: object, progress: object) -> None:
        calls.append((entries, texts, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(schedule, "measure", measure)
    return calls


@pytest.fixture
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files, which every process of the run has in its environment."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []
    assert processes_of(place) == []


def processes_of(place: Path) -> list[str]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            marked = f"TMPDIR={place}\0".encode() in environment.read_bytes()
        except OSError:
            continue
        if marked and environment.parent.name != str(os.getpid()):
            found.append(environment.parent.name)
    return found


def measured(*arguments: str | Path) -> tuple[dict[str, Any], list[str]]:
    """What the last line says, and the lines before it."""
    result = run("benchmark", *arguments, *FEW)
    assert (result.status, result.err) == (0, "")
    *lines, last = result.out.splitlines()
    found: dict[str, Any] = json.loads(last)
    return found, lines


def test_a_gguf_file_is_run_by_llama_cpp_and_the_last_line_is_json(
    model: tuple[Path, Path], with_llama: None, marked: Path, tmp_path: Path
) -> None:
    gguf, bundle = model
    output = tmp_path / "found.json"
    found, lines = measured(bundle, "--against", gguf, "--output", output)
    assert found.keys() >= {*RATIOS, "bandwidth_share", "machine", "versions", "context", "threads"}
    assert all(found[name] > 0 for name in (*RATIOS, "bandwidth_share"))
    assert found["contenders"]["against"]["runtime"] == "llama.cpp"
    assert found["against"] == gguf.name
    assert found["versions"]["llama-cpp-python"] == "0.0.fake"
    assert json.loads(output.read_text()) == found
    assert any("times as fast at decoding" in line for line in lines)


def test_with_json_there_is_nothing_else_and_a_bundle_may_be_alone(
    model: tuple[Path, Path], marked: Path
) -> None:
    found, lines = measured(model[1], "--json")
    assert lines == []
    assert found["against"] is None
    assert not found.keys() & {*RATIOS}
    assert found["bandwidth_share"] > 0


def test_two_bundles_are_both_run_by_foreword(
    model: tuple[Path, Path], asked: list[Any], tmp_path: Path
) -> None:
    _, other = write_tiny_bundle(tmp_path, context=32)
    run("benchmark", model[1], "--against", other, *FEW)
    [[entries, texts, options]] = asked
    assert [entry.runtime for entry in entries] == ["Foreword"] * 2
    assert [entry.context for entry in entries] == [48, 32]
    assert (texts, options) == ([built_in()], Options(1, 1, 100))


def test_llama_cpp_gets_the_weights_of_a_known_model_in_the_type_of_the_recipe(
    model: tuple[Path, Path],
    with_llama: None,
    asked: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gguf, made = model
    digest = "0" * 64
    name = dataclasses.replace(known.KNOWN[known.DEFAULT], name="tiny", file_sha256=digest)
    monkeypatch.setattr(known, "KNOWN", {"tiny": name})
    monkeypatch.setattr(known, "pull", lambda name, directory, progress: gguf)
    bundle = open_bundle(Path(shutil.copytree(made, tmp_path / "bundle")))
    for recipe in ("int4", "int8", "float32"):
        manifest = dataclasses.replace(
            bundle.manifest, provenance=Provenance("tiny", "cc0-1.0", digest), recipe=recipe
        )
        rewrite_manifest(bundle, manifest)
        run("benchmark", bundle.path, "--against", "llama.cpp", *FEW)
    theirs = [entries[1] for entries, *_ in asked]
    assert [entry.recipe for entry in theirs] == ["Q4_0", "Q8_0", "Q8_0"]
    assert {(entry.runtime, entry.context) for entry in theirs} == {("llama.cpp", 48)}
    assert theirs[0].weight_bytes < theirs[1].weight_bytes


def test_texts_are_typed_instead_of_the_built_in_one(
    model: tuple[Path, Path], asked: list[Any], tmp_path: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("A quiet harbour, and nobody there to see it. " * 20)
    texts = [part for name in ("a.txt", "b.txt") for part in ("--text", tmp_path / name)]
    run("benchmark", model[1], *texts)
    assert [text.name for text in asked[0][1]] == ["a.txt", "b.txt"]


@pytest.mark.parametrize("where", [0.1, 0.95], ids=["loading", "with a busy core"])
def test_ctrl_c_ends_all_of_it_and_writes_nothing(
    model: tuple[Path, Path], marked: Path, tmp_path: Path, where: float
) -> None:
    output = tmp_path / "found.json"
    process = start(
        *("benchmark", model[1], "--against", model[1], *FEW, "--output", output),
        program=IN_THE_MIDDLE.format(where=where) + PROGRAM,
    )
    assert finish(process) == Result(130, "", "foreword: interrupted\n")
    assert not output.exists()


@pytest.mark.parametrize(
    ("against", "says"),
    [
        ("gone.gguf", "expected a GGUF file, found no such file"),
        ("empty.gguf", "expected a GGUF file, found"),
    ],
)
def test_a_gguf_file_that_is_none_is_one_line(
    model: tuple[Path, Path],
    with_llama: None,
    marked: Path,
    tmp_path: Path,
    against: str,
    says: str,
) -> None:
    (tmp_path / "empty.gguf").touch()
    assert says in refusal(run("benchmark", model[1], "--against", tmp_path / against))


@pytest.mark.parametrize("against", ["", "notes.txt", "no-such-bundle", "llama"])
def test_what_is_no_contender_is_told_what_would_be_one(
    model: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, against: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("notes")
    message = refusal(run("benchmark", model[1], "--against", against), status=2)
    assert message.startswith("--against: expected llama.cpp, a .gguf file, or a bundle")


def test_a_damaged_bundle_is_one_line_on_either_side(
    model: tuple[Path, Path], marked: Path, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(model[1], tmp_path / "damaged"))
    with (damaged / "model.tflite").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x07")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments in ((damaged,), (model[1], "--against", damaged), (model[1], "--against", empty)):
        refusal(run("benchmark", *arguments, *FEW))


def test_llama_cpp_is_for_known_models_alone(model: tuple[Path, Path], with_llama: None) -> None:
    message = refusal(run("benchmark", model[1], "--against", "llama.cpp"), status=2)
    assert "give the model as a .gguf file" in message


@pytest.mark.parametrize("gguf", [True, False])
def test_without_llama_cpp_it_is_said_where_it_is_to_be_had(
    model: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, gguf: bool
) -> None:
    monkeypatch.setattr(llama, "find_spec", lambda name: None)
    against = model[0] if gguf else "llama.cpp"
    message = refusal(run("benchmark", model[1], "--against", against), status=2)
    assert "scripts/bench" in message
    assert "pip install llama-cpp-python" in message


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--threads", "0"), 2),
        (("--rounds", "0"), 2),
        (("--keystrokes", "5"), 2),
        (("--text", "gone.txt"), 2),
        (("--text", "short.txt"), 2),
        (("--output", "no/such/place.json"), 1),
    ],
)
def test_what_can_never_work_is_refused_before_the_work(
    model: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, str],
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("too short")
    message = refusal(run("benchmark", model[1], *arguments), status)
    assert message.startswith(arguments[0] if status == 2 else arguments[1])
