"""What the graph code knows of a decoder: its shape, never its family's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Norm:
    """A normalisation over the width: `rms` (Zhang & Sennrich 2019) or `layer` (Ba et al. 2016)."""

    kind: Literal["rms", "layer"]
    epsilon: float


@dataclass(frozen=True)
class Rotary:
    """Rotary positions (Su et al. 2021) in the rotate-half layout.

    `inverse_frequencies` has head_dim / 2 entries, in radians per position, with any
    scaling of the family already applied.
    """

    inverse_frequencies: tuple[float, ...]


@dataclass(frozen=True)
class Learned:
    """A table of learned positions; nothing beyond `limit` positions exists."""

    limit: int


@dataclass(frozen=True)
class Attention:
    """Causal attention with `heads` query heads that share `kv_heads` key/value heads."""

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    output_bias: bool = False


@dataclass(frozen=True)
class FeedForward:
    """The block after attention: gated (`act(gate) * up`) or plain (`act(up)`), then `down`."""

    width: int
    activation: Literal["silu", "gelu", "gelu_tanh"]
    gated: bool
    bias: bool = False


@dataclass(frozen=True)
class DecoderSpec:
    """A decoder-only transformer with pre-normalisation, as the graph code sees it.

    `tied` means that the output projection is the embedding; `max_positions` is the
    longest context the checkpoint was trained for.
    """

    layers: int
    width: int
    vocabulary: int
    attention: Attention
    feed_forward: FeedForward
    norm: Norm
    positions: Rotary | Learned
    tied: bool
    max_positions: int


@dataclass(frozen=True)
class Decoder:
    """A decoder's spec and its weights, each read as float32 when asked for by name.

    `load(name)` returns the array of shape `weight_shapes(spec)[name]`.
    """

    spec: DecoderSpec
    load: Callable[[str], FloatArray]


def weight_shapes(spec: DecoderSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight a decoder of this spec has; matrices are [out, in]."""
    width, attention, ffn = spec.width, spec.attention, spec.feed_forward
    q_width = attention.heads * attention.head_dim
    kv_width = attention.kv_heads * attention.head_dim
    shapes: dict[str, tuple[int, ...]] = {"embedding": (spec.vocabulary, width)}

    def norm(name: str) -> None:
        shapes[f"{name}.scale"] = (width,)
        if spec.norm.kind == "layer":
            shapes[f"{name}.bias"] = (width,)

    def linear(name: str, out: int, inner: int, bias: bool) -> None:
        shapes[f"{name}.weight"] = (out, inner)
        if bias:
            shapes[f"{name}.bias"] = (out,)

    if isinstance(spec.positions, Learned):
        shapes["positions"] = (spec.positions.limit, width)
    for i in range(spec.layers):
        layer = f"layers.{i}"
        norm(f"{layer}.attention_norm")
        linear(f"{layer}.q", q_width, width, attention.qkv_bias)
        linear(f"{layer}.k", kv_width, width, attention.qkv_bias)
        linear(f"{layer}.v", kv_width, width, attention.qkv_bias)
        linear(f"{layer}.o", width, q_width, attention.output_bias)
        norm(f"{layer}.feed_forward_norm")
        if ffn.gated:
            linear(f"{layer}.gate", ffn.width, width, ffn.bias)
        linear(f"{layer}.up", ffn.width, width, ffn.bias)
        linear(f"{layer}.down", width, ffn.width, ffn.bias)
    norm("final_norm")
    if not spec.tied:
        shapes["output.weight"] = (spec.vocabulary, width)
    return shapes
