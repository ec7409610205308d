"""The Gemma 3 family (text): Gemma 2 with q/k norms, two kinds of rotary positions, no soft caps.

Of a model of images and text the text part is read: without an image it is this decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from foreword.errors import UnsupportedModelError
from foreword.families import gemma, gemma2
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    damaged,
    flag,
    integer,
    layer_count,
    number,
    shifted,
    spread,
    with_defaults,
    with_metadata,
)
from foreword.families.find import Readers
from foreword.families.llama import HUGGING_FACE_UNUSED
from foreword.families.qwen2 import layer_windows
from foreword.families.rotary import frequencies, hugging_face_rotary, in_halves
from foreword.graph.spec import Decoder, Layer, Rotary

HUGGING_FACE: Mapping[str, Tensor] = {
    **gemma2.HUGGING_FACE,
    "q_norm.scale": shifted("model.layers.{i}.self_attn.q_norm.weight"),
    "k_norm.scale": shifted("model.layers.{i}.self_attn.k_norm.weight"),
}

DEFAULTS: Mapping[str, object] = {
    **gemma2.DEFAULTS,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "max_position_embeddings": 131072,
}
"""What transformers takes for granted of a gemma3_text, as a config.json need not say it."""

_LOCAL, _GLOBAL = 10_000.0, 1_000_000.0
_EVERY = 6

# Where the text part of a model of images and text is, by release of transformers, and
# where its projection is.
_TEXT = (
    ("language_model.model.", "language_model.lm_head.weight"),
    ("model.language_model.", "lm_head.weight"),
)
_IMAGES = ("vision_tower.*", "multi_modal_projector.*")


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `gemma3_text` (transformers, modeling_gemma3.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    return _read(with_defaults(checkpoint, DEFAULTS), HUGGING_FACE)


def read_images_and_text(checkpoint: Checkpoint) -> Decoder:
    """Read the text part of a checkpoint of model_type `gemma3`, as read_hugging_face does."""
    text = checkpoint.metadata.get("text_config")
    if not isinstance(text, Mapping):
        raise damaged("text_config", "an object", text)
    prefix, projection = next(
        (place for place in _TEXT if f"{place[0]}embed_tokens.weight" in checkpoint.shapes),
        _TEXT[0],
    )
    templates = {
        weight: replace(tensor, name=tensor.name.replace("model.", prefix, 1))
        for weight, tensor in HUGGING_FACE.items()
    }
    templates["output.weight"] = Tensor(projection)
    config = with_metadata(checkpoint, {**DEFAULTS, **text})
    return _read(config, templates, (*_IMAGES, *(f"model.{pattern}" for pattern in _IMAGES)))


def _read(
    config: Checkpoint, templates: Mapping[str, Tensor], unused: tuple[str, ...] = ()
) -> Decoder:
    if config.metadata.get("attn_logit_softcapping") is not None:
        raise UnsupportedModelError(
            "attn_logit_softcapping: expected null, as implementations of Gemma 3 differ on it"
        )
    everywhere, within = _rotary(config)
    layers = (Layer(everywhere),) * layer_count(config, "num_hidden_layers")
    spec = gemma.hugging_face_spec(config, layers, templates["embedding"].name)
    spec = gemma2.with_both_norms(config, spec)
    every = integer(config, "sliding_window_pattern", _EVERY)
    spec = layer_windows(spec, config, lambda i: (i + 1) % every != 0)
    spec = replace(
        spec,
        attention=replace(spec.attention, qk_norm=spec.norm),
        layers=tuple(
            layer if layer.window is None else replace(layer, rotary=within)
            for layer in spec.layers
        ),
    )
    again = (templates["output.weight"].name,) if spec.output.tied else ()
    unused = (*HUGGING_FACE_UNUSED, *again, *unused)
    return bind(spec, config, spread(spec, templates), unused)


def _rotary(checkpoint: Checkpoint) -> tuple[Rotary, Rotary]:
    """Return the rotary positions of layers without and with a window.

    Release 4 of transformers scales those without alone; release 5 has an entry for each.
    """
    metadata, size = checkpoint.metadata, integer(checkpoint, "head_dim")
    newer = metadata.get("rope_parameters") or {}
    if not isinstance(newer, Mapping) or set(newer) - {"full_attention", "sliding_attention"}:
        raise damaged("rope_parameters", "full_attention and sliding_attention", newer)

    def rotary(kind: str, theta: str, older: object, base: float) -> Rotary:
        values = {"rope_theta": metadata.get(theta), "rope_parameters": newer.get(kind, older)}
        alone = with_metadata(checkpoint, {**metadata, "rope_scaling": None, **values})
        return hugging_face_rotary(alone, size, base)

    return (
        rotary("full_attention", "rope_theta", metadata.get("rope_scaling"), _GLOBAL),
        rotary("sliding_attention", "rope_local_base_freq", None, _LOCAL),
    )


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub Gemma3Backbone (keras_hub/src/models/gemma3), its text part."""
    for key in ("is_embedding_model", "use_bidirectional_attention"):
        if flag(checkpoint, key, False):
            raise UnsupportedModelError(
                f"{key}: this model embeds texts and cannot continue one; take a causal "
                "language model"
            )
    spec = gemma.keras_spec(checkpoint, integer(checkpoint, "intermediate_dim"))
    if flag(checkpoint, "use_query_key_norm", True):
        spec = replace(spec, attention=replace(spec.attention, qk_norm=spec.norm))
    size, window = spec.attention.head_dim, gemma.keras_window(checkpoint)
    near, far = (
        in_halves(frequencies(base, size) / number(checkpoint, key, 1.0), size)
        for base, key in (
            (_LOCAL, "local_rope_scaling_factor"),
            (_GLOBAL, "global_rope_scaling_factor"),
        )
    )
    everywhere = Layer(far)
    within = everywhere if window is None else Layer(near, window)
    layers = tuple(within if (i + 1) % _EVERY else everywhere for i in range(len(spec.layers)))
    spec = replace(spec, layers=layers)
    templates = gemma.keras_templates(spec, "gemma3_decoder_block{n}")
    return bind(spec, checkpoint, spread(spec, templates), ("gemma3_vision_encoder/*",))


READERS: Readers = {
    ("hugging_face", "gemma3"): read_images_and_text,
    ("hugging_face", "gemma3_text"): read_hugging_face,
    ("keras", "Gemma3Backbone"): read_keras,
}
