from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import smollm3
from foreword.graph.spec import DecoderSpec
from golden_families import golden_config, read_golden

SIZES = {
    "vocabulary_size": 64,
    "num_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 32,
    "intermediate_dim": 48,
    "attention_dropout": 0.0,
    "layer_types": ["attention"] * 3,
    "layer_norm_epsilon": 1e-5,
    "max_position_embeddings": 512,
    "rope_theta": 1000.0,
    "partial_rotary_factor": 1.0,
}
TURNS = {"rope_layer_enabled_list": [True, False, True]}
PLAIN = {"attention_bias": False, "mlp_bias": False}


@pytest.mark.keras
@pytest.mark.parametrize(
    "options",
    [
        {**TURNS, **PLAIN},
        # KerasHub turns layers beyond the end of the list.
        {"rope_layer_enabled_list": [True, False], "attention_bias": True, "mlp_bias": True},
    ],
    ids=["plain", "biased"],
)
def test_kerashub_says_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    from keras_hub.models import SmolLM3Backbone, SmolLM3CausalLM

    lm = SmolLM3CausalLM(SmolLM3Backbone(**SIZES, **options))
    keras_parity.randomize(lm.backbone)
    spec = keras_parity.assert_parity(lm, tmp_path).spec
    assert [layer.rotary is None for layer in spec.layers] == [False, True, False]
    # Random as they are here, frequencies are the weights' and not the configuration's.
    assert spec.layers[0].rotary != spec.layers[2].rotary


@pytest.mark.keras
@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"partial_rotary_factor": 0.5}, UnsupportedModelError, "partial_rotary_factor"),
        ({"rope_layer_enabled_list": None}, SourceError, "rope_layer_enabled_list"),
        ({"rope_layer_enabled_list": [1, 0, 1]}, SourceError, "rope_layer_enabled_list"),
        ({"num_attention_heads": 5}, SourceError, "5 heads"),
    ],
)
def test_what_kerashub_cannot_mean_is_refused(
    changes: dict[str, object], error: type[SourceError], says: str, tmp_path: Path
) -> None:
    from keras_hub.models import SmolLM3Backbone

    checkpoint = keras_parity.checkpoint_of(SmolLM3Backbone(**SIZES, **TURNS, **PLAIN), tmp_path)
    smollm3.read_keras(checkpoint)
    with pytest.raises(error, match=says):
        smollm3.read_keras(replace(checkpoint, metadata={**checkpoint.metadata, **changes}))


@pytest.mark.keras
@pytest.mark.parametrize(
    ("frequencies", "says"),
    [([1.0, 0.1, 0.01], "4 frequencies"), ([1.0, 0.1, 0.01, np.nan], "not finite")],
)
def test_frequencies_without_sense_are_refused(
    frequencies: list[float], says: str, tmp_path: Path
) -> None:
    from keras_hub.models import SmolLM3Backbone

    checkpoint = keras_parity.checkpoint_of(SmolLM3Backbone(**SIZES, **TURNS, **PLAIN), tmp_path)
    name = "smol_lm3_decoder_layer_2/self_attn/rotary_embedding/0"
    arrays = {**checkpoint.arrays, name: np.array(frequencies, np.float32)}
    with pytest.raises(SourceError, match=says):
        smollm3.read_keras(replace(checkpoint, arrays=arrays))


def read(**changes: object) -> DecoderSpec:
    return read_golden("smollm3", {**golden_config("smollm3"), **changes}).spec


def turns(**changes: object) -> list[bool]:
    return [layer.rotary is not None for layer in read(**changes).layers]


def test_layers_with_a_one_are_those_that_turn() -> None:
    assert turns() == [True, False, True]


def test_without_a_list_the_last_of_every_interval_does_not_turn() -> None:
    assert turns(no_rope_layers=None, no_rope_layer_interval=2) == [True, False, True]
    assert turns(no_rope_layers=None, no_rope_layer_interval=3) == [True, True, False]
    assert turns(no_rope_layers=None) == [True, True, True]


def test_windows_are_on_layers_that_do_not_turn() -> None:
    spec = read(use_sliding_window=True, sliding_window=6, layer_types=None)
    assert [layer.window for layer in spec.layers] == [None, 6, None]


def test_missing_keys_mean_what_transformers_says() -> None:
    config = golden_config("smollm3")
    del config["rope_theta"]
    spec = read_golden("smollm3", config).spec
    rotary = spec.layers[0].rotary
    assert rotary is not None
    assert rotary.inverse_frequencies[1] == pytest.approx(2000000.0**-0.5)
    # Release 4 does not write `tie_word_embeddings` where it is true.
    assert "tie_word_embeddings" not in config
    assert spec.output.tied


@pytest.mark.parametrize("turns", [[1, 0], [1, 0, 2], "101", [1, 0, "1"], [1, 0, []]])
def test_a_list_without_sense_is_refused(turns: object) -> None:
    with pytest.raises(SourceError, match="no_rope_layers"):
        read(no_rope_layers=turns)
