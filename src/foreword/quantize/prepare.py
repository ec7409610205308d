"""From a recipe and a decoder to what the graph is built of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from foreword.graph.decoder import Range
from foreword.graph.spec import SUMMED, Decoder, FloatArray, weight_shapes
from foreword.graph.weights import Array, DType, Shape, WeightEncoder
from foreword.quantize.calibrate import GptqEncoder, Layer, ranges
from foreword.quantize.encode import encode, int4_as_found
from foreword.quantize.kept import kept_matrices, with_offsets
from foreword.quantize.recipes import Recipe, find_recipe
from foreword.quantize.rotate import rotated

LARGEST_CALIBRATED = 500_000_000
"""Parameters above which weights are rounded to the nearest step, whatever the recipe says.

Calibration takes a time that grows with parameters times tokens; 135 million take a minute.
"""

_FINE_OFFSETS = ("v", "o", "down")
"""Projections whose offsets are int8: what they give goes into the stream as it is."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Encoder:
    """Stores every weight as a recipe says, each row to its nearest steps."""

    recipe: Recipe
    layers: int
    kept: frozenset[str] = frozenset()

    def dtype(self, name: str, shape: Shape) -> DType:
        """Return the type a weight will be stored in."""
        if len(shape) < 2:
            return "float32"  # a thousandth of a model, and carries its scale
        if name in self.kept:
            return "int4"
        if name.endswith(".offsets"):
            fine = shape[1] % 2 or name.split(".")[2] in _FINE_OFFSETS
            return "int8" if fine else "int4"
        return self.recipe.dtype(name, shape[1], self.layers)

    def block(self, name: str, shape: Shape) -> int:
        """Return how many columns share a scale; 0: all of a row."""
        if name in self.kept:
            return SUMMED
        block = self.recipe.block
        return block if self.dtype(name, shape) == "int4" and not shape[1] % (block or 1) else 0

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        """Write the stored form of a weight to `out`; see `graph.weights.WeightEncoder`."""
        if name in self.kept:
            return int4_as_found(values, out)
        shape = values.shape
        return encode(self.dtype(name, shape), self.block(name, shape), values, out)


@dataclass(frozen=True)
class Prepared:
    """What a graph is built of, and what was done, in words for the manifest."""

    decoder: Decoder
    encoder: WeightEncoder
    ranges: Mapping[str, tuple[Range, Range]] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


def prepare(
    recipe: Recipe,
    decoder: Decoder,
    tokens: Callable[[int], NDArray[np.int64]],
    progress: Progress | None = None,
) -> Prepared:
    """Turn a decoder (see `Decoder.within`) as the recipe says, and choose how it is stored.

    `tokens(count)` gives about `count` tokens of the calibration text, [N, T]. Static ranges
    are found at once; GPTQ runs while the file is written. `progress(stage, done, total)`.
    """
    report = progress or (lambda stage, done, total: None)
    shapes = weight_shapes(decoder.spec)
    products = sum(name.startswith("layers.") and len(s) == 2 for name, s in shapes.items())
    store = Encoder(recipe, len(decoder.spec.layers))
    details = {}
    if recipe.keep_blocks and (kept := kept_matrices(decoder)):
        details["kept_blocks"] = f"of {len(kept)} of {products} matrices"
        other = replace(recipe, matrices="int8", block=0, int8=(), keep_blocks=False)
        store = Encoder(other, len(decoder.spec.layers), kept)
        return Prepared(with_offsets(decoder, kept), store, details=details)
    if recipe.rotate:
        decoder = rotated(decoder)
        details["rotated"] = "stream and values" if decoder.spec.output.mixed else "values"
    if not recipe.calibration_tokens:
        return Prepared(decoder, store, details=details)
    large = sum(int(np.prod(shape)) for shape in shapes.values()) > LARGEST_CALIBRATED
    if large and recipe.activations == "dynamic":
        details["rounding"] = f"nearest: above {LARGEST_CALIBRATED} parameters"
        return Prepared(decoder, store, details=details)

    decoder = Layer(decoder).decoder
    calibration = tokens(min(recipe.calibration_tokens, 512 if large else 1 << 16))
    details["calibration_tokens"] = str(calibration.size)
    found = {}
    if recipe.activations == "static":
        found = ranges(decoder, calibration, lambda *at: report("calibrate", *at))
        details["static_products"] = f"{len(found)} of {products}"
    encoder: WeightEncoder = store
    if recipe.rounding == "gptq" and not large:
        encoder = GptqEncoder(decoder, calibration, store)
    return Prepared(decoder, encoder, found, details)


def encoder(recipe: str, layers: int = 1) -> Encoder:
    """Return what stores weights by a recipe's name, without any calibration."""
    return Encoder(find_recipe(recipe), layers)
