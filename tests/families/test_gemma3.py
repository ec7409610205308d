from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foreword.errors import ForewordError, SourceError, UnsupportedModelError
from foreword.families import gemma3
from foreword.graph.spec import Decoder, weight_shapes
from foreword.sources.safetensors import SafetensorsCheckpoint
from gemma_models import BOTH_NORMS, gemma3_backbone
from golden_families import GOLDEN, golden_config, read_golden
from keras_parity import HeldCheckpoint, assert_parity, read
from spec_reference import logits


def near_and_far(decoder: Decoder) -> tuple[list[float], list[float]]:
    """The frequencies of layers with a window and of those without."""
    (near,) = {layer.rotary for layer in decoder.spec.layers if layer.window is not None}
    (far,) = {layer.rotary for layer in decoder.spec.layers if layer.window is None}
    assert near is not None
    assert far is not None
    return list(near.inverse_frequencies), list(far.inverse_frequencies)


def test_the_spec_is_what_the_configuration_says() -> None:
    spec = read_golden("gemma3", golden_config("gemma3")).spec
    assert spec.residual == "sandwich"
    assert spec.attention.scale == pytest.approx(5**-0.5)
    assert spec.attention.qk_norm == spec.norm
    assert (spec.attention.soft_cap, spec.output.soft_cap) == (None, None)
    assert [layer.window for layer in spec.layers] == [8, 8, 8, 8, 8, None, 8]


def test_only_layers_without_a_window_have_scaled_positions_with_the_long_base() -> None:
    near, far = near_and_far(read_golden("gemma3", golden_config("gemma3")))
    assert near == pytest.approx([100.0 ** -(i / 4) for i in range(4)])
    assert far == pytest.approx([10000.0 ** -(i / 4) / 8 for i in range(4)])


@pytest.mark.parametrize("config", ["config.json", "config-v5.json"])
def test_bases_that_are_missing_are_ten_thousand_and_a_million(config: str) -> None:
    metadata = golden_config("gemma3", config)
    for key in ("rope_theta", "rope_local_base_freq", "rope_scaling", "rope_parameters"):
        metadata.pop(key, None)
    near, far = near_and_far(read_golden("gemma3", metadata))
    assert near[1] == pytest.approx(10_000.0**-0.25)
    assert far[1] == pytest.approx(1_000_000.0**-0.25)


