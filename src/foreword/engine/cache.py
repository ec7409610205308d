"""The key/value cache: NumPy memory that the runtime reads in place, in a few lengths.

A step reads the whole cache it is given, used or not, so a short text goes to a short
one. The lengths hold the same tokens; a text that outgrows one is copied to the next.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foreword.bundle.manifest import Shape

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

HIDDEN = -1e4  # the graph contract's mask value for a slot that may not be attended
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
        self.slots = slots
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

    def take(self, other: Cache, length: int) -> None:
        """Copy the first `length` slots of another cache."""
        self.keys[:, :, :length] = other.keys[:, :, :length]
        self.values[:, :, :, :length] = other.values[:, :, :, :length]

    def rows(self, length: int) -> Rows:
        """Return a copy of the first `length` slots."""
        return Rows(
            self.keys[:, :, :length].copy(), self.values[:, :, :, :length].swapaxes(2, 3).copy()
        )

    def clear(self) -> None:
        """Zero every slot."""
        self.keys[:] = 0
        self.values[:] = 0


class Caches:
    """The lengths there are, ascending, and the one that holds the text now."""

    def __init__(self, caches: Sequence[Cache]) -> None:
        self._caches = sorted(caches, key=lambda cache: cache.slots)
        self._current = self._caches[0]

    def __iter__(self) -> Iterator[Cache]:
        return iter(self._caches)

    def hold(self, position: int, end: int, lengths: Container[int]) -> Cache:
        """Return the cache to run tokens `position…end` on, with those before in it.

        `lengths` are those the signature to run exists for, the longest among them. The
        cache grows with the text and shrinks only when a text starts anew: going back and
        forth at a boundary would copy at every keystroke.
        """
        least = max(end, self._current.slots if position else 0)
        chosen = next(c for c in self._caches if c.slots >= least and c.slots in lengths)
        if chosen is not self._current:
            chosen.take(self._current, position)
            self._current = chosen
        return chosen

    def rows(self, length: int) -> Rows:
        """Return a copy of the first `length` slots of the text."""
        return self._current.rows(length)

    def restore(self, rows: Rows) -> None:
        """Hold the text whose first slots these are, in the shortest cache that has room."""
        length = rows.keys.shape[2]
        self._current = next(c for c in self._caches if c.slots >= length)
        self._current.write(0, rows.keys, rows.values)


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
