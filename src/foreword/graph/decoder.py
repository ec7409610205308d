"""From a decoder's spec to the signatures of the token model: prefill, decode, verify.

The graph contract (inputs, outputs, masks) is in docs/architecture.md. Shapes in the
comments: T tokens, S cache slots, K key/value heads, G query heads per key/value head,
H the head size, W the width, V the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foreword.graph import ops
from foreword.graph.builder import (
    Encoded,
    ModelBuilder,
    SubgraphBuilder,
    Tensor,
    Weight,
    WeightEncoder,
)
from foreword.graph.spec import (
    Decoder,
    DecoderSpec,
    FloatArray,
    Learned,
    Rotary,
    weight_shapes,
)

# Larger values overflow float16 and ruin int8 scales; exp(-1e4) is already 0.
HIDDEN = -1e4


@dataclass(frozen=True)
class Signature:
    """One signature: `kind` of work on `width` tokens, over a cache of `slots`."""

    name: str
    kind: str
    width: int
    slots: int


@dataclass(frozen=True)
class GraphShape:
    """Cache slots (the context) and the chunk widths of the prefill and verify signatures.

    `shorter` are lengths below the context for which every signature exists once more, as
    `s<slots>_<name>`: a step reads the whole cache, and most texts are short.
    """

    context: int
    prefill: tuple[int, ...] = (8, 32, 128)
    verify: tuple[int, ...] = (8,)
    shorter: tuple[int, ...] = ()

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """All signatures of the model; a chunk wider than a cache has none there."""
        chunks = [("decode", "decode", 1)]
        chunks += [(f"prefill_{width}", "prefill", width) for width in self.prefill]
        chunks += [(f"verify_{width}", "verify", width) for width in self.verify]
        return tuple(
            Signature(name if slots == self.context else f"s{slots}_{name}", kind, width, slots)
            for slots in (self.context, *self.shorter)
            for name, kind, width in chunks
            if width <= slots
        )


def build(decoder: Decoder, shape: GraphShape, encoder: WeightEncoder) -> ModelBuilder:
    """Lay out every signature; weights are read and encoded when the result is written."""
    model = ModelBuilder("Foreword token model")
    weights = _Weights(model, decoder, encoder, shape.context)
    for signature in shape.signatures:
        _ForwardPass(
            model.subgraph(signature.name),
            decoder.spec,
            weights,
            signature.slots,
            signature.width,
        ).build(logits=signature.kind != "prefill")
    return model


class _Weights:
    """The decoder's weights as declared in the file, each once for all signatures."""

    def __init__(
        self, model: ModelBuilder, decoder: Decoder, encoder: WeightEncoder, context: int
    ) -> None:
        self._scales: dict[str, int] = {}
        self._by_name: dict[str, Weight] = {}
        self._model = model
        head_scale = np.float32(decoder.spec.attention.head_dim**-0.5)
        for name, shape in weight_shapes(decoder.spec).items():
            if name == "positions":
                shape = (min(shape[0], context), *shape[1:])  # no slot beyond the context
            # The scale of the scores is folded into the queries: one operator less a layer.
            factor = head_scale if ".q." in name else None
            self._by_name[name] = model.weight(
                name,
                shape,
                encoder.dtype(name, shape),
                _producer(decoder, encoder, name, shape[0], factor),
            )

    def __getitem__(self, name: str) -> Weight:
        return self._by_name[name]

    def get(self, name: str) -> Weight | None:
        return self._by_name.get(name)

    def scales(self, name: str) -> int:
        """Buffer with the row scales of an int8 weight, shape [rows, 1], float32."""
        weight = self._by_name[name]
        if name not in self._scales:
            self._scales[name] = self._model.deferred(
                lambda: np.asarray(weight.scales, np.float32).reshape(-1, 1)
            )
        return self._scales[name]


def _producer(
    decoder: Decoder, encoder: WeightEncoder, name: str, rows: int, factor: np.float32 | None
) -> Callable[[], Encoded]:
    def produce() -> Encoded:
        values = decoder.load(name)[:rows]
        return encoder.encode(name, values if factor is None else values * factor)

    return produce


