"""The Gemma 2 family: Gemma with norms on both sides, windows on every other layer, soft caps.

KerasHub's GemmaBackbone is both generations: see gemma.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from foreword.families import gemma
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    integer,
    layer_count,
    number,
    optional_number,
    shifted,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.llama import bind_hugging_face
from foreword.families.qwen2 import layer_windows
from foreword.families.rotary import hugging_face_rotary
from foreword.graph.spec import Decoder, DecoderSpec, Layer

_NORMS = {
    "attention_norm": "input_layernorm",
    "attention_post_norm": "post_attention_layernorm",
    "feed_forward_norm": "pre_feedforward_layernorm",
    "feed_forward_post_norm": "post_feedforward_layernorm",
}

HUGGING_FACE: Mapping[str, Tensor] = {
    **gemma.HUGGING_FACE,
    **{
        f"{ours}.scale": shifted(f"model.layers.{{i}}.{theirs}.weight")
        for ours, theirs in _NORMS.items()
    },
}

DEFAULTS: Mapping[str, object] = {
    **gemma.DEFAULTS,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "use_sliding_window": True,
}
"""What transformers takes for granted of a gemma2, as a config.json need not say it."""


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `gemma2` (transformers, modeling_gemma2.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    config = with_defaults(checkpoint, DEFAULTS)
    rotary = hugging_face_rotary(config, integer(config, "head_dim"))
    layers = (Layer(rotary),) * layer_count(config, "num_hidden_layers")
    spec = with_both_norms(config, gemma.hugging_face_spec(config, layers))
    cap = optional_number(config, "attn_logit_softcapping")
    spec = replace(spec, attention=replace(spec.attention, soft_cap=cap))
    spec = layer_windows(spec, config, lambda i: i % 2 == 0)
    return bind_hugging_face(spec, config, HUGGING_FACE)


def with_both_norms(checkpoint: Checkpoint, spec: DecoderSpec) -> DecoderSpec:
    """Return a gemma's spec with what Gemma 2 and 3 change alike."""
    scale = number(checkpoint, "query_pre_attn_scalar") ** -0.5
    cap = optional_number(checkpoint, "final_logit_softcapping")
    return replace(
        spec,
        attention=replace(spec.attention, scale=scale),
        output=replace(spec.output, soft_cap=cap),
        residual="sandwich",
    )


READERS: Readers = {("hugging_face", "gemma2"): read_hugging_face}
