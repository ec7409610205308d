"""SentencePiece model files, read field by field.

The message is `ModelProto` of sentencepiece_model.proto
(https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto), in the wire
format of protocol buffers. Its seven fields that matter have not changed since 2018; reading
them here spares every user the `sentencepiece` package (native code, which `import` loads) and
the ties of its generated classes to one release of `protobuf`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from foreword.errors import SourceError
from foreword.sources.tokenizer_json import MAX_TOKENS

_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


class PieceType(IntEnum):
    """What a piece is for; GGUF has the same numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class SentencePieceModel:
    """A SentencePiece vocabulary, an id being a place in `pieces`, and how text is prepared.

    `kind` is "unigram", "bpe", "word" or "char". `charsmap` is the compiled table of the
    normalization, empty for none, and `normalization` its name; `tidy_spaces` strips spaces at
    the ends and joins runs of them; `dummy_prefix` begins a text with a space; `marks_spaces`
    writes spaces as "▁", at the end of a word with `space_as_suffix`.
    """

    kind: str
    pieces: tuple[tuple[str, float, PieceType], ...]
    normalization: str
    charsmap: bytes
    dummy_prefix: bool
    tidy_spaces: bool
    marks_spaces: bool
    space_as_suffix: bool


def read_sentencepiece(data: bytes) -> SentencePieceModel:
    """Read a serialized model; raises SourceError for anything that is not a sound one."""
    pieces: list[tuple[str, float, PieceType]] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for field, value in _fields(data):
        if field == 1:
            pieces.append(_piece(_bytes(value)))
        elif field == 2:
            trainer |= _fields(_bytes(value))
        elif field == 3:
            normalizer |= _fields(_bytes(value))
    if not 0 < len(pieces) <= MAX_TOKENS:
        raise _damaged(f"1 to {MAX_TOKENS} pieces", f"{len(pieces)}")
    if len({text for text, _, _ in pieces}) != len(pieces):
        raise _damaged("every piece once", "one several times")
    number = _number(trainer, 3, 1)
    if number not in _MODEL_TYPES:
        raise _damaged("a known type of model", f"number {number}")
    return SentencePieceModel(
        _MODEL_TYPES[number],
        tuple(pieces),
        normalization=_bytes(normalizer.get(1, b"")).decode(errors="replace"),
        charsmap=_bytes(normalizer.get(2, b"")),
        dummy_prefix=_number(normalizer, 3, 1) != 0,
        tidy_spaces=_number(normalizer, 4, 1) != 0,
        marks_spaces=_number(normalizer, 5, 1) != 0,
        space_as_suffix=_number(trainer, 24, 0) != 0,
    )


def _piece(data: bytes) -> tuple[str, float, PieceType]:
    fields = dict(_fields(data))
    try:
        text = _bytes(fields.get(1, b"")).decode()
        kind = PieceType(_number(fields, 3, PieceType.NORMAL))
    except ValueError as error:
        raise _damaged("a piece of text and a known type", f"{error!s:.60}") from None
    raw = _bytes(fields.get(2, bytes(4)))
    score = struct.unpack("<f", raw)[0] if len(raw) == 4 else math.nan
    if not text or not math.isfinite(score):
        raise _damaged("pieces with a text and a finite score", f"{text!r:.40} with {score}")
    return text, score, kind


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield a message's fields: the number and its value, an integer or the raw bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(wire, len(data) + 1)
        if size > len(data) - at:
            raise _damaged("whole fields", "one that goes past the end")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at == len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _damaged("whole numbers", "one that does not end")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _damaged("bytes in a field", "a number")
    return value


def _number(fields: dict[int, int | bytes], field: int, default: int) -> int:
    value = fields.get(field, default)
    if isinstance(value, bytes):
        raise _damaged("a number in a field", "bytes")
    return value


def _damaged(expected: str, found: str) -> SourceError:
    return SourceError(
        f"SentencePiece model: expected {expected}, found {found}; the file is damaged or is "
        "something else, get it again"
    )
