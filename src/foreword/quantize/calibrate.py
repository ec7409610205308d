"""What a calibration text says of a decoder: GPTQ's weights, and the ranges of activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foreword.graph.decoder import Range
from foreword.graph.spec import Decoder, FloatArray
from foreword.graph.weights import Array, DType, WeightEncoder
from foreword.quantize.encode import int8_per_row, pack_int4
from foreword.quantize.forward import ForwardPass, biases, float_project, linear
from foreword.quantize.gptq import INT4, INT4_BLOCKS, INT8, Inputs, Steps, gptq

TEXT = Path(__file__).parent / "data" / "calibration.txt"

CACHE_TOKENS = 1024
"""Tokens of the calibration text on which the steps of an int8 cache are found."""

_LONGEST = 512  # tokens a sequence
_HEADROOM = 1.25  # for keys and values larger than any in the calibration text
_COARSEST = 0.1  # a step, in root mean squares: of a normal distribution it is 0.04

Progress = Callable[[int, int], None]


def calibration_text() -> str:
    """Return the built-in text: prose, letters, code; never one that models are judged by."""
    return TEXT.read_text(encoding="utf-8")


def sequences(
    token_ids: Sequence[int], count: int, context: int, start: int | None
) -> NDArray[np.int64]:
    """Return about `count` tokens of a text, cut into sequences [N, T] that fit the context.

    Each begins with the token `start` where there is one. A text that is too short is taken
    as often as it takes for one sequence.
    """
    length = min(context, _LONGEST, count)
    own = length - (start is not None)
    needed = max(1, count // length)
    ids = list(token_ids)
    ids *= -(-own // len(ids))
    needed = min(needed, len(ids) // own)
    cut = np.array(ids[: needed * own], np.int64).reshape(needed, own)
    if start is None:
        return cut
    return np.concatenate([np.full((needed, 1), start, np.int64), cut], axis=1)


class Layer:
    """A decoder whose layer in hand is read once, whoever asks."""

    def __init__(self, decoder: Decoder) -> None:
        self._load, self._layer = decoder.load, ""
        self._kept: dict[str, FloatArray] = {}
        self.decoder = Decoder(decoder.spec, self.load)

    def load(self, name: str) -> FloatArray:
        """Return a weight, kept until one of another layer is asked for."""
        if not name.startswith("layers."):
            return self._load(name)
        layer = name.split(".")[1]
        if layer != self._layer:
            self._layer = layer
            self._kept.clear()
        if name not in self._kept:
            self._kept[name] = self._load(name)
        return self._kept[name]


@dataclass
class GptqEncoder:
    """Rounds the layers' matrices by GPTQ, a layer at a time, as the file is written.

    Inputs are those that the quantized layers before give. `store` says how a weight is
    stored; weights are asked for in the order of `weight_shapes`.
    """

    decoder: Decoder
    tokens: NDArray[np.int64]
    store: WeightEncoder
    _pass: ForwardPass | None = None
    _done: int = 0
    _made: dict[str, tuple[Steps, FloatArray]] = field(default_factory=dict)

    def dtype(self, name: str, shape: tuple[int, ...]) -> DType:
        """Return the type a weight will be stored in."""
        return self.store.dtype(name, shape)

    def block(self, name: str, shape: tuple[int, ...]) -> int:
        """Return how many columns share a scale; 0: all of a row."""
        return self.store.block(name, shape)

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        """Write the stored form of a weight; see `graph.weights.WeightEncoder`."""
        dtype = self.dtype(name, values.shape)
        if not name.startswith("layers.") or dtype not in ("int8", "int4"):
            return self.store.encode(name, values, out)
        while name not in self._made:
            self._next_layer()
        steps, scales = self._made.pop(name)
        if dtype == "int4":
            pack_int4(steps, out)
        else:
            out[...] = steps
        return scales if self.block(name, values.shape) else scales[:, 0]

    def _next_layer(self) -> None:
        if self._pass is None:
            self._pass = ForwardPass(Decoder(self.decoder.spec, self._load_stored), self.tokens)
        self._pass.layer(self._done, self._project)
        self._done += 1

    def _load_stored(self, name: str) -> FloatArray:
        values = self.decoder.load(name)
        if name == "embedding" and self.dtype(name, values.shape) == "int8":
            return _restored_rows(values, self.tokens)
        return values

    def _project(self, names: Sequence[str], x: FloatArray) -> list[FloatArray]:
        results, has_bias = [], biases(self.decoder)
        shapes = {name: self.decoder.load(f"{name}.weight").shape for name in names}
        blocks = {name: self.block(f"{name}.weight", shape) for name, shape in shapes.items()}
        inputs = Inputs(x, max(blocks.values()))
        for name, block in blocks.items():
            weight = self.decoder.load(f"{name}.weight")
            grid = INT4_BLOCKS if block else INT4
            if self.dtype(f"{name}.weight", weight.shape) == "int8":
                grid = INT8
            steps, scales = gptq(weight, inputs, grid, block)
            self._made[f"{name}.weight"] = steps, scales
            spread = np.repeat(scales, weight.shape[1] // scales.shape[1], axis=1)
            bias = self.decoder.load(f"{name}.bias") if has_bias(name) else None
            results.append(linear(x, steps * spread, bias))
        return results


def _restored_rows(table: FloatArray, tokens: NDArray[np.int64]) -> FloatArray:
    """Return a table in which the rows of `tokens` are as int8 gives them."""
    used = np.unique(tokens)
    steps = np.empty((len(used), table.shape[1]), np.int8)
    scales = int8_per_row(table[used], steps)
    restored = np.zeros(table.shape, np.float32)  # pages never touched take no memory
    restored[used] = steps * scales[:, None]
    return restored


def ranges(
    decoder: Decoder, tokens: NDArray[np.int64], progress: Progress
) -> dict[str, tuple[Range, Range]]:
    """Return the ranges of the input and the output of the products in the layers.

    Left out are products whose steps would be coarse: where a few tokens stretch the range so
    far (Sun et al. 2024, massive activations) that the others would be lost in it.
    """
    found: dict[str, tuple[Range, Range]] = {}
    has_bias = biases(decoder)

    def project(names: Sequence[str], x: FloatArray) -> list[FloatArray]:
        inputs, results = _range(x), list[FloatArray]()
        for name in names:
            y = linear(x, decoder.load(f"{name}.weight"), None)
            outputs = _range(y)  # biases are added in float32
            if inputs is not None and outputs is not None:
                found[name] = inputs, outputs
            results.append(y + decoder.load(f"{name}.bias") if has_bias(name) else y)
        return results

    forward, layers = ForwardPass(decoder, tokens), len(decoder.spec.layers)
    for i in range(layers):
        progress(i, layers)
        forward.layer(i, project)
    progress(layers, layers)
    return found


def cache_scales(
    decoder: Decoder, tokens: NDArray[np.int64], progress: Progress
) -> dict[str, FloatArray]:
    """Return the steps of an int8 cache's channels: "layers.0.k" and "layers.0.v", each [K, H]."""
    found: dict[str, FloatArray] = {}
    decoder = Layer(decoder).decoder
    forward, layers = ForwardPass(decoder, tokens), len(decoder.spec.layers)
    for i in range(layers):
        progress(i, layers)
        forward.layer(i, float_project(decoder))
        for kind, x in (("k", forward.keys), ("v", forward.values)):
            largest = np.abs(x).max(axis=(0, 1))
            # A channel that was always 0 takes what it is given later as the others' largest.
            largest[largest == 0] = largest.max() or 1
            found[f"layers.{i}.{kind}"] = largest * np.float32(_HEADROOM / 127)
    progress(layers, layers)
    return found


def _range(x: FloatArray) -> Range | None:
    """Smallest and largest value, 0 between them; None where its steps would be coarse."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    coarse = (high - low) / 255 > _COARSEST * float(np.sqrt(np.mean(np.square(x))))
    return None if coarse else (low, high)
