from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import llama
from foreword.graph.spec import DecoderSpec, FloatArray, Rotary
from foreword.sources.safetensors import SafetensorsCheckpoint
from golden_families import GOLDEN, golden_config, read_golden

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
    spec = llama.read_gguf(FakeCheckpoint()).spec
    assert (len(spec.layers), spec.width, spec.max_positions) == (1, 8, 64)
    assert spec.embedding.vocabulary == 16
    attention = spec.attention
    assert (attention.heads, attention.kv_heads, attention.head_dim) == (2, 1, 4)
    assert spec.feed_forward.gated
    assert spec.output.tied


def test_an_output_tensor_unties_the_embedding() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["output.weight"] = (16, 8)
    assert not llama.read_gguf(checkpoint).spec.output.tied


def test_rows_of_queries_and_keys_are_put_into_halves() -> None:
    decoder = llama.read_gguf(FakeCheckpoint())
    rows = decoder.load("layers.0.q.weight")[:, 0] / 8
    # Each head of four rows: pairs (0, 1), (2, 3) become halves (0, 2), (1, 3).
    assert rows.tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert (decoder.load("layers.0.k.weight")[:, 0] / 8).tolist() == [0, 2, 1, 3]
    assert (decoder.load("layers.0.v.weight")[:, 0] / 8).tolist() == [0, 1, 2, 3]


def test_attention_biases_are_read_where_there_are_any() -> None:
    checkpoint = FakeCheckpoint()
    for name, size in (("q", 8), ("k", 4), ("v", 4)):
        checkpoint.shapes[f"blk.0.attn_{name}.bias"] = (size,)
    decoder = llama.read_gguf(checkpoint)
    assert decoder.spec.attention.qkv_bias
    assert decoder.load("layers.0.k.bias").tolist() == [0, 2, 1, 3]


def test_heads_may_be_wider_than_their_share_of_the_width() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.metadata["llama.attention.key_length"] = 6
    checkpoint.shapes["blk.0.attn_q.weight"] = (12, 8)
    checkpoint.shapes["blk.0.attn_k.weight"] = checkpoint.shapes["blk.0.attn_v.weight"] = (6, 8)
    checkpoint.shapes["blk.0.attn_output.weight"] = (8, 12)
    assert llama.read_gguf(checkpoint).spec.attention.head_dim == 6


def frequencies(checkpoint: FakeCheckpoint) -> list[float]:
    rotary = llama.read_gguf(checkpoint).spec.layers[0].rotary
    assert isinstance(rotary, Rotary)
    return list(rotary.inverse_frequencies)


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
        llama.read_gguf(checkpoint)


def test_a_missing_tensor_is_named() -> None:
    checkpoint = FakeCheckpoint()
    del checkpoint.shapes["blk.0.ffn_up.weight"]
    with pytest.raises(SourceError, match=r"blk\.0\.ffn_up\.weight"):
        llama.read_gguf(checkpoint)


def test_a_tensor_of_another_shape_is_named_with_both_shapes() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["blk.0.ffn_up.weight"] = (12, 9)
    with pytest.raises(SourceError, match=r"ffn_up.*\[12, 8\].*\[12, 9\]"):
        llama.read_gguf(checkpoint)


def test_tensors_without_a_place_are_refused() -> None:
    checkpoint = FakeCheckpoint()
    checkpoint.shapes["blk.0.attn_q_norm.weight"] = (4,)
    with pytest.raises(UnsupportedModelError, match="attn_q_norm"):
        llama.read_gguf(checkpoint)


SIZES = {
    "vocabulary_size": 64,
    "num_layers": 2,
    "num_query_heads": 4,
    "hidden_dim": 32,
    "intermediate_dim": 48,
}
# Shorter than the 89 tokens of the comparison: every kind of frequency is used beyond it.
LLAMA_3_1 = {
    "rope_frequency_adjustment_factor": 8.0,
    "rope_low_freq_factor": 1.0,
    "rope_high_freq_factor": 4.0,
    "rope_pretraining_sequence_length": 32,
}


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "options", "tied"),
    [
        ("Llama", {"num_key_value_heads": 2}, False),
        ("Llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}, True),
        ("Llama3", {"num_key_value_heads": 4, "rope_max_wavelength": 500000.0}, False),
        ("Llama3", {"num_key_value_heads": 2, "tie_word_embeddings": True, **LLAMA_3_1}, True),
    ],
    ids=["grouped", "one-key-tied", "llama3", "llama3.1-tied"],
)
def test_kerashub_says_the_same(
    name: str, options: dict[str, Any], tied: bool, tmp_path: Path
) -> None:
    import keras_hub

    backbone = getattr(keras_hub.models, f"{name}Backbone")(**SIZES, **options)
    lm = getattr(keras_hub.models, f"{name}CausalLM")(backbone)
    keras_parity.randomize(backbone)
    spec = keras_parity.assert_parity(lm, tmp_path).spec
    assert spec.output.tied == tied
    assert spec.max_positions == (256 if "rope_low_freq_factor" in options else None)


