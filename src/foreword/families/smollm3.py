"""The smollm3 family: llama without rotary positions in some layers (Yang et al. 2025)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foreword.errors import UnsupportedModelError
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    check_finite,
    damaged,
    flag,
    head_size,
    integer,
    kernel,
    layer_count,
    number,
    rows,
    spread,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.llama import bind_hugging_face, hugging_face_spec
from foreword.families.qwen2 import layer_windows
from foreword.families.rotary import in_halves
from foreword.graph.spec import (
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    Layer,
    Norm,
    Output,
    Rotary,
)

# What transformers takes for keys that are missing.
_DEFAULTS = {
    "rope_theta": 2000000.0,
    "tie_word_embeddings": True,
    "no_rope_layer_interval": 4,
}
_FREQUENCIES = "smol_lm3_decoder_layer{n}/self_attn/rotary_embedding/0"


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `smollm3` (transformers, modeling_smollm3.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    checkpoint = with_defaults(checkpoint, _DEFAULTS)
    spec = hugging_face_spec(checkpoint)
    turns = _hugging_face_turns(checkpoint, len(spec.layers))
    layers = zip(spec.layers, turns, strict=True)
    spec = replace(spec, layers=tuple(layer if turn else Layer() for layer, turn in layers))
    slides = flag(checkpoint, "use_sliding_window", False)
    slides = slides and checkpoint.metadata.get("sliding_window") is not None
    spec = layer_windows(spec, checkpoint, lambda i: slides and not turns[i])
    return bind_hugging_face(spec, checkpoint)


def _hugging_face_turns(checkpoint: Checkpoint, count: int) -> list[bool]:
    """Whether each layer has rotary positions: `no_rope_layers` holds 1 for those that do."""
    turns = checkpoint.metadata.get("no_rope_layers")
    if turns is None:
        interval = integer(checkpoint, "no_rope_layer_interval")
        return [(i + 1) % interval != 0 for i in range(count)]
    if not isinstance(turns, list | tuple) or len(turns) != count:
        raise damaged("no_rope_layers", f"a list of {count} zeros and ones", turns)
    if any(turn not in (0, 1) for turn in turns):
        raise damaged("no_rope_layers", "zeros and ones", turns)
    return [turn == 1 for turn in turns]


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub SmolLM3Backbone (keras_hub/src/models/smollm3).

    Its frequencies are weights, one tensor in each layer. `layer_types` is not applied, as
    KerasHub does not apply it either. Raises SourceError and UnsupportedModelError.
    """
    width = integer(checkpoint, "hidden_dim")
    heads = integer(checkpoint, "num_attention_heads")
    kv_heads = integer(checkpoint, "num_key_value_heads")
    size = head_size(width, heads, kv_heads)
    if number(checkpoint, "partial_rotary_factor", 1.0) != 1:
        raise UnsupportedModelError(
            "partial_rotary_factor: expected 1, as KerasHub computes nothing with another"
        )
    spec = DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, "reversible_embedding/0")),
        positions=None,
        layers=_keras_layers(checkpoint, size),
        norm=Norm("rms", number(checkpoint, "layer_norm_epsilon")),
        attention=Attention(
            heads, kv_heads, size, qkv_bias=flag(checkpoint, "attention_bias", False)
        ),
        feed_forward=FeedForward(
            integer(checkpoint, "intermediate_dim"),
            "silu",
            gated=True,
            bias=flag(checkpoint, "mlp_bias", False),
        ),
        output=Output(tied=True),
        max_positions=integer(checkpoint, "max_position_embeddings"),
    )
    unused = (_FREQUENCIES.replace("{n}", "*"),)
    return bind(spec, checkpoint, spread(spec, _keras_templates(spec)), unused)


def _keras_layers(checkpoint: Checkpoint, size: int) -> tuple[Layer, ...]:
    count = layer_count(checkpoint, "num_layers")
    turns = checkpoint.metadata.get("rope_layer_enabled_list")
    if not isinstance(turns, list | tuple) or not all(isinstance(turn, bool) for turn in turns):
        raise damaged("rope_layer_enabled_list", "a list of true and false", turns)
    # KerasHub turns layers beyond the end of the list.
    turns = [*turns[:count], *[True] * (count - len(turns))]
    return tuple(
        Layer(_keras_rotary(checkpoint, i, size) if turn else None) for i, turn in enumerate(turns)
    )


def _keras_rotary(checkpoint: Checkpoint, layer: int, size: int) -> Rotary:
    name = _FREQUENCIES.replace("{n}", f"_{layer}" if layer else "")
    if rows(checkpoint, name) != size // 2:
        raise damaged(name, f"{size // 2} frequencies", rows(checkpoint, name))
    turning = checkpoint.load(name)
    check_finite(name, turning)
    return in_halves(turning.astype(np.float64), size)


def _keras_templates(spec: DecoderSpec) -> dict[str, Tensor]:
    attention, width, inner = spec.attention, spec.width, spec.feed_forward.width
    block = "smol_lm3_decoder_layer{n}"
    outputs = dict.fromkeys("kv", attention.kv_heads * attention.head_dim)
    outputs["q"] = attention.heads * attention.head_dim
    templates = {
        "embedding": Tensor("reversible_embedding/0"),
        "final_norm.scale": Tensor("rms_normalization/0"),
        "attention_norm.scale": Tensor(f"{block}/input_layernorm/0"),
        "feed_forward_norm.scale": Tensor(f"{block}/post_attention_layernorm/0"),
        "o.weight": kernel(
            f"{block}/self_attn/o_proj/0", (attention.heads, attention.head_dim, width), inputs=2
        ),
        "down.weight": kernel(f"{block}/mlp/down_proj/0", (inner, width)),
        "down.bias": Tensor(f"{block}/mlp/down_proj/1"),
    }
    for role, out in outputs.items():
        templates[f"{role}.weight"] = kernel(f"{block}/self_attn/{role}_proj/0", (width, out))
        templates[f"{role}.bias"] = Tensor(f"{block}/self_attn/{role}_proj/1")
    for role in ("gate", "up"):
        templates[f"{role}.weight"] = kernel(f"{block}/mlp/{role}_proj/0", (width, inner))
        templates[f"{role}.bias"] = Tensor(f"{block}/mlp/{role}_proj/1")
    return templates


READERS: Readers = {
    ("hugging_face", "smollm3"): read_hugging_face,
    ("keras", "SmolLM3Backbone"): read_keras,
}
