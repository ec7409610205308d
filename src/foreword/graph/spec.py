"""What the graph code knows of a decoder: its shape, never its family's name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]
"""The function of a feed-forward block; `gelu` is exact, `gelu_tanh` its usual approximation."""

Residual = Literal["sequential", "sandwich", "parallel", "shared"]
"""How a layer's two halves A (attention) and F (feed-forward) join the stream x.

sequential: x += A(norm(x)), then x += F(norm(x)). sandwich: the same, and what A and F
return is normalised too (Gemma 2). parallel: x += A(norm(x)) + F(norm(x)) (GPT-NeoX).
shared: the same with one norm for both (Falcon 7B).
"""

SUMMED = 32
"""Inputs of a product that `block_sums` adds up."""


@dataclass(frozen=True)
class Norm:
    """A normalisation over the width: `rms` (Zhang & Sennrich 2019) or `layer` (Ba et al. 2016).

    One that is not `scaled` has had its scale folded into what reads it.
    """

    kind: Literal["rms", "layer"]
    epsilon: float
    scaled: bool = True


@dataclass(frozen=True)
class Rotary:
    """Rotary positions (Su et al. 2021) in the rotate-half layout.

    `inverse_frequencies` has head_dim / 2 entries, in radians per position, with any
    scaling of the family already applied; 0 leaves a pair as it is. `magnitude` multiplies
    what is rotated (the attention factor of YaRN and LongRoPE). `beyond` is a limit and what
    stands in place of these positions in a model whose context is above it (LongRoPE).
    """

    inverse_frequencies: tuple[float, ...]
    magnitude: float = 1.0
    beyond: tuple[int, Rotary] | None = None

    def within(self, context: int) -> Rotary:
        """Return the rotary positions of a model with this context."""
        if self.beyond is None or context <= self.beyond[0]:
            return self
        return self.beyond[1].within(context)


@dataclass(frozen=True)
class Learned:
    """A table of learned positions, added to the embedding; beyond `limit` nothing exists."""

    limit: int


@dataclass(frozen=True)
class Alibi:
    """Linear biases (Press et al. 2022): a head's scores fall by its slope for every position.

    `slopes` has one entry for each query head.
    """

    slopes: tuple[float, ...]


@dataclass(frozen=True)
class Attention:
    """Causal attention with `heads` query heads that share `kv_heads` key/value heads.

    Scores are multiplied by `scale`, by default head_dim ** -0.5, then capped to
    `soft_cap` * tanh(scores / `soft_cap`). `qk_norm` normalises every head's query and key
    before it is rotated.
    """

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: Norm | None = None
    scale: float | None = None
    soft_cap: float | None = None


@dataclass(frozen=True)
class FeedForward:
    """The block after attention: gated (`act(gate) * up`) or plain (`act(up)`), then `down`."""

    width: int
    activation: Activation
    gated: bool
    bias: bool = False


@dataclass(frozen=True)
class Embedding:
    """The table of tokens: what it gives is multiplied by `scale`, or normalised (BLOOM)."""

    vocabulary: int
    scale: float = 1.0
    norm: bool = False


@dataclass(frozen=True)
class Output:
    """From the last layer to logits: `tied` takes the embedding as the projection.

    Logits are capped to `soft_cap` * tanh(logits / `soft_cap`). `mixed` puts a square matrix,
    `output_mix`, between the final norm and the projection: a turned stream has one.
    """

    tied: bool
    soft_cap: float | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Layer:
    """What may differ from layer to layer.

    A token attends to itself and the `window` - 1 positions before it; None: to all. The
    projections named in `offsets` ("q" … "down") add a weight of `block_sums` of their input.
    """

    rotary: Rotary | None = None
    window: int | None = None
    offsets: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecoderSpec:
    """A decoder-only transformer with pre-normalisation, as the graph code sees it.

    `positions` are those that are not rotary; `max_positions` is the longest context the
    checkpoint was trained for, None where it does not say.
    """

    width: int
    embedding: Embedding
    positions: Learned | Alibi | None
    layers: tuple[Layer, ...]
    norm: Norm
    attention: Attention
    feed_forward: FeedForward
    output: Output
    max_positions: int | None
    residual: Residual = "sequential"

    def within(self, context: int) -> DecoderSpec:
        """Return the decoder of a model with this context: every `Rotary.beyond` is decided."""
        layers = (
            layer if layer.rotary is None else replace(layer, rotary=layer.rotary.within(context))
            for layer in self.layers
        )
        return replace(self, layers=tuple(layers))


@dataclass(frozen=True)
class Decoder:
    """A decoder's spec and its weights, each read as float32 when asked for by name.

    `load(name)` returns the array of shape `weight_shapes(spec)[name]`; it may be a view
    in any memory order.
    """

    spec: DecoderSpec
    load: Callable[[str], FloatArray]

    def within(self, context: int) -> Decoder:
        """Return what a model with this context computes with, exactly as the graph holds it.

        Positions end at the context, and queries carry the scale of the scores and their cap:
        one operator less in every layer, and one less again where scores are capped. What is
        so already is left as it is.
        """
        spec, attention = self.spec.within(context), self.spec.attention
        positions = spec.positions
        if isinstance(positions, Learned):
            positions = Learned(min(positions.limit, context))
        scale = attention.head_dim**-0.5 if attention.scale is None else attention.scale
        cap = attention.soft_cap or 1.0
        factor = np.float32(scale / cap)
        scaled = ".q" if attention.qk_norm is None else ".q_norm"

        def load(name: str) -> FloatArray:
            values = self.load(name)
            if name == "positions":
                return values[:context]
            if factor == 1 or not name.rpartition(".")[0].endswith(scaled):
                return values
            return values * factor

        attention = replace(attention, scale=cap)
        return Decoder(replace(spec, positions=positions, attention=attention), load)


def weight_shapes(spec: DecoderSpec) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight a decoder of this spec has; matrices are [out, in].

    Outside the layers: `embedding`, `embedding_norm`, `positions`, `final_norm`, `output_mix`
    and `output.weight`; in layer i, as `layers.i.<name>`: `attention_norm`, `q`, `k`, `v`, `o`,
    `q_norm`, `k_norm`, `attention_post_norm`, `feed_forward_norm`, `gate`, `up`, `down` and
    `feed_forward_post_norm`. A norm has a `.scale` where `scaled` and, of kind `layer`, a
    `.bias`; a projection has a `.weight` and, where the spec says so, a `.bias` and `.offsets`.
    """
    return dict(_weights(spec))


