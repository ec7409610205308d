from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foreword.errors import SourceError
from foreword.families import gpt2
from foreword.graph.spec import Learned
from foreword.sources.gguf import GgufCheckpoint
from tiny_gguf import write_tiny_gguf


def test_the_fused_projection_is_taken_apart(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(tmp_path / "gpt2.gguf", "gpt2")
    decoder = gpt2.read(GgufCheckpoint(gguf.path))
    fused, bias = gguf.arrays["blk.1.attn_qkv.weight"], gguf.arrays["blk.1.attn_qkv.bias"]
    parts = [decoder.load(f"layers.1.{role}.weight") for role in "qkv"]
    biases = [decoder.load(f"layers.1.{role}.bias") for role in "qkv"]
    np.testing.assert_array_equal(np.concatenate(parts), fused)
    np.testing.assert_array_equal(np.concatenate(biases), bias)


def test_learned_positions_limit_the_context(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(tmp_path / "gpt2.gguf", "gpt2")
    spec = gpt2.read(GgufCheckpoint(gguf.path)).spec
    assert spec.positions == Learned(128)
    assert spec.max_positions == 128


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(
        tmp_path / "gpt2.gguf",
        "gpt2",
        mutate=lambda metadata, _: metadata.update({"gpt2.attention.head_count": 5}),
    )
    with pytest.raises(SourceError, match="5 heads"):
        gpt2.read(GgufCheckpoint(gguf.path))
