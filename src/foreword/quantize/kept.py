"""The 4-bit blocks of a checkpoint that has them, kept as they are.

GGUF's Q4_0, Q4_1 and Q4_K store 32 neighbours of a row as w = d * q + m, q of sixteen levels.
Rounded again on other steps such weights lose as much as they did the first time. Here each
block stays on its own steps: d * (q - k) is int4 with the scale d, exactly, and what is left,
the same for all of a block, is a weight of the sum of the block's inputs (`spec.block_sums`).
The blocks are found in the values, so it does not matter through which file they came.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foreword.graph.spec import SUMMED, Decoder, FloatArray, weight_shapes

_LEVELS = 16
_LOW = -8  # the lowest step of int4
_TOLERANCE = 0.02  # of a step: float16's rounding of eight steps is 0.004
_SAMPLED_ROWS = 64
_LEAST = 0.99  # of blocks found
_CHUNK = 1 << 12  # blocks at a time: what a core's own cache holds
_FLOAT16 = float(np.finfo(np.float16).tiny), float(np.finfo(np.float16).max)


class Blocks(NamedTuple):
    """Blocks as scale * steps + offset: [blocks], int8 [blocks, 32], [blocks]; all found?"""

    scales: FloatArray
    steps: NDArray[np.int8]
    offsets: FloatArray
    found: NDArray[np.bool_]


def find_blocks(values: FloatArray) -> Blocks:
    """Return the evenly spaced levels, sixteen at most, that the values [blocks, 32] lie on.

    Scales are those of float16, as they are stored. Steps are as far apart as can be, and
    chosen so that the offset is least. A block on no such levels gets sixteen from its
    smallest to its largest value.
    """
    parts = [_find(values[i : i + _CHUNK]) for i in range(0, len(values), _CHUNK)]
    return Blocks(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _find(values: FloatArray) -> Blocks:
    low = values.min(axis=1)
    spread = values.max(axis=1) - low
    spread[spread == 0] = 1
    places = (values - low[:, None]) / spread[:, None]  # from 0 to 1
    levels = np.rint(places * (_LEVELS - 1)).astype(np.int8)
    found = np.zeros(len(values), bool)
    others = np.arange(len(values))
    for intervals in range(_LEVELS - 1, 0, -1):
        exact = places[others] * np.float32(intervals)
        fits = (np.abs(exact - np.rint(exact)) < _TOLERANCE).all(axis=1)
        levels[others[fits]] = np.rint(exact[fits])
        found[others[fits]] = True
        others = others[~fits]
        if not others.size:
            break
    levels //= np.maximum(np.gcd.reduce(levels, axis=1), 1)[:, None]
    count = np.maximum(levels.max(axis=1), 1)
    scales = np.clip(spread / count, *_FLOAT16).astype(np.float16).astype(np.float32)
    shift = np.clip(np.rint(-low / scales), count - (_LEVELS + _LOW - 1), -_LOW)
    offsets = low + shift.astype(np.float32) * scales
    return Blocks(scales, levels - shift[:, None].astype(np.int8), offsets, found)


def kept_matrices(decoder: Decoder) -> frozenset[str]:
    """Return the matrices in the layers that consist of such blocks, judged by some rows."""
    kept = set()
    for name, shape in weight_shapes(decoder.spec).items():
        if not name.startswith("layers.") or len(shape) < 2 or shape[1] % SUMMED:
            continue
        rows = np.linspace(0, shape[0] - 1, min(shape[0], _SAMPLED_ROWS)).astype(int)
        sample = np.ascontiguousarray(decoder.load(name)[rows]).reshape(-1, SUMMED)
        if find_blocks(sample).found.mean() >= _LEAST:
            kept.add(name)
    return frozenset(kept)


def with_offsets(decoder: Decoder, kept: frozenset[str]) -> Decoder:
    """Return a decoder of the same logits whose `kept` matrices are steps and offsets apart."""

    @lru_cache(maxsize=1)  # offsets are asked for right after their steps
    def blocks_of(matrix: str) -> Blocks:
        return find_blocks(np.ascontiguousarray(decoder.load(matrix)).reshape(-1, SUMMED))

    shapes = weight_shapes(decoder.spec)

    def load(name: str) -> FloatArray:
        projection, _, part = name.rpartition(".")
        matrix = f"{projection}.weight"
        if matrix not in kept or part not in ("weight", "offsets"):
            return decoder.load(name)
        blocks = blocks_of(matrix)
        if part == "offsets":
            return blocks.offsets.reshape(shapes[matrix][0], -1)
        return (blocks.scales[:, None] * blocks.steps).reshape(shapes[matrix])

    layers = tuple(
        replace(layer, offsets=_kinds(kept, i)) for i, layer in enumerate(decoder.spec.layers)
    )
    return Decoder(replace(decoder.spec, layers=layers), load)


def _kinds(kept: frozenset[str], layer: int) -> tuple[str, ...]:
    places = (name.split(".") for name in sorted(kept))
    return tuple(kind for _, of, kind, _ in places if int(of) == layer)
