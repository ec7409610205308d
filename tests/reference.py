"""An independent forward pass in NumPy, read straight from GGUF tensors and metadata.

It shares no code with `foreword`: full attention over the whole sequence, no cache, no
spec, rotary positions on interleaved pairs as GGUF stores them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def logits(
    metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]], token_ids: Sequence[int]
) -> Array:
    """Return logits [T, V] of a llama or gpt2 GGUF for a whole sequence."""
    weights = {name: array.astype(np.float64) for name, array in arrays.items()}
    forward = {"llama": _llama, "gpt2": _gpt2}[metadata["general.architecture"]]
    hidden = forward(metadata, weights, np.asarray(token_ids))
    output = weights.get("output.weight", weights["token_embd.weight"])
    return hidden @ output.T


def _llama(meta: Mapping[str, Any], w: Mapping[str, Array], ids: NDArray[Any]) -> Array:
    heads = meta["llama.attention.head_count"]
    kv_heads = meta["llama.attention.head_count_kv"]
    epsilon = meta["llama.attention.layer_norm_rms_epsilon"]
    x = w["token_embd.weight"][ids]
    for i in range(meta["llama.block_count"]):
        b = f"blk.{i}."
        h = _rms(x, w[b + "attn_norm.weight"], epsilon)
        q = _pairs_rotated(h @ w[b + "attn_q.weight"].T, heads, meta["llama.rope.freq_base"])
        k = _pairs_rotated(h @ w[b + "attn_k.weight"].T, kv_heads, meta["llama.rope.freq_base"])
        v = (h @ w[b + "attn_v.weight"].T).reshape(len(ids), kv_heads, -1)
        x = x + _attention(q, k, v) @ w[b + "attn_output.weight"].T
        h = _rms(x, w[b + "ffn_norm.weight"], epsilon)
        gate = h @ w[b + "ffn_gate.weight"].T
        up = h @ w[b + "ffn_up.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[b + "ffn_down.weight"].T
    return _rms(x, w["output_norm.weight"], epsilon)


def _gpt2(meta: Mapping[str, Any], w: Mapping[str, Array], ids: NDArray[Any]) -> Array:
    heads = meta["gpt2.attention.head_count"]
    epsilon = meta["gpt2.attention.layer_norm_epsilon"]

    def norm(x: Array, name: str) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["token_embd.weight"][ids] + w["position_embd.weight"][: len(ids)]
    for i in range(meta["gpt2.block_count"]):
        b = f"blk.{i}."
        fused = linear(norm(x, b + "attn_norm"), b + "attn_qkv")
        q, k, v = (part.reshape(len(ids), heads, -1) for part in np.split(fused, 3, axis=1))
        x = x + linear(_attention(q, k, v), b + "attn_output")
        up = linear(norm(x, b + "ffn_norm"), b + "ffn_up")
        gelu = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = x + linear(gelu, b + "ffn_down")
    return norm(x, "output_norm")


def _rms(x: Array, scale: Array, epsilon: float) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale


def _pairs_rotated(x: Array, heads: int, base: float) -> Array:
    """Rotate neighbouring pairs (2i, 2i+1) of each head: [T, heads*H] -> [T, heads, H]."""
    x = x.reshape(len(x), heads, -1)
    size = x.shape[-1]
    frequencies = base ** (-np.arange(0, size, 2) / size)
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(
        1j * np.outer(np.arange(len(x)), frequencies)
    )[:, None]
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def _attention(q: Array, k: Array, v: Array) -> Array:
    """Causal attention of [T, heads, H] over [T, kv_heads, H] -> [T, heads*H]."""
    tokens, heads, size = q.shape
    k = np.repeat(k, heads // k.shape[1], axis=1)
    v = np.repeat(v, heads // v.shape[1], axis=1)
    scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
    scores[:, np.triu(np.ones((tokens, tokens), bool), 1)] = -np.inf
    chances = np.exp(scores - scores.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", chances, v).reshape(tokens, heads * size)
