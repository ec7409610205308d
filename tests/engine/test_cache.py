from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.manifest import Shape
from foreword.engine.cache import HIDDEN, Cache, Caches

LAYERS, HEADS, SIZE, LENGTHS = 2, 2, 4, (8, 16, 32)


def caches() -> Caches:
    return Caches([make(slots) for slots in reversed(LENGTHS)])


def make(slots: int, layers: int = LAYERS, heads: int = HEADS, size: int = SIZE) -> Cache:
    return Cache(Shape("any", 1, layers, heads, size, 1, slots), slots)


def slices(tokens: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Keys and values that tell every token, layer, head and element apart."""
    parts = np.arange(LAYERS * HEADS * SIZE).reshape(LAYERS, HEADS, 1, SIZE) / 100
    keys = (np.array(tokens, np.float32).reshape(1, 1, -1, 1) + parts).astype(np.float32)
    return keys, -keys


@given(
    texts=st.lists(
        st.tuples(st.integers(0, 20), st.lists(st.integers(1, 99), min_size=1, max_size=12)),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_written_and_rewound_the_text_is_in_the_cache_it_runs_on(
    texts: list[tuple[int, list[int]]],
) -> None:
    held, text = caches(), []
    for keep, new in texts:
        position = min(keep, len(text))
        text = [*text[:position], *new]
        cache = held.hold(position, len(text), LENGTHS)
        keys, values = slices(text[:position])
        np.testing.assert_array_equal(cache.keys[:, :, :position], keys)
        np.testing.assert_array_equal(cache.values[:, :, :, :position], values.swapaxes(2, 3))
        cache.write(position, *slices(new))
        assert cache.slots >= len(text)


def test_a_text_goes_to_the_shortest_cache_that_holds_it() -> None:
    held = caches()
    assert [held.hold(0, end, LENGTHS).slots for end in (1, 8, 9, 32, 5)] == [8, 8, 16, 32, 8]


def test_a_text_that_is_cut_back_stays_where_it_is() -> None:
    held = caches()
    held.hold(0, 9, LENGTHS)
    assert held.hold(3, 4, LENGTHS).slots == 16


def test_a_length_the_signature_does_not_exist_for_is_passed_over() -> None:
    held = caches()
    assert held.hold(0, 5, {16, 32}).slots == 16
    assert held.hold(0, 5, {32}).slots == 32


def test_slots_beyond_the_text_are_hidden() -> None:
    cache = make(8)
    cache.show(5)
    cache.show(3)
    assert cache.mask.tolist() == [0.0] * 3 + [HIDDEN] * 5


def test_clearing_leaves_no_nan() -> None:
    held = caches()
    for cache in held:
        cache.keys[:] = cache.values[:] = np.nan
        cache.clear()
        assert not cache.keys.any()
        assert not cache.values.any()


@pytest.mark.parametrize("slots", LENGTHS)
def test_the_block_of_every_layer_can_be_bound(slots: int) -> None:
    cache = make(slots, layers=3, heads=1, size=3)
    for array in (cache.keys, cache.values):
        assert all(block.ctypes.data % 64 == 0 for block in array)
        assert array[0].flags.c_contiguous
