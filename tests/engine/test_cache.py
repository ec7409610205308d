from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.manifest import Shape
from foreword.engine.cache import HIDDEN, STEP, Cache, slots_for

LAYERS, HEADS, SIZE, CONTEXT = 2, 2, 4, 5 * STEP + 7


def make(slots: int, layers: int = LAYERS, heads: int = HEADS, size: int = SIZE) -> Cache:
    return Cache(Shape("any", 1, layers, heads, size, 1, slots), slots)


def slices(tokens: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Keys and values that tell every token, layer, head and element apart."""
    parts = np.arange(LAYERS * HEADS * SIZE).reshape(LAYERS, HEADS, 1, SIZE) / 100
    keys = (np.array(tokens, np.float32).reshape(1, 1, -1, 1) + parts).astype(np.float32)
    return keys, -keys


@given(
    text=st.lists(st.integers(1, 99), min_size=1, max_size=40),
    kept=st.integers(0, 40),
    slots=st.integers(0, 60),
)
def test_what_is_kept_is_in_the_cache_of_another_length(
    text: list[int], kept: int, slots: int
) -> None:
    cache = make(48)
    cache.write(0, *slices(text))
    kept = min(kept, len(text))
    other = cache.resized(kept + slots, kept)
    keys, values = slices(text[:kept])
    assert other.slots == kept + slots
    np.testing.assert_array_equal(other.keys[:, :, :kept], keys)
    np.testing.assert_array_equal(other.values[:, :, :, :kept], values.swapaxes(2, 3))
    assert not other.keys[:, :, kept:].any()
    assert not other.values[:, :, :, kept:].any()


@given(tokens=st.integers(1, CONTEXT), current=st.integers(0, CONTEXT))
def test_a_cache_is_long_enough_and_not_much_longer(tokens: int, current: int) -> None:
    slots = slots_for(tokens, current, CONTEXT)
    assert tokens <= slots <= min(tokens + 3 * STEP, CONTEXT)
    assert slots_for(tokens, slots, CONTEXT) == slots


@given(tokens=st.integers(STEP + 1, CONTEXT), back=st.integers(0, STEP))
def test_going_back_and_forth_a_little_keeps_the_length(tokens: int, back: int) -> None:
    slots = slots_for(tokens, 0, CONTEXT)
    assert slots_for(tokens - back, slots, CONTEXT) == slots


def test_slots_beyond_the_text_are_hidden() -> None:
    cache = make(8)
    cache.show(5)
    cache.show(3)
    assert cache.mask.tolist() == [0.0] * 3 + [HIDDEN] * 5


def test_clearing_leaves_no_nan() -> None:
    cache = make(8)
    cache.keys[:] = cache.values[:] = np.nan
    cache.clear()
    assert not cache.keys.any()
    assert not cache.values.any()


@pytest.mark.parametrize("slots", [8, 16, 31])
def test_the_block_of_every_layer_can_be_bound(slots: int) -> None:
    cache = make(slots, layers=3, heads=1, size=3)
    for array in (cache.keys, cache.values):
        assert all(block.ctypes.data % 64 == 0 for block in array)
        assert array[0].flags.c_contiguous
