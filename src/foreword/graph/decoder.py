"""From a decoder's spec to the signatures of the token model: prefill, decode, verify.

The graph contract (inputs, outputs, masks) is in docs/architecture.md. Shapes in the
comments: T tokens, S cache slots, K key/value heads, G query heads per key/value head,
H the head size, W the width, V the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from foreword.graph import ops
from foreword.graph.builder import ModelBuilder, Steps, SubgraphBuilder, Tensor
from foreword.graph.description import DESCRIPTION, GraphShape, describe
from foreword.graph.positions import Positions
from foreword.graph.spec import (
    Decoder,
    DecoderSpec,
    FloatArray,
    Layer,
    Learned,
    Norm,
    block_sums,
    weight_shapes,
)
from foreword.graph.weights import Array, DType, Weight, WeightEncoder

Range = tuple[float, float]
"""The smallest and the largest value of an activation; 0 lies between them."""

_WHOLE = Steps(1.0, 0)  # an int8 cache's: its channels are scaled apart


def build(
    decoder: Decoder,
    shape: GraphShape,
    encoder: WeightEncoder,
    ranges: Mapping[str, tuple[Range, Range]] | None = None,
    cache_scales: Mapping[str, FloatArray] | None = None,
) -> ModelBuilder:
    """Lay out every signature; weights are read and encoded when the result is written.

    `ranges` of the input and the output of a projection, by its name ("layers.0.q"), make its
    product, which must be stored as int8, one of int8 activations. `cache_scales`, the steps of
    every channel of keys and values ("layers.0.k", "layers.0.v": [K, H]), make the caches int8.
    """
    model = ModelBuilder("Foreword token model")
    decoder = decoder.within(shape.context)
    spec, weights = decoder.spec, _Weights(model, decoder, encoder)
    model.metadata(DESCRIPTION, describe(spec, shape))
    stored = _Stored(ranges or {}, cache_scales or {})
    for signature in shape.signatures:
        subgraph = model.subgraph(signature.name)
        forward = _ForwardPass(subgraph, weights, spec, shape.context, signature.width, stored)
        forward.build(logits=signature.kind != "prefill")
    return model


@dataclass(frozen=True)
class _Stored:
    """What is int8 beside weights: products by `ranges`, caches by `cache_scales`."""

    ranges: Mapping[str, tuple[Range, Range]]
    cache_scales: Mapping[str, FloatArray]


class _Weights:
    """The decoder's weights as declared in the file, each once for all signatures."""

    def __init__(self, model: ModelBuilder, decoder: Decoder, encoder: WeightEncoder) -> None:
        self._scales: dict[str, int] = {}
        self._by_name: dict[str, Weight] = {}
        self._model = model
        for name, shape in weight_shapes(decoder.spec).items():
            dtype = encoder.dtype(name, shape)
            produce = _producer(decoder, encoder, name)
            block = encoder.block(name, shape)
            self._by_name[name] = model.weight(name, shape, dtype, produce, block)

    def __getitem__(self, name: str) -> Weight:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Weight | None:
        return self._by_name.get(name)

    def block_sums(self, width: int) -> Weight:
        """The matrix that sums inputs of this width; of ones and zeros, exact as int8."""
        name = f"block_sums.{width}"
        if name not in self._by_name:
            sums = block_sums(width)

            def produce(out: Array) -> FloatArray:
                out[...] = sums
                return np.ones(len(sums), np.float32)

            self._by_name[name] = self._model.weight(name, sums.shape, "int8", produce)
        return self._by_name[name]

    def scales(self, name: str) -> int:
        """Buffer with the row scales of an int8 weight, shape [rows, 1], float32."""
        weight = self._by_name[name]
        if name not in self._scales:
            self._scales[name] = self._model.deferred(
                lambda: np.asarray(weight.scales, np.float32).reshape(-1, 1)
            )
        return self._scales[name]


def _producer(
    decoder: Decoder, encoder: WeightEncoder, name: str
) -> Callable[[Array], FloatArray | None]:
    return lambda out: encoder.encode(name, decoder.load(name), out)


