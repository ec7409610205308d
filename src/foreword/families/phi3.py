"""The phi3 family (Phi-3 to Phi-4-mini): llama with fused projections and LongRoPE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from foreword.errors import UnsupportedModelError
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    integer,
    kernel,
    number,
    optional_integer,
    spread,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.llama import HUGGING_FACE, bind_hugging_face, hugging_face_spec, keras_spec
from foreword.families.mistral import in_window
from foreword.families.rotary import (
    frequencies,
    halves,
    long_rope,
    long_rope_magnitude,
    partial_rotary_factor,
    rotary_factors,
)
from foreword.graph.spec import Decoder, DecoderSpec, FloatArray, Layer, Rotary

# What transformers takes for keys that are missing.
_DEFAULTS = {"rms_norm_eps": 1e-5}


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `phi3` (transformers, modeling_phi3.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    checkpoint = with_defaults(checkpoint, _DEFAULTS)
    share = partial_rotary_factor(checkpoint)
    spec = in_window(
        hugging_face_spec(checkpoint, share), optional_integer(checkpoint, "sliding_window")
    )
    # There are no biases, whatever the keys of other families say.
    attention = replace(spec.attention, qkv_bias=False, output_bias=False)
    feed_forward = replace(spec.feed_forward, bias=False)
    spec = replace(spec, attention=attention, feed_forward=feed_forward)
    turning = int(attention.head_dim * share)
    return bind_hugging_face(spec, checkpoint, {**HUGGING_FACE, **_fused(spec, turning)})


def _fused(spec: DecoderSpec, turning: int) -> dict[str, Tensor]:
    """Queries, keys and values are one matrix, gate and up another."""
    a, inner = spec.attention, spec.feed_forward.width
    q, kv = a.heads * a.head_dim, a.kv_heads * a.head_dim
    qkv = ("model.layers.{i}.self_attn.qkv_proj.weight", (q + 2 * kv, spec.width))
    gate_up = ("model.layers.{i}.mlp.gate_up_proj.weight", (2 * inner, spec.width))

    def heads(start: int, count: int) -> Callable[[FloatArray], FloatArray]:
        part = slice(start, start + count * a.head_dim)
        if turning == a.head_dim:
            return lambda values: values[part]
        return lambda values: halves(values[part], count, turning)

    return {
        "q.weight": Tensor(*qkv, heads(0, a.heads)),
        "k.weight": Tensor(*qkv, heads(q, a.kv_heads)),
        "v.weight": Tensor(*qkv, lambda values: values[q + kv :]),
        "gate.weight": Tensor(*gate_up, lambda values: values[:inner]),
        "up.weight": Tensor(*gate_up, lambda values: values[inner:]),
    }


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub Phi3Backbone (keras_hub/src/models/phi3).

    Raises SourceError, and UnsupportedModelError for a scaling KerasHub does not have.
    """
    spec = replace(keras_spec(checkpoint), max_positions=integer(checkpoint, "max_sequence_length"))
    scaling = checkpoint.metadata.get("rope_scaling_type")
    if scaling == "su":
        layer = Layer(_keras_long_rope(checkpoint, spec.attention.head_dim))
        spec = replace(spec, layers=(layer,) * len(spec.layers))
    elif scaling is not None:
        raise UnsupportedModelError(f"rope_scaling_type {scaling!r:.40}: expected null or 'su'")
    return bind(spec, checkpoint, spread(spec, _keras_templates(spec)))


def _keras_long_rope(checkpoint: Checkpoint, size: int) -> Rotary:
    plain = frequencies(number(checkpoint, "rope_max_wavelength", 10000.0), size)
    original = integer(checkpoint, "pretraining_sequence_length")
    ratio = integer(checkpoint, "max_sequence_length") / original
    short, long = (
        plain / rotary_factors(checkpoint.metadata, f"rope_scaling_{kind}_factor", size // 2)
        for kind in ("short", "long")
    )
    return long_rope(short, long, size, original, long_rope_magnitude(ratio, original))


def _keras_templates(spec: DecoderSpec) -> dict[str, Tensor]:
    attention, width, inner = spec.attention, spec.width, spec.feed_forward.width
    block, own = "phi3_decoder{n}", "phi3_decoder{n}/attention"
    by_head = (width, attention.heads, attention.head_dim)
    by_kv_head = (width, attention.kv_heads, attention.head_dim)
    return {
        "embedding": Tensor("reversible_embedding/0"),
        "output.weight": kernel("reversible_embedding/1", (width, spec.embedding.vocabulary)),
        "final_norm.scale": Tensor("phi3_layer_norm/0"),
        "attention_norm.scale": Tensor(f"{block}/pre_attention_layernorm/0"),
        "feed_forward_norm.scale": Tensor(f"{block}/post_attention_layernorm/0"),
        "q.weight": kernel(f"{own}/query_dense/0", by_head),
        "k.weight": kernel(f"{own}/key_dense/0", by_kv_head),
        "v.weight": kernel(f"{own}/value_dense/0", by_kv_head),
        "o.weight": kernel(f"{own}/output_dense/0", (*by_head[1:], width), inputs=2),
        "gate.weight": kernel(f"{block}/feedforward_gate_dense/0", (width, inner)),
        "up.weight": kernel(f"{block}/feedforward_intermediate_dense/0", (width, inner)),
        "down.weight": kernel(f"{block}/feedforward_output_dense/0", (inner, width)),
    }


READERS: Readers = {
    ("hugging_face", "phi3"): read_hugging_face,
    ("keras", "Phi3Backbone"): read_keras,
}
