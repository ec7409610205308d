from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import gpt_neox
from foreword.graph.spec import Attention, Decoder, FloatArray
from golden_families import GOLDEN, golden_config, read_golden
from keras_parity import HeldCheckpoint

SIZES = {"vocabulary_size": 64, "num_layers": 2, "intermediate_dim": 24}


@pytest.mark.keras
@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 2, "hidden_dim": 32, "rotary_max_wavelength": 100},
        {"num_heads": 3, "hidden_dim": 24, "rotary_percentage": 1.0, "layer_norm_epsilon": 0.1},
    ],
    ids=["quarter", "whole"],
)
def test_kerashub_says_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    from keras_hub.models import GPTNeoXBackbone, GPTNeoXCausalLM

    backbone = GPTNeoXBackbone(**SIZES, **options)
    keras_parity.randomize(backbone)
    # With a cache KerasHub 0.31 turns every query as if it stood at position 0
    # (gpt_neo_x_attention.py calls its RotaryEmbedding without a start_index).
    keras_parity.assert_parity(GPTNeoXCausalLM(backbone), tmp_path, cached_generate=False)


def weights(name: str = "gpt_neox") -> dict[str, FloatArray]:
    return load_file(GOLDEN / name / "model.safetensors")


def read(file: dict[str, FloatArray], **changes: object) -> Decoder:
    return gpt_neox.read_hugging_face(HeldCheckpoint(golden_config("gpt_neox") | changes, file))


def test_every_head_brings_its_query_key_and_value() -> None:
    # Two key/value heads of one row, each with two queries, its key, its value.
    rows = np.arange(8, dtype=np.float32)
    attention = Attention(heads=4, kv_heads=2, head_dim=1)
    taken = [gpt_neox.fused_rows(role, attention)(rows).tolist() for role in "qkv"]
    assert taken == [[0, 1, 4, 5], [2, 6], [3, 7]]


def test_only_what_turns_is_laid_out_in_halves() -> None:
    file = weights()
    fused = file["gpt_neox.layers.0.attention.query_key_value.weight"].reshape(2, 3, 16, 32)
    decoder = read(file)
    np.testing.assert_array_equal(decoder.load("layers.0.v.weight"), fused[:, 2].reshape(32, 32))
    # Of sixteen rows four turn, 0 and 1 with 2 and 3: they start the two halves.
    order = [0, 1, *range(4, 10), 2, 3, *range(10, 16)]
    np.testing.assert_array_equal(
        decoder.load("layers.0.k.weight"), fused[:, 1, order].reshape(32, 32)
    )
    [rotary] = {layer.rotary for layer in decoder.spec.layers}
    assert rotary is not None
    assert rotary.inverse_frequencies == pytest.approx([1, 500**-0.5, *[0] * 6])


@pytest.mark.parametrize(
    "rotary",
    [
        {"rotary_pct": 0.5, "rotary_emb_base": 100},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}, "rotary_pct": 0.5},
        {"rope_parameters": {"rope_theta": 100.0, "partial_rotary_factor": 0.5}},
    ],
)
def test_older_and_newer_keys_say_how_much_turns(rotary: dict[str, object]) -> None:
    config = golden_config("gpt_neox")
    for key in ("rotary_pct", "rotary_emb_base", "rope_theta", "partial_rotary_factor"):
        config.pop(key)
    spec = gpt_neox.read_hugging_face(HeldCheckpoint(config | rotary, weights())).spec
    assert spec.layers[0].rotary is not None
    turning = [100 ** (-i / 4) for i in range(4)]
    assert spec.layers[0].rotary.inverse_frequencies == pytest.approx([*turning, *[0] * 4])


def test_the_residual_and_the_biases_are_those_of_the_configuration() -> None:
    assert read(weights()).spec.residual == "parallel"
    assert read(weights(), use_parallel_residual=False).spec.residual == "sequential"
    bare = {
        name: values
        for name, values in weights().items()
        if not (".attention." in name and name.endswith(".bias"))
    }
    attention = read(bare, attention_bias=False).spec.attention
    assert not attention.qkv_bias
    assert not attention.output_bias


def test_missing_keys_mean_a_quarter_turns_in_parallel() -> None:
    config = golden_config("gpt_neox")
    usual = ("rotary_pct", "use_parallel_residual", "hidden_act", "attention_bias")
    fewer = {key: value for key, value in config.items() if key not in usual}
    assert read_golden("gpt_neox", fewer).spec == read_golden("gpt_neox", config).spec


def test_the_head_may_be_tied_and_the_backbone_alone() -> None:
    assert not read(weights()).spec.output.tied
    assert read(weights(), tie_word_embeddings=True).spec.output.tied
    alone = {name.removeprefix("gpt_neox."): values for name, values in weights().items()}
    del alone["embed_out.weight"]
    assert read(alone, tie_word_embeddings=True).spec.output.tied
    with pytest.raises(SourceError, match=r"embed_out\.weight"):
        read(alone)


def test_masks_in_older_files_are_not_needed() -> None:
    own = "gpt_neox.layers.0.attention"
    masks = {
        f"{own}.bias": np.ones((1, 1, 48, 48), np.float32),
        f"{own}.masked_bias": np.ones((), np.float32),
        f"{own}.rotary_emb.inv_freq": np.ones(2, np.float32),
    }
    assert read(weights() | masks).spec == read(weights()).spec


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"hidden_act": "mish"}, UnsupportedModelError, "mish"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, UnsupportedModelError, "dynamic"),
        ({"rotary_pct": 1.5}, SourceError, "at most 1"),
        ({"rotary_pct": 0.2}, SourceError, "3 dimensions"),
        ({"rotary_emb_base": -1, "rope_theta": None}, SourceError, "rotary_emb_base"),
        ({"num_attention_heads": 3}, SourceError, "3 heads"),
        ({"num_attention_heads": 32}, SourceError, "of 1 dimensions"),
    ],
)
def test_what_has_no_place_or_sense_is_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_golden("gpt_neox", golden_config("gpt_neox") | changes)
