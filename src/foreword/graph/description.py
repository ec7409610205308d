"""What a model file says of itself: the decoder it computes and its signatures, as JSON.

It stands among the file's metadata, so that a float model can be read back and quantized.
"""

from __future__ import annotations

import dataclasses
import json
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from foreword.graph.spec import DecoderSpec

DESCRIPTION = "foreword.decoder"
_DEEPEST = 8  # a rotary within a rotary is the deepest there is


@dataclass(frozen=True)
class Signature:
    """One signature: `kind` of work on `width` tokens."""

    name: str
    kind: str
    width: int


@dataclass(frozen=True)
class GraphShape:
    """Cache slots (the context) and the chunk widths of the prefill and verify signatures."""

    context: int
    prefill: tuple[int, ...] = (8, 32, 128)
    verify: tuple[int, ...] = (2, 5, 8)

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """All signatures of the model; there is none for a chunk wider than the context."""
        chunks = [Signature("decode", "decode", 1)]
        chunks += [Signature(f"prefill_{width}", "prefill", width) for width in self.prefill]
        chunks += [Signature(f"verify_{width}", "verify", width) for width in self.verify]
        return tuple(chunk for chunk in chunks if chunk.width <= self.context)


def describe(spec: DecoderSpec, shape: GraphShape) -> str:
    """Return a decoder and the signatures over it as JSON, floats exactly."""
    document = {"spec": _plain(spec), "shape": _plain(shape)}
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def read_description(text: str) -> tuple[DecoderSpec, GraphShape]:
    """Return what `describe` was given; raises ValueError for anything it would not write."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("nesting too deep to read") from None
    if not isinstance(document, dict) or set(document) != {"spec", "shape"}:
        raise ValueError("no decoder described")
    if isinstance(document["shape"], dict):
        document["shape"].pop("shorter", None)  # in files of version 0.1
    return (
        _read(DecoderSpec, document["spec"], _DEEPEST),
        _read(GraphShape, document["shape"], _DEEPEST),
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _read(hint: Any, value: Any, depth: int) -> Any:
    """Return `value` as the type that `hint` names, or raise ValueError."""
    arguments = get_args(hint)
    if not depth:
        raise ValueError("nesting too deep")
    if get_origin(hint) in (Union, types.UnionType):
        return _read(_chosen(arguments, value), value, depth)
    if dataclasses.is_dataclass(hint):
        return _read_dataclass(hint, value, depth)
    if get_origin(hint) is tuple and isinstance(value, list):
        items = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        if len(items) == len(value):
            return tuple(_read(item, v, depth) for item, v in zip(items, value, strict=True))
    if get_origin(hint) is Literal and value in arguments:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is int and type(value) is int and 0 < value < 1 << 31:
        return value
    if hint in (bool, str, type(None)) and type(value) is hint:
        return value
    raise ValueError(f"{hint} expected, found {ascii(value)[:60]}")


def _chosen(alternatives: tuple[Any, ...], value: Any) -> Any:
    """Return the one of several types that a value says it is."""
    if isinstance(value, dict):
        for hint in alternatives:
            if dataclasses.is_dataclass(hint) and getattr(hint, "__name__", "") == value.get("is"):
                return hint
    if value is None and type(None) in alternatives:
        return type(None)
    plain = [hint for hint in alternatives if not dataclasses.is_dataclass(hint)]
    return plain[0] if plain else type(None)


def _read_dataclass(hint: Any, value: Any, depth: int) -> Any:
    hints = get_type_hints(hint)
    if not isinstance(value, dict) or value.get("is") != hint.__name__:
        raise ValueError(f"{hint.__name__} expected, found {ascii(value)[:60]}")
    # A field with a default may be newer than the file.
    needed = {f.name for f in dataclasses.fields(hint) if f.default is dataclasses.MISSING}
    if not {"is"} | needed <= set(value) <= {"is", *hints}:
        raise ValueError(f"{hint.__name__} expected with {', '.join(hints)}")
    given = {name: kind for name, kind in hints.items() if name in value}
    return hint(**{name: _read(kind, value[name], depth - 1) for name, kind in given.items()})
