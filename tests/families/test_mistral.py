from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from golden_families import golden_config, read_golden

SIZES = {
    "vocabulary_size": 64,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 32,
    "intermediate_dim": 48,
}


@pytest.mark.keras
@pytest.mark.parametrize(
    ("options", "window"),
    [
        ({"sliding_window": 11, "head_dim": 16, "rope_scaling_factor": 2.0}, 11),
        ({"sliding_window": None, "rope_max_wavelength": 500.0}, None),
    ],
    ids=["window", "no-window"],
)
def test_kerashub_says_the_same(
    options: dict[str, Any], window: int | None, tmp_path: Path
) -> None:
    from keras_hub.models import MistralBackbone, MistralCausalLM

    lm = MistralCausalLM(MistralBackbone(**SIZES, **options))
    keras_parity.randomize(lm.backbone)
    decoder = keras_parity.assert_parity(lm, tmp_path)
    assert [layer.window for layer in decoder.spec.layers] == [window, window]


def windows(**changes: object) -> list[int | None]:
    config = {**golden_config("mistral"), **changes}
    return [layer.window for layer in read_golden("mistral", config).spec.layers]


def test_every_layer_has_the_window_of_the_configuration() -> None:
    assert windows() == [8, 8]
    assert windows(sliding_window=3) == [3, 3]


def test_null_stands_for_no_window_and_a_missing_key_for_the_default() -> None:
    assert windows(sliding_window=None) == [None, None]
    config = golden_config("mistral")
    del config["sliding_window"]
    spec = read_golden("mistral", config).spec
    assert [layer.window for layer in spec.layers] == [4096, 4096]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"sliding_window": 0}, SourceError, "sliding_window"),
        ({"sliding_window": "8"}, SourceError, "sliding_window"),
        ({"hidden_act": "gelu"}, UnsupportedModelError, "gelu"),
        ({"num_key_value_heads": 3}, SourceError, "multiple"),
        ({"tie_word_embeddings": 1}, SourceError, "tie_word_embeddings"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, UnsupportedModelError, "yarn"),
        ({"rope_scaling": {"type": "linear"}}, SourceError, "factor"),
    ],
)
def test_what_has_no_place_or_sense_is_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        windows(**changes)
