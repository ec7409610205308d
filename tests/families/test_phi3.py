from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import phi3
from foreword.graph.spec import Decoder, Rotary
from golden_families import golden_config, read_golden

SIZES = {
    "vocabulary_size": 64,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 32,
    "intermediate_dim": 48,
}
LONG_ROPE = {
    "rope_scaling_type": "su",
    "rope_scaling_short_factor": [1.0, 1.2, 1.5, 2.0],
    "rope_scaling_long_factor": [1.5, 2.0, 4.0, 8.0],
    "max_sequence_length": 512,
}
RATIO = 256 / 44
MAGNITUDE = float(np.sqrt(1 + np.log(RATIO) / np.log(44)))


@pytest.mark.keras
@pytest.mark.parametrize(
    ("options", "cached"),
    [
        ({}, True),
        ({**LONG_ROPE, "pretraining_sequence_length": keras_parity.CONTEXT}, True),
        # KerasHub chooses factors by the length of what it is given. Its cache is filled with
        # the long ones, and each step after that, one token, takes the short ones.
        ({**LONG_ROPE, "pretraining_sequence_length": 16}, False),
    ],
    ids=["plain", "short-factors", "long-factors"],
)
def test_kerashub_says_the_same(options: dict[str, Any], cached: bool, tmp_path: Path) -> None:
    from keras_hub.models import Phi3Backbone, Phi3CausalLM

    lm = Phi3CausalLM(Phi3Backbone(**SIZES, **options))
    keras_parity.randomize(lm.backbone)
    decoder = keras_parity.assert_parity(lm, tmp_path, cached_generate=cached)
    rotary = decoder.spec.layers[0].rotary
    assert rotary is not None
    assert (rotary.magnitude == 1) == (not options)


def keras_metadata(**changes: object) -> keras_parity.HeldCheckpoint:
    metadata = {**SIZES, **LONG_ROPE, "pretraining_sequence_length": 64, **changes}
    table = np.zeros((64, 32), np.float32)
    return keras_parity.HeldCheckpoint(metadata, {"reversible_embedding/0": table})


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"rope_scaling_type": "yarn"}, UnsupportedModelError, "yarn"),
        ({"rope_scaling_short_factor": [1.0]}, SourceError, "short_factor"),
        ({"rope_scaling_long_factor": None}, SourceError, "long_factor"),
        ({"pretraining_sequence_length": 1}, SourceError, "original"),
        ({"max_sequence_length": None}, SourceError, "max_sequence_length"),
    ],
)
def test_scalings_kerashub_cannot_mean_are_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    changes = {"num_layers": 1, **changes}
    with pytest.raises(error, match=says):
        phi3.read_keras(keras_metadata(**changes))


def read(name: str = "phi3-long", **changes: object) -> Decoder:
    return read_golden(name, {**golden_config(name), **changes})


def rotary(name: str = "phi3-long", **changes: object) -> Rotary:
    found = read(name, **changes).spec.layers[0].rotary
    assert found is not None
    return found


def test_short_factors_serve_up_to_the_original_length_and_long_ones_beyond() -> None:
    found = rotary()
    plain = 10000.0 ** (-np.arange(4) / 4)
    short, long = found.within(44), found.within(45)
    np.testing.assert_allclose(short.inverse_frequencies, plain / [1.0, 1.15, 1.3, 1.45])
    np.testing.assert_allclose(long.inverse_frequencies, plain / [1.5, 2.2, 2.9, 3.6])
    assert short.magnitude == long.magnitude == pytest.approx(MAGNITUDE)


def test_an_older_name_of_the_scaling_means_the_same() -> None:
    scaling = golden_config("phi3-long")["rope_scaling"]
    assert rotary(rope_scaling={**scaling, "type": "su"}) == rotary()


def test_a_factor_of_attention_that_is_given_is_taken() -> None:
    scaling = golden_config("phi3-long")["rope_scaling"]
    assert rotary(rope_scaling={**scaling, "attention_factor": 1.25}).magnitude == 1.25


def test_a_context_no_longer_than_the_original_is_not_magnified() -> None:
    assert rotary(max_position_embeddings=44).magnitude == 1


def test_only_the_turning_part_of_a_head_has_frequencies() -> None:
    found = rotary("phi4-mini")
    assert [turn > 0 for turn in found.inverse_frequencies] == [True, True, True, False]
    assert found.magnitude == pytest.approx(MAGNITUDE)


def test_fused_projections_are_taken_apart_without_copies() -> None:
    decoder = read("phi3")
    loaded: dict[str, Any] = {
        name: decoder.load(f"layers.0.{name}.weight") for name in ("q", "k", "v", "gate", "up")
    }
    assert {name: array.shape for name, array in loaded.items()} == {
        **{"q": (16, 16), "k": (8, 16), "v": (8, 16)},
        **{"gate": (24, 16), "up": (24, 16)},
    }
    assert all(array.base is not None for array in loaded.values())


def test_biases_of_other_families_are_not_read() -> None:
    spec = read("phi3", attention_bias=True, mlp_bias=True).spec
    biases = (spec.attention.qkv_bias, spec.attention.output_bias, spec.feed_forward.bias)
    assert not any(biases)


def test_the_window_of_the_configuration_is_on_every_layer() -> None:
    layers = read("phi3-window").spec.layers
    assert [layer.window for layer in layers] == [8, 8]


SCALING = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"rope_scaling": {**SCALING, "type": "yarn"}}, UnsupportedModelError, "yarn"),
        ({"rope_scaling": {**SCALING, "short_factor": [1.0] * 3}}, SourceError, "short_factor"),
        ({"rope_scaling": {**SCALING, "long_factor": 2.0}}, SourceError, "long_factor"),
        (
            {"rope_scaling": {**SCALING, "long_factor": [1.0, 2.0, 0.0, 1.0]}},
            SourceError,
            "long_factor",
        ),
        ({"rope_scaling": "longrope"}, SourceError, "rope_scaling"),
        ({"original_max_position_embeddings": 1}, SourceError, "original"),
        ({"original_max_position_embeddings": 0.5}, SourceError, "original"),
        ({"partial_rotary_factor": 1.5}, SourceError, "partial_rotary_factor"),
        ({"partial_rotary_factor": 0.4}, SourceError, "3 dimensions"),
    ],
)
def test_scalings_without_a_place_or_sense_are_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read(**changes)