class _ForwardPass:
    """What one signature computes: T tokens over a cache of S slots.

    No constant and no option depends on S, which a runtime may therefore change.
    """

    def __init__(
        self,
        g: SubgraphBuilder,
        weights: _Weights,
        spec: DecoderSpec,
        slots: int,
        width: int,
        stored: _Stored,
    ) -> None:
        self.ranges, self.cache_scales = stored.ranges, stored.cache_scales
        self.g, self.spec, self.weights = g, spec, weights
        self.tokens = width
        attention, layers = spec.attention, range(len(spec.layers))
        self.groups = attention.heads // attention.kv_heads
        self.ids = g.input("tokens", (1, width), "int32")
        self.index = g.input("input_pos", (width,), "int32")
        mask = g.input("mask", (1, 1, 1, slots), "float32")
        cache = (1, attention.kv_heads, slots, attention.head_dim)
        flat = (1, attention.kv_heads, attention.head_dim, slots)
        held: tuple[DType, Steps | None] = ("float32", None)
        if self.cache_scales:
            held = "int8", _WHOLE
        self.keys = [g.input(f"kv_cache_k_{i}", cache, *held) for i in layers]
        self.values = [g.input(f"kv_cache_v_{i}", flat, *held) for i in layers]
        self.positions = Positions(g, spec, self.index, mask)
        self.summed: dict[int, Tensor] = {}

    def build(self, logits: bool) -> None:
        """Lay out the whole forward pass; without `logits` it ends at the last layer's slices."""
        x = self._embed()  # [1, T, W]
        last = len(self.spec.layers) - 1
        for i, layer in enumerate(self.spec.layers):
            normed = self._norm(x, f"layers.{i}.attention_norm")
            attended = self._attention(normed, i, layer, attend=logits or i < last)
            if attended is None:
                return
            x = self._join(x, normed, attended, f"layers.{i}")
        x = self._norm(x, "final_norm")
        if self.spec.output.mixed:
            x = self._linear(x, "output_mix")
        output, cap = self.spec.output, self.spec.output.soft_cap
        weight = self._matrix("embedding" if output.tied else "output.weight")
        if cap is not None:
            # Before the product: the width is narrower than the vocabulary.
            x = ops.multiply(self.g, x, ops.constant(self.g, 1 / cap))
        scores = ops.fully_connected(self.g, x, weight, None)
        self.g.output("logits", self._capped(scores, cap))

    def _embed(self) -> Tensor:
        x = self._lookup("embedding", self.ids)
        if self.spec.embedding.scale != 1:
            x = ops.multiply(self.g, x, ops.constant(self.g, self.spec.embedding.scale))
        if self.spec.embedding.norm:
            x = self._norm(x, "embedding_norm")
        if isinstance(self.spec.positions, Learned):
            x = ops.add(self.g, x, self._lookup("positions", self.index))
        return x

    def _join(self, x: Tensor, normed: Tensor, attended: Tensor, layer: str) -> Tensor:
        """Return the stream after a layer, from the stream before and what attention gave."""
        g, residual = self.g, self.spec.residual
        if residual == "shared":
            return ops.add(g, x, ops.add(g, attended, self._feed_forward(normed, layer)))
        if residual == "parallel":
            ahead = self._feed_forward(self._norm(x, f"{layer}.feed_forward_norm"), layer)
            return ops.add(g, x, ops.add(g, attended, ahead))
        if residual == "sandwich":
            attended = self._norm(attended, f"{layer}.attention_post_norm")
        x = ops.add(g, x, attended)
        ahead = self._feed_forward(self._norm(x, f"{layer}.feed_forward_norm"), layer)
        if residual == "sandwich":
            ahead = self._norm(ahead, f"{layer}.feed_forward_post_norm")
        return ops.add(g, x, ahead)

    def _attention(self, x: Tensor, i: int, kind: Layer, attend: bool) -> Tensor | None:
        """Output slices of layer i and, where `attend`, return what attention gives."""
        g, a, layer = self.g, self.spec.attention, f"layers.{i}"
        k = self._by_head(self._heads(x, f"{layer}.k", a.kv_heads, kind), a.kv_heads)
        v = self._by_head(self._linear(x, f"{layer}.v"), a.kv_heads)
        k, v = self._to_cache(k, f"{layer}.k"), self._to_cache(v, f"{layer}.v")
        g.output(f"kv_slice_k_{i}", k)  # [1, K, T, H]
        g.output(f"kv_slice_v_{i}", v)
        if not attend:
            return None
        q = self._by_head(self._heads(x, f"{layer}.q", a.heads, kind), a.kv_heads)
        # A chunk sees its own keys and values as later ones will: where a text is cut must not
        # matter. Keys are scaled here, not queries: of keys that go from DEQUANTIZE straight into
        # a product XNNPACK (LiteRT 2.3.0) keeps S * S numbers a head, in every layer.
        k, keys = (self._scaled(self._floats(t), f"{layer}.k") for t in (k, self.keys[i]))
        v, values = self._floats(v), self._floats(self.values[i])
        # The cache and the new positions are scored apart: joining them would copy the cache.
        old = self._capped(ops.batch_matmul(g, q, keys), a.soft_cap)  # [1, K, G*T, S]
        old = ops.add(g, old, self.positions.cached_bias(kind.window))
        new = self._capped(ops.batch_matmul(g, q, k), a.soft_cap)  # [1, K, G*T, T]
        bias = self.positions.chunk_bias(kind.window)
        if bias is not None:
            new = ops.add(g, new, bias)
        # The cache comes last: its length may be changed.
        weights = ops.softmax(g, ops.concatenate(g, [new, old]))
        new = ops.slice_last(g, weights, 0, self.tokens)
        old = ops.rest_last(g, weights, self.tokens)
        mixed = ops.add(
            g,
            ops.batch_matmul(g, old, values),
            ops.batch_matmul(g, new, ops.transpose(g, v, (0, 1, 3, 2))),
        )
        mixed = self._scaled(mixed, f"{layer}.v")
        return self._linear(self._by_token(mixed), f"{layer}.o")

    def _to_cache(self, x: Tensor, name: str) -> Tensor:
        """Keys or values as the cache holds them."""
        if name not in self.cache_scales:
            return x
        scales = 1 / self.cache_scales[name][None, :, None]
        scaled = ops.multiply(self.g, x, ops.constant(self.g, scales))
        return ops.quantize(self.g, scaled, _WHOLE)

    def _scaled(self, x: Tensor, name: str) -> Tensor:
        """Return x, [1, K, n, H], times the scales of an int8 cache's channels."""
        if name not in self.cache_scales:
            return x
        scales = self.cache_scales[name][None, :, None]
        return ops.multiply(self.g, x, ops.constant(self.g, scales))

    def _floats(self, x: Tensor) -> Tensor:
        return ops.dequantize(self.g, x) if x.dtype == "int8" else x

    def _heads(self, x: Tensor, name: str, heads: int, layer: Layer) -> Tensor:
        """Queries or keys by head, normalised and rotated as the spec says: [1, T, heads, H]."""
        g, size = self.g, self.spec.attention.head_dim
        x = ops.reshape(g, self._linear(x, name), (1, self.tokens, heads, size))
        if self.spec.attention.qk_norm is not None:
            x = self._norm(x, f"{name}_norm", self.spec.attention.qk_norm)
        if layer.rotary is None:
            return x
        cosines, sines = self.positions.rotation(layer.rotary)
        half = size // 2
        swapped = ops.concatenate(
            g, [ops.slice_last(g, x, half, half), ops.slice_last(g, x, 0, half)]
        )
        return ops.add(g, ops.multiply(g, x, cosines), ops.multiply(g, swapped, sines))

    def _feed_forward(self, x: Tensor, layer: str) -> Tensor:
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
        if activation == "relu":
            return ops.relu(self.g, x)
        return ops.gelu(self.g, x, approximate=activation == "gelu_tanh")

    def _capped(self, scores: Tensor, cap: float | None) -> Tensor:
        """Return cap * tanh(scores) for scores that are divided by the cap already."""
        if cap is None:
            return scores
        return ops.multiply(self.g, ops.tanh(self.g, scores), ops.constant(self.g, cap))

    def _norm(self, x: Tensor, name: str, norm: Norm | None = None) -> Tensor:
        """Normalise over the last axis, by default with the spec's norm."""
        g, norm = self.g, norm or self.spec.norm
        if norm.kind == "layer":
            x = ops.subtract(g, x, ops.mean(g, x))
        variance = ops.mean(g, ops.multiply(g, x, x))
        epsilon = ops.constant(g, norm.epsilon)
        x = ops.multiply(g, x, ops.rsqrt(g, ops.add(g, variance, epsilon)))
        if norm.scaled:
            x = ops.multiply(g, x, self._matrix(f"{name}.scale"))
        bias = self.weights.get(f"{name}.bias")
        return x if bias is None else ops.add(g, x, g.weight(bias))

    def _linear(self, x: Tensor, name: str) -> Tensor:
        found = self.weights.get(f"{name}.bias")
        bias = None if found is None else self.g.weight(found)
        weight = self._matrix(f"{name}.weight")
        if f"{name}.offsets" in self.weights:
            y = ops.fully_connected(self.g, x, weight, bias)
            offsets = self._matrix(f"{name}.offsets")
            return ops.add(self.g, y, ops.fully_connected(self.g, self._sums(x), offsets, None))
        if name not in self.ranges:
            return ops.fully_connected(self.g, x, weight, bias)
        inputs, outputs = (_steps(*ends) for ends in self.ranges[name])
        y = ops.static_fully_connected(self.g, x, weight, inputs, outputs)
        return y if bias is None else ops.add(self.g, y, bias)

    def _sums(self, x: Tensor) -> Tensor:
        """[1, T, W] -> [1, T, W / SUMMED], once for all products that share x."""
        if x.index not in self.summed:
            sums = self.g.weight(self.weights.block_sums(x.shape[-1]))
            self.summed[x.index] = ops.fully_connected(self.g, x, sums, None)
        return self.summed[x.index]

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
        buffer = self.weights.scales(name)
        scales = g.tensor((weight.shape[0], 1), "float32", buffer, f"{name}.scales")
        return ops.multiply(g, ops.cast_float(g, found), ops.gather(g, scales, rows))

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


def _steps(low: float, high: float) -> Steps:
    """Return the 255 steps of int8 that cover a range, 0 exactly among them."""
    scale = max((high - low) / 255, 1e-30)
    return Steps(scale, int(np.clip(round(-128 - low / scale), -128, 127)))
