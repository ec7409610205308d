from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import falcon
from foreword.graph.spec import Alibi, Decoder, FloatArray
from golden_families import GOLDEN, golden_config, read_golden
from keras_parity import HeldCheckpoint
from spec_reference import logits

SIZES = {"vocabulary_size": 64, "num_layers": 2, "intermediate_dim": 24}


@pytest.mark.keras
@pytest.mark.parametrize("heads", [4, 3])
def test_kerashub_says_the_same(heads: int, tmp_path: Path) -> None:
    from keras_hub.models import FalconBackbone, FalconCausalLM

    backbone = FalconBackbone(**SIZES, num_attention_heads=heads, hidden_dim=4 * heads)
    keras_parity.randomize(backbone)
    # With a cache KerasHub 0.31 leaves ALiBi out of every step: falcon_transformer_decoder.py
    # makes it for the tokens of the step alone, of which the first and only one has bias 0.
    keras_parity.assert_parity(FalconCausalLM(backbone), tmp_path, cached_generate=False)


def test_an_epsilon_that_kerashub_gives_to_one_norm_only_is_refused() -> None:
    config = {"layer_norm_epsilon": 1e-3}
    with pytest.raises(UnsupportedModelError, match="last norm"):
        falcon.read_keras(HeldCheckpoint(config, {}))


def read(name: str, file: dict[str, FloatArray], **changes: object) -> Decoder:
    return falcon.read_hugging_face(HeldCheckpoint(golden_config(name) | changes, file))


def weights(name: str) -> dict[str, FloatArray]:
    return load_file(GOLDEN / name / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "residual", "kv_heads", "bias"),
    [
        ("falcon-rw", "sequential", 4, True),
        ("falcon-7b", "shared", 1, False),
        ("falcon-new", "parallel", 2, False),
    ],
)
def test_the_three_kinds_are_told_apart(
    name: str, residual: str, kv_heads: int, bias: bool
) -> None:
    spec = read_golden(name, golden_config(name)).spec
    assert spec.residual == residual
    assert spec.attention.kv_heads == kv_heads
    assert spec.attention.qkv_bias is spec.attention.output_bias is spec.feed_forward.bias is bias
    assert (spec.positions is None) is (spec.layers[0].rotary is not None)


def test_missing_keys_mean_the_7b_kind() -> None:
    config = golden_config("falcon-7b")
    usual = ("alibi", "multi_query", "parallel_attn", "new_decoder_architecture", "bias")
    fewer = {key: value for key, value in config.items() if key not in (*usual, "activation")}
    assert read_golden("falcon-7b", fewer).spec == read_golden("falcon-7b", config).spec


def test_alibi_is_scaled_with_the_scores() -> None:
    # Heads of four: 2 ** -2 and so on, by 4 ** -0.5.
    spec = read_golden("falcon-rw", golden_config("falcon-rw")).spec
    assert spec.positions == Alibi((2**-3, 2**-5, 2**-7, 2**-9))


def test_one_norm_is_two_alike() -> None:
    two, one = weights("falcon-new"), {}
    for name, values in weights("falcon-new").items():
        if ".ln_mlp." in name:
            two[name] = two[name.replace("ln_mlp", "ln_attn")]
        else:
            one[name.replace("ln_attn", "input_layernorm")] = values
    parallel = read("falcon-new", two)
    shared = read("falcon-new", one, num_ln_in_parallel_attn=1)
    assert (parallel.spec.residual, shared.spec.residual) == ("parallel", "shared")
    tokens = list(range(20))
    np.testing.assert_allclose(logits(shared, tokens), logits(parallel, tokens), atol=1e-9)


def test_one_key_for_all_queries_is_the_same_key_for_each() -> None:
    # The fused rows of the 7B kind, repeated for every head, are those of the RefinedWeb kind.
    file = weights("falcon-7b")
    repeated = dict(file)
    for name in [name for name in file if "query_key_value" in name]:
        rows = file[name].reshape(6, 4, 16)
        by_head = [np.concatenate([rows[[i]], rows[4:]]) for i in range(4)]
        repeated[name] = np.concatenate(by_head).reshape(48, 16)
    tokens = list(range(20))
    np.testing.assert_allclose(
        logits(read("falcon-7b", repeated, multi_query=False), tokens),
        logits(read("falcon-7b", file), tokens),
        atol=1e-9,
    )


def test_the_last_kind_has_a_key_for_every_query_by_default() -> None:
    config: dict[str, Any] = golden_config("falcon-new") | {"num_kv_heads": None}
    with pytest.raises(SourceError, match=r"query_key_value.*\[48, 16\]"):
        read_golden("falcon-new", config)


def test_linear_scaling_divides_the_frequencies() -> None:
    plain, scaled = (
        read("falcon-7b", weights("falcon-7b"), rope_scaling=scaling).spec.layers[0].rotary
        for scaling in (None, {"type": "linear", "factor": 2.0})
    )
    assert plain is not None
    assert scaled is not None
    assert [2 * value for value in scaled.inverse_frequencies] == pytest.approx(
        plain.inverse_frequencies
    )


def test_a_tied_head_in_the_file_is_not_needed() -> None:
    file = weights("falcon-new")
    assert not read("falcon-new", file).spec.output.tied
    assert read("falcon-new", file, tie_word_embeddings=True).spec.output.tied


@pytest.mark.parametrize(
    ("name", "changes", "error", "says"),
    [
        ("falcon-new", {"parallel_attn": False}, UnsupportedModelError, "parallel_attn False"),
        ("falcon-new", {"num_ln_in_parallel_attn": 3}, UnsupportedModelError, "attn 3"),
        ("falcon-7b", {"num_ln_in_parallel_attn": 2}, UnsupportedModelError, "attn 2"),
        ("falcon-7b", {"activation": "gelu_10"}, UnsupportedModelError, "gelu_10"),
        ("falcon-7b", {"rope_scaling": {"type": "yarn"}}, UnsupportedModelError, "yarn"),
        ("falcon-7b", {"bias": True}, SourceError, "bias"),
        ("falcon-7b", {"num_attention_heads": 3}, SourceError, "3 heads"),
        ("falcon-new", {"num_kv_heads": 3}, SourceError, "3 key/value heads"),
        ("falcon-rw", {"multi_query": True}, SourceError, "query_key_value"),
        ("falcon-rw", {"alibi": "yes"}, SourceError, "alibi"),
    ],
)
def test_what_has_no_place_or_sense_is_refused(
    name: str, changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_golden(name, golden_config(name) | changes)
