from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from foreword.errors import UsageError
from foreword.graph.spec import FloatArray
from foreword.graph.weights import DType
from foreword.quantize.encode import int4_by_block, int4_per_row, int8_per_row
from foreword.quantize.prepare import encoder
from foreword.quantize.recipes import RECIPES

FLOATS = st.floats(-(2.0**99), 2.0**99, width=32)
matrices = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FLOATS
)
even_matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 9), st.integers(1, 5).map(lambda pairs: 2 * pairs)),
    elements=FLOATS,
)


def int8(values: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    out = np.empty(values.shape, np.int8)
    scales = int8_per_row(values, out)
    return out, scales


def int4(values: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Steps as int8, unpacked in the order of the TFLite schema, and scales."""
    out = np.empty(values.size // 2, np.uint8)
    scales = int4_per_row(values, out)
    nibbles = np.stack([out & 0xF, out >> 4], axis=1).reshape(values.shape).astype(np.int8)
    return np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.int8), scales


def blocks_of_four(values: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """As `int4`, with a scale for every four columns; steps and scales spread over elements."""
    out = np.empty(values.size // 2, np.uint8)
    scales = int4_by_block(values, 4, out)
    nibbles = np.stack([out & 0xF, out >> 4], axis=1).reshape(values.shape).astype(np.int8)
    return np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.int8), scales


def weighted_errors(
    values: FloatArray, steps: NDArray[np.int8], scales: FloatArray
) -> NDArray[np.float64]:
    """Squared error of each row, each element's counted by its magnitude."""
    errors = values - steps * scales[:, None].astype(np.float64)
    return np.asarray((errors**2 * np.abs(values)).sum(axis=1))


@given(matrices)
def test_int8_errs_by_at_most_half_a_step_in_every_row(values: FloatArray) -> None:
    steps, scales = int8(values)
    assert np.isfinite(scales).all()
    assert (scales > 0).all()
    restored = steps.astype(np.float64) * scales[:, None]
    assert (np.abs(restored - values) <= scales[:, None] * 0.5001).all()


def test_the_largest_of_a_row_is_kept_and_minus_128_is_never_used() -> None:
    steps, scales = int8(np.array([[-2.0, 1.0], [0.0, 0.0]], np.float32))
    assert steps.tolist() == [[-127, 64], [0, 0]]
    assert scales[1] == 1


def test_an_outlier_costs_its_own_row_only() -> None:
    values = np.full((2, 4), 0.5, np.float32)
    values[0, 0] = 1e6
    assert int8(values)[0][1].tolist() == [127] * 4
    assert int4(values)[0][1].tolist() == [7] * 4


@pytest.mark.parametrize("quantize", [int8, int4])
def test_equal_rows_stay_equal(quantize: object) -> None:
    row = np.linspace(-1, 1, 8, dtype=np.float32)
    steps, scales = quantize(np.stack([row, row]))  # type: ignore[operator]
    assert (steps[0] == steps[1]).all()
    assert scales[0] == scales[1]


@given(even_matrices)
def test_int4_errs_by_half_a_step_or_by_what_is_clipped(values: FloatArray) -> None:
    steps, scales = int4(values)
    assert np.isfinite(scales).all()
    assert (scales >= np.finfo(np.float32).tiny).all()  # XNNPACK refuses subnormal scales
    wide = scales[:, None].astype(np.float64)
    clipped = np.clip(values, -8 * wide, 7 * wide)
    assert (np.abs(steps * wide - clipped) <= wide * 0.5001).all()


@pytest.mark.parametrize("kind", ["normal", "laplace", "uniform"])
def test_int4_takes_the_scale_of_least_weighted_error(kind: str) -> None:
    values = getattr(np.random.default_rng(0), kind)(size=(50, 1536)).astype(np.float32)
    plain = np.abs(values).max(axis=1) / 7
    best = np.full(50, np.inf)
    for share in np.linspace(0.2, 1, 161, dtype=np.float32):
        scales = plain * share
        steps = np.clip(np.rint(values / scales[:, None]), -8, 7)
        best = np.minimum(best, weighted_errors(values, steps, scales))
    assert weighted_errors(values, *int4(values)).sum() < 1.01 * best.sum()


def test_int4_uses_all_sixteen_steps_and_packs_the_earlier_low() -> None:
    values = np.tile(np.arange(-8, 8, dtype=np.float32), (3, 4))
    out = np.empty(values.size // 2, np.uint8)
    scales = int4_per_row(values, out)
    assert scales == pytest.approx(1, rel=0.02)
    assert [int(byte) for byte in out[:8]] == [0x98, 0xBA, 0xDC, 0xFE, 0x10, 0x32, 0x54, 0x76]


def test_a_row_of_zeros_stays_zero_in_int4() -> None:
    steps, scales = int4(np.zeros((2, 6), np.float32))
    assert not steps.any()
    assert (scales > 0).all()


@pytest.mark.parametrize("quantize", [int8, int4])
def test_rows_do_not_depend_on_their_chunk_or_on_the_layout(quantize: object) -> None:
    random = np.random.default_rng(0)
    tall = random.standard_normal((700, 700), dtype=np.float32).T  # more than one chunk
    steps, scales = quantize(tall)  # type: ignore[operator]
    for start in (0, 93, 699):
        alone = quantize(np.ascontiguousarray(tall[start : start + 1]))  # type: ignore[operator]
        assert (alone[0] == steps[start]).all()
        assert alone[1] == scales[start]


@pytest.mark.parametrize("recipe", RECIPES)
def test_encoding_a_view_takes_a_few_megabytes_beside_the_result(recipe: str) -> None:
    values = np.ones((3000, 2000), np.float32).T
    store = encoder(recipe)
    dtype = store.dtype("layers.0.up.weight", values.shape)
    out = np.empty(values.size // 2, np.uint8) if dtype == "int4" else np.empty(values.shape, dtype)
    tracemalloc.start()
    try:
        store.encode("layers.0.up.weight", values, out)
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("recipe", RECIPES)
def test_vectors_stay_float32(recipe: str) -> None:
    assert encoder(recipe).dtype("final_norm.scale", (8,)) == "float32"


@pytest.mark.parametrize(
    ("recipe", "matrix", "odd", "embedding", "positions"),
    [
        ("float32", "float32", "float32", "float32", "float32"),
        ("float16", "float16", "float16", "float16", "float16"),
        ("int8", "int8", "int8", "int8", "float32"),
        ("int4", "int4", "int8", "int8", "float32"),
    ],
)
def test_a_recipe_stores_each_kind_of_matrix_in_its_type(
    recipe: str, matrix: DType, odd: DType, embedding: DType, positions: DType
) -> None:
    dtype = encoder(recipe).dtype
    assert dtype("layers.0.up.weight", (3, 4)) == matrix
    assert dtype("layers.0.up.weight", (4, 3)) == odd
    assert dtype("embedding", (3, 4)) == embedding
    assert dtype("output.weight", (3, 4)) == embedding
    assert dtype("positions", (3, 4)) == positions


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_float_recipes_store_the_values_themselves(dtype: str) -> None:
    values = np.array([[0.5, -3.0]], np.float32)
    out = np.empty(values.shape, dtype)
    assert encoder(dtype).encode("x.weight", values, out) is None
    assert out.tolist() == values.tolist()


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="float32, float16, int8, int4"):
        encoder("int3")


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.sampled_from([4, 8, 12])),
        elements=st.floats(-60000, 60000, width=32),
    )
)
def test_a_block_errs_by_half_a_step_or_by_what_is_clipped(values: FloatArray) -> None:
    steps, scales = blocks_of_four(values)
    assert (scales == scales.astype(np.float16)).all()
    assert (scales >= np.finfo(np.float16).tiny).all()
    wide = np.repeat(scales, 4, axis=1).astype(np.float64)
    clipped = np.clip(values, -8 * wide, 7 * wide)
    assert (np.abs(steps * wide - clipped) <= wide * 0.5001).all()


def test_an_outlier_costs_its_own_block_only() -> None:
    values = np.full((1, 8), 0.5, np.float32)
    values[0, 0] = 1e4
    steps, _ = blocks_of_four(values)
    assert steps[0].tolist() == [7, 0, 0, 0, *steps[0, 4:]]
    assert (steps[0, 4:] >= 6).all()
