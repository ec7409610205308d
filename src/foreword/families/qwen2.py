"""The qwen2 family (Qwen 1.5 to 2.5): llama with biases on queries, keys and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from foreword.errors import UnsupportedModelError
from foreword.families.checkpoint import (
    Checkpoint,
    bind,
    damaged,
    flag,
    flat,
    integer,
    spread,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.llama import (
    GGUF,
    bind_gguf,
    bind_hugging_face,
    gguf_spec,
    hugging_face_spec,
    keras_spec,
    keras_templates,
)
from foreword.families.mistral import in_window
from foreword.graph.spec import Decoder, DecoderSpec

# What transformers takes for keys that are missing.
WINDOW_DEFAULTS = {"sliding_window": 4096, "max_window_layers": 28}

KERAS_PARTS = {"q": "query", "k": "key", "v": "value"}
"""The names KerasHub gives to projections of attention."""


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `qwen2` (transformers, modeling_qwen2.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    checkpoint = with_defaults(checkpoint, WINDOW_DEFAULTS)
    spec = hugging_face_spec(checkpoint)
    attention = replace(spec.attention, qkv_bias=True, output_bias=False)
    spec = upper_windows(replace(spec, attention=attention), checkpoint)
    return bind_hugging_face(spec, checkpoint)


def upper_windows(spec: DecoderSpec, checkpoint: Checkpoint) -> DecoderSpec:
    """Return the spec with the windows of Qwen: layers from `max_window_layers` on have one."""
    if not flag(checkpoint, "use_sliding_window", False):
        return layer_windows(spec, checkpoint, lambda _: False)
    if checkpoint.metadata.get("sliding_window") is None:
        return layer_windows(spec, checkpoint, lambda _: False)
    # It may be 0: all layers then have one.
    first = checkpoint.metadata.get("max_window_layers")
    if isinstance(first, bool) or not isinstance(first, int):
        raise damaged("max_window_layers", "a number of layers", first)
    return layer_windows(spec, checkpoint, lambda i: i >= first)


def layer_windows(
    spec: DecoderSpec, checkpoint: Checkpoint, slides: Callable[[int], bool]
) -> DecoderSpec:
    """Return the spec with the windows of a config.json: by `layer_types`, else by `slides`.

    Raises SourceError for a list of another length or a window without a size, and
    UnsupportedModelError for other types of layers.
    """
    kinds = checkpoint.metadata.get("layer_types")
    if kinds is None:
        sliding = [slides(i) for i in range(len(spec.layers))]
    elif not isinstance(kinds, list | tuple) or len(kinds) != len(spec.layers):
        raise damaged("layer_types", f"a list of {len(spec.layers)}", kinds)
    else:
        strange = [kind for kind in kinds if kind not in ("full_attention", "sliding_attention")]
        if strange:
            raise UnsupportedModelError(
                f"layers of type {strange[0]!r:.40} are not supported: full_attention and "
                "sliding_attention are"
            )
        sliding = [kind == "sliding_attention" for kind in kinds]
    if any(sliding) and not flag(checkpoint, "use_sliding_window", False):
        raise damaged("use_sliding_window", "true for layers of type sliding_attention", False)
    window = integer(checkpoint, "sliding_window") if any(sliding) else None
    layers = zip(spec.layers, sliding, strict=True)
    return replace(
        spec, layers=tuple(replace(layer, window=window if on else None) for layer, on in layers)
    )


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub QwenBackbone (keras_hub/src/models/qwen); raises SourceError.

    A window, where there is one, is on every layer.
    """
    spec = keras_spec(checkpoint)
    spec = replace(spec, attention=replace(spec.attention, qkv_bias=True))
    if flag(checkpoint, "use_sliding_window_attention", False):
        spec = in_window(spec, integer(checkpoint, "sliding_window_size"))
    templates = keras_templates(spec, "qwen_transformer_decoder", "qwen_layer_norm")
    own = "qwen_transformer_decoder{n}/_self_attention_layer"
    for role, name in KERAS_PARTS.items():
        heads = spec.attention.heads if role == "q" else spec.attention.kv_heads
        shape = (heads, spec.attention.head_dim)
        templates[f"{role}.bias"] = flat(f"{own}/_{name}_dense/1", shape)
    return bind(spec, checkpoint, spread(spec, templates))


def read_gguf(checkpoint: Checkpoint) -> Decoder:
    """Read a GGUF checkpoint of architecture `qwen2`, which has no windows.

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    scalings without a place here.
    """
    return bind_gguf(gguf_spec(checkpoint, "qwen2"), checkpoint, GGUF)


READERS: Readers = {
    ("gguf", "qwen2"): read_gguf,
    ("hugging_face", "qwen2"): read_hugging_face,
    ("keras", "QwenBackbone"): read_keras,
}
