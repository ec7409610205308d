"""GPTQ (Frantar et al. 2023): rounding that makes up for its own errors, row by row.

What rounding one element adds to a product is taken out by the elements not rounded yet, as
the correlations of the inputs allow. Each row tries several scales and keeps the one whose
product is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foreword.graph.spec import FloatArray

_DAMPING = 0.01  # of the mean of the diagonal
_BLOCK = 64
_ROWS = 1 << 11

Steps = NDArray[np.int8]


@dataclass(frozen=True)
class Grid:
    """Whole steps from `low` to `high`, and shares of max |row| / `high` to try as the scale."""

    low: int
    high: int
    shares: tuple[float, ...]


INT4 = Grid(-8, 7, (0.6, 0.67, 0.74, 0.81, 0.88, 1.0))
INT8 = Grid(-127, 127, (1.0,))


class Inputs:
    """What a product's inputs say of it: the order to round its columns in, and corrections."""

    def __init__(self, x: FloatArray) -> None:
        """Take the inputs [R, in] of a calibration text."""
        products = (x.T @ x).astype(np.float64)
        power = np.diag(products).copy()
        floor = _DAMPING * float(power.mean()) or 1.0
        # The largest first, while there is most left to make up with.
        self.order = np.argsort(-power, kind="stable")
        products = products[np.ix_(self.order, self.order)]
        products[np.diag_indices_from(products)] += floor
        inverse = np.linalg.inv(products)
        self.correction: FloatArray = np.linalg.cholesky(inverse).T.astype(np.float32)


def gptq(weight: FloatArray, inputs: Inputs, grid: Grid) -> tuple[Steps, FloatArray]:
    """Return a matrix [out, in] as steps of `grid`, int8, and the scales of its rows, [out].

    Raises numpy.linalg.LinAlgError never: the products of inputs are damped.
    """
    steps = np.empty(weight.shape, np.int8)
    scales = np.empty(len(weight), np.float32)
    for start in range(0, len(weight), _ROWS):
        rows = slice(start, start + _ROWS)
        steps[rows], scales[rows] = _rounded(weight[rows], inputs, grid)
    return steps, scales


def _rounded(weight: FloatArray, inputs: Inputs, grid: Grid) -> tuple[Steps, FloatArray]:
    count, width = weight.shape
    largest = np.abs(weight).max(axis=1) / np.float32(grid.high)
    largest = np.maximum(np.where(largest > 0, largest, 1), np.finfo(np.float32).tiny)
    scales = np.maximum(
        np.concatenate([largest * np.float32(share) for share in grid.shares]),
        np.finfo(np.float32).tiny,
    )
    # Columns of the weight are rows here, once for every share.
    left = np.tile(weight[:, inputs.order].T, (1, len(grid.shares)))
    steps = np.empty(left.shape, np.int8)
    loss = np.zeros(left.shape[1], np.float64)
    u = inputs.correction
    for begin in range(0, width, _BLOCK):
        end = min(width, begin + _BLOCK)
        errors = np.empty((end - begin, left.shape[1]), np.float32)
        for j in range(begin, end):
            rounded = np.clip(np.rint(left[j] / scales), grid.low, grid.high)
            steps[j] = rounded
            errors[j - begin] = error = (left[j] - rounded * scales) / u[j, j]
            loss += np.square(error, dtype=np.float64)
            left[j + 1 : end] -= np.outer(u[j, j + 1 : end], error)
        left[end:] -= u[begin:end, end:].T @ errors
    best = loss.reshape(len(grid.shares), count).argmin(axis=0) * count + np.arange(count)
    result = np.empty((width, count), np.int8)
    result[inputs.order] = steps[:, best]
    return np.ascontiguousarray(result.T), scales[best]
