from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import (
    Tensor,
    bind,
    check_finite,
    flag,
    flat,
    head_size,
    integer,
    kernel,
    layer_count,
    number,
    optional_integer,
    rows,
    shifted,
    spread,
    with_defaults,
)
from foreword.graph.spec import (
    Attention,
    DecoderSpec,
    Embedding,
    FeedForward,
    FloatArray,
    Layer,
    Norm,
    Output,
    weight_shapes,
)

SPEC = DecoderSpec(
    width=8,
    embedding=Embedding(16),
    positions=None,
    layers=(Layer(),) * 3,
    norm=Norm("rms", 1e-6),
    attention=Attention(2, 1, 4),
    feed_forward=FeedForward(12, "silu", gated=True),
    output=Output(tied=True),
    max_positions=None,
)


@dataclass(frozen=True)
class Held:
    """Metadata and arrays."""

    metadata: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.arrays.items()}

    def load(self, name: str) -> FloatArray:
        return self.arrays[name]


def held(**metadata: object) -> Held:
    return Held(dict(metadata))


def test_missing_and_null_take_the_default() -> None:
    for checkpoint in (held(), held(key=None)):
        assert integer(checkpoint, "key", 3) == 3
        assert number(checkpoint, "key", 0.5) == 0.5
        assert flag(checkpoint, "key", True) is True
        assert optional_integer(checkpoint, "key") is None
        for read in (integer, number, flag):
            with pytest.raises(SourceError, match=r"'key'.*None"):
                read(checkpoint, "key")


def test_values_with_sense_are_returned() -> None:
    assert integer(held(key=7), "key", 3) == 7
    assert optional_integer(held(key=7), "key") == 7
    assert number(held(key=7), "key") == 7.0
    assert number(held(key=1e-6), "key") == 1e-6
    assert flag(held(key=False), "key", True) is False


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "4", [4], 1 << 25, 10**30, "x" * 1000])
def test_integers_without_sense_are_refused_in_a_short_line(value: object) -> None:
    for read in (integer, optional_integer):
        with pytest.raises(SourceError, match="'key': expected a positive integer") as caught:
            read(held(key=value), "key")
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value", [0, -1.0, float("nan"), float("inf"), 5e-324, 10**400, True, "4", {}, "\n"]
)
def test_numbers_without_sense_are_refused_in_one_line(value: object) -> None:
    with pytest.raises(SourceError, match="'key': expected a positive number") as caught:
        number(held(key=value), "key")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [0, 1, "true", []])
def test_flags_without_sense_are_refused(value: object) -> None:
    with pytest.raises(SourceError, match="'key': expected true or false"):
        flag(held(key=value), "key", False)


def test_defaults_stand_for_missing_keys_and_not_for_null() -> None:
    array = np.ones((2, 3), np.float32)
    checkpoint = with_defaults(
        Held({"null": None, "own": 1}, {"tensor": array}), {"null": 7, "own": 8, "missing": 9}
    )
    assert optional_integer(checkpoint, "null") is None
    assert integer(checkpoint, "own") == 1
    assert integer(checkpoint, "missing") == 9
    assert checkpoint.shapes == {"tensor": (2, 3)}
    assert checkpoint.load("tensor") is array


def test_there_are_no_more_layers_than_tensors() -> None:
    arrays = {name: np.zeros(1, np.float32) for name in "ab"}
    assert layer_count(Held({"layers": 2}, arrays), "layers") == 2
    with pytest.raises(SourceError, match="no more layers than the file's 2 tensors"):
        layer_count(Held({"layers": 3}, arrays), "layers")


def test_rows_are_the_outermost_dimension() -> None:
    checkpoint = Held({}, {"table": np.zeros((5, 2), np.float32), "scalar": np.float32(1)})  # type: ignore[dict-item]
    assert rows(checkpoint, "table") == 5
    for name in ("scalar", "missing"):
        with pytest.raises(SourceError, match=f"'{name}' is missing"):
            rows(checkpoint, name)


def test_heads_share_the_width_unless_they_have_a_size() -> None:
    assert head_size(32, 4, 2) == 8
    assert head_size(30, 4, 2, 16) == 16
    for arguments in ((32, 4, 3), (30, 4, 2), (32, 4, 3, 16)):
        with pytest.raises(SourceError, match="expected multiples"):
            head_size(*arguments)


def templates(pattern: str) -> dict[str, Tensor]:
    names = {name.split(".", 2)[-1] if name.startswith("layers.") else name for name in EXPECTED}
    return {name: Tensor(pattern.replace("{weight}", name)) for name in names}


