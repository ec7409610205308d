"""The qwen3 family: llama with normalised queries and keys."""

from __future__ import annotations

from dataclasses import replace

from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    optional_integer,
    spread,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.llama import (
    GGUF,
    HUGGING_FACE,
    bind_gguf,
    bind_hugging_face,
    gguf_spec,
    hugging_face_spec,
    keras_spec,
    keras_templates,
)
from foreword.families.mistral import in_window
from foreword.families.qwen2 import WINDOW_DEFAULTS, upper_windows
from foreword.graph.spec import Decoder, Norm

_DEFAULTS = {**WINDOW_DEFAULTS, "head_dim": 128}

# KerasHub's decoder does not pass `layer_norm_epsilon` on to these norms.
_KERAS_QK_NORM = Norm("rms", 1e-5)


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `qwen3` (transformers, modeling_qwen3.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    checkpoint = with_defaults(checkpoint, _DEFAULTS)
    spec = hugging_face_spec(checkpoint)
    spec = replace(spec, attention=replace(spec.attention, qk_norm=spec.norm))
    norms = {
        f"{role}_norm.scale": Tensor(f"model.layers.{{i}}.self_attn.{role}_norm.weight")
        for role in "qk"
    }
    return bind_hugging_face(upper_windows(spec, checkpoint), checkpoint, {**HUGGING_FACE, **norms})


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub Qwen3Backbone (keras_hub/src/models/qwen3); raises SourceError.

    A window, where there is one, is on every layer.
    """
    spec = keras_spec(checkpoint)
    spec = replace(spec, attention=replace(spec.attention, qk_norm=_KERAS_QK_NORM))
    spec = in_window(spec, optional_integer(checkpoint, "sliding_window_size"))
    templates = keras_templates(spec, "qwen3_transformer_decoder", "qwen3_layer_norm")
    own = "qwen3_transformer_decoder{n}/_self_attention_layer"
    templates["q_norm.scale"] = Tensor(f"{own}/_query_dense_layer_norm/0")
    templates["k_norm.scale"] = Tensor(f"{own}/_key_dense_layer_norm/0")
    return bind(spec, checkpoint, spread(spec, templates))


def read_gguf(checkpoint: Checkpoint) -> Decoder:
    """Read a GGUF checkpoint of architecture `qwen3`, which has no windows.

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    scalings without a place here.
    """
    spec = gguf_spec(checkpoint, "qwen3")
    spec = replace(spec, attention=replace(spec.attention, qk_norm=spec.norm))
    norms = {f"{role}_norm.scale": Tensor(f"blk.{{i}}.attn_{role}_norm.weight") for role in "qk"}
    return bind_gguf(spec, checkpoint, {**GGUF, **norms})


READERS: Readers = {
    ("gguf", "qwen3"): read_gguf,
    ("hugging_face", "qwen3"): read_hugging_face,
    ("keras", "Qwen3Backbone"): read_keras,
}
