"""GPTQ (Frantar et al. 2023): rounding that makes up for its own errors, row by row.

What rounding one element adds to a product is taken out by the elements not rounded yet, as
the correlations of the inputs allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreword.graph.spec import FloatArray

_DAMPING = 0.01  # of the mean of the diagonal
_STEP = 64  # columns between two updates of all that is left
_ROWS = 1 << 11

Steps = NDArray[np.int8]


@dataclass(frozen=True)
class Grid:
    """Steps from `low` to `high`; shares of max |values| / `high` to choose a scale among."""

    low: int
    high: int
    shares: tuple[float, ...]
    scale_dtype: str = "float32"


INT4 = Grid(-8, 7, tuple(i / 20 for i in range(10, 21)))
INT4_BLOCKS = Grid(-8, 7, tuple(i / 20 for i in range(13, 22)), "float16")
INT4_NEAREST = Grid(-8, 7, (0.8, 0.88, 0.96, 1.02), "float16")
INT8 = Grid(-127, 127, (1.0,))


class Inputs:
    """What a product's inputs say of it: the order to round its columns in, and corrections."""

    def __init__(self, x: FloatArray, block: int) -> None:
        """Take inputs [R, in] of a calibration text; columns of a `block` stay together."""
        products = (x.T @ x).astype(np.float64)
        power = np.diag(products)
        # The largest first, while there is most left to make up with.
        by_block = power.reshape(-1, block or 1)
        blocks = np.argsort(-by_block.sum(axis=1), kind="stable")
        within = np.argsort(-by_block, axis=1, kind="stable")
        self.order = (blocks[:, None] * (block or 1) + within[blocks]).reshape(-1)
        damping = _DAMPING * float(power.mean()) or 1.0
        products = products[np.ix_(self.order, self.order)]
        products[np.diag_indices_from(products)] += damping
        inverse = np.linalg.inv(products)
        self.correction: FloatArray = np.linalg.cholesky(inverse).T.astype(np.float32)


def gptq(
    weight: FloatArray, inputs: Inputs, grid: Grid, block: int = 0
) -> tuple[Steps, FloatArray]:
    """Return a matrix [out, in] as steps of `grid`, int8, and scales, [out, in / block].

    `block` is that of the inputs, or 0: one scale for a row, [out, 1].
    """
    steps = np.empty(weight.shape, np.int8)
    scales = np.empty((len(weight), weight.shape[1] // block if block else 1), np.float32)
    for start in range(0, len(weight), _ROWS):
        rows = slice(start, start + _ROWS)
        steps[rows], scales[rows] = _rounded(weight[rows], inputs, grid, block)
    return steps, scales


def best_scales(values: FloatArray, grid: Grid, importance: FloatArray | float = 1.0) -> FloatArray:
    """Return the scale of least squared error for each column of `values` [n, columns].

    Errors count by `importance`, [n, 1]. A column of zeros gets a scale above 0.
    """
    limits = np.finfo(grid.scale_dtype)
    largest = np.abs(values).max(axis=0) / np.float32(grid.high)
    largest = np.where(largest > 0, largest, np.float32(1))
    best, least = np.empty_like(largest), np.full(largest.shape, np.inf, np.float32)
    for share in grid.shares:
        scales = np.clip(largest * np.float32(share), limits.tiny, limits.max)
        scales = scales.astype(grid.scale_dtype).astype(np.float32)
        if len(grid.shares) == 1:
            return scales
        rounded = np.clip(np.rint(values / scales), grid.low, grid.high) * scales
        errors = (np.square(rounded - values) * importance).sum(axis=0)
        better = errors < least
        best[better], least[better] = scales[better], errors[better]
    return best


def _rounded(
    weight: FloatArray, inputs: Inputs, grid: Grid, block: int
) -> tuple[Steps, FloatArray]:
    u, width = inputs.correction, weight.shape[1]
    left = np.ascontiguousarray(weight[:, inputs.order].T)  # columns of the weight are rows here
    importance = np.asarray(1 / np.square(np.diag(u))[:, None], np.float32)
    steps = np.empty(left.shape, np.int8)
    found = np.empty((width // block if block else 1, len(weight)), np.float32)
    if not block:
        found[0] = scales = best_scales(left, grid, importance)
    for begin in range(0, width, block or _STEP):
        end = min(width, begin + (block or _STEP))
        if block:
            scales = best_scales(left[begin:end], grid, importance[begin:end])
            found[inputs.order[begin] // block] = scales
        errors = np.empty((end - begin, len(weight)), np.float32)
        for j in range(begin, end):
            rounded = np.clip(np.rint(left[j] / scales), grid.low, grid.high)
            steps[j] = rounded
            errors[j - begin] = error = (left[j] - rounded * scales) / u[j, j]
            left[j + 1 : end] -= np.outer(u[j, j + 1 : end], error)
        left[end:] -= u[begin:end, end:].T @ errors
    result = np.empty((width, len(weight)), np.int8)
    result[inputs.order] = steps
    return np.ascontiguousarray(result.T), np.ascontiguousarray(found.T)
