"""Safetensors files, one or in shards: every offset checked, tensors read one by one.

The format is a length, a JSON header and the tensors' bytes
(https://github.com/huggingface/safetensors#format). The `safetensors` package maps files
into memory: one that is cut while it is read ends the process, and its pages count as
memory in use. Here files are read.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeGuard

import numpy as np

from foreword.errors import SourceError, UnsupportedModelError
from foreword.graph.spec import FloatArray
from foreword.sources.strict_json import parse_object, read_object

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SUPPORTED_TYPES = ("F32", "F16", "BF16", "F64")

# Widths in bits. Floats of a byte and less are found in quantized checkpoints alone.
_QUANTIZED = {
    **{"F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8},
    **{"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4},
}
_BITS = {
    **{"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "C64": 64, "BOOL": 8},
    **{"I64": 64, "U64": 64, "I32": 32, "U32": 32, "I16": 16, "U16": 16, "I8": 8, "U8": 8},
    **_QUANTIZED,
}
_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

# Ceilings many times above any real file: what is beyond them is damage, not a model.
_HEADER_BYTES = 16 << 20
_INDEX_BYTES = 16 << 20
_DIMENSIONS = 8
_SHARDS = 1 << 12

# Tensors are read and converted by about this many bytes.
_CHUNK_BYTES = 1 << 20

_GET_AGAIN = "the file is damaged or incomplete, get it again"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True)
class TensorEntry:
    """One tensor: its type, its shape, and where its bytes lie in which file."""

    file: Path
    type: str
    shape: tuple[int, ...]
    offset: int


class SafetensorsCheckpoint:
    """The weights of a folder as a family sees them (`families.checkpoint.Checkpoint`).

    Files are opened anew for every tensor, so nothing is left to close.
    """

    def __init__(self, folder: Path, metadata: Mapping[str, object]) -> None:
        """Read the headers of `model.safetensors`, or of the shards its index lists.

        Raises SourceError, which names the file, for one that is missing or damaged, and
        UnsupportedModelError for weights in another format or quantized.
        """
        self._metadata = metadata
        self._entries: dict[str, TensorEntry] = {}
        self._identities: dict[Path, tuple[int, ...]] = {}
        index = _index(folder)
        for shard in sorted(set(index.values())) or [WEIGHTS]:
            self._add(folder / shard)
        for name, shard in index.items():
            entry = self._entries.get(name)
            if entry is None or entry.file.name != shard:
                raise SourceError(
                    f"{INDEX}: expected tensor {name!r:.80} in {shard!r:.80}, found none of that "
                    "name; the checkpoint is incomplete, get it again"
                )
        self._shapes = {name: entry.shape for name, entry in self._entries.items()}

    @property
    def metadata(self) -> Mapping[str, object]:
        """The model's config.json."""
        return self._metadata

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, outermost dimension first; () for a single number."""
        return self._shapes

    def load(self, name: str) -> FloatArray:
        """Return one tensor as C-contiguous float32; peak memory is about that array.

        Raises SourceError where the tensor is missing, its file cannot be read or has
        changed since it was opened, or a value is not finite; UnsupportedModelError where
        it holds whole numbers.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise SourceError(
                f"tensor {name!r:.80} is missing: the checkpoint is incomplete, get it again"
            )
        file = entry.file.name
        if entry.type not in SUPPORTED_TYPES:
            raise _unsupported(file, name, entry.type)
        try:
            values = np.empty(entry.shape, dtype=np.float32)
            with _open(entry.file) as stream:
                if _identity(stream) != self._identities[entry.file]:
                    raise _changed(file)
                stream.seek(entry.offset)
                _fill(values.reshape(-1), stream, name, entry)
        except OSError as error:
            raise _unreadable(file, error) from None
        except MemoryError:
            raise SourceError(
                f"{file}: tensor {name!r:.80} of shape {list(entry.shape)} does not fit in "
                "memory; take a smaller model"
            ) from None
        return values

    def _add(self, file: Path) -> None:
        try:
            with _open(file) as stream:
                self._identities[file] = _identity(stream)
                found = _read_header(stream, file, os.fstat(stream.fileno()).st_size)
        except OSError as error:
            raise _unreadable(file.name, error) from None
        twice = found.keys() & self._entries.keys()
        if twice:
            raise SourceError(
                f"{file.name}: tensor {min(twice)!r:.80} is in another shard too; "
                "the checkpoint is damaged, get it again"
            )
        self._entries |= found


def _index(folder: Path) -> dict[str, str]:
    """Return the shard of every tensor, empty where the weights are one file."""
    if (folder / WEIGHTS).exists():
        return {}
    index = read_object(folder / INDEX, _INDEX_BYTES)
    if index is None:
        raise _no_weights(folder)
    shards = index.get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise SourceError(f"{INDEX}: expected the tensors' files under 'weight_map'; {_GET_AGAIN}")
    for shard in shards.values():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            raise SourceError(
                f"{INDEX}: expected names of safetensors files in the same folder, found "
                f"{shard!r:.80}; the index is damaged or not safe to follow, get it again"
            )
    if len(set(shards.values())) > _SHARDS:
        raise SourceError(f"{INDEX}: expected at most {_SHARDS} files; {_GET_AGAIN}")
    return shards


def _is_plain_name(name: str) -> bool:
    plain = name.isprintable() and len(name) <= 255 and not set(name) & set("/\\:")
    return plain and name.endswith(".safetensors")


