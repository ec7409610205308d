"""The mistral family: llama with a window on every layer (Jiang et al. 2023)."""

from __future__ import annotations

from dataclasses import replace

from foreword.families.checkpoint import (
    Checkpoint,
    bind,
    optional_integer,
    spread,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.llama import (
    bind_hugging_face,
    hugging_face_spec,
    keras_spec,
    keras_templates,
)
from foreword.graph.spec import Decoder, DecoderSpec

# What transformers takes for a key that is missing; null stands for no window.
_DEFAULTS = {"sliding_window": 4096}


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `mistral` (transformers, modeling_mistral.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    checkpoint = with_defaults(checkpoint, _DEFAULTS)
    spec = in_window(hugging_face_spec(checkpoint), optional_integer(checkpoint, "sliding_window"))
    return bind_hugging_face(spec, checkpoint)


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub MistralBackbone (keras_hub/src/models/mistral); raises SourceError."""
    spec = in_window(keras_spec(checkpoint), optional_integer(checkpoint, "sliding_window"))
    templates = keras_templates(spec, "mistral_transformer_decoder", "mistral_layer_normalization")
    return bind(spec, checkpoint, spread(spec, templates))


def in_window(spec: DecoderSpec, window: int | None) -> DecoderSpec:
    """Return the spec with a window on every layer."""
    return replace(spec, layers=tuple(replace(layer, window=window) for layer in spec.layers))


READERS: Readers = {
    ("hugging_face", "mistral"): read_hugging_face,
    ("keras", "MistralBackbone"): read_keras,
}
