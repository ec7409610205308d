"""Contenders in processes of their own: a bundle, and a GGUF file with a stand-in for llama.cpp."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from foreword.bundle.store import open_bundle
from foreword.errors import BundleError, EngineError
from foreword.evaluation.benchmark.child import Runner
from foreword.evaluation.benchmark.contender import Entry, entry_of
from foreword.evaluation.benchmark.questions import questions
from foreword.evaluation.text import built_in
from tiny import CONTEXT, write_tiny_bundle

FAKE = Path(__file__).parents[2] / "fake_llama"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    tiny, path = write_tiny_bundle(tmp_path_factory.mktemp("bundle"))
    ours = entry_of(open_bundle(path))
    tokenizer = path / "tokenizer.json"
    theirs = Entry("t.gguf", tiny.path, CONTEXT, ours.vocabulary, 1, "Q8_0", tokenizer, None)
    return [ours, theirs]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(FAKE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture(params=[0, 1], ids=["foreword", "llama.cpp"])
def runner(
    request: pytest.FixtureRequest, entries: list[Entry], tmp_path: Path
) -> Iterator[Runner]:
    with Runner(entries[request.param], 1, tmp_path) as runner:
        yield runner


def test_every_figure_is_answered(runner: Runner, entries: list[Entry]) -> None:
    for name, requests in questions(entries, [built_in()], 1, 100).items():
        found = runner.ask(requests[0])
        if "keystrokes" in name:
            assert found["keystrokes"] > len(found["latency_ms"]) > 0
        else:
            assert found > 0
    assert runner.ask({"figure": "peak_rss_bytes"}) > 10_000_000
    assert runner.load_ms > 0


def test_weights_are_packed_into_the_home_it_is_given(entries: list[Entry], tmp_path: Path) -> None:
    with Runner(entries[0], 1, tmp_path) as runner:
        assert runner.versions == {}
        assert len(list((tmp_path / "weights").iterdir())) == 1


def test_llama_cpp_tells_its_version(entries: list[Entry], tmp_path: Path) -> None:
    with Runner(entries[1], 1, tmp_path) as runner:
        assert runner.versions == {"llama-cpp-python": "0.0.fake"}


def test_a_bundle_whose_model_was_changed_is_refused(tmp_path: Path) -> None:
    _, path = write_tiny_bundle(tmp_path)
    entry = entry_of(open_bundle(path))
    model = path / "model.tflite"
    model.write_bytes(bytes([*model.read_bytes()[:-1], 7]))
    with pytest.raises(BundleError, match="damaged"):
        Runner(entry, 1, tmp_path / "home")


def test_a_file_that_llama_cpp_cannot_load_is_one_line(
    entries: list[Entry], tmp_path: Path
) -> None:
    gone = Entry(**{**asdict(entries[1]), "path": tmp_path / "gone.gguf"})
    with pytest.raises(EngineError, match=r"^t\.gguf \(llama\.cpp\): ValueError: Failed") as caught:
        Runner(gone, 1, tmp_path)
    assert "\n" not in str(caught.value)


def test_one_that_dies_is_one_line_that_names_it(
    entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llama_cpp.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"^t\.gguf \(llama\.cpp\): .*crashed \(SIGABRT\)"):
        Runner(entries[1], 1, tmp_path)
