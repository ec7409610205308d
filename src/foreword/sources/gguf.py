"""GGUF files: checked, dequantized tensor by tensor, and read by their family."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import Checkpoint
from foreword.families.find import Read, find_family
from foreword.graph.spec import Decoder, FloatArray
from foreword.sources.gguf_header import Header, TensorEntry, read_header
from foreword.sources.gguf_tokenizer import tokenizer_from_gguf
from foreword.sources.model import SourceModel

# Rows of a tensor are read and dequantized by about this many bytes.
_CHUNK_BYTES = 4 << 20

_CHANGED = "the file changed while it was being read: start again"


def open_gguf(path: Path) -> SourceModel:
    """Open a GGUF file; its tensors are read only when the decoder asks for them.

    The model is named after the file; its licence is "unknown" where the file gives none.
    Raises SourceError, the path first, for a missing, damaged or changed file, and
    UnsupportedModelError for an architecture, tokenizer, tensor type or GGUF version
    without code here, and for one part of a split model.
    """
    try:
        checkpoint = GgufCheckpoint(path)
        _refuse_parts(checkpoint.metadata)
        family, read = _family(checkpoint)
        decoder = read(checkpoint)
        tokenizer = tokenizer_from_gguf(checkpoint.metadata)
        _check_vocabulary(checkpoint.metadata, decoder)
    except SourceError as error:
        # Names out of the file go to terminals: one line, no control characters.
        message = (c if c.isprintable() else ascii(c)[1:-1] for c in f"{path}: {error}")
        raise type(error)("".join(message)) from None
    licence = _licence(checkpoint.metadata)
    return SourceModel(family, decoder, tokenizer, name=path.stem, license=licence, sha256=None)


class GgufCheckpoint:
    """A GGUF file as a family sees it (`families.checkpoint.Checkpoint`).

    The file is opened anew for every tensor, so nothing is left to close.
    """

    def __init__(self, path: Path) -> None:
        """Read the header of the file at `path`; raises SourceError."""
        self._path = path
        try:
            with _open(path) as stream:
                self._identity = _identity(stream)
                self._header: Header = read_header(stream, os.fstat(stream.fileno()).st_size)
        except OSError as error:
            raise _unreadable(error) from None
        self._shapes = {name: entry.shape for name, entry in self._header.tensors.items()}

    @property
    def metadata(self) -> Mapping[str, object]:
        """Keys and values as the file has them: int, float, bool, str and lists of these."""
        return self._header.metadata

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, outermost dimension first."""
        return self._shapes

    def load(self, name: str) -> FloatArray:
        """Return one tensor as C-contiguous float32; peak memory is about that array.

        Raises SourceError where the tensor is missing, the file cannot be read or has
        changed since it was opened, or a value is not finite.
        """
        entry = self._header.tensors.get(name)
        if entry is None:
            raise SourceError(
                f"tensor '{name:.60}' is missing: the file is incomplete, get it again"
            )
        try:
            values = np.empty(entry.shape, dtype=np.float32)
            with _open(self._path) as stream:
                if _identity(stream) != self._identity:
                    raise SourceError(_CHANGED)
                stream.seek(entry.offset)
                _fill(values, stream, name, entry)
        except OSError as error:
            raise _unreadable(error) from None
        except MemoryError:
            raise SourceError(
                f"tensor '{name}' of shape {list(entry.shape)} does not fit in memory; "
                "take a smaller model"
            ) from None
        return values


def _fill(values: FloatArray, stream: BinaryIO, name: str, entry: TensorEntry) -> None:
    rows = values.reshape(-1, entry.shape[-1])
    row_bytes = entry.size_bytes // len(rows)
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        raw = stream.read(row_bytes * len(part))
        if len(raw) != row_bytes * len(part):
            raise SourceError(_CHANGED)
        blocks = np.frombuffer(raw, dtype=np.uint8).reshape(len(part), row_bytes)
        # Scales that are not finite show in the result; no need to warn on the way.
        with np.errstate(all="ignore"):
            part[...] = dequantize(blocks, GGMLQuantizationType[entry.type])
        if not np.isfinite(part).all():
            raise SourceError(
                f"tensor '{name}' holds values that are not finite: the file is damaged, "
                "get it again"
            )


def _open(path: Path) -> BinaryIO:
    if not path.exists():
        raise SourceError("expected a GGUF file, found nothing of that name")
    # Not opened before it is known to be a file: opening a pipe would wait for its writer.
    if not path.is_file():
        raise SourceError("expected a GGUF file, found a directory or a special file")
    return path.open("rb")


def _identity(stream: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _unreadable(error: OSError) -> SourceError:
    return SourceError(f"cannot be read as a GGUF file: {error.strerror or error}")


def _refuse_parts(metadata: Mapping[str, object]) -> None:
    parts = metadata.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        raise UnsupportedModelError(
            f"this is one of {parts} parts of a split model, expected one whole file; "
            "join them with llama.cpp's `llama-gguf-split --merge`"
        )


def _family(checkpoint: Checkpoint) -> tuple[str, Read]:
    architecture = checkpoint.metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise SourceError(
            f"metadata key 'general.architecture': expected a name, found {architecture!r:.60}; "
            "the file is damaged or incomplete, get it again"
        )
    return find_family("gguf", architecture)


def _check_vocabulary(metadata: Mapping[str, object], decoder: Decoder) -> None:
    tokens = metadata["tokenizer.ggml.tokens"]
    if isinstance(tokens, list) and len(tokens) != decoder.spec.embedding.vocabulary:
        raise SourceError(
            f"the tokenizer has {len(tokens)} tokens and the embedding "
            f"{decoder.spec.embedding.vocabulary} rows, expected one a token; the file is damaged, "
            "get it again"
        )


def _licence(metadata: Mapping[str, object]) -> str:
    """Return the licence as one short printable line, for it goes to terminals and manifests."""
    found = metadata.get("general.license")
    text = " ".join(found.split()) if isinstance(found, str) else ""
    return text[:100] if text.isprintable() and text else "unknown"
