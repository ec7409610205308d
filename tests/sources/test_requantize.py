"""A checkpoint in another type of GGUF, and the tokenizer in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, dequantize

from foreword.errors import SourceError
from foreword.sources.gguf import open_gguf
from foreword.sources.requantize import requantize, tokenizer_of
from tiny_gguf import write_tiny_gguf


@pytest.mark.parametrize(("kind", "tolerance"), [("Q8_0", 0.01), ("Q4_0", 0.15)])
def test_layers_have_the_type_asked_for_and_the_rest_stays_near(
    tmp_path: Path, kind: str, tolerance: float
) -> None:
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf", tied=False)
    target = tmp_path / "other.gguf"
    requantize(tiny.path, target, kind)
    for tensor in GGUFReader(target).tensors:
        wanted = "F32"
        if len(tensor.shape) == 2:
            wanted = kind if tensor.name.startswith("blk.") else "Q8_0"
        assert tensor.tensor_type == GGMLQuantizationType[wanted], tensor.name
        values = dequantize(tensor.data, tensor.tensor_type)
        was = tiny.arrays[tensor.name]
        assert np.abs(values.reshape(was.shape) - was).max() <= tolerance * np.abs(was).max()


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_metadata_and_so_the_model_stays_the_same(tmp_path: Path, architecture: str) -> None:
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf", architecture)
    requantize(tiny.path, tmp_path / "other.gguf")
    before, after = open_gguf(tiny.path), open_gguf(tmp_path / "other.gguf")
    assert after.family == before.family
    assert after.decoder.spec == before.decoder.spec
    assert after.tokenizer == before.tokenizer == tokenizer_of(tiny.path)


@pytest.mark.parametrize(
    "content", [None, b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64, b"a text"]
)
def test_what_is_no_gguf_file_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "strange.gguf"
    if content is not None:
        path.write_bytes(content)
    for work in (lambda: tokenizer_of(path), lambda: requantize(path, tmp_path / "new.gguf")):
        with pytest.raises(SourceError, match="expected a GGUF file, found") as caught:
            work()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "new.gguf").exists()


def test_a_file_cut_short_anywhere_in_its_head_is_refused(tmp_path: Path) -> None:
    whole = write_tiny_gguf(tmp_path / "tiny.gguf").path.read_bytes()
    path = tmp_path / "short.gguf"
    for size in range(8, 4000, 97):
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError):
            tokenizer_of(path)
