"""What a family needs of a checkpoint, and the one way to bind its tensors to a spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Protocol

import numpy as np

from foreword.errors import SourceError, UnsupportedModelError
from foreword.graph.spec import Decoder, DecoderSpec, FloatArray, weight_shapes

# Far above any decoder that fits a device; a larger number is a damaged file.
_CEILING = 1 << 24
# Numbers further out have no use, and their powers and quotients may not be finite.
_SMALLEST, _LARGEST = 1e-30, 1e30
_CHUNK_VALUES = 1 << 20


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
class _Configured:
    checkpoint: Checkpoint
    metadata: Mapping[str, object]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self.checkpoint.shapes

    def load(self, name: str) -> FloatArray:
        return self.checkpoint.load(name)


def with_metadata(checkpoint: Checkpoint, metadata: Mapping[str, object]) -> Checkpoint:
    """Return a checkpoint under another configuration than its file's."""
    return _Configured(checkpoint, metadata)


def with_defaults(checkpoint: Checkpoint, defaults: Mapping[str, object]) -> Checkpoint:
    """Return a checkpoint with values for metadata keys that are missing; null stays null."""
    return with_metadata(checkpoint, {**defaults, **checkpoint.metadata})


@dataclass(frozen=True)
class Tensor:
    """Where a weight comes from: a tensor's name, its shape there, and how to take it out.

    `shape` is None when the tensor has the shape of the weight itself. `take` may return a
    view; what it returns has the shape of the weight.
    """

    name: str
    shape: tuple[int, ...] | None = None
    take: Callable[[FloatArray], FloatArray] | None = None


def integer(checkpoint: Checkpoint, key: str, default: int | None = None) -> int:
    """Return a positive integer of the metadata; raises SourceError where there is none.

    `default` stands for a key that is missing or null.
    """
    value = _value(checkpoint, key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _CEILING:
        raise damaged(key, "a positive integer", value)
    return value


def optional_integer(checkpoint: Checkpoint, key: str) -> int | None:
    """Return a positive integer of the metadata, or None where it is missing or null."""
    return None if checkpoint.metadata.get(key) is None else integer(checkpoint, key)


def number(checkpoint: Checkpoint, key: str, default: float | None = None) -> float:
    """Return a positive number of the metadata; raises SourceError where there is none.

    `default` stands for a key that is missing or null.
    """
    return positive(checkpoint.metadata, key, default)


def positive(values: Mapping[str, object], key: str, default: float | None = None) -> float:
    """Return a positive number of a part of the metadata, as `number` does of the whole."""
    value = values.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise damaged(key, "a positive number", value)
    if not _SMALLEST <= value <= _LARGEST:
        raise damaged(key, "a positive number", value)
    return float(value)


def optional_number(checkpoint: Checkpoint, key: str) -> float | None:
    """Return a positive number of the metadata, or None where it is missing or null."""
    return None if checkpoint.metadata.get(key) is None else number(checkpoint, key)


def flag(checkpoint: Checkpoint, key: str, default: bool | None = None) -> bool:
    """Return a boolean of the metadata; raises SourceError where there is none.

    `default` stands for a key that is missing or null.
    """
    value = _value(checkpoint, key, default)
    if not isinstance(value, bool):
        raise damaged(key, "true or false", value)
    return value


def _value(checkpoint: Checkpoint, key: str, default: object) -> object:
    value = checkpoint.metadata.get(key)
    return default if value is None else value


def damaged(key: str, expected: str, found: object) -> SourceError:
    """Return the error for a metadata key whose value is not what it should be."""
    return SourceError(
        f"metadata key '{key}': expected {expected}, found {found!r:.60}; "
        "the file is damaged or incomplete, get it again"
    )


def layer_count(checkpoint: Checkpoint, key: str) -> int:
    """Return the number of layers; raises SourceError for more than there are tensors.

    A family names the tensors of all its layers before it misses the first one.
    """
    count = integer(checkpoint, key)
    if count > len(checkpoint.shapes):
        raise damaged(
            key, f"no more layers than the file's {len(checkpoint.shapes)} tensors", count
        )
    return count


def rows(checkpoint: Checkpoint, name: str) -> int:
    """Return the outermost dimension of a tensor; raises SourceError where it is missing."""
    shape = checkpoint.shapes.get(name)
    if not shape:
        raise SourceError(f"tensor '{name}' is missing: the file is incomplete, get it again")
    return shape[0]


def head_size(width: int, heads: int, kv_heads: int, head_dim: int | None = None) -> int:
    """Return the size of a head, by default its share of the width; raises SourceError.

    Heads must be a multiple of key/value heads, and without `head_dim` divide the width.
    """
    if heads % kv_heads or (head_dim is None and width % heads):
        raise SourceError(
            f"{heads} heads over {kv_heads} key/value heads and a width of {width}: expected "
            "multiples; the file is damaged, get it again"
        )
    return head_dim or width // heads


def spread(spec: DecoderSpec, templates: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give every weight of the spec its tensor, from one template for all layers.

    Templates are keyed by the weight's name without "layers.<i>."; in a tensor's name {i}
    is the layer's index, and {n} its suffix in Keras: nothing for the first, then _1, _2 ….
    """
    tensors = {}
    for weight in weight_shapes(spec):
        layer, _, rest = weight.removeprefix("layers.").partition(".")
        if not weight.startswith("layers."):
            tensors[weight] = templates[weight]
            continue
        template = templates[rest]
        name = template.name.replace("{i}", layer)
        name = name.replace("{n}", "" if layer == "0" else f"_{layer}")
        tensors[weight] = replace(template, name=name)
    return tensors


def kernel(name: str, shape: tuple[int, ...], inputs: int = 1) -> Tensor:
    """Return the tensor of a Keras kernel, whose first `inputs` axes are those multiplied.

    The weight is its transpose: [out, in], with the axes on each side joined.
    """
    inner = math.prod(shape[:inputs])
    return Tensor(name, shape, lambda values: values.reshape(inner, -1).T)


def flat(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor of a bias that is kept with more than one axis."""
    return Tensor(name, shape, lambda values: values.reshape(-1))


def shifted(name: str) -> Tensor:
    """Return the tensor of a norm's scale that is kept as its difference from 1 (Gemma)."""
    return Tensor(name, None, lambda values: values + np.float32(1))


def bind(
    spec: DecoderSpec,
    checkpoint: Checkpoint,
    tensors: Mapping[str, Tensor],
    unused: Collection[str] = (),
) -> Decoder:
    """Check every tensor's presence and shape, refuse what is left over, and return the decoder.

    `tensors` maps each name of `weight_shapes(spec)` to its place in the checkpoint, and
    `unused` holds patterns (fnmatch) of tensors that no forward pass needs. Raises
    SourceError for a missing or misshapen tensor and UnsupportedModelError for tensors the
    family has no place for: ignoring them would give wrong answers.
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
    known = {tensors[name].name for name in expected}
    strange = [
        name
        for name in sorted(set(checkpoint.shapes) - known)
        if not any(fnmatchcase(name, pattern) for pattern in unused)
    ]
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


def check_finite(name: str, values: FloatArray) -> None:
    """Refuse a tensor with NaN or infinite values; raises SourceError with its name."""
    flat_values = values.reshape(-1)
    for start in range(0, flat_values.size, _CHUNK_VALUES):
        if not np.isfinite(flat_values[start : start + _CHUNK_VALUES]).all():
            raise SourceError(
                f"tensor '{name:.100}' holds values that are not finite: the file is damaged, "
                "get it again, or the training that made it diverged"
            )
