from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.rotary import (
    frequencies,
    halves,
    hugging_face_rotary,
    in_halves,
    llama3_scaled,
    long_rope,
    long_rope_magnitude,
    partial_rotary_factor,
    unpaired,
)
from foreword.graph.positions import rotary_tables
from foreword.graph.spec import FloatArray, Rotary

Array = NDArray[np.float64]
SLOTS = 20


@dataclass(frozen=True)
class Config:
    """A config.json alone."""

    metadata: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def load(self, name: str) -> FloatArray:
        raise AssertionError(name)


def turned(rows: Array, rotary: Rotary, position: int) -> Array:
    """One head in the rotate-half layout, as the graph turns it."""
    cosines, sines = rotary_tables(rotary, SLOTS)
    half = len(rows) // 2
    swapped = np.concatenate([rows[half:], rows[:half]])
    return rows * cosines[position] + swapped * sines[position]


def turned_pair(pair: Array, angle: float) -> Array:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ pair


positions = st.integers(0, SLOTS - 1)
seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(0, 4), st.integers(0, 4), st.integers(1, 3), positions, positions)
def test_halves_keep_the_scores_of_heads_of_which_a_part_turns(
    seed: int, pairs: int, still: int, heads: int, first: int, second: int
) -> None:
    size, turning = 2 * (pairs + still), 2 * pairs
    assume(size)
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, heads, size))
    plain, magnitude = rng.uniform(0.1, 1, pairs), 1.5
    expected = [
        partly(q[h], plain, first, magnitude) @ partly(k[h], plain, second, magnitude)
        for h in range(heads)
    ]
    rotary = in_halves(plain, size, magnitude)
    laid = [halves(rows.reshape(-1), heads, turning).reshape(heads, size) for rows in (q, k)]
    found = [
        turned(laid[0][h], rotary, first) @ turned(laid[1][h], rotary, second) for h in range(heads)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def partly(head: Array, plain: Array, position: int, magnitude: float) -> Array:
    """Turn a head's first rows as two halves, and leave the rest."""
    out, half = head.copy(), len(plain)
    for i, frequency in enumerate(plain):
        pair = turned_pair(head[[i, i + half]], frequency * position)
        out[[i, i + half]] = magnitude * pair
    return out


@given(seeds, st.integers(1, 5), st.integers(1, 3), positions, positions)
def test_unpaired_rows_keep_the_scores_of_pairs(
    seed: int, half: int, heads: int, first: int, second: int
) -> None:
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, heads, 2 * half))
    plain = rng.uniform(0.1, 1, half)

    def paired(head: Array, position: int) -> Array:
        pairs = head.reshape(half, 2)
        return np.concatenate(
            [turned_pair(pair, f * position) for pair, f in zip(pairs, plain, strict=True)]
        )

    expected = [paired(q[h], first) @ paired(k[h], second) for h in range(heads)]
    rotary = in_halves(plain, 2 * half)
    laid = [unpaired(rows.reshape(-1), heads).reshape(heads, -1) for rows in (q, k)]
    found = [
        turned(laid[0][h], rotary, first) @ turned(laid[1][h], rotary, second) for h in range(heads)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(st.sampled_from([(1,), (3,), (2, 3)]), st.integers(1, 3))
def test_layouts_move_rows_and_nothing_else(tail: tuple[int, ...], heads: int) -> None:
    rows = np.arange(heads * 8 * np.prod(tail), dtype=np.float32).reshape(heads * 8, *tail)
    for moved in (halves(rows, heads, 4), unpaired(rows, heads)):
        assert moved.shape == rows.shape
        np.testing.assert_array_equal(np.sort(moved, axis=0), rows)
    np.testing.assert_array_equal(halves(rows, heads, 8), rows)


def test_frequencies_of_an_odd_number_of_dimensions_are_refused() -> None:
    with pytest.raises(SourceError, match="7 dimensions"):
        frequencies(10000.0, 7)


def test_more_dimensions_than_a_head_has_are_refused() -> None:
    with pytest.raises(SourceError, match="8 of 6"):
        in_halves(frequencies(10000.0, 8), 6)


def test_llama_3_divides_low_frequencies_keeps_high_ones_and_mixes_between() -> None:
    original, factor, low, high = 64.0, 8.0, 1.0, 4.0
    wavelengths = np.array([1.0, 15.9, 16.1, 40.0, 63.9, 64.1, 1000.0])
    plain = 2 * np.pi / wavelengths
    kept = llama3_scaled(plain, factor, low, high, original) / plain
    np.testing.assert_allclose(kept[:2], 1)
    np.testing.assert_allclose(kept[5:], 1 / factor)
    assert (np.diff(kept[1:6]) < 0).all()
    # Halfway between 1 and 4 rotations within the original length.
    assert llama3_scaled(np.array([2 * np.pi * 2.5 / original]), factor, low, high, original) == (
        pytest.approx(2 * np.pi * 2.5 / original * (1 + 1 / factor) / 2)
    )


def test_long_rope_decides_by_the_context_of_the_model() -> None:
    short, long = frequencies(100.0, 8), frequencies(100.0, 8) / 4
    rotary = long_rope(short, long, 8, 64, 1.5)
    assert rotary.within(64) == rotary
    assert rotary.within(65) == Rotary(tuple(long.tolist()), 1.5)


@pytest.mark.parametrize(("ratio", "magnitude"), [(0.5, 1.0), (1.0, 1.0), (64.0, 2.0**0.5)])
def test_the_magnitude_of_long_rope_grows_with_the_ratio(ratio: float, magnitude: float) -> None:
    assert long_rope_magnitude(ratio, 64) == pytest.approx(magnitude)


PLAIN = [1.0, 0.1, 0.01, 0.001]


def turns(**metadata: object) -> list[float]:
    rotary = hugging_face_rotary(Config(dict(metadata)), 8)
    return list(rotary.inverse_frequencies)


def test_the_base_is_the_familys_the_configurations_or_that_of_its_scaling() -> None:
    assert turns() == pytest.approx(PLAIN)
    assert turns(rope_theta=16.0) == pytest.approx([1, 0.5, 0.25, 0.125])
    assert turns(rope_parameters={"rope_theta": 16.0}) == pytest.approx([1, 0.5, 0.25, 0.125])
    assert hugging_face_rotary(Config(), 4, base=16.0).inverse_frequencies == (1, 0.25)


@pytest.mark.parametrize("key", ["type", "rope_type"])
def test_a_linear_scaling_divides_by_its_factor(key: str) -> None:
    expected = pytest.approx([f / 4 for f in PLAIN])
    assert turns(rope_scaling={key: "linear", "factor": 4.0}) == expected
    assert turns(rope_parameters={key: "linear", "factor": 4}) == expected


def test_dimensions_that_do_not_turn_have_no_frequency() -> None:
    rotary = hugging_face_rotary(Config(), 8, dimensions=4)
    assert rotary.inverse_frequencies == pytest.approx((1.0, 0.01, 0.0, 0.0))


def test_the_share_of_a_head_that_turns_stands_in_one_of_two_places() -> None:
    assert partial_rotary_factor(Config()) == 1
    assert partial_rotary_factor(Config({"partial_rotary_factor": 0.5})) == 0.5
    scaling = {"partial_rotary_factor": 0.25}
    assert partial_rotary_factor(Config({"rope_parameters": scaling})) == 0.25


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("metadata", "error", "says"),
    [
        ({"rope_theta": 0}, SourceError, "rope_theta"),
        ({"rope_theta": True}, SourceError, "rope_theta"),
        ({"rope_scaling": [4.0]}, SourceError, "rope_scaling"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, UnsupportedModelError, "dynamic"),
        ({"rope_scaling": {"type": ["linear"]}}, UnsupportedModelError, "linear"),
        ({"rope_scaling": {"type": "linear", "factor": float("inf")}}, SourceError, "factor"),
        ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, SourceError, "above 1"),
        ({"rope_scaling": {**LLAMA3, "factor": None}}, SourceError, "factor"),
        ({"rope_scaling": {"type": "longrope"}}, SourceError, "max_position_embeddings"),
    ],
)
def test_scalings_without_a_place_or_sense_are_refused(
    metadata: dict[str, object], error: type[SourceError], says: str
) -> None:
    with pytest.raises(error, match=says):
        turns(**metadata)
