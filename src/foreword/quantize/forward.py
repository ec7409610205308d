"""A decoder's forward pass in NumPy, a layer at a time: what calibration looks at.

Shapes: N sequences of T tokens, W the width, R = N * T rows. Only one layer's weights are
needed at a time, and every product goes through `Project`, which may look at its input,
and may answer with a weight of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from foreword.graph.positions import HIDDEN, rotary_tables
from foreword.graph.spec import SUMMED, Alibi, Decoder, FloatArray, Layer, Learned, Norm

Project = Callable[[Sequence[str], FloatArray], list[FloatArray]]
"""Products that share an input: names of projections and rows [R, in] give rows [R, out]."""

_ROWS = 1 << 11  # rows of a wide temporary at a time


def float_project(decoder: Decoder) -> Project:
    """Return the products of the decoder as it is."""
    has_bias = biases(decoder)

    def product(name: str, x: FloatArray) -> FloatArray:
        bias = decoder.load(f"{name}.bias") if has_bias(name) else None
        y = linear(x, decoder.load(f"{name}.weight"), bias)
        _, layer, kind = name.split(".")
        if kind in decoder.spec.layers[int(layer)].offsets:
            sums = x.reshape(len(x), -1, SUMMED).sum(-1)
            y += sums @ decoder.load(f"{name}.offsets").T
        return y

    return lambda names, x: [product(name, x) for name in names]


def linear(x: FloatArray, weight: FloatArray, bias: FloatArray | None) -> FloatArray:
    """Return x @ weight^T + bias."""
    y: FloatArray = x @ weight.T
    if bias is not None:
        y += bias
    return y


def biases(decoder: Decoder) -> Callable[[str], bool]:
    """Return what tells whether a projection has a bias."""
    attention, feed_forward = decoder.spec.attention, decoder.spec.feed_forward
    by_kind = dict.fromkeys(("q", "k", "v"), attention.qkv_bias) | {"o": attention.output_bias}
    return lambda name: by_kind.get(name.rsplit(".", 1)[1], feed_forward.bias)


class ForwardPass:
    """The stream of `tokens` [N, T] through a decoder, advanced one layer at a time."""

    def __init__(self, decoder: Decoder, tokens: NDArray[np.int64]) -> None:
        self.decoder, self.spec = decoder, decoder.spec
        self.sequences, self.tokens = tokens.shape
        x = decoder.load("embedding")[tokens.reshape(-1)].astype(np.float32)
        if self.spec.embedding.scale != 1:
            x *= np.float32(self.spec.embedding.scale)
        if self.spec.embedding.norm:
            x = self._norm(x, "embedding_norm")
        if isinstance(self.spec.positions, Learned):
            x += np.tile(decoder.load("positions")[: self.tokens], (self.sequences, 1))
        self.x: FloatArray = x  # [R, W]
        # Of the layer last advanced through, as a cache holds them: [N, T, K, H].
        self.keys = self.values = np.empty(0, np.float32)

    def layer(self, i: int, project: Project) -> None:
        """Advance the stream through layer i, with products by `project`."""
        name, residual = f"layers.{i}", self.spec.residual
        normed = self._norm(self.x, f"{name}.attention_norm")
        attended = self._attention(normed, name, self.spec.layers[i], project)
        if residual == "shared":
            self.x += attended + self._feed_forward(normed, name, project)
            return
        if residual == "parallel":
            normed = self._norm(self.x, f"{name}.feed_forward_norm")
            self.x += attended + self._feed_forward(normed, name, project)
            return
        if residual == "sandwich":
            attended = self._norm(attended, f"{name}.attention_post_norm")
        self.x += attended
        ahead = self._feed_forward(self._norm(self.x, f"{name}.feed_forward_norm"), name, project)
        if residual == "sandwich":
            ahead = self._norm(ahead, f"{name}.feed_forward_post_norm")
        self.x += ahead

    def last(self) -> FloatArray:
        """Return what the output projection is given, [R, W]."""
        x = self._norm(self.x, "final_norm")
        return x @ self.decoder.load("output_mix.weight").T if self.spec.output.mixed else x

    def _norm(self, x: FloatArray, name: str, norm: Norm | None = None) -> FloatArray:
        norm = norm or self.spec.norm
        if norm.kind == "layer":
            x = x - x.mean(-1, keepdims=True)
        variance = np.mean(x * x, axis=-1, keepdims=True)
        x = x / np.sqrt(variance + np.float32(norm.epsilon))
        if norm.scaled:
            x *= self.decoder.load(f"{name}.scale")
        return x + self.decoder.load(f"{name}.bias") if norm.kind == "layer" else x

    def _attention(self, x: FloatArray, name: str, layer: Layer, project: Project) -> FloatArray:
        a = self.spec.attention
        q, k, v = project([f"{name}.q", f"{name}.k", f"{name}.v"], x)
        shape = (self.sequences, self.tokens, -1, a.head_dim)
        q, k, v = q.reshape(shape), k.reshape(shape), v.reshape(shape)
        if a.qk_norm is not None:
            q = self._norm(q, f"{name}.q_norm", a.qk_norm)
            k = self._norm(k, f"{name}.k_norm", a.qk_norm)
        if layer.rotary is not None:
            cosines, sines = rotary_tables(layer.rotary.within(self.tokens), self.tokens)
            q, k = (_turned(part, cosines[:, None], sines[:, None]) for part in (q, k))
        self.keys, self.values = k, v
        scale = a.head_dim**-0.5 if a.scale is None else a.scale
        bias, mixed = self._bias(layer), np.empty_like(q)
        groups = a.heads // a.kv_heads
        for n in range(self.sequences):
            for head in range(a.heads):
                scores = q[n, :, head] @ k[n, :, head // groups].T * np.float32(scale)
                if a.soft_cap is not None:
                    scores = np.tanh(scores / np.float32(a.soft_cap)) * np.float32(a.soft_cap)
                scores += bias[head % len(bias)]
                scores -= scores.max(-1, keepdims=True)
                np.exp(scores, out=scores)
                mixed[n, :, head] = scores @ v[n, :, head // groups]
                mixed[n, :, head] /= scores.sum(-1, keepdims=True)
        return project([f"{name}.o"], mixed.reshape(len(x), -1))[0]

    def _bias(self, layer: Layer) -> FloatArray:
        """What is added to scores, [1 or heads, T, T]."""
        behind = np.subtract.outer(np.arange(self.tokens), np.arange(self.tokens))
        hidden = behind < 0
        if layer.window is not None:
            hidden |= behind >= layer.window
        slopes = np.zeros(1)
        if isinstance(self.spec.positions, Alibi):
            slopes = np.asarray(self.spec.positions.slopes)
        bias = np.where(hidden, HIDDEN, -slopes[:, None, None] * behind)
        return bias.astype(np.float32)

    def _feed_forward(self, x: FloatArray, name: str, project: Project) -> FloatArray:
        if self.spec.feed_forward.gated:
            gate, up = project([f"{name}.gate", f"{name}.up"], x)
            hidden = self._activate(gate)
            hidden *= up
        else:
            hidden = self._activate(project([f"{name}.up"], x)[0])
        return project([f"{name}.down"], hidden)[0]

    def _activate(self, x: FloatArray) -> FloatArray:
        """Apply the spec's activation in place."""
        activate = _ACTIVATIONS[self.spec.feed_forward.activation]
        for start in range(0, len(x), _ROWS):
            x[start : start + _ROWS] = activate(x[start : start + _ROWS])
        return x


