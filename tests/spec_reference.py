"""A random decoder of any spec, and its forward pass in plain NumPy: slow, float64, no cache."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreword.graph.spec import (
    Alibi,
    Decoder,
    DecoderSpec,
    FloatArray,
    Layer,
    Learned,
    Norm,
    weight_shapes,
)

Array = NDArray[np.float64]


def random_decoder(spec: DecoderSpec, seed: int = 0) -> Decoder:
    """A decoder with weights of a size at which every part shows in the logits."""
    rng = np.random.default_rng(seed)
    weights: dict[str, FloatArray] = {}
    for name, shape in weight_shapes(spec).items():
        values = rng.normal(0, 0.3, shape)
        if name.endswith(".scale"):
            values += 1
        weights[name] = values.astype(np.float32)
    return Decoder(spec, weights.__getitem__)


@dataclass
class _Pass:
    decoder: Decoder
    weights: dict[str, Array] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        if name not in self.weights:
            self.weights[name] = self.decoder.load(name).astype(np.float64)
        return self.weights[name]

    def has(self, name: str) -> bool:
        return name in weight_shapes(self.decoder.spec)

    def linear(self, x: Array, name: str) -> Array:
        y: Array = x @ self[f"{name}.weight"].T
        return y + self[f"{name}.bias"] if self.has(f"{name}.bias") else y

    def norm(self, x: Array, name: str, norm: Norm | None = None) -> Array:
        norm = norm or self.decoder.spec.norm
        if norm.kind == "layer":
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + norm.epsilon)
        if norm.scaled:
            x = x * self[f"{name}.scale"]
        return x + self[f"{name}.bias"] if norm.kind == "layer" else x


def logits(decoder: Decoder, tokens: list[int]) -> Array:
    """Logits [T, V] after every token."""
    spec, w = decoder.spec, _Pass(decoder)
    x = w["embedding"][tokens] * spec.embedding.scale
    if spec.embedding.norm:
        x = w.norm(x, "embedding_norm")
    if isinstance(spec.positions, Learned):
        x = x + w["positions"][: len(tokens)]
    for i, layer in enumerate(spec.layers):
        name = f"layers.{i}"
        normed = w.norm(x, f"{name}.attention_norm")
        attended = _attention(w, normed, layer, name)
        if spec.residual == "shared":
            x = x + attended + _feed_forward(w, normed, name)
        elif spec.residual == "parallel":
            ahead = _feed_forward(w, w.norm(x, f"{name}.feed_forward_norm"), name)
            x = x + attended + ahead
        else:
            sandwich = spec.residual == "sandwich"
            x = x + (w.norm(attended, f"{name}.attention_post_norm") if sandwich else attended)
            ahead = _feed_forward(w, w.norm(x, f"{name}.feed_forward_norm"), name)
            x = x + (w.norm(ahead, f"{name}.feed_forward_post_norm") if sandwich else ahead)
    x = w.norm(x, "final_norm")
    if spec.output.mixed:
        x = w.linear(x, "output_mix")
    scores: Array = x @ w["embedding" if spec.output.tied else "output.weight"].T
    return _capped(scores, spec.output.soft_cap)


def _capped(x: Array, cap: float | None) -> Array:
    return x if cap is None else cap * np.tanh(x / cap)


def _feed_forward(w: _Pass, x: Array, name: str) -> Array:
    ffn = w.decoder.spec.feed_forward
    activations: dict[str, Any] = {
        "silu": lambda v: v / (1 + np.exp(-v)),
        "relu": lambda v: np.maximum(v, 0),
        "gelu": lambda v: v * (1 + np.vectorize(math.erf)(v / math.sqrt(2))) / 2,
        "gelu_tanh": lambda v: (
            v * (1 + np.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) / 2
        ),
    }
    act = activations[ffn.activation]
    up = w.linear(x, f"{name}.up")
    hidden = act(w.linear(x, f"{name}.gate")) * up if ffn.gated else act(up)
    return w.linear(hidden, f"{name}.down")


def _attention(w: _Pass, x: Array, layer: Layer, name: str) -> Array:
    spec = w.decoder.spec
    a, count = spec.attention, len(x)
    q = w.linear(x, f"{name}.q").reshape(count, a.heads, a.head_dim)
    k = w.linear(x, f"{name}.k").reshape(count, a.kv_heads, a.head_dim)
    v = w.linear(x, f"{name}.v").reshape(count, a.kv_heads, a.head_dim)
    if a.qk_norm is not None:
        q = w.norm(q, f"{name}.q_norm", a.qk_norm)
        k = w.norm(k, f"{name}.k_norm", a.qk_norm)
    if layer.rotary is not None:
        rotary = layer.rotary.within(count)
        magnitude = [rotary.magnitude if turn else 1 for turn in rotary.inverse_frequencies]
        turns = np.outer(np.arange(count), rotary.inverse_frequencies)
        turns = np.exp(1j * turns)[:, None] * np.array(magnitude)
        q, k = _turned(q, turns), _turned(k, turns)
    k, v = (np.repeat(part, a.heads // a.kv_heads, axis=1) for part in (k, v))
    scale = a.head_dim**-0.5 if a.scale is None else a.scale
    scores = _capped(np.einsum("qhd,khd->hqk", q, k) * scale, a.soft_cap)
    behind = np.subtract.outer(np.arange(count), np.arange(count))
    if isinstance(spec.positions, Alibi):
        scores = scores - np.asarray(spec.positions.slopes)[:, None, None] * behind
    hidden = behind < 0
    if layer.window is not None:
        hidden |= behind >= layer.window
    scores[:, hidden] = -np.inf
    chances = np.exp(scores - scores.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", chances, v).reshape(count, -1)
    return w.linear(mixed, f"{name}.o")


def _turned(x: Array, turns: NDArray[np.complex128]) -> Array:
    first, second = np.split(x, 2, axis=-1)
    turned = (first + 1j * second) * turns
    return np.concatenate([turned.real, turned.imag], axis=-1)
