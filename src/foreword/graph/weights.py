"""What a weight is in a model file, and the one contract by which recipes store weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import flatbuffers
from numpy.typing import NDArray

from foreword.graph.spec import FloatArray

DType = Literal["float32", "float16", "int8", "int4", "int32"]
Array = NDArray[Any]
Shape = tuple[int, ...]

_BITS: dict[DType, int] = {"float32": 32, "float16": 16, "int8": 8, "int4": 4, "int32": 32}


class WeightEncoder(Protocol):
    """How a recipe stores weights; the graph knows no recipe, only this."""

    def dtype(self, name: str, shape: Shape) -> DType:
        """Return the type a weight will be stored in."""
        ...

    def block(self, name: str, shape: Shape) -> int:
        """Return how many columns of an int4 weight share a scale; 0: all of a row."""
        ...

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        """Write the stored form of a weight to `out` and return its scales, if it has any.

        `out` has the weight's shape and type; for int4 it is uint8, flat, two elements a
        byte. int8 and int4 are symmetric, with float32 scales of shape [rows], or where a
        block has one, [rows, blocks], which are stored as float16.
        """
        ...


@dataclass
class Written:
    """A flatbuffer table that is in the file by now; packing it again is naming its offset."""

    offset: int = 0

    def Pack(self, _: flatbuffers.Builder) -> int:  # noqa: N802 - the schema's own name
        """Return the offset: what the schema's own classes ask of a table."""
        return self.offset


@dataclass
class Weight:
    """A weight of the whole file, shared by every subgraph that asks for it.

    `produce` writes the stored form to the array it is given, as `WeightEncoder.encode` does.
    """

    name: str
    shape: Shape
    dtype: DType
    produce: Callable[[Array], FloatArray | None]
    buffer: int
    quantization: Written
    block: int = 0
    scales: FloatArray | None = None
    scales_buffer: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes its data takes in the file."""
        return (math.prod(self.shape) * _BITS[self.dtype] + 7) // 8

    @property
    def quantized(self) -> bool:
        """Whether rows have scales."""
        return self.dtype in ("int8", "int4")

    @property
    def scales_bytes(self) -> int:
        """Bytes its scales take in the file."""
        return (2 if self.block else 4) * math.prod(self.scales_shape or (0,))

    @property
    def scales_shape(self) -> Shape | None:
        """The shape of its scales, None where it has none."""
        if not self.quantized:
            return None
        rows = self.shape[0]
        return (rows, self.shape[1] // self.block) if self.block else (rows,)
