from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foreword.errors import ForewordError, SourceError, UnsupportedModelError
from foreword.families import gemma
from gemma_models import BOTH_NORMS, SIZES, WINDOW, gemma_backbone
from golden_families import golden_config, read_golden
from keras_parity import HeldCheckpoint, assert_parity


def test_the_spec_is_what_the_configuration_says() -> None:
    spec = read_golden("gemma", golden_config("gemma")).spec
    assert (spec.width, len(spec.layers), spec.max_positions) == (16, 2, 48)
    assert spec.embedding.scale == pytest.approx(4.0)
    attention = spec.attention
    assert (attention.heads, attention.kv_heads, attention.head_dim) == (2, 1, 16)
    assert spec.feed_forward.activation == "gelu_tanh"
    assert spec.output.tied
    assert {layer.window for layer in spec.layers} == {None}


def test_norms_are_kept_as_their_difference_from_one() -> None:
    decoder = read_golden("gemma", golden_config("gemma"))
    for name in ("final_norm", "layers.0.attention_norm", "layers.1.feed_forward_norm"):
        assert 0.5 < decoder.load(f"{name}.scale").mean() < 1.5


def test_gelu_in_old_files_means_its_approximation() -> None:
    config = golden_config("gemma")
    assert read_golden("gemma", {**config, "hidden_act": "gelu"}).spec == (
        read_golden("gemma", config).spec
    )


def test_keys_that_are_missing_have_the_values_of_transformers() -> None:
    config = golden_config("gemma")
    for key in ("rms_norm_eps", "rope_theta", "hidden_activation", "attention_bias"):
        del config[key]
    assert read_golden("gemma", config).spec == read_golden("gemma", golden_config("gemma")).spec


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"hidden_act": "silu"}, UnsupportedModelError, "hidden_act 'silu'"),
        ({"hidden_activation": "gelu"}, UnsupportedModelError, "hidden_activation 'gelu'"),
        ({"use_bidirectional_attention": True}, UnsupportedModelError, "cannot continue"),
        ({"num_key_value_heads": None}, SourceError, "num_key_value_heads"),
        ({"num_hidden_layers": 10_000}, SourceError, "num_hidden_layers"),
        ({"tie_word_embeddings": False}, SourceError, "lm_head.weight"),
        ({"head_dim": 8}, SourceError, "shape"),
        ({"attention_bias": True}, SourceError, "bias"),
        ({"rope_scaling": {"rope_type": "yarn"}}, UnsupportedModelError, "yarn"),
    ],
)
def test_what_the_family_cannot_say_is_refused(
    changes: dict[str, object], error: type[ForewordError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        read_golden("gemma", {**golden_config("gemma"), **changes})
    assert "\n" not in str(caught.value)


def held(**changes: Any) -> HeldCheckpoint:
    """A KerasHub checkpoint of one layer, as its file has it."""
    config = {**SIZES, "num_layers": 1, "layer_norm_epsilon": 1e-6, **changes}
    block = "gemma_decoder_block"
    shapes = {
        "reversible_embedding/0": (64, 16),
        "rms_normalization/0": (16,),
        f"{block}/pre_attention_norm/0": (16,),
        f"{block}/pre_ffw_norm/0": (16,),
        f"{block}/attention/query_dense/0": (4, 16, 8),
        f"{block}/attention/key_dense/0": (2, 16, 8),
        f"{block}/attention/value_dense/0": (2, 16, 8),
        f"{block}/attention/output_dense/0": (4, 8, 16),
        f"{block}/gating_ffw/0": (16, 24),
        f"{block}/gating_ffw_2/0": (16, 24),
        f"{block}/ffw_linear/0": (24, 16),
    }
    return HeldCheckpoint(config, {name: np.zeros(s, np.float32) for name, s in shapes.items()})


def test_a_keras_backbone_has_half_its_intermediate_dim_on_each_side_of_the_gate() -> None:
    spec = gemma.read_keras(held()).spec
    assert spec.feed_forward.width == 24
    assert spec.embedding.scale == math.sqrt(16)
    assert spec.residual == "sequential"


def test_keras_ignores_how_its_queries_are_said_to_be_scaled() -> None:
    other = gemma.read_keras(held(query_head_dim_normalize=False))
    assert other.spec == gemma.read_keras(held()).spec


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"layer_norm_epsilon": 1e-5}, UnsupportedModelError, "layer_norm_epsilon"),
        ({"use_post_ffw_norm": True}, UnsupportedModelError, "agree"),
        ({"final_logit_soft_cap": 0.0}, SourceError, "final_logit_soft_cap"),
        ({"attention_logit_soft_cap": -1}, SourceError, "attention_logit_soft_cap"),
        ({**WINDOW, "sliding_window_size": 0}, SourceError, "sliding_window_size"),
        ({"num_query_heads": 3}, SourceError, "multiples"),
        ({"num_layers": 2}, SourceError, "gemma_decoder_block_1/"),
        ({"num_layers": 1, **BOTH_NORMS}, SourceError, "post_attention_norm"),
    ],
)
def test_a_keras_backbone_that_cannot_be_followed_is_refused(
    changes: dict[str, object], error: type[ForewordError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        gemma.read_keras(held(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.keras
@pytest.mark.parametrize(
    "changes",
    [
        {"num_key_value_heads": 1},
        {**BOTH_NORMS, **WINDOW, "attention_logit_soft_cap": 1.5, "final_logit_soft_cap": 3.0},
        {"final_logit_soft_cap": 2.0, "query_head_dim_normalize": False},
        {**BOTH_NORMS, "num_query_heads": 3, "num_key_value_heads": 3, "head_dim": 6},
    ],
    ids=["gemma", "gemma2", "half scale", "odd heads"],
)
def test_logits_and_greedy_tokens_are_those_of_keras(
    changes: dict[str, object], tmp_path: Path
) -> None:
    from keras_hub.models import GemmaCausalLM

    spec = assert_parity(GemmaCausalLM(gemma_backbone(**changes)), tmp_path).spec
    windows = [layer.window for layer in spec.layers]
    assert windows == ([8, None, 8] if "sliding_window_size" in changes else [None] * 3)
