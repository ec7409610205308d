from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import bloom
from foreword.graph.spec import Alibi, FloatArray
from golden_families import GOLDEN, golden_config, read_golden
from keras_parity import HeldCheckpoint


@pytest.mark.keras
@pytest.mark.parametrize("heads", [4, 3])
def test_kerashub_says_the_same(heads: int, tmp_path: Path) -> None:
    from keras_hub.models import BloomBackbone, BloomCausalLM

    backbone = BloomBackbone(
        vocabulary_size=64,
        num_layers=2,
        num_heads=heads,
        hidden_dim=4 * heads,
        intermediate_dim=24,
        layer_norm_epsilon=0.1,
    )
    keras_parity.randomize(backbone)
    keras_parity.assert_parity(BloomCausalLM(backbone), tmp_path)


@pytest.mark.parametrize(
    ("heads", "exponents"),
    [
        (1, [8]),
        (2, [4, 8]),
        (3, [4, 8, 2]),
        (4, [2, 4, 6, 8]),
        (6, [2, 4, 6, 8, 1, 3]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_slopes_are_those_of_the_paper_and_its_code(heads: int, exponents: list[int]) -> None:
    assert bloom.alibi_slopes(heads) == tuple(2.0**-exponent for exponent in exponents)


def weights() -> dict[str, FloatArray]:
    return load_file(GOLDEN / "bloom" / "model.safetensors")


def test_the_embedding_is_normalised_and_nothing_else_bounds_the_context() -> None:
    decoder = read_golden("bloom", golden_config("bloom"))
    assert decoder.spec.embedding.norm
    assert decoder.spec.positions == Alibi((2**-4, 2**-8, 2**-2))
    assert decoder.spec.max_positions is None
    name = "transformer.word_embeddings_layernorm.bias"
    np.testing.assert_array_equal(decoder.load("embedding_norm.bias"), weights()[name])


def test_older_names_of_the_configuration_are_read() -> None:
    config = golden_config("bloom")
    width, heads, layers = (config.pop(key) for key in ("hidden_size", "n_head", "n_layer"))
    older = {"n_embed": width, "num_attention_heads": heads, "num_hidden_layers": layers}
    assert (
        read_golden("bloom", config | older).spec
        == read_golden("bloom", golden_config("bloom")).spec
    )


def test_the_head_may_be_untied() -> None:
    file = weights() | {"lm_head.weight": np.zeros((64, 12), np.float32)}
    config = golden_config("bloom")
    assert bloom.read_hugging_face(HeldCheckpoint(config, file)).spec.output.tied
    config["tie_word_embeddings"] = False
    untied = bloom.read_hugging_face(HeldCheckpoint(config, file))
    assert not untied.load("output.weight").any()


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        (
            {"apply_residual_connection_post_layernorm": True},
            UnsupportedModelError,
            "apply_residual_connection_post_layernorm",
        ),
        ({"n_head": 5}, SourceError, "5 heads"),
        ({"n_head": None}, SourceError, "n_head"),
        ({"n_embed": 24}, SourceError, "word_embeddings"),
        ({"layer_norm_epsilon": "small"}, SourceError, "layer_norm_epsilon"),
    ],
)
def test_what_has_no_place_or_sense_is_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_golden("bloom", golden_config("bloom") | changes)
