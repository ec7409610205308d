"""GPTQ: nearer than rounding, and sound at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from foreword.graph.spec import FloatArray
from foreword.quantize.gptq import INT4, INT4_BLOCKS, INT8, Grid, Inputs, best_scales, gptq


def correlated(rows: int, width: int, seed: int = 0) -> FloatArray:
    random = np.random.default_rng(seed)
    few = random.standard_normal((rows, width // 4))
    mixed = few @ random.standard_normal((width // 4, width))
    return (mixed + 0.3 * random.standard_normal((rows, width))).astype(np.float32)


def restored(weight: FloatArray, x: FloatArray, grid: Grid, block: int = 0) -> FloatArray:
    steps, scales = gptq(weight, Inputs(x, block), grid, block)
    assert steps.min() >= grid.low
    assert steps.max() <= grid.high
    return steps * np.repeat(scales, weight.shape[1] // scales.shape[1], axis=1)


@pytest.mark.parametrize(
    ("grid", "block"), [(INT4, 0), (INT4_BLOCKS, 32), (INT8, 0)], ids=["int4", "blocks", "int8"]
)
def test_products_are_nearer_than_those_of_rounding(grid: Grid, block: int) -> None:
    x = correlated(600, 96)
    weight = np.random.default_rng(1).standard_normal((40, 96), dtype=np.float32)
    columns = weight.reshape(-1, block or 96).T
    scales = best_scales(columns, grid)
    rounded = np.clip(np.rint(columns / scales), grid.low, grid.high) * scales
    plain = np.square(x @ (rounded.T.reshape(weight.shape) - weight).T).sum()
    made = np.square(x @ (restored(weight, x, grid, block) - weight).T).sum()
    assert made < 0.6 * plain


def test_a_matrix_on_the_grid_is_kept_exactly() -> None:
    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (6, 64)).astype(np.float32)
    weight[:, 0] = 127
    assert (restored(weight, correlated(200, 64), INT8) == weight).all()


@pytest.mark.parametrize("block", [0, 32])
def test_zeros_outliers_and_equal_rows(block: int) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 64), dtype=np.float32)
    weight[0] = 0
    weight[1] = weight[2]
    weight[3, 5] = 1e6
    x = correlated(100, 64)
    x[:, 7] = 0  # an input that says nothing
    found = restored(weight, x, INT4_BLOCKS if block else INT4, block)
    assert np.isfinite(found).all()
    assert not found[0].any()
    assert (found[1] == found[2]).all()
    assert found[3, 5] > 0.4e6


def test_inputs_of_zeros_are_as_good_as_none() -> None:
    weight = np.random.default_rng(0).standard_normal((3, 32), dtype=np.float32)
    found = restored(weight, np.zeros((5, 32), np.float32), INT8)
    assert np.abs(found - weight).max() <= np.abs(weight).max() / 127 * 0.51


def test_the_same_inputs_give_the_same_bits() -> None:
    x, weight = correlated(300, 64), correlated(20, 64, seed=2)
    one, two = (gptq(weight, Inputs(x, 32), INT4_BLOCKS, 32) for _ in range(2))
    assert (one[0] == two[0]).all()
    assert (one[1] == two[1]).all()
