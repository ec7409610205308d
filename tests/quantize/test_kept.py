"""Blocks of a 4-bit checkpoint: found in its values, and kept step for step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize
from hypothesis import given
from hypothesis import strategies as st

from foreword.errors import UsageError
from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import (
    SUMMED,
    Decoder,
    FeedForward,
    FloatArray,
    Output,
    block_sums,
    weight_shapes,
)
from foreword.quantize.encode import int4_as_found
from foreword.quantize.forward import ForwardPass, float_project
from foreword.quantize.kept import find_blocks, kept_matrices, with_offsets
from foreword.quantize.prepare import prepare
from foreword.quantize.recipes import RECIPES, Recipe
from quantize_specs import SPECS
from tiny import graph_of_spec

CONTEXT, CHUNK = 16, 8
KINDS = [gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_1]


def four_bit(
    shape: tuple[int, ...], kind: gguf.GGMLQuantizationType, seed: int = 0, scale: float = 1.0
) -> FloatArray:
    values = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) * scale
    values += np.float32(scale / 2)  # blocks that lie askew have an offset
    return dequantize(quantize(values, kind), kind).astype(np.float32)


def restored(values: FloatArray) -> FloatArray:
    scales, steps, offsets, _ = find_blocks(values)
    return scales[:, None] * steps + offsets[:, None]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_blocks_of_a_file_are_found_and_exact(kind: gguf.GGMLQuantizationType) -> None:
    values = four_bit((40, 256), kind).reshape(-1, SUMMED)
    scales, steps, _, found = find_blocks(values)
    assert found.all()
    assert steps.min() >= -8
    assert steps.max() <= 7
    assert np.abs(restored(values) - values).max() < 1e-5
    assert (scales == scales.astype(np.float16)).all()


@given(
    st.integers(1, 15),
    st.floats(2**-10, 2**10, width=16),
    st.floats(-30, 30),
    st.integers(0, 1 << 30),
)
def test_any_levels_are_found(levels: int, step: float, low: float, seed: int) -> None:
    places = np.random.default_rng(seed).integers(0, levels + 1, (3, SUMMED))
    values = (np.float32(step) * (places + np.float32(low))).astype(np.float32)
    scales, _, offsets, found = find_blocks(values)
    assert found.all()
    error = np.abs(restored(values) - values)
    assert (error <= 0.02 * scales[:, None]).all()
    if -levels <= low <= 0 and low == round(low) and levels <= 7:
        assert (np.abs(offsets) < 0.02 * scales).all()  # zero is a level: nothing is left


def test_a_block_of_one_value_is_all_offset() -> None:
    values = np.stack([np.full(SUMMED, 3.25), np.zeros(SUMMED)]).astype(np.float32)
    scales, steps, offsets, found = find_blocks(values)
    assert found.all()
    assert (scales > 0).all()
    assert np.array_equal(scales[:, None] * steps + offsets[:, None], values)


def test_other_values_get_sixteen_levels() -> None:
    values = np.random.default_rng(0).standard_normal((50, SUMMED), dtype=np.float32)
    scales, _, _, found = find_blocks(values)
    assert not found.any()
    assert (np.abs(restored(values) - values) < 0.52 * scales[:, None]).all()


def test_steps_are_stored_as_they_are() -> None:
    kind = gguf.GGMLQuantizationType.Q4_1
    decoder = decoder_of(kind)
    values = with_offsets(decoder, kept_matrices(decoder)).load("layers.0.q.weight")
    packed = np.empty(values.size // 2, np.uint8)
    scales = int4_as_found(values, packed)
    steps = np.stack([packed & 0xF, packed >> 4], axis=1).reshape(-1, SUMMED).astype(np.int8)
    steps[steps > 7] -= 16
    assert np.array_equal((scales.reshape(-1, 1) * steps).reshape(values.shape), values)


def decoder_of(kind: gguf.GGMLQuantizationType | None, but: str = "") -> Decoder:
    """A decoder whose matrices have been in 4 bits, except those with `but` in their name."""
    spec = replace(
        SPECS["llama"],
        width=64,
        feed_forward=FeedForward(96, "silu", gated=True),
        attention=replace(SPECS["llama"].attention, heads=8, kv_heads=4),
        output=Output(tied=False),
    )
    weights = {}
    for seed, (name, shape) in enumerate(weight_shapes(spec).items()):
        scale = 0.1 if name.startswith("layers.") else 1.0
        if kind is None or len(shape) < 2 or "layers." not in name or (but and but in name):
            random = np.random.default_rng(seed)
            weights[name] = random.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        else:
            weights[name] = four_bit(shape, kind, seed, scale)
    return Decoder(spec, weights.__getitem__).within(CONTEXT)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_steps_and_offsets_make_the_matrix(kind: gguf.GGMLQuantizationType) -> None:
    decoder = decoder_of(kind)
    kept = kept_matrices(decoder)
    apart = with_offsets(decoder, kept)
    assert len(kept) == 14
    assert set(weight_shapes(apart.spec)) - set(weight_shapes(decoder.spec)) == {
        name.replace(".weight", ".offsets") for name in kept
    }
    for name in kept:
        whole, steps = decoder.load(name), apart.load(name)
        offsets = apart.load(name.replace(".weight", ".offsets"))
        error = np.abs(steps + offsets @ block_sums(whole.shape[1]) - whole).max()
        # The scale of attention is in the queries' weights, so their steps are rounded.
        assert error < (2e-4 if ".q." in name else 1e-6)


def test_the_forward_pass_knows_offsets() -> None:
    decoder = decoder_of(gguf.GGMLQuantizationType.Q4_1)
    apart = with_offsets(decoder, kept_matrices(decoder))
    tokens = np.arange(12).reshape(2, 6)
    whole, parts = ForwardPass(decoder, tokens), ForwardPass(apart, tokens)
    for i in range(len(decoder.spec.layers)):
        whole.layer(i, float_project(decoder))
        parts.layer(i, float_project(apart))
        np.testing.assert_allclose(parts.keys, whole.keys, rtol=0, atol=0.02)
        np.testing.assert_allclose(parts.values, whole.values, rtol=0, atol=0.02)


def logits(decoder: Decoder, recipe: Recipe, directory: Path) -> FloatArray:
    shape = GraphShape(CONTEXT, prefill=(CHUNK,), verify=(CHUNK,))

    def no_text(count: int) -> np.ndarray:  # type: ignore[type-arg]
        raise AssertionError("what is kept needs no calibration")

    prepared = prepare(recipe, decoder, no_text)
    path = directory / "model.tflite"
    with path.open("wb") as file:
        build(prepared.decoder, shape, prepared.encoder).write(file)
    graph = graph_of_spec(path, decoder.spec, shape)
    try:
        graph.run(f"prefill_{CHUNK}", list(range(CHUNK)), 0)
        found = graph.run(f"verify_{CHUNK}", list(range(20, 20 + CHUNK)), CHUNK)
        assert found is not None
        return found.copy()
    finally:
        graph.close()


@pytest.mark.parametrize("but", ["", ".v.", "layers.1."])
def test_a_kept_model_is_as_near_as_int8(but: str, tmp_path: Path) -> None:
    decoder = decoder_of(gguf.GGMLQuantizationType.Q4_1, but)
    exact = logits(decoder, RECIPES["float32"], tmp_path)
    kept = np.abs(logits(decoder, RECIPES["int4"], tmp_path) - exact).mean()
    plain = Recipe("plain", "int8", "int8")
    assert kept < 3 * np.abs(logits(decoder, plain, tmp_path) - exact).mean()


def test_a_float_checkpoint_has_no_blocks() -> None:
    assert not kept_matrices(decoder_of(None))


def test_only_int4_keeps_blocks() -> None:
    with pytest.raises(UsageError, match="keep_blocks"):
        Recipe("x", "int8", "int8", keep_blocks=True)
