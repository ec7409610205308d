"""Weight encoders: how each recipe stores a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foreword.graph.builder import DType, Encoded, Shape
from foreword.graph.spec import FloatArray

_INT8_LIMIT = 127  # symmetric: -128 would have no positive twin


@dataclass(frozen=True)
class Encoder:
    """Stores matrices as `matrices` says; vectors and position tables stay float32.

    Vectors are a thousandth of a model and carry its scale; a position is added to every
    token, so its rounding would be in every score.
    """

    matrices: DType

    def dtype(self, name: str, shape: Shape) -> DType:
        """Return the type a weight will be stored in."""
        if len(shape) < 2:
            return "float32"
        if name == "positions" and self.matrices == "int8":
            return "float32"
        return self.matrices

    def encode(self, name: str, values: FloatArray) -> Encoded:
        """Return the stored form of a weight."""
        dtype = self.dtype(name, values.shape)
        if dtype == "int8":
            return int8_per_row(values)
        return Encoded(values.astype(dtype, copy=False))


def int8_per_row(values: FloatArray) -> Encoded:
    """Quantize each row symmetrically: scale = max |row| / 127, rounded to nearest even.

    `values` is float32 [rows, columns]. A row of zeros gets scale 1. The error of an
    element is at most half its row's scale.
    """
    largest = np.abs(values).max(axis=1)
    scales = np.where(largest > 0, largest / _INT8_LIMIT, 1).astype(np.float32)
    # A row of subnormal numbers would give scale 0.
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    steps = np.rint(values / scales[:, None])
    return Encoded(np.clip(steps, -_INT8_LIMIT, _INT8_LIMIT).astype(np.int8), scales)
