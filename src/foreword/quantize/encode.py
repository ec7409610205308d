"""How a matrix is stored: in a type, with a scale for each row where that is a small one.

All work is done in chunks of rows, so that a weight is in memory once as it was read and
once as it is stored, be it a view of another array or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from foreword.graph.spec import SUMMED, FloatArray
from foreword.graph.weights import Array, DType
from foreword.quantize.gptq import INT4_NEAREST, best_scales
from foreword.quantize.kept import find_blocks

_CHUNK_VALUES = 1 << 16  # what a core's own cache holds, temporaries included

_INT8_LIMIT = 127  # symmetric: -128 would have no positive twin
_INT4_LOW, _INT4_HIGH = -8, 7  # of sixteen steps none can be spared
_BINS = 256


def encode(dtype: DType, block: int, values: FloatArray, out: Array) -> FloatArray | None:
    """Write a weight to `out`, each to its nearest steps; see `graph.weights.WeightEncoder`."""
    if block:
        return int4_by_block(values, block, out)
    if dtype == "int8":
        return int8_per_row(values, out)
    if dtype == "int4":
        return int4_per_row(values, out)
    out[...] = values
    return None


def pack_int4(steps: NDArray[np.int8], packed: NDArray[np.uint8]) -> None:
    """Write steps of -8..7, [rows, columns], as TFLite's INT4: the earlier in the low half."""
    pairs = steps.view(np.uint8)
    packed.reshape(len(steps), -1)[...] = (pairs[:, 0::2] & 0xF) | pairs[:, 1::2] << 4


def int8_per_row(values: FloatArray, out: Array) -> FloatArray:
    """Quantize each row symmetrically: scale = max |row| / 127, rounded to nearest even.

    `values` is float32 [rows, columns], `out` int8 of the same shape; returns the scales,
    [rows]. A row of zeros gets scale 1. The error of an element is at most half its row's
    scale.
    """
    scales = np.empty(len(values), np.float32)
    for rows, part in _chunks(values):
        scales[rows] = _positive(np.abs(part).max(axis=1) / np.float32(_INT8_LIMIT))
        part = np.rint(part / scales[rows, None])
        out[rows] = np.clip(part, -_INT8_LIMIT, _INT8_LIMIT)
    return scales


def int4_per_row(values: FloatArray, out: Array) -> FloatArray:
    """Quantize each row to -8..7, with the scale whose squared error, weighted, is least.

    `values` is float32 [rows, columns] with an even number of columns, `out` uint8
    [rows * columns / 2]: TFLite's INT4, two elements a byte, the earlier in the low half.
    Returns the scales, [rows], which are above 0 in a row of zeros too. An error counts by
    the magnitude of its element: what is large decides what a row answers. SmolLM2-135M has
    perplexity 34 so (float32: 20), 64 where all count the same, 43 where nothing is clipped.
    """
    packed = out.reshape(len(values), -1)
    scales = np.empty(len(values), np.float32)
    for rows, part in _chunks(values):
        scales[rows] = _int4_scales(part)
        part = np.rint(part / scales[rows, None])
        pack_int4(np.clip(part, _INT4_LOW, _INT4_HIGH).astype(np.int8), packed[rows])
    return scales


def int4_by_block(values: FloatArray, block: int, out: Array) -> FloatArray:
    """Quantize to -8..7, with a scale of least squared error for each `block` of a row.

    As `int4_per_row`, but scales are [rows, columns / block], each exactly a float16.
    """
    packed = out.reshape(len(values), -1)
    scales = np.empty((len(values), values.shape[1] // block), np.float32)
    for rows, part in _chunks(values):
        blocks = part.reshape(-1, block)
        found = best_scales(blocks.T, INT4_NEAREST).reshape(-1, 1)
        steps = np.clip(np.rint(blocks / found), _INT4_LOW, _INT4_HIGH).astype(np.int8)
        pack_int4(steps.reshape(part.shape), packed[rows])
        scales[rows] = found.reshape(len(part), -1)
    return scales


def int4_as_found(values: FloatArray, out: Array) -> FloatArray:
    """Quantize to -8..7 by blocks of 32 that lie on such steps already, and others by error.

    As `int4_by_block`.
    """
    packed = out.reshape(len(values), -1)
    scales = np.empty((len(values), values.shape[1] // SUMMED), np.float32)
    for rows, part in _chunks(values):
        blocks = part.reshape(-1, SUMMED)
        found, steps, offsets, on_steps = find_blocks(blocks)
        other = ~on_steps | (np.abs(offsets) > found / 2)
        if other.any():
            found[other] = best_scales(blocks[other].T, INT4_NEAREST)
            rounded = np.rint(blocks[other] / found[other, None])
            steps[other] = np.clip(rounded, _INT4_LOW, _INT4_HIGH)
        pack_int4(steps.reshape(part.shape), packed[rows])
        scales[rows] = found.reshape(len(part), -1)
    return scales


def _int4_scales(values: FloatArray) -> FloatArray:
    """Return each row's best scale among shares of its largest magnitude / 7.

    The error of every candidate comes out of a histogram of the row, in one matrix product.
    """
    largest = _positive(np.abs(values).max(axis=1))
    bins = (values / largest[:, None] + 1) * np.float32(_BINS / 2)
    places = np.minimum(bins, _BINS - 1).astype(np.int32)
    places += _BINS * np.arange(len(values), dtype=np.int32)[:, None]
    counts = np.bincount(places.reshape(-1), minlength=_BINS * len(values))
    shares, errors = _candidates()
    best = (counts.reshape(-1, _BINS).astype(np.float64) @ errors).argmin(axis=1)
    return _positive(largest * (shares[best] / _INT4_HIGH))


@cache
def _candidates() -> tuple[FloatArray, NDArray[np.float64]]:
    """Shares of the largest magnitude, and the error of each bin under each, [bins, n].

    The errors are whole numbers: their sums are exact, and files the same on every machine.
    """
    shares = np.linspace(0.2, 1, 41)
    middles = (np.arange(_BINS) + 0.5)[:, None] / (_BINS / 2) - 1
    scales = shares / _INT4_HIGH
    steps = np.clip(np.rint(middles / scales), _INT4_LOW, _INT4_HIGH)
    errors = (middles - steps * scales) ** 2 * np.abs(middles)
    return shares.astype(np.float32), np.rint(errors * 2**30)


def _positive(scales: FloatArray) -> FloatArray:
    """Replace the scale of a row of zeros by 1, and raise what is subnormal: neither divides."""
    return np.where(scales > 0, np.maximum(scales, np.finfo(np.float32).tiny), np.float32(1))


def _chunks(values: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Yield slices of rows that cover a matrix, each with its values in a row-major array."""
    step = max(1, _CHUNK_VALUES // values.shape[1])
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        yield rows, np.ascontiguousarray(values[rows])
