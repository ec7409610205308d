from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import llama
from foreword.graph.spec import FloatArray, Rotary

METADATA = {
    "llama.block_count": 1,
    "llama.context_length": 64,
    "llama.embedding_length": 8,
    "llama.feed_forward_length": 12,
    "llama.attention.head_count": 2,
    "llama.attention.head_count_kv": 1,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.rope.freq_base": 10000.0,
}
SHAPES: dict[str, tuple[int, ...]] = {
    "token_embd.weight": (16, 8),
    "output_norm.weight": (8,),
    "blk.0.attn_norm.weight": (8,),
    "blk.0.attn_q.weight": (8, 8),
    "blk.0.attn_k.weight": (4, 8),
    "blk.0.attn_v.weight": (4, 8),
    "blk.0.attn_output.weight": (8, 8),
    "blk.0.ffn_norm.weight": (8,),
    "blk.0.ffn_gate.weight": (12, 8),
    "blk.0.ffn_up.weight": (12, 8),
    "blk.0.ffn_down.weight": (8, 12),
}


@dataclass
class FakeCheckpoint:
    """Tensors whose every element is its own index, so that a moved row shows."""

    metadata: dict[str, Any] = field(default_factory=lambda: dict(METADATA))
    shapes: dict[str, tuple[int, ...]] = field(default_factory=lambda: dict(SHAPES))

    def load(self, name: str) -> FloatArray:
        shape = self.shapes[name]
        return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_the_spec_is_what_the_metadata_says() -> None:
    spec = llama.read(FakeCheckpoint()).spec
    assert (spec.layers, spec.width, spec.vocabulary, spec.max_positions) == (1, 8, 16, 64)
    attention = spec.attention
    assert (attention.heads, attention.kv_heads, attention.head_dim) == (2, 1, 4)
    assert spec.feed_forward.gated
    assert spec.tied


def test_an_output_tensor_unties_the_embedding() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["output.weight"] = (16, 8)
    assert not llama.read(checkpoint).spec.tied


def test_rows_of_queries_and_keys_are_put_into_halves() -> None:
    decoder = llama.read(FakeCheckpoint())
    rows = decoder.load("layers.0.q.weight")[:, 0] / 8
    # Each head of four rows: pairs (0, 1), (2, 3) become halves (0, 2), (1, 3).
    assert rows.tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert (decoder.load("layers.0.k.weight")[:, 0] / 8).tolist() == [0, 2, 1, 3]
    assert (decoder.load("layers.0.v.weight")[:, 0] / 8).tolist() == [0, 1, 2, 3]


def test_attention_biases_are_read_where_there_are_any() -> None:
    checkpoint = FakeCheckpoint()
    for name, size in (("q", 8), ("k", 4), ("v", 4)):
        checkpoint.shapes[f"blk.0.attn_{name}.bias"] = (size,)
    decoder = llama.read(checkpoint)
    assert decoder.spec.attention.qkv_bias
    assert decoder.load("layers.0.k.bias").tolist() == [0, 2, 1, 3]


def test_heads_may_be_wider_than_their_share_of_the_width() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.metadata["llama.attention.key_length"] = 6
    checkpoint.shapes["blk.0.attn_q.weight"] = (12, 8)
    checkpoint.shapes["blk.0.attn_k.weight"] = checkpoint.shapes["blk.0.attn_v.weight"] = (6, 8)
    checkpoint.shapes["blk.0.attn_output.weight"] = (8, 12)
    assert llama.read(checkpoint).spec.attention.head_dim == 6


def frequencies(checkpoint: FakeCheckpoint) -> list[float]:
    positions = llama.read(checkpoint).spec.positions
    assert isinstance(positions, Rotary)
    return list(positions.inverse_frequencies)


def test_frequencies_fall_from_one_by_the_base() -> None:
    assert frequencies(FakeCheckpoint()) == pytest.approx([1.0, 0.01])


def test_linear_scaling_divides_every_frequency() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.metadata["llama.rope.scaling.type"] = "linear"
    checkpoint.metadata["llama.rope.scaling.factor"] = 4.0
    assert frequencies(checkpoint) == pytest.approx([0.25, 0.0025])


def test_factors_of_llama_3_divide_each_frequency_by_its_own() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["rope_freqs.weight"] = (2,)
    checkpoint.load = lambda name: np.array([1.0, 8.0], np.float32)  # type: ignore[method-assign]
    assert frequencies(checkpoint) == pytest.approx([1.0, 0.00125])


@pytest.mark.parametrize(
    ("key", "value", "error", "says"),
    [
        ("llama.expert_count", 8, UnsupportedModelError, "mixture of experts"),
        ("llama.rope.scaling.type", "yarn", UnsupportedModelError, "yarn"),
        ("llama.rope.dimension_count", 2, UnsupportedModelError, "2 of 4"),
        ("llama.attention.head_count_kv", 3, SourceError, "multiple"),
        ("llama.attention.head_count", 0, SourceError, "head_count"),
        ("llama.block_count", True, SourceError, "block_count"),
        ("llama.block_count", 2, SourceError, "blk.1"),
        ("llama.attention.layer_norm_rms_epsilon", float("nan"), SourceError, "epsilon"),
        ("llama.rope.freq_base", -1.0, SourceError, "freq_base"),
        ("llama.context_length", "64", SourceError, "context_length"),
    ],
)
def test_metadata_without_a_place_or_sense_is_refused(
    key: str, value: object, error: type[SourceError], says: str
) -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.metadata[key] = value
    with pytest.raises(error, match=says):
        llama.read(checkpoint)


def test_a_missing_tensor_is_named() -> None:
    checkpoint = FakeCheckpoint()
    del checkpoint.shapes["blk.0.ffn_up.weight"]
    with pytest.raises(SourceError, match=r"blk\.0\.ffn_up\.weight"):
        llama.read(checkpoint)


def test_a_tensor_of_another_shape_is_named_with_both_shapes() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["blk.0.ffn_up.weight"] = (12, 9)
    with pytest.raises(SourceError, match=r"ffn_up.*\[12, 8\].*\[12, 9\]"):
        llama.read(checkpoint)


def test_tensors_without_a_place_are_refused() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["blk.0.attn_q_norm.weight"] = (4,)
    with pytest.raises(UnsupportedModelError, match="attn_q_norm"):
        llama.read(checkpoint)
