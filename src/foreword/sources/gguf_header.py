"""The head of a GGUF file: its metadata and its table of tensors, every number checked.

The layout is that of the GGUF specification, versions 2 and 3, little-endian
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from foreword.errors import SourceError, UnsupportedModelError

MAGIC = b"GGUF"
SUPPORTED_TYPES = (
    *("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"),
    *("Q4_K", "Q5_K", "Q6_K"),
)

# Ceilings many times above any real file: what is beyond them is damage, not a model.
_HEADER_BYTES = 64 << 20
_ENTRIES = 1 << 16
_DIMENSIONS = 4
_ALIGNMENT = 1 << 16

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
_BOOL, _STRING, _ARRAY = 7, 8, 9

_GET_AGAIN = "the file is damaged or incomplete, get it again"


@dataclass(frozen=True)
class TensorEntry:
    """One tensor: its ggml type, NumPy-order shape, and where its bytes lie in the file."""

    type: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Header:
    """Everything before the tensor data.

    Metadata values are int, float, bool, str, or lists of one of these.
    """

    metadata: Mapping[str, object]
    tensors: Mapping[str, TensorEntry]


def read_header(stream: BinaryIO, size: int) -> Header:
    """Read the head of a GGUF file of `size` bytes from a stream at its start.

    Memory and time are bounded by the file's size and by 64 MiB of header, whatever the
    numbers in the file say. Every tensor is known to lie inside the file and apart from
    the others. Raises SourceError for a file that is not GGUF or is damaged, and
    UnsupportedModelError for another version, byte order or tensor type.
    """
    head = _Reader(stream, size)
    if size < len(MAGIC) or head.take(len(MAGIC)) != MAGIC:
        raise SourceError("not a GGUF file: expected it to begin with the letters GGUF")
    _check_version(head.integer("I"))
    tensor_count, entry_count = head.count("tensors"), head.count("metadata entries")
    metadata: dict[str, object] = {}
    for _ in range(entry_count):
        key = head.text()
        if key in metadata:
            raise SourceError(f"metadata key {key!r:.60} is there twice: {_GET_AGAIN}")
        metadata[key] = head.value(head.integer("I"))
    entries = [head.tensor() for _ in range(tensor_count)]
    alignment = _alignment(metadata)
    start = -(-stream.tell() // alignment) * alignment
    return Header(metadata, _placed(entries, start, alignment, size))


class _Reader:
    """Takes little-endian values one after the other, and never more than there is."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = min(size, _HEADER_BYTES)

    def take(self, count: int) -> bytes:
        if count <= self._left:
            data = self._stream.read(count)
            if len(data) == count:
                self._left -= count
                return data
        raise SourceError(f"the header does not end where the file does: {_GET_AGAIN}")

    def integer(self, code: str) -> int:
        value: int = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        return value

    def count(self, what: str) -> int:
        count = self.integer("Q")
        if count > _ENTRIES:
            raise SourceError(
                f"the header announces {count} {what}, expected {_ENTRIES} at most: {_GET_AGAIN}"
            )
        return count

    def text(self) -> str:
        data = self.take(self.integer("Q"))
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise SourceError(
                f"a text in the header is not UTF-8, it begins {data[:20]!r}: {_GET_AGAIN}"
            ) from None

    def value(self, kind: int) -> object:
        if kind != _ARRAY:
            return self._values(kind, 1)[0]
        kind, length = self.integer("I"), self.integer("Q")
        return self._values(kind, length)

    def _values(self, kind: int, length: int) -> list[object]:
        if kind == _STRING:
            return [self.text() for _ in range(length)]
        if kind == _BOOL:
            data = self.take(length)
            if data.strip(b"\0\1"):
                raise SourceError(f"a truth value in the header is neither 0 nor 1: {_GET_AGAIN}")
            return [byte == 1 for byte in data]
        if kind not in _SCALARS:
            raise SourceError(
                f"a metadata value has type {kind}, expected a number, text or a flat list: "
                f"{_GET_AGAIN}"
            )
        code = _SCALARS[kind]
        data = self.take(length * struct.calcsize(f"<{code}"))
        return list(struct.unpack(f"<{length}{code}", data))

    def tensor(self) -> tuple[str, TensorEntry]:
        """Read one row of the table; its offset still counts from the start of the data."""
        name = self.text()
        dimensions = self.integer("I")
        if not 0 < dimensions <= _DIMENSIONS:
            raise SourceError(
                f"tensor {name!r:.60} has {dimensions} dimensions, "
                f"expected 1 to {_DIMENSIONS}: {_GET_AGAIN}"
            )
        # The file counts from the innermost dimension.
        shape = tuple(self.integer("Q") for _ in range(dimensions))[::-1]
        kind = _type_name(name, self.integer("I"))
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
        if not all(shape) or shape[-1] % block:
            raise SourceError(
                f"tensor {name!r:.60} of type {kind} has shape {list(shape)}, expected rows "
                f"of a positive multiple of {block}: {_GET_AGAIN}"
            )
        offset = self.integer("Q")
        return name, TensorEntry(kind, shape, offset, math.prod(shape) // block * block_bytes)


def _check_version(version: int) -> None:
    if version in (2, 3):
        return
    if version & 0xFFFF == 0:
        found = "a big-endian file"
    else:
        found = f"version {version}"
    raise UnsupportedModelError(
        f"expected GGUF version 2 or 3, little-endian, found {found}; "
        "convert it with a current llama.cpp"
    )


def _type_name(tensor: str, number: int) -> str:
    try:
        name: str = GGMLQuantizationType(number).name
    except ValueError:
        name = f"number {number}"
    if name not in SUPPORTED_TYPES:
        raise UnsupportedModelError(
            f"tensor {tensor!r:.60} is of type {name}, which is not supported; "
            f"supported: {', '.join(SUPPORTED_TYPES)}"
        )
    return name


def _alignment(metadata: Mapping[str, object]) -> int:
    value = metadata.get("general.alignment", 32)
    if type(value) is not int or not 0 < value <= _ALIGNMENT or value & (value - 1):
        raise SourceError(
            f"metadata key 'general.alignment': expected a power of two up to {_ALIGNMENT}, "
            f"found {value!r:.60}; {_GET_AGAIN}"
        )
    return value


def _placed(
    entries: list[tuple[str, TensorEntry]], start: int, alignment: int, size: int
) -> dict[str, TensorEntry]:
    """Give every tensor its place in the file; none may share bytes or lie outside."""
    tensors: dict[str, TensorEntry] = {}
    end = 0
    for name, entry in sorted(entries, key=lambda item: item[1].offset):
        if name in tensors:
            raise SourceError(f"tensor {name!r:.60} is there twice: {_GET_AGAIN}")
        if entry.offset % alignment or entry.offset < end:
            raise SourceError(
                f"tensor {name!r:.60} begins at {entry.offset}, expected a multiple of "
                f"{alignment} from {end} on: {_GET_AGAIN}"
            )
        end = entry.offset + entry.size_bytes
        if start + end > size:
            raise SourceError(
                f"tensor {name!r:.60} ends at byte {start + end} of a file of {size} bytes: "
                f"{_GET_AGAIN}"
            )
        tensors[name] = TensorEntry(entry.type, entry.shape, start + entry.offset, entry.size_bytes)
    return tensors