def test_a_pattern_of_older_files_says_how_often_a_layer_has_no_window() -> None:
    config = {**golden_config("gemma3"), "layer_types": None, "sliding_window_pattern": 3}
    spec = read_golden("gemma3", config).spec
    assert [layer.window for layer in spec.layers] == [8, 8, None, 8, 8, None, 8]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"attn_logit_softcapping": 50.0}, UnsupportedModelError, "attn_logit_softcapping"),
        ({"use_bidirectional_attention": True}, UnsupportedModelError, "cannot continue"),
        ({"rope_parameters": {"rope_type": "linear"}}, SourceError, "rope_parameters"),
        ({"rope_parameters": [1]}, SourceError, "rope_parameters"),
        ({"rope_scaling": {"rope_type": "linear"}}, SourceError, "factor"),
        ({"sliding_window": 0}, SourceError, "sliding_window"),
        ({"final_logit_softcapping": "thirty"}, SourceError, "final_logit_softcapping"),
    ],
)
def test_what_the_family_cannot_say_is_refused(
    changes: dict[str, object], error: type[ForewordError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        read_golden("gemma3", {**golden_config("gemma3"), **changes})
    assert "\n" not in str(caught.value)


def images_and_text(prefix: str, vision: str) -> HeldCheckpoint:
    """The golden checkpoint as the text part of a model of images and text."""
    config = golden_config("gemma3")
    text = SafetensorsCheckpoint(GOLDEN / "gemma3", config)
    arrays = {name.replace("model.", prefix, 1): text.load(name) for name in text.shapes}
    for name in ("vision_tower.vision_model.head.weight", "multi_modal_projector.norm.weight"):
        arrays[f"{vision}{name}"] = np.zeros(3, np.float32)
    return HeldCheckpoint(
        {"model_type": "gemma3", "text_config": config, "vision_config": {}}, arrays
    )


@pytest.mark.parametrize(
    ("prefix", "vision"), [("language_model.model.", ""), ("model.language_model.", "model.")]
)
def test_of_images_and_text_the_text_part_is_read(prefix: str, vision: str) -> None:
    decoder = gemma3.read_images_and_text(images_and_text(prefix, vision))
    alone = read_golden("gemma3", golden_config("gemma3"))
    assert decoder.spec == alone.spec
    for name in weight_shapes(alone.spec):
        np.testing.assert_array_equal(decoder.load(name), alone.load(name))


def test_a_second_copy_of_the_tied_projection_is_no_stranger() -> None:
    checkpoint = images_and_text("language_model.model.", "")
    again = {"language_model.lm_head.weight": np.zeros((48, 16), np.float32)}
    gemma3.read_images_and_text(HeldCheckpoint(checkpoint.metadata, {**checkpoint.arrays, **again}))


def test_tensors_beside_text_and_images_are_refused() -> None:
    checkpoint = images_and_text("language_model.model.", "")
    audio = {"audio_tower.weight": np.zeros(3, np.float32)}
    with pytest.raises(UnsupportedModelError, match="audio_tower"):
        gemma3.read_images_and_text(
            HeldCheckpoint(checkpoint.metadata, {**checkpoint.arrays, **audio})
        )


@pytest.mark.parametrize("text", [None, [], "gemma3_text"])
def test_a_text_part_without_a_configuration_is_refused(text: object) -> None:
    with pytest.raises(SourceError, match="text_config"):
        gemma3.read_images_and_text(HeldCheckpoint({"text_config": text}, {}))


@pytest.mark.parametrize("key", ["is_embedding_model", "use_bidirectional_attention"])
def test_a_keras_backbone_that_embeds_texts_is_refused(key: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"{key}.*cannot continue"):
        gemma3.read_keras(HeldCheckpoint({key: True}, {}))


@pytest.mark.keras
@pytest.mark.parametrize(
    "changes",
    [
        {"global_rope_scaling_factor": 8.0, "local_rope_scaling_factor": 2.0},
        {
            **{"use_query_key_norm": False, "use_sliding_window_attention": False},
            **{"attention_logit_soft_cap": 1.5, "final_logit_soft_cap": 3.0},
        },
        {**dict.fromkeys(BOTH_NORMS, False), "num_query_heads": 3, "num_key_value_heads": 1},
    ],
    ids=["gemma3", "soft caps", "one norm"],
)
def test_logits_and_greedy_tokens_are_those_of_keras(
    changes: dict[str, object], tmp_path: Path
) -> None:
    from keras_hub.models import Gemma3CausalLM

    lm = Gemma3CausalLM(preprocessor=None, backbone=gemma3_backbone(**changes))
    spec = assert_parity(lm, tmp_path).spec
    windowed = changes.get("use_sliding_window_attention", True)
    windows = [layer.window for layer in spec.layers]
    assert windows == ([8, 8, 8, 8, 8, None, 8] if windowed else [None] * 7)


@pytest.mark.keras
def test_without_an_image_a_model_of_images_and_text_is_its_text_part(tmp_path: Path) -> None:
    from keras_hub.src.models.gemma3.gemma3_vision_encoder import Gemma3VisionEncoder

    sizes: dict[str, Any] = {"hidden_dim": 8, "intermediate_dim": 12, "num_heads": 2}
    encoder = Gemma3VisionEncoder(
        image_size=16, patch_size=4, num_layers=1, output_dim=16, pool_size=2, **sizes
    )
    backbone = gemma3_backbone(vision_encoder=encoder)
    _, decoder = read(backbone, tmp_path)
    tokens = np.random.default_rng(3).integers(0, 64, 30).tolist()
    hidden = backbone(
        {
            "token_ids": np.array([tokens]),
            "padding_mask": np.ones((1, len(tokens)), "int32"),
            # An image of four embeddings that stands at no place: KerasHub needs one.
            "images": np.zeros((1, 1, 16, 16, 3), "float32"),
            "vision_indices": np.zeros((1, 4), "int32"),
            "vision_mask": np.zeros((1, len(tokens)), "int32"),
        }
    )
    expected = np.asarray(backbone.token_embedding(hidden, reverse=True))[0]
    np.testing.assert_allclose(logits(decoder, tokens), expected, rtol=0, atol=1e-4)
