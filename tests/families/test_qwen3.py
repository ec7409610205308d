from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import keras_parity
from foreword.errors import SourceError
from foreword.graph.spec import DecoderSpec, Norm
from gguf_of_golden import read_as_gguf
from golden_families import assert_logits, golden_config, read_golden

SIZES = {
    "vocabulary_size": 64,
    "num_layers": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_dim": 32,
    "intermediate_dim": 48,
}


@pytest.mark.keras
@pytest.mark.parametrize(
    ("options", "window"),
    [
        ({"sliding_window_size": None, "rope_scaling_factor": 2.0}, None),
        # An epsilon that shows: KerasHub does not give it to the norms of queries and keys.
        (
            {"sliding_window_size": 9, "layer_norm_epsilon": 0.1, "tie_word_embeddings": False},
            9,
        ),
    ],
    ids=["tied", "untied-window"],
)
def test_kerashub_says_the_same(
    options: dict[str, Any], window: int | None, tmp_path: Path
) -> None:
    from keras_hub.models import Qwen3Backbone, Qwen3CausalLM

    lm = Qwen3CausalLM(Qwen3Backbone(**SIZES, **options))
    keras_parity.randomize(lm.backbone)
    spec = keras_parity.assert_parity(lm, tmp_path).spec
    assert [layer.window for layer in spec.layers] == [window, window]
    assert spec.attention.qk_norm == Norm("rms", 1e-5)


def read(**changes: object) -> DecoderSpec:
    return read_golden("qwen3", {**golden_config("qwen3"), **changes}).spec


def test_queries_and_keys_are_normalised_as_everything_else_is() -> None:
    spec = read(rms_norm_eps=0.25)
    assert spec.attention.qk_norm == spec.norm == Norm("rms", 0.25)


def test_windows_are_those_of_qwen2() -> None:
    changes = {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}
    assert [layer.window for layer in read(layer_types=None, **changes).layers] == [None, 5]


def test_a_missing_size_of_heads_is_that_of_transformers() -> None:
    config = golden_config("qwen3")
    del config["head_dim"]
    with pytest.raises(SourceError, match=r"q_proj.*\[256, 16\].*\[32, 16\]"):
        read_golden("qwen3", config)


def test_a_gguf_file_says_the_same(tmp_path: Path) -> None:
    decoder = read_as_gguf("qwen3", tmp_path)
    assert decoder.spec.attention.qk_norm == decoder.spec.norm
    assert_logits(decoder, "qwen3", tmp_path)
