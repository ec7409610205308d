from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import gpt2
from foreword.graph.spec import FloatArray, Learned
from foreword.sources.gguf import GgufCheckpoint
from golden_families import GOLDEN, golden_config, read_golden
from keras_parity import HeldCheckpoint
from tiny_gguf import write_tiny_gguf


@pytest.mark.keras
def test_kerashub_says_the_same(tmp_path: Path) -> None:
    from keras_hub.models import GPT2Backbone, GPT2CausalLM

    backbone = GPT2Backbone(
        vocabulary_size=64,
        num_layers=3,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=24,
        max_sequence_length=100,
    )
    keras_parity.randomize(backbone)
    spec = keras_parity.assert_parity(GPT2CausalLM(backbone), tmp_path).spec
    assert (spec.positions, spec.max_positions) == (Learned(100), 100)


def weights(name: str = "gpt2") -> dict[str, FloatArray]:
    return load_file(GOLDEN / name / "model.safetensors")


def test_kernels_of_transformers_are_turned_and_taken_apart() -> None:
    decoder, file = read_golden("gpt2", golden_config("gpt2")), weights()
    block = "transformer.h.1"
    fused = [decoder.load(f"layers.1.{role}.weight") for role in "qkv"]
    np.testing.assert_array_equal(np.concatenate(fused), file[f"{block}.attn.c_attn.weight"].T)
    biases = [decoder.load(f"layers.1.{role}.bias") for role in "qkv"]
    np.testing.assert_array_equal(np.concatenate(biases), file[f"{block}.attn.c_attn.bias"])
    down = decoder.load("layers.1.down.weight")
    np.testing.assert_array_equal(down, file[f"{block}.mlp.c_proj.weight"].T)


def test_the_names_of_a_backbone_alone_are_read_too() -> None:
    whole, alone = (read_golden(n, golden_config(n)) for n in ("gpt2", "gpt2-base"))
    assert whole.spec == alone.spec
    for name in ("embedding", "positions", "layers.1.k.weight", "final_norm.bias"):
        np.testing.assert_array_equal(whole.load(name), alone.load(name))


def test_masks_and_a_tied_head_in_the_file_are_not_needed() -> None:
    file = weights()
    file["transformer.h.0.attn.bias"] = np.ones((1, 1, 48, 48), np.float32)
    file["transformer.h.0.attn.masked_bias"] = np.ones((), np.float32)
    file["lm_head.weight"] = np.zeros((64, 16), np.float32)
    config = golden_config("gpt2")
    assert gpt2.read_hugging_face(HeldCheckpoint(config, file)).spec.output.tied
    untied = gpt2.read_hugging_face(HeldCheckpoint({**config, "tie_word_embeddings": False}, file))
    assert not untied.load("output.weight").any()


def test_cross_attention_has_no_place() -> None:
    file = weights() | {"transformer.h.0.crossattention.c_proj.bias": np.ones(16, np.float32)}
    with pytest.raises(UnsupportedModelError, match="crossattention"):
        gpt2.read_hugging_face(HeldCheckpoint(golden_config("gpt2"), file))


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("gelu_new", "gelu_tanh"),
        ("gelu_fast", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("gelu", "gelu"),
        ("relu", "relu"),
        ("swish", "silu"),
    ],
)
def test_activations_have_the_names_of_transformers(name: str, activation: str) -> None:
    config = golden_config("gpt2") | {"activation_function": name}
    assert read_golden("gpt2", config).spec.feed_forward.activation == activation


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"activation_function": "quick_gelu"}, UnsupportedModelError, "quick_gelu"),
        ({"activation_function": ["gelu"]}, UnsupportedModelError, "activation_function"),
        ({"scale_attn_weights": False}, UnsupportedModelError, "scale_attn_weights"),
        ({"scale_attn_by_inverse_layer_idx": True}, UnsupportedModelError, "inverse_layer"),
        ({"n_head": 3}, SourceError, "3 heads"),
        ({"n_inner": 25}, SourceError, "mlp.c_fc.weight"),
        ({"n_layer": 3}, SourceError, "h.2"),
        ({"layer_norm_epsilon": 0}, SourceError, "layer_norm_epsilon"),
    ],
)
def test_what_has_no_place_or_sense_is_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_golden("gpt2", golden_config("gpt2") | changes)


def test_the_fused_projection_is_taken_apart(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(tmp_path / "gpt2.gguf", "gpt2")
    decoder = gpt2.read_gguf(GgufCheckpoint(gguf.path))
    fused, bias = gguf.arrays["blk.1.attn_qkv.weight"], gguf.arrays["blk.1.attn_qkv.bias"]
    parts = [decoder.load(f"layers.1.{role}.weight") for role in "qkv"]
    biases = [decoder.load(f"layers.1.{role}.bias") for role in "qkv"]
    np.testing.assert_array_equal(np.concatenate(parts), fused)
    np.testing.assert_array_equal(np.concatenate(biases), bias)


def test_learned_positions_limit_the_context(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(tmp_path / "gpt2.gguf", "gpt2")
    spec = gpt2.read_gguf(GgufCheckpoint(gguf.path)).spec
    assert spec.positions == Learned(128)
    assert spec.max_positions == 128


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path: Path) -> None:
    gguf = write_tiny_gguf(
        tmp_path / "gpt2.gguf",
        "gpt2",
        mutate=lambda metadata, _: metadata.update({"gpt2.attention.head_count": 5}),
    )
    with pytest.raises(SourceError, match="5 heads"):
        gpt2.read_gguf(GgufCheckpoint(gguf.path))
