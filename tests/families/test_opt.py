from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_parity
from foreword.errors import SourceError, UnsupportedModelError
from foreword.families import opt
from foreword.graph.spec import Decoder, FloatArray, Learned
from golden_families import GOLDEN, golden_config, read_golden
from keras_parity import HeldCheckpoint


@pytest.mark.keras
def test_kerashub_says_the_same(tmp_path: Path) -> None:
    from keras_hub.models import OPTBackbone, OPTCausalLM

    backbone = OPTBackbone(
        vocabulary_size=64,
        num_layers=3,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=24,
        max_sequence_length=100,
    )
    keras_parity.randomize(backbone)
    spec = keras_parity.assert_parity(OPTCausalLM(backbone), tmp_path).spec
    # KerasHub's table has no rows before the first position.
    assert (spec.positions, spec.max_positions) == (Learned(100), 100)


def weights() -> dict[str, FloatArray]:
    return load_file(GOLDEN / "opt" / "model.safetensors")


def read(file: dict[str, FloatArray], **changes: object) -> Decoder:
    return opt.read_hugging_face(HeldCheckpoint(golden_config("opt") | changes, file))


def test_positions_of_transformers_start_at_the_third_row() -> None:
    decoder = read(weights())
    assert decoder.spec.positions == Learned(48)
    table = weights()["model.decoder.embed_positions.weight"]
    assert len(table) == 50
    np.testing.assert_array_equal(decoder.load("positions"), table[2:])


def test_a_table_of_no_positions_is_refused() -> None:
    file = weights()
    name = "model.decoder.embed_positions.weight"
    file[name] = file[name][:2]
    with pytest.raises(SourceError, match="expected over 2 rows, found 2"):
        read(file)


def test_the_names_of_a_backbone_alone_are_read_too() -> None:
    alone = {name.removeprefix("model."): values for name, values in weights().items()}
    np.testing.assert_array_equal(
        read(alone).load("layers.1.up.weight"), read(weights()).load("layers.1.up.weight")
    )


def test_projections_may_have_no_bias() -> None:
    file = {
        name: values
        for name, values in weights().items()
        if "norm" in name or name.endswith(".weight")
    }
    spec = read(file, enable_bias=False).spec
    assert not spec.attention.qkv_bias
    assert not spec.attention.output_bias
    assert not spec.feed_forward.bias
    with pytest.raises(SourceError, match="bias"):
        read(file)


def test_the_head_may_be_untied() -> None:
    file = weights() | {"lm_head.weight": np.zeros((64, 16), np.float32)}
    assert read(file).spec.output.tied
    untied = read(file, tie_word_embeddings=False)
    assert not untied.load("output.weight").any()


def test_the_activation_is_the_one_of_the_configuration() -> None:
    assert read(weights()).spec.feed_forward.activation == "relu"
    assert read(weights(), activation_function="gelu").spec.feed_forward.activation == "gelu"


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"do_layer_norm_before": False}, UnsupportedModelError, "350M"),
        ({"word_embed_proj_dim": 8}, UnsupportedModelError, "word_embed_proj_dim"),
        ({"_remove_final_layer_norm": True}, UnsupportedModelError, "_remove_final_layer_norm"),
        ({"layer_norm_elementwise_affine": False}, UnsupportedModelError, "Galactica"),
        ({"activation_function": "tanh"}, UnsupportedModelError, "tanh"),
        ({"enable_bias": "yes"}, SourceError, "enable_bias"),
        ({"num_attention_heads": 3}, SourceError, "3 heads"),
        ({"ffn_dim": 12}, SourceError, "fc1"),
    ],
)
def test_what_has_no_place_or_sense_is_refused(
    changes: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        read_golden("opt", golden_config("opt") | changes)