EXPECTED = weight_shapes(SPEC)


def test_a_template_names_the_tensors_of_all_layers() -> None:
    tensors = spread(SPEC, templates("block{n}/{i}/{weight}"))
    assert set(tensors) == set(EXPECTED)
    assert [tensors[f"layers.{i}.q.weight"].name for i in range(3)] == [
        "block/0/q.weight",
        "block_1/1/q.weight",
        "block_2/2/q.weight",
    ]
    assert tensors["embedding"].name == "block{n}/{i}/embedding"


def test_a_template_keeps_its_shape_and_its_way_out() -> None:
    pattern = templates("{i}.{weight}") | {"q.weight": kernel("q{n}", (8, 2, 4))}
    tensor = spread(SPEC, pattern)["layers.1.q.weight"]
    assert tensor == replace(pattern["q.weight"], name="q_1")


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.data())
def test_a_kernel_is_what_multiplies_from_the_left(shape: list[int], data: st.DataObject) -> None:
    inputs = data.draw(st.integers(1, len(shape) - 1))
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    tensor = kernel("name", tuple(shape), inputs)
    assert tensor.take is not None
    weight = tensor.take(values)
    x = np.random.default_rng(1).normal(size=shape[:inputs])
    expected = np.tensordot(x, values, axes=inputs).reshape(-1)
    np.testing.assert_allclose(weight @ x.reshape(-1), expected, atol=1e-5)
    assert np.shares_memory(weight, values)


def test_biases_are_made_flat_and_shifted_scales_get_their_one() -> None:
    bias, scale = flat("bias", (2, 3)), shifted("scale")
    assert bias.take is not None
    assert scale.take is not None
    assert bias.take(np.arange(6, dtype=np.float32).reshape(2, 3)).tolist() == list(range(6))
    whole = scale.take(np.array([0.5, -1], np.float32))
    assert (whole.tolist(), whole.dtype) == ([1.5, 0.0], np.float32)


def complete() -> Held:
    return Held({}, {name: np.full(shape, 2, np.float32) for name, shape in EXPECTED.items()})


BOUND = {name: Tensor(name) for name in EXPECTED}


def test_a_decoder_loads_what_it_is_bound_to() -> None:
    tensors = BOUND | {"embedding": Tensor("embedding", (16, 8), lambda values: values * 3)}
    decoder = bind(SPEC, complete(), tensors)
    assert decoder.spec is SPEC
    assert (decoder.load("embedding") == 6).all()
    assert (decoder.load("final_norm.scale") == 2).all()


@pytest.mark.parametrize("name", ["embedding", "layers.2.down.weight"])
def test_a_tensor_that_is_missing_or_misshapen_is_named(name: str) -> None:
    checkpoint = complete()
    checkpoint.arrays[name] = np.zeros((3, 5), np.float32)
    with pytest.raises(SourceError, match=rf"'{name}': expected shape .*\[3, 5\]"):
        bind(SPEC, checkpoint, BOUND)
    del checkpoint.arrays[name]
    with pytest.raises(SourceError, match=f"'{name}' is missing"):
        bind(SPEC, checkpoint, BOUND)


def test_tensors_without_a_place_are_refused_unless_a_pattern_names_them() -> None:
    checkpoint = complete()
    for name in ("0.rotary.inv_freq", "1.rotary.inv_freq", "adapter"):
        checkpoint.arrays[name] = np.zeros(1, np.float32)
    with pytest.raises(UnsupportedModelError, match=r"3 tensors .* '0\.rotary\.inv_freq'"):
        bind(SPEC, checkpoint, BOUND)
    with pytest.raises(UnsupportedModelError, match=r"1 tensors .* 'adapter'"):
        bind(SPEC, checkpoint, BOUND, unused=("*.inv_freq",))
    bind(SPEC, checkpoint, BOUND, unused=("*.inv_freq", "adapter"))


@given(
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.sampled_from([0, (1 << 20) - 1, 1 << 20, (1 << 20) + 4]),
)
def test_a_value_that_is_not_finite_is_found_wherever_it_is(value: float, index: int) -> None:
    values = np.zeros((1 << 20) + 5, np.float32)
    check_finite("layers.0.q", values)
    values[index] = value
    with pytest.raises(SourceError, match=r"'layers\.0\.q' holds values that are not finite"):
        check_finite("layers.0.q", values)
