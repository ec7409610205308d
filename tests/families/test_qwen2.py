from __future__ import annotations

from pathlib import Path

import pytest

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.graph.spec import DecoderSpec
from gguf_of_golden import read_as_gguf
from golden_families import assert_logits, golden_config, read_golden

SIZES = {
    "vocabulary_size": 64,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 32,
    "intermediate_dim": 48,
}


@pytest.mark.keras
def test_kerashub_says_the_same(tmp_path: Path) -> None:
    from keras_hub.models import QwenBackbone, QwenCausalLM

    lm = QwenCausalLM(QwenBackbone(**SIZES, rope_scaling_factor=3.0, rope_max_wavelength=1e6))
    keras_parity.randomize(lm.backbone)
    decoder = keras_parity.assert_parity(lm, tmp_path)
    assert decoder.spec.output.tied


@pytest.mark.keras
def test_kerashub_says_the_same_in_windows(tmp_path: Path) -> None:
    from keras_hub.models import QwenBackbone, QwenCausalLM

    options = {"use_sliding_window_attention": True, "sliding_window_size": 7}
    lm = QwenCausalLM(QwenBackbone(**SIZES, **options, tie_word_embeddings=False))
    keras_parity.randomize(lm.backbone)
    # A graph of `generate` fails: its window takes the truth value of a tensor.
    decoder = keras_parity.assert_parity(lm, tmp_path, eagerly=True)
    assert [layer.window for layer in decoder.spec.layers] == [7, 7]
    assert not decoder.spec.output.tied


@pytest.mark.keras
def test_the_size_of_a_window_that_is_not_used_means_nothing(tmp_path: Path) -> None:
    from keras_hub.models import QwenBackbone

    _, decoder = keras_parity.read(QwenBackbone(**SIZES, sliding_window_size=7), tmp_path)
    assert [layer.window for layer in decoder.spec.layers] == [None, None]


def read(name: str = "qwen2-window", **changes: object) -> DecoderSpec:
    return read_golden(name, {**golden_config(name), **changes}).spec


def windows(**changes: object) -> list[int | None]:
    return [layer.window for layer in read(**changes).layers]


def test_there_are_biases_on_queries_keys_and_values_alone() -> None:
    attention = read("qwen2").attention
    assert attention.qkv_bias
    assert not attention.output_bias


def test_layers_from_the_first_that_slides_on_have_a_window() -> None:
    assert windows(layer_types=None) == [None, 8]
    assert windows(layer_types=None, max_window_layers=0) == [8, 8]
    assert windows(layer_types=None, max_window_layers=2) == [None, None]


def test_types_of_layers_are_stronger_than_their_number() -> None:
    kinds = ["sliding_attention", "full_attention"]
    assert windows(layer_types=kinds, max_window_layers=1) == [8, None]


def test_a_window_that_is_not_used_means_nothing() -> None:
    unused = {"layer_types": None, "max_window_layers": 0}
    assert windows(use_sliding_window=False, **unused) == [None, None]
    assert windows(sliding_window=None, **unused) == [None, None]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"layer_types": ["full_attention"]}, SourceError, "layer_types"),
        ({"layer_types": "full"}, SourceError, "layer_types"),
        (
            {"layer_types": ["full_attention", "chunked_attention"]},
            UnsupportedModelError,
            "chunked_attention",
        ),
        ({"layer_types": [{}, []]}, UnsupportedModelError, "layers of type"),
        ({"use_sliding_window": False}, SourceError, "use_sliding_window"),
        ({"use_sliding_window": 1}, SourceError, "use_sliding_window"),
        ({"sliding_window": None}, SourceError, "sliding_window"),
        ({"sliding_window": -4}, SourceError, "sliding_window"),
        ({"layer_types": None, "max_window_layers": "1"}, SourceError, "max_window_layers"),
    ],
)
def test_windows_without_a_place_or_sense_are_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read(**changes)


def test_a_gguf_file_says_the_same(tmp_path: Path) -> None:
    decoder = read_as_gguf("qwen2", tmp_path)
    assert decoder.spec.attention.qkv_bias
    assert_logits(decoder, "qwen2", tmp_path)


def test_a_scaling_of_a_gguf_file_without_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="yarn"):
        read_as_gguf("qwen2", tmp_path, **{"qwen2.rope.scaling.type": "yarn"})
