"""The key/value cache: NumPy memory that the runtime reads in place.

A step reads all slots it is given, used or not, so the cache is about as long as its text and is
copied to a longer one when the text outgrows it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foreword.bundle.manifest import Shape

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

HIDDEN = -1e4  # the graph contract's mask value for a slot that may not be attended

STEP = 64
"""Lengths are multiples of it: a new length costs each signature half a step's time once."""

_ALIGNMENT = 64  # LITERT_HOST_MEMORY_BUFFER_ALIGNMENT


class Rows(NamedTuple):
    """Keys and values [layers, K, n, H] of the first n slots of a cache, put aside."""

    keys: Array
    values: Array


class Cache:
    """Keys [layers, K, S, H], values [layers, K, H, S] and the mask [S] of `slots` slots.

    Keys and values are of the type the model gives and takes: what int8 stands for, it knows.
    """

    def __init__(self, shape: Shape, slots: int) -> None:
        self.slots, self._shape = slots, shape
        layers, heads, size, dtype = shape.layers, shape.kv_heads, shape.head_dim, shape.cache_dtype
        self.mask: FloatArray = aligned((slots,), "float32")
        self.keys: Array = aligned((layers, heads, slots, size), dtype)
        self.values: Array = aligned((layers, heads, size, slots), dtype)

    def show(self, length: int) -> None:
        """Let the first `length` slots be attended, and hide the others."""
        self.mask[:length] = 0
        self.mask[length:] = HIDDEN

    def write(self, position: int, keys: Array, values: Array) -> None:
        """Store the slices [layers, K, n, H] of n tokens at slots `position…`."""
        end = position + keys.shape[2]
        self.keys[:, :, position:end] = keys
        self.values[:, :, :, position:end] = values.swapaxes(2, 3)

    def resized(self, slots: int, length: int) -> Cache:
        """Return a cache of `slots` slots that holds the first `length` of this one."""
        length = min(length, slots, self.slots)
        other = Cache(self._shape, slots)
        other.keys[:, :, :length] = self.keys[:, :, :length]
        other.values[:, :, :, :length] = self.values[:, :, :, :length]
        return other

    def rows(self, length: int) -> Rows:
        """Return a copy of the first `length` slots."""
        return Rows(
            self.keys[:, :, :length].copy(), self.values[:, :, :, :length].swapaxes(2, 3).copy()
        )

    def clear(self) -> None:
        """Zero every slot."""
        self.keys[:] = 0
        self.values[:] = 0


def slots_for(tokens: int, current: int, context: int) -> int:
    """Return how long the cache of a text of `tokens` tokens should be, if it is `current` long.

    It is kept where it is neither too short nor much too long: going back and forth at a
    boundary would copy at every keystroke.
    """
    least = min(-(-tokens // STEP) * STEP, context)
    return current if least <= current <= least + 2 * STEP else least


def aligned(shape: tuple[int, ...], dtype: str) -> Array:
    """Return a zeroed array whose first axis steps over blocks the runtime may bind apart.

    Every block starts at a multiple of 64 bytes, so that `array[i]` can be a tensor buffer.
    """
    itemsize = np.dtype(dtype).itemsize
    strides = [itemsize]
    for extent in reversed(shape[1:]):
        strides.insert(0, strides[0] * extent)
    if len(shape) > 2:
        strides[0] = -(-strides[0] // _ALIGNMENT) * _ALIGNMENT
    memory = np.zeros(strides[0] * shape[0] + _ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % _ALIGNMENT
    return np.ndarray(shape, dtype, memory.data, offset, strides)
