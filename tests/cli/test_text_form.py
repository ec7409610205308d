"""The text form on the command line: convert, inspect and complete, and what they refuse."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from command import finish, refusal, run, start, tree
from foreword.text_graph import TextOptions, archive
from foreword.text_graph.archive import About
from tiny_gguf import write_tiny_gguf
from tiny_keras import write_keras, write_preset

MODEL = b"\x1c\0\0\0TFL3 not a model at all, but it begins like one"
TEXT = ("--form", "text")


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_preset(tmp_path_factory.mktemp("preset") / "tiny")


def write_text_graph(path: Path, tokenizer: str = "{}") -> Path:
    """What says it is a text graph, and cannot run."""
    path.write_bytes(MODEL)
    document = {
        **{"family": "gpt2", "parameters": 124_000_000, "start_token": 1, "end_tokens": [1]},
        **{"source": "tiny", "license": "MIT", "notes": ["mind the gap"], "versions": {"x": "1"}},
    }
    archive.append(path, About(document, TextOptions(64), tokenizer))
    return path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--recipe", "int4"), "--recipe: a text graph is made as float32"),
        (("--max-length", "1"), "--max-length: expected from 2 to 8192 tokens, found 1"),
        (("--sampler", "beam"), "--sampler: expected one of greedy"),
        (("--top-k", "0"), "--top-k: expected from 1"),
        (("--top-p", "nan"), "--top-p: expected from 0.01 to 1"),
        (("--temperature", "0"), "--temperature: expected from 0.01"),
        (("--seed", "-1"), "--seed: expected from 0"),
        (("--memory-limit-gb", "-3"), "--memory-limit-gb: expected 0.1 or more"),
    ],
)
def test_options_there_are_none_of_are_refused(
    preset: Path, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    result = run("convert", preset, *TEXT, *options, "-o", tmp_path / "a.tflite")
    assert refusal(result, 2).startswith(says)
    assert tree(tmp_path) == []


def test_a_form_there_is_none_of_is_refused(preset: Path) -> None:
    said = refusal(run("convert", preset, "--form", "both"), 2)
    assert said == "--form: expected token or text, found 'both'"


@pytest.mark.parametrize("content", [b"", b" \n\n ", b"\xff\xfe"])
def test_a_calibration_text_without_text_is_refused(
    preset: Path, tmp_path: Path, content: bytes
) -> None:
    text = tmp_path / "text"
    text.write_bytes(content)
    options = ("--recipe", "int8-full", "--calibration-text", text)
    said = refusal(run("convert", preset, *TEXT, *options), 2)
    assert said.startswith("--calibration-text: expected ")


def lacking(package: str) -> Callable[[str], str]:
    found = {"tensorflow": "2.19.1", "tensorflow-text": "2.19.0", "keras-hub": "0.31.0"}

    def version(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return found[name]

    return version


@pytest.mark.parametrize("package", ["tensorflow", "tensorflow-text", "keras-hub"])
def test_a_missing_library_is_named_before_anything_is_done(
    preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(metadata, "version", lacking(package))
    said = refusal(run("convert", preset, *TEXT, "-o", tmp_path / "a.tflite"), 2)
    assert re.search(f"{package} [0-9.]+.* found none: .*pip install", said)
    if package != "keras-hub":
        path = write_text_graph(tmp_path / "b.tflite", tokenizer_of(preset, tmp_path))
        assert f"needs {package} 2.19.x" in refusal(run("complete", "a", "--model", path), 2)


def tokenizer_of(preset: Path, directory: Path) -> str:
    from foreword.sources.keras_archive import open_preset

    return open_preset(preset).tokenizer.json


def test_inspect_shows_what_a_text_graph_is(tmp_path: Path) -> None:
    path = write_text_graph(tmp_path / "autocomplete.tflite")
    result = run("inspect", path)
    assert result.status == 0
    assert re.search(r"family +gpt2, 124 M parameters", result.out)
    assert re.search(r"generates +to its end token or 64 tokens", result.out)
    assert re.search(r"note +mind the gap", result.out)
    document = json.loads(run("inspect", path, "--json").out)
    assert document["options"]["max_length"] == 64


@pytest.mark.parametrize("command", ["inspect", "complete"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"", "expected a .tflite model, found another kind of file"),
        (MODEL, "without what 'foreword convert --form text' adds"),
    ],
)
def test_what_is_no_text_graph_is_refused(
    tmp_path: Path, command: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / "autocomplete.tflite"
    if content is not None:
        path.write_bytes(content)
    options = ("a", "--model") if command == "complete" else ()
    assert says in refusal(run(command, *options, path))


@pytest.mark.keras
def test_from_a_keras_file_to_a_completed_sentence(tmp_path: Path) -> None:
    source = write_keras(tmp_path / "tiny.keras", tmp_path)
    path = tmp_path / "autocomplete.tflite"
    options = (*TEXT, "--max-length", "24", "--recipe", "float32", "-o", path)
    made = run("convert", source, *options)
    assert (made.status, made.err) == (0, "")
    assert made.out.startswith(f"{path}  float32  ")
    assert "is there already" in refusal(run("convert", source, *options))
    assert tree(tmp_path) == ["autocomplete.tflite", "tiny.keras"]

    shown = run("complete", "the hello", "--model", path)
    assert shown.status == 0
    assert shown.err == (
        "foreword: autocomplete.tflite answers all at once, and only Ctrl-C stops it\n"
    )
    found = json.loads(run("complete", "the hello", "--model", path, "--json", "--quiet").out)
    assert found["text"] + "\n" == shown.out
    assert found["finish_reason"] in ("length", "stop")
    assert found["recipe"] == "float32"

    said = refusal(run("complete", "a", "--model", path, "-q", "--temperature", "1"), 2)
    assert said.startswith("--temperature: how a text graph chooses tokens is part of its file")
    assert "NUL" in refusal(run("complete", "-", "--model", path, "-q", stdin=b"a\0b"))
    said = refusal(run("complete", "a", "--model", path, "-q", "--context-tokens", "99"), 2)
    assert "this model holds 24" in said


@pytest.mark.keras
def test_what_keras_hub_does_not_read_is_refused(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(tmp_path / "tiny.gguf").path
    said = refusal(run("convert", gguf, *TEXT, "-o", tmp_path / "a.tflite"))
    assert "made with KerasHub, which does not read this source" in said
    assert tree(tmp_path) == ["tiny.gguf"]


@pytest.mark.keras
def test_a_length_beyond_the_positions_is_refused(preset: Path, tmp_path: Path) -> None:
    options = ("--max-length", "65", "-o", tmp_path / "a.tflite")
    said = refusal(run("convert", preset, *TEXT, *options), 2)
    assert said == "--max-length: this model has 64 positions, 65 were asked for"


@pytest.mark.keras
def test_an_output_that_cannot_be_is_refused(preset: Path, tmp_path: Path) -> None:
    said = refusal(run("convert", preset, *TEXT, "-o", tmp_path / "model"), 2)
    assert said.startswith("--output: a text graph is one file, such as autocomplete.tflite")
    (tmp_path / "a.tflite").mkdir()
    assert "is a directory" in refusal(run("convert", preset, *TEXT, "-o", tmp_path / "a.tflite"))
    assert tree(tmp_path) == ["a.tflite"]


@pytest.mark.keras
def test_too_little_memory_is_one_line_and_leaves_nothing(preset: Path, tmp_path: Path) -> None:
    options = ("--max-length", "24", "--memory-limit-gb", "0.2", "-o", tmp_path / "a.tflite")
    said = refusal(run("convert", preset, *TEXT, *options))
    assert "more than the 0.2 GB of memory it may have" in said
    assert tree(tmp_path) == []


@pytest.mark.keras
def test_interrupted_a_conversion_leaves_nothing(preset: Path, tmp_path: Path) -> None:
    process = start("convert", preset, *TEXT, "--max-length", "24", "-o", tmp_path / "a.tflite")
    while not list(tmp_path.glob(".a.*")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.status, result.err) == (130, "foreword: interrupted\n")
    assert tree(tmp_path) == []


@pytest.mark.keras
def test_a_model_that_cannot_run_is_one_line(preset: Path, tmp_path: Path) -> None:
    path = write_text_graph(tmp_path / "a.tflite", tokenizer_of(preset, tmp_path))
    said = refusal(run("complete", "a", "--model", path, "--quiet"))
    assert said.startswith("a.tflite: ")
