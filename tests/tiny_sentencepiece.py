"""SentencePiece models written byte by byte, so that tests need no trainer."""

from __future__ import annotations

import struct
from collections.abc import Iterable

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
UNIGRAM, BPE, WORD, CHAR = range(1, 5)

Piece = tuple[str, float, int]

SPECIAL: tuple[Piece, ...] = (("<unk>", 0, UNKNOWN), ("<s>", 0, CONTROL), ("</s>", 0, CONTROL))
BYTES: tuple[Piece, ...] = tuple((f"<0x{byte:02X}>", 0, BYTE) for byte in range(256))


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def write_proto(
    pieces: Iterable[Piece],
    kind: int = BPE,
    *,
    dummy_prefix: bool = True,
    tidy_spaces: bool = False,
    marks_spaces: bool = True,
    space_as_suffix: bool = False,
    base: Iterable[Piece] = SPECIAL + BYTES,
) -> bytes:
    """A serialized ModelProto: the special and byte pieces, then those given."""
    out = b""
    for text, score, type_ in (*base, *pieces):
        # A score is the one field of fixed width.
        body = field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + field(3, type_)
        out += field(1, body)
    trainer = field(3, kind) + field(24, int(space_as_suffix)) + field(99, b"unknown to us")
    normalizer = field(1, b"identity") + field(3, int(dummy_prefix))
    normalizer += field(4, int(tidy_spaces)) + field(5, int(marks_spaces))
    return out + field(2, trainer) + field(3, normalizer)
