"""What a family needs of a checkpoint, and the one way to bind its tensors to a spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from foreword.errors import SourceError, UnsupportedModelError
from foreword.graph.spec import Decoder, DecoderSpec, FloatArray, weight_shapes

# Far above any decoder that fits a device; a larger number is a damaged file.
_CEILING = 1 << 24


class Checkpoint(Protocol):
    """A model file as a family sees it: metadata, tensor shapes, tensors on request."""

    @property
    def metadata(self) -> Mapping[str, object]:
        """Keys and values as the file has them."""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, outermost dimension first."""
        ...

    def load(self, name: str) -> FloatArray:
        """Return one tensor as float32."""
        ...


@dataclass(frozen=True)
class Tensor:
    """Where a weight comes from: a tensor's name, its shape there, and how to take it out.

    `shape` is None when the tensor has the shape of the weight itself.
    """

    name: str
    shape: tuple[int, ...] | None = None
    take: Callable[[FloatArray], FloatArray] | None = None


def integer(checkpoint: Checkpoint, key: str, default: int | None = None) -> int:
    """Return a positive integer of the metadata; raises SourceError where there is none."""
    value = checkpoint.metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _CEILING:
        raise SourceError(
            f"metadata key '{key}': expected a positive integer, found {value!r:.60}; "
            "the file is damaged or incomplete, get it again"
        )
    return value


def number(checkpoint: Checkpoint, key: str, default: float | None = None) -> float:
    """Return a positive finite number of the metadata; raises SourceError where there is none."""
    value = checkpoint.metadata.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        found = checkpoint.metadata.get(key)
        raise SourceError(
            f"metadata key '{key}': expected a positive number, found {found!r:.60}; "
            "the file is damaged or incomplete, get it again"
        )
    return float(value)


def rows(checkpoint: Checkpoint, name: str) -> int:
    """Return the outermost dimension of a tensor; raises SourceError where it is missing."""
    shape = checkpoint.shapes.get(name)
    if not shape:
        raise SourceError(f"tensor '{name}' is missing: the file is incomplete, get it again")
    return shape[0]


def bind(
    spec: DecoderSpec,
    checkpoint: Checkpoint,
    tensors: Mapping[str, Tensor],
    unused: Collection[str] = (),
) -> Decoder:
    """Check every tensor's presence and shape, refuse what is left over, and return the decoder.

    `tensors` maps each name of `weight_shapes(spec)` to its place in the checkpoint.
    Raises SourceError for a missing or misshapen tensor and UnsupportedModelError for
    tensors the family has no place for: ignoring them would give wrong answers.
    """
    expected = weight_shapes(spec)
    for name, shape in expected.items():
        tensor = tensors[name]
        wanted = tensor.shape or shape
        found = checkpoint.shapes.get(tensor.name)
        if found is None:
            raise SourceError(
                f"tensor '{tensor.name}' is missing: the file is incomplete, get it again"
            )
        if tuple(found) != wanted:
            raise SourceError(
                f"tensor '{tensor.name}': expected shape {list(wanted)} from the metadata, "
                f"found {list(found)}; the file is damaged, get it again"
            )
    known = {tensor.name for tensor in tensors.values()} | set(unused)
    strange = sorted(set(checkpoint.shapes) - known)
    if strange:
        raise UnsupportedModelError(
            f"{len(strange)} tensors have no place in this architecture, the first is "
            f"{strange[0]!r:.60}: this is a variant Foreword does not support"
        )

    def load(name: str) -> FloatArray:
        tensor = tensors[name]
        values = checkpoint.load(tensor.name)
        return values if tensor.take is None else tensor.take(values)

    return Decoder(spec, load)