def block_sums(width: int) -> FloatArray:
    """Return the matrix of ones and zeros that sums `SUMMED` neighbours of an input of `width`."""
    return np.repeat(np.eye(width // SUMMED, dtype=np.float32), SUMMED, axis=1)


def _weights(spec: DecoderSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, vocabulary = spec.width, spec.embedding.vocabulary
    yield "embedding", (vocabulary, width)
    if spec.embedding.norm:
        yield from _norm("embedding_norm", spec.norm, width)
    if isinstance(spec.positions, Learned):
        yield "positions", (spec.positions.limit, width)
    for i in range(len(spec.layers)):
        for name, shape in _layer(spec):
            yield f"layers.{i}.{name}", shape
            kind, _, part = name.partition(".")
            if part == "weight" and kind in spec.layers[i].offsets:
                yield f"layers.{i}.{kind}.offsets", (shape[0], shape[1] // SUMMED)
    yield from _norm("final_norm", spec.norm, width)
    if spec.output.mixed:
        yield "output_mix.weight", (width, width)
    if not spec.output.tied:
        yield "output.weight", (vocabulary, width)


def _layer(spec: DecoderSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, attention, ffn = spec.width, spec.attention, spec.feed_forward
    q_width = attention.heads * attention.head_dim
    kv_width = attention.kv_heads * attention.head_dim
    yield from _norm("attention_norm", spec.norm, width)
    yield from _linear("q", q_width, width, attention.qkv_bias)
    yield from _linear("k", kv_width, width, attention.qkv_bias)
    yield from _linear("v", kv_width, width, attention.qkv_bias)
    if attention.qk_norm is not None:
        yield from _norm("q_norm", attention.qk_norm, attention.head_dim)
        yield from _norm("k_norm", attention.qk_norm, attention.head_dim)
    yield from _linear("o", width, q_width, attention.output_bias)
    if spec.residual == "sandwich":
        yield from _norm("attention_post_norm", spec.norm, width)
    if spec.residual != "shared":
        yield from _norm("feed_forward_norm", spec.norm, width)
    if ffn.gated:
        yield from _linear("gate", ffn.width, width, ffn.bias)
    yield from _linear("up", ffn.width, width, ffn.bias)
    yield from _linear("down", width, ffn.width, ffn.bias)
    if spec.residual == "sandwich":
        yield from _norm("feed_forward_post_norm", spec.norm, width)


def _norm(name: str, norm: Norm, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    if norm.scaled:
        yield f"{name}.scale", (width,)
    if norm.kind == "layer":
        yield f"{name}.bias", (width,)


def _linear(name: str, out: int, inner: int, bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (out, inner)
    if bias:
        yield f"{name}.bias", (out,)