def _no_weights(folder: Path) -> SourceError:
    names = sorted(path.name for path in folder.iterdir())
    pickle = next((name for name in names if name.lower().endswith(_PICKLES)), None)
    if "adapter_config.json" in names:
        return UnsupportedModelError(
            f"expected a whole model in {WEIGHTS}, found an adapter; merge it into its model "
            "(PEFT: merge_and_unload) and save that"
        )
    if pickle is not None:
        return UnsupportedModelError(
            f"{pickle!r:.80} is a pickle, which can run code and is never opened; expected "
            f"{WEIGHTS}: where you trust the file, load the model and save it with "
            "save_pretrained(..., safe_serialization=True)"
        )
    return SourceError(
        f"expected weights in {WEIGHTS}, or in shards listed in {INDEX}, found neither; "
        "get the checkpoint again"
    )


def _read_header(stream: BinaryIO, file: Path, size: int) -> dict[str, TensorEntry]:
    head = stream.read(8)
    if head == b"version ":
        raise SourceError(
            f"{file.name}: expected weights, found a Git LFS pointer to them; run `git lfs pull`"
        )
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    if not 2 <= length <= size - 8:
        raise SourceError(
            f"{file.name}: not a safetensors file, or cut short: expected a header within "
            f"{size} bytes; get it again"
        )
    if length > _HEADER_BYTES:
        raise SourceError(
            f"{file.name}: the header announces {length} bytes, expected at most {_HEADER_BYTES}; "
            f"{_GET_AGAIN}"
        )
    text = stream.read(length)
    if len(text) != length:
        raise _changed(file.name)
    header = parse_object(text, f"{file.name}: header")
    header.pop("__metadata__", None)
    return _placed(header, file, 8 + length, size)


def _placed(
    header: Mapping[str, object], file: Path, start: int, size: int
) -> dict[str, TensorEntry]:
    """Check every tensor's row; together they must cover the file without overlap or gap."""
    rows = sorted(
        (_row(file.name, name, row) for name, row in header.items()), key=lambda row: row[3]
    )
    entries, end = {}, 0
    for name, kind, shape, (begin, stop) in rows:
        # Widths below a byte are padded within the tensor, if at all.
        expected = -(-math.prod(shape) * _BITS[kind] // 8)
        if begin != end or stop - begin != expected:
            raise SourceError(
                f"{file.name}: tensor {name!r:.80} lies at {begin} to {stop}, expected {expected} "
                f"bytes from {end} on; {_GET_AGAIN}"
            )
        if start + stop > size:
            raise SourceError(
                f"{file.name}: tensor {name!r:.80} ends at byte {start + stop} of a file of "
                f"{size} bytes: the file was cut short, get it again"
            )
        if kind in _QUANTIZED:
            raise _unsupported(file.name, name, kind)
        entries[name] = TensorEntry(file, kind, shape, start + begin)
        end = stop
    if start + end != size:
        raise SourceError(
            f"{file.name}: expected {start + end} bytes from its header, found {size}; {_GET_AGAIN}"
        )
    return entries


def _row(file: str, name: str, row: object) -> tuple[str, str, tuple[int, ...], tuple[int, int]]:
    values = row if isinstance(row, dict) else {}
    kind, shape, place = (values.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or not _are_sizes(shape) or not _are_sizes(place):
        problem = "a type, a shape and two offsets"
    elif len(shape) > _DIMENSIONS or not all(shape):
        problem = f"at most {_DIMENSIONS} dimensions, none of them 0"
    elif len(place) != 2:
        problem = "two offsets"
    elif kind not in _BITS:
        raise _unsupported(file, name, kind)
    else:
        return name, kind, tuple(shape), (place[0], place[1])
    raise SourceError(
        f"{file}: tensor {name!r:.80}: expected {problem}, found {row!r:.80}; {_GET_AGAIN}"
    )


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    # Below 2**63, as anything else is in no file; bool is an int to isinstance.
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in value)


def _fill(values: FloatArray, stream: BinaryIO, name: str, entry: TensorEntry) -> None:
    stored = np.dtype(_STORED[entry.type])
    step = _CHUNK_BYTES // stored.itemsize
    for start in range(0, values.size, step):
        part = values[start : start + step]
        raw = stream.read(part.size * stored.itemsize)
        if len(raw) != part.size * stored.itemsize:
            raise _changed(entry.file.name)
        found = np.frombuffer(raw, stored)
        if entry.type == "BF16":
            # A bfloat16 is the upper half of a float32.
            np.left_shift(found, 16, out=part.view(np.uint32), dtype=np.uint32)
        else:
            # What float32 cannot hold shows in the result; no need to warn on the way.
            with np.errstate(over="ignore"):
                part[...] = found
        if not np.isfinite(part).all():
            raise SourceError(
                f"{entry.file.name}: tensor {name!r:.80} holds values that are not finite: "
                "the file is damaged, get it again"
            )


def _open(file: Path) -> BinaryIO:
    if not file.exists():
        raise SourceError(
            f"{file.name!r:.80} is missing from the folder: the checkpoint is incomplete, "
            "get that file again"
        )
    # Not opened before it is known to be a file: opening a pipe would wait for its writer.
    if not file.is_file():
        raise SourceError(f"{file.name}: expected a file, found a directory or a special file")
    return file.open("rb")


def _identity(stream: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changed(file: str) -> SourceError:
    return SourceError(f"{file}: the file changed while it was being read: start again")


def _unreadable(file: str, error: OSError) -> SourceError:
    return SourceError(f"{file}: cannot be read: {error.strerror or error}")


def _unsupported(file: str, name: str, kind: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{file}: tensor {name!r:.80} is stored as {kind!r:.40}, expected one of "
        f"{', '.join(SUPPORTED_TYPES)}; where that is a quantized checkpoint, take the "
        "unquantized one"
    )
