from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foreword.errors import UsageError
from foreword.quantize.encode import Encoder, int8_per_row
from foreword.quantize.recipes import encoder

matrices = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)


@given(matrices)
def test_int8_errs_by_at_most_half_a_step_in_every_row(values: np.ndarray) -> None:
    encoded = int8_per_row(values)
    assert encoded.scales is not None
    assert np.isfinite(encoded.scales).all()
    assert (encoded.scales > 0).all()
    restored = encoded.data.astype(np.float64) * encoded.scales[:, None]
    error = np.abs(restored - values)
    assert (error <= encoded.scales[:, None] * 0.5001).all()


def test_the_largest_of_a_row_is_kept_and_minus_128_is_never_used() -> None:
    encoded = int8_per_row(np.array([[-2.0, 1.0], [0.0, 0.0]], np.float32))
    assert encoded.data.tolist() == [[-127, 64], [0, 0]]
    assert encoded.scales is not None
    assert encoded.scales[1] == 1


def test_an_outlier_costs_its_own_row_only() -> None:
    values = np.full((2, 4), 0.5, np.float32)
    values[0, 0] = 1e6
    encoded = int8_per_row(values)
    assert encoded.data[1].tolist() == [127] * 4


def test_equal_rows_stay_equal() -> None:
    row = np.linspace(-1, 1, 7, dtype=np.float32)
    encoded = int8_per_row(np.stack([row, row]))
    assert (encoded.data[0] == encoded.data[1]).all()


@pytest.mark.parametrize("recipe", ["float32", "float16", "int8"])
def test_vectors_stay_float32(recipe: str) -> None:
    assert encoder(recipe).dtype("final_norm.scale", (8,)) == "float32"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_float_recipes_store_the_values_themselves(dtype: str) -> None:
    values = np.array([[0.5, -3.0]], np.float32)
    encoded = Encoder(dtype).encode("x.weight", values)  # type: ignore[arg-type]
    assert encoded.data.dtype == dtype
    assert encoded.scales is None
    assert encoded.data.tolist() == values.tolist()


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="float32, float16, int8"):
        encoder("int3")
