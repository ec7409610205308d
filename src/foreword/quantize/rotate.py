"""Rotations that change no logit and leave no outlier: a turned stream, turned values.

A few channels of a decoder's stream are a hundred times as large as the others, and 255 steps
over their range leave few for the rest. An orthogonal matrix spreads them over all channels
(QuaRot, Ashkboos et al. 2024): the mean square of RMS norm is the same for a turned stream, so
what writes to the stream is turned, and what reads from it turns back. Likewise the values of
a head and the rows of the output projection that read them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from foreword.graph.spec import Decoder, DecoderSpec, FloatArray

_CHUNK_VALUES = 1 << 18


def turns_stream(spec: DecoderSpec) -> bool:
    """Return whether turning the stream of such a decoder is exact.

    A layer norm subtracts a mean, and the norms of Gemma 2 after each half scale channels of
    the stream itself: neither commutes with a rotation.
    """
    return spec.norm.kind == "rms" and spec.residual != "sandwich" and not spec.embedding.norm


def rotated(decoder: Decoder) -> Decoder:
    """Return a decoder with the same logits whose values, and stream where exact, are turned.

    Norms before a projection are folded into it. A tied embedding serves two ends with one
    norm between them, so it gets the matrix `Output.mixed` speaks of.
    """
    return (
        _turned_stream(_turned_values(decoder))
        if turns_stream(decoder.spec)
        else (_turned_values(decoder))
    )


def turn(x: FloatArray) -> FloatArray:
    """Return x @ Q for a fixed orthogonal Q of x's last axis, float32 in a new array.

    Q is signs, then a Hadamard matrix of the largest power of two in the width, times a cosine
    transform of what is left. Only sums of two and products, in one order: the same bits on
    every machine.
    """
    width = x.shape[-1]
    signs = _signs(width)
    flat = x.reshape(-1, width)
    out = np.empty(flat.shape, np.float32)
    step = max(1, _CHUNK_VALUES // width)
    for start in range(0, len(flat), step):
        rows = slice(start, start + step)
        # Columns become rows in memory, and every sum runs along them.
        columns = np.ascontiguousarray((flat[rows] * signs).T)
        out[rows] = _cosine(_hadamard(columns)).T
    return out.reshape(x.shape)


def _hadamard(x: FloatArray) -> FloatArray:
    """Turn columns [P * M, R] by the Hadamard matrix of size P, a power of two, over M."""
    width = len(x)
    power = width & -width
    half = 1
    while half < power:
        pairs = x.reshape(power // (2 * half), 2, half * (width // power), -1)
        x = np.empty_like(pairs)
        np.add(pairs[:, 0], pairs[:, 1], out=x[:, 0])
        np.subtract(pairs[:, 0], pairs[:, 1], out=x[:, 1])
        half *= 2
    return x.reshape(width, -1) * np.float32(power**-0.5)


def _cosine(x: FloatArray) -> FloatArray:
    """Turn columns [P * M, R] by the orthogonal cosine transform of size M, an odd number."""
    width = len(x)
    size = width // (width & -width)
    if size == 1:
        return x
    parts = x.reshape(-1, size, x.shape[1])
    out = np.zeros_like(parts)
    scaled = np.empty_like(parts[:, 0])
    for k in range(size):
        norm = math.sqrt((1 if k == 0 else 2) / size)
        for j in range(size):
            factor = np.float32(norm * math.cos(math.pi * (j + 0.5) * k / size))
            np.multiply(parts[:, j], factor, out=scaled)
            out[:, k] += scaled
    return out.reshape(width, -1)


def _signs(width: int) -> FloatArray:
    """Plus or minus one for every channel, from a generator that is the same everywhere."""
    state, signs = 1, np.empty(width, np.float32)
    for i in range(width):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        signs[i] = 1 - 2 * (state >> 63)
    return signs


def _turn_rows(x: FloatArray) -> FloatArray:
    """Return Q^T @ x: the first axis of a matrix, or a vector, turned."""
    return turn(np.ascontiguousarray(x.T)).T


def _turned_values(decoder: Decoder) -> Decoder:
    a = decoder.spec.attention

    def load(name: str) -> FloatArray:
        values, (projection, _, kind) = decoder.load(name), name.rpartition(".")
        if projection.endswith(".v"):
            heads = values.reshape(a.kv_heads, a.head_dim, -1).transpose(0, 2, 1)
            return turn(heads).transpose(0, 2, 1).reshape(values.shape)
        if projection.endswith(".o") and kind == "weight":
            return turn(values.reshape(-1, a.head_dim)).reshape(values.shape)
        return values

    return Decoder(decoder.spec, load)


def _turned_stream(decoder: Decoder) -> Decoder:
    spec = decoder.spec
    attention_norm = "attention_norm"
    ahead_norm = attention_norm if spec.residual == "shared" else "feed_forward_norm"
    reads = dict.fromkeys(("q", "k", "v"), attention_norm) | dict.fromkeys(
        ("gate", "up"), ahead_norm
    )

    def load(name: str) -> FloatArray:
        if name == "output_mix.weight":
            scale = np.diag(decoder.load("final_norm.scale"))
            return _turn_rows(turn(scale))
        values = decoder.load(name)
        if name in ("embedding", "positions"):
            return turn(values)
        if name == "output.weight":
            return turn(values * decoder.load("final_norm.scale"))
        layer, _, part = name.rpartition(".")
        layer, _, projection = layer.rpartition(".")
        if projection in reads and part == "weight":
            return turn(values * decoder.load(f"{layer}.{reads[projection]}.scale"))
        if projection in ("o", "down"):
            return _turn_rows(values)
        return values

    norm, output = replace(spec.norm, scaled=False), replace(spec.output, mixed=spec.output.tied)
    return Decoder(replace(spec, norm=norm, output=output), load)