class _ForwardPass:
    """What one signature computes: T tokens over a cache of S slots."""

    def __init__(
        self, g: SubgraphBuilder, spec: DecoderSpec, weights: _Weights, context: int, width: int
    ) -> None:
        self.g, self.spec, self.weights = g, spec, weights
        self.slots, self.tokens = context, width
        attention = spec.attention
        self.groups = attention.heads // attention.kv_heads
        self.ids = g.input("tokens", (1, width), "int32")
        self.positions = g.input("input_pos", (width,), "int32")
        self.mask = g.input("mask", (1, 1, 1, context), "float32")
        cache = (1, attention.kv_heads, context, attention.head_dim)
        flat = (1, attention.kv_heads, attention.head_dim, context)
        self.keys = [g.input(f"kv_cache_k_{i}", cache, "float32") for i in range(spec.layers)]
        self.values = [g.input(f"kv_cache_v_{i}", flat, "float32") for i in range(spec.layers)]
        self.rotation = self._rotation()

    def build(self, logits: bool) -> None:
        """Lay out the whole forward pass; without `logits` it ends at the last layer's slices."""
        x = self._lookup("embedding", self.ids)  # [1, T, W]
        if isinstance(self.spec.positions, Learned):
            x = ops.add(self.g, x, self._lookup("positions", self.positions))
        last = self.spec.layers - 1
        for i in range(self.spec.layers):
            attended = self._attention(x, i, attend=logits or i < last)
            if attended is None:
                return
            x = ops.add(self.g, x, attended)
            x = ops.add(self.g, x, self._feed_forward(x, f"layers.{i}"))
        x = self._norm(x, "final_norm")
        output = "embedding" if self.spec.tied else "output.weight"
        self.g.output("logits", ops.fully_connected(self.g, x, self._matrix(output), None))

    def _attention(self, x: Tensor, i: int, attend: bool) -> Tensor | None:
        """Output slices of layer i and, where `attend`, return what attention adds to x."""
        g, a, layer = self.g, self.spec.attention, f"layers.{i}"
        x = self._norm(x, f"{layer}.attention_norm")
        k = self._by_head(self._rotate(self._linear(x, f"{layer}.k"), a.kv_heads), a.kv_heads)
        v = self._by_head(self._linear(x, f"{layer}.v"), a.kv_heads)
        g.output(f"kv_slice_k_{i}", k)  # [1, K, T, H]
        g.output(f"kv_slice_v_{i}", v)
        if not attend:
            return None
        q = self._by_head(self._rotate(self._linear(x, f"{layer}.q"), a.heads), a.kv_heads)
        # The cache and the new positions are scored apart: joining them would copy the cache.
        old = ops.add(g, ops.batch_matmul(g, q, self.keys[i]), self.mask)  # [1, K, G*T, S]
        new = ops.batch_matmul(g, q, k)  # [1, K, G*T, T]
        if self.tokens > 1:
            new = ops.add(g, new, self._causal())
        weights = ops.softmax(g, ops.concatenate(g, [old, new]))
        old = ops.slice_last(g, weights, 0, self.slots)
        new = ops.slice_last(g, weights, self.slots, self.tokens)
        mixed = ops.add(
            g,
            ops.batch_matmul(g, old, self.values[i]),
            ops.batch_matmul(g, new, ops.transpose(g, v, (0, 1, 3, 2))),
        )
        return self._linear(self._by_token(mixed), f"{layer}.o")

    def _feed_forward(self, x: Tensor, layer: str) -> Tensor:
        x = self._norm(x, f"{layer}.feed_forward_norm")
        up = self._linear(x, f"{layer}.up")
        if self.spec.feed_forward.gated:
            hidden = ops.multiply(self.g, self._activate(self._linear(x, f"{layer}.gate")), up)
        else:
            hidden = self._activate(up)
        return self._linear(hidden, f"{layer}.down")

    def _activate(self, x: Tensor) -> Tensor:
        activation = self.spec.feed_forward.activation
        if activation == "silu":
            return ops.multiply(self.g, x, ops.logistic(self.g, x))
        return ops.gelu(self.g, x, approximate=activation == "gelu_tanh")

    def _norm(self, x: Tensor, name: str) -> Tensor:
        g = self.g
        if self.spec.norm.kind == "layer":
            x = ops.subtract(g, x, ops.mean(g, x))
        variance = ops.mean(g, ops.multiply(g, x, x))
        epsilon = ops.constant(g, self.spec.norm.epsilon)
        x = ops.multiply(g, x, ops.rsqrt(g, ops.add(g, variance, epsilon)))
        x = ops.multiply(g, x, self._matrix(f"{name}.scale"))
        bias = self.weights.get(f"{name}.bias")
        return x if bias is None else ops.add(g, x, g.weight(bias))

    def _linear(self, x: Tensor, name: str) -> Tensor:
        bias = self.weights.get(f"{name}.bias")
        return ops.fully_connected(
            self.g, x, self._matrix(f"{name}.weight"), None if bias is None else self.g.weight(bias)
        )

    def _matrix(self, name: str) -> Tensor:
        tensor = self.g.weight(self.weights[name])
        return ops.dequantize(self.g, tensor) if tensor.dtype == "float16" else tensor

    def _lookup(self, name: str, rows: Tensor) -> Tensor:
        """Rows of a table as float32; an int8 table is read raw and scaled row by row."""
        g, weight = self.g, self.weights[name]
        found = ops.gather(g, g.weight(weight, quantized=False), rows)
        if weight.dtype == "float32":
            return found
        if weight.dtype == "float16":
            return ops.dequantize(g, found)
        scales = g.tensor((weight.shape[0], 1), "float32", self.weights.scales(name))
        return ops.multiply(g, ops.cast_float(g, found), ops.gather(g, scales, rows))

    def _rotation(self) -> tuple[Tensor, Tensor] | None:
        """Cosines and signed sines of the given positions, each [1, T, 1, H]."""
        if not isinstance(self.spec.positions, Rotary):
            return None
        cosines, sines = rotary_tables(self.spec.positions, self.slots)
        shape = (1, self.tokens, 1, self.spec.attention.head_dim)
        g = self.g
        return (
            ops.reshape(g, ops.gather(g, g.constant(cosines), self.positions), shape),
            ops.reshape(g, ops.gather(g, g.constant(sines), self.positions), shape),
        )

    def _rotate(self, x: Tensor, heads: int) -> Tensor:
        """[1, T, heads*H] -> [1, T, heads, H], rotated where positions are rotary."""
        g, size = self.g, self.spec.attention.head_dim
        x = ops.reshape(g, x, (1, self.tokens, heads, size))
        if self.rotation is None:
            return x
        cosines, sines = self.rotation
        half = size // 2
        swapped = ops.concatenate(
            g, [ops.slice_last(g, x, half, half), ops.slice_last(g, x, 0, half)]
        )
        return ops.add(g, ops.multiply(g, x, cosines), ops.multiply(g, swapped, sines))

    def _by_head(self, x: Tensor, kv_heads: int) -> Tensor:
        """[1, T, G*K*H] in any split -> [1, K, G*T, H]; G = 1 for keys and values."""
        g, size = self.g, self.spec.attention.head_dim
        groups = math.prod(x.shape) // (self.tokens * kv_heads * size)
        if self.tokens > 1:
            x = ops.reshape(g, x, (self.tokens, kv_heads, groups, size))
            x = ops.transpose(g, x, (1, 2, 0, 3))
        return ops.reshape(g, x, (1, kv_heads, groups * self.tokens, size))

    def _by_token(self, x: Tensor) -> Tensor:
        """[1, K, G*T, H] -> [1, T, K*G*H]."""
        g, a = self.g, self.spec.attention
        if self.tokens > 1:
            x = ops.reshape(g, x, (a.kv_heads, self.groups, self.tokens, a.head_dim))
            x = ops.transpose(g, x, (2, 0, 1, 3))
        return ops.reshape(g, x, (1, self.tokens, a.heads * a.head_dim))

    def _causal(self) -> Tensor:
        """Return the mask inside a chunk, [1, 1, G*T, T]: a token sees itself and those before."""
        future = np.triu(np.full((self.tokens, self.tokens), HIDDEN, np.float32), k=1)
        return self.g.constant(np.tile(future, (self.groups, 1))[None, None])


def rotary_tables(rotary: Rotary, slots: int) -> tuple[FloatArray, FloatArray]:
    """Return cosines and sines of every slot, [S, H]; the first half of the sines is negated.

    With halves a, b of a head: rotated = (a, b) * cos + (b, a) * sin.
    """
    angles = np.outer(np.arange(slots), np.asarray(rotary.inverse_frequencies, np.float64))
    cosines = np.cos(np.concatenate([angles, angles], axis=1))
    sines = np.concatenate([-np.sin(angles), np.sin(angles)], axis=1)
    return cosines.astype(np.float32), sines.astype(np.float32)