def _turned(x: FloatArray, cosines: FloatArray, sines: FloatArray) -> FloatArray:
    half = x.shape[-1] // 2
    swapped = np.concatenate([x[..., half:], x[..., :half]], axis=-1)
    return np.asarray(x * cosines + swapped * sines, np.float32)


def _gelu(x: FloatArray) -> FloatArray:
    return (x * (1 + _erf(x * np.float32(math.sqrt(0.5)))) / 2).astype(np.float32)


def _erf(x: FloatArray) -> NDArray[np.float64]:
    """Error function by Abramowitz & Stegun 7.1.26: within 1.5e-7."""
    z = np.abs(x.astype(np.float64))
    t = 1 / (1 + 0.3275911 * z)
    series = 1.061405429 * t - 1.453152027
    for term in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + term
    return np.asarray(np.copysign(1 - series * t * np.exp(-z * z), x))


def _gelu_tanh(x: FloatArray) -> FloatArray:
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(x * (1 + np.tanh(inner)) / 2, np.float32)


def _silu(x: FloatArray) -> FloatArray:
    sigmoid = 1 / (1 + np.exp(-np.clip(x, -80, None)))
    return np.asarray(x * sigmoid, np.float32)


def _relu(x: FloatArray) -> FloatArray:
    return np.maximum(x, 0)


_ACTIVATIONS = {"silu": _silu, "relu": _relu, "gelu": _gelu, "gelu_tanh": _gelu_tanh}