@pytest.mark.keras
def test_kerashub_ignores_the_scaling_of_positions(tmp_path: Path) -> None:
    from keras_hub.models import LlamaBackbone, LlamaCausalLM

    tokens = list(range(60))
    found, specs = [], []
    for factor in (1.0, 4.0):
        options = {"num_key_value_heads": 2, "rope_position_scaling_factor": factor}
        lm = LlamaCausalLM(LlamaBackbone(**SIZES, **options))
        keras_parity.randomize(lm.backbone)
        assert lm.backbone.get_config()["rope_position_scaling_factor"] == factor
        found.append(keras_parity.forward(lm, tokens))
        specs.append(keras_parity.read(lm.backbone, tmp_path)[1].spec)
    np.testing.assert_array_equal(found[0], found[1])
    assert specs[0] == specs[1]


@pytest.mark.keras
def test_a_scaling_of_kerashub_without_sense_is_refused(tmp_path: Path) -> None:
    from keras_hub.models import Llama3Backbone

    backbone = Llama3Backbone(**SIZES, num_key_value_heads=2, **LLAMA_3_1)
    checkpoint = keras_parity.checkpoint_of(backbone, tmp_path)
    changes: tuple[dict[str, object], ...] = (
        {"rope_high_freq_factor": 1.0},
        {"rope_frequency_adjustment_factor": None},
    )
    for change in changes:
        with pytest.raises(SourceError, match=next(iter(change))):
            llama.read_keras(replace(checkpoint, metadata={**checkpoint.metadata, **change}))


def read(name: str = "llama", **changes: object) -> DecoderSpec:
    return read_golden(name, {**golden_config(name), **changes}).spec


def test_a_configuration_says_what_there_is() -> None:
    spec = read("llama-linear")
    assert (spec.width, len(spec.layers), spec.max_positions) == (16, 2, 48)
    attention, feed_forward = spec.attention, spec.feed_forward
    assert (attention.heads, attention.kv_heads, attention.head_dim) == (4, 2, 4)
    assert attention.qkv_bias
    assert attention.output_bias
    assert feed_forward.bias
    assert not spec.output.tied
    assert read("llama3").output.tied


def test_key_value_heads_are_as_many_as_heads_where_the_configuration_is_older() -> None:
    with pytest.raises(SourceError, match=r"k_proj.*\[16, 16\].*\[8, 16\]"):
        read(num_key_value_heads=None)


@dataclass(frozen=True)
class Extended:
    """A checkpoint with tensors more, or less."""

    checkpoint: SafetensorsCheckpoint
    metadata: dict[str, Any]
    more: dict[str, tuple[int, ...]] = field(default_factory=dict)
    less: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {**self.checkpoint.shapes, **self.more}
        return {name: shape for name, shape in shapes.items() if name not in self.less}

    def load(self, name: str) -> FloatArray:
        return self.checkpoint.load(name)


def extended(name: str, more: dict[str, tuple[int, ...]], less: tuple[str, ...] = ()) -> Extended:
    config = golden_config(name)
    return Extended(SafetensorsCheckpoint(GOLDEN / name, config), config, more, less)


def test_frequencies_and_a_tied_output_may_be_stored_and_are_not_read() -> None:
    again = {"lm_head.weight": (64, 16), "model.layers.0.self_attn.rotary_emb.inv_freq": (8,)}
    assert llama.read_hugging_face(extended("llama3", again)).spec.output.tied


def test_an_untied_output_must_be_there() -> None:
    with pytest.raises(SourceError, match=r"lm_head\.weight.* is missing"):
        llama.read_hugging_face(extended("llama", {}, ("lm_head.weight",)))


def test_tensors_the_family_does_not_know_are_refused() -> None:
    for name in ("model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.q_proj.bias"):
        with pytest.raises(UnsupportedModelError, match="no place"):
            llama.read_hugging_face(extended("llama", {name: (16,)}))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"hidden_act": "gelu"}, UnsupportedModelError, "gelu"),
        ({"hidden_size": None}, SourceError, "hidden_size"),
        ({"num_hidden_layers": 1000}, SourceError, "num_hidden_layers"),
        ({"num_attention_heads": 3}, SourceError, "multiples"),
        ({"head_dim": 5}, SourceError, "5 dimensions"),
        ({"rms_norm_eps": "1e-6"}, SourceError, "rms_norm_eps"),
        ({"attention_bias": "no"}, SourceError, "attention_bias"),
        ({"attention_bias": True}, SourceError, r"_proj\.bias"),
        ({"mlp_bias": True}, SourceError, r"gate_proj\.bias"),
    ],
)
def test_configurations_without_a_place_or_sense_are_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read(**changes)
