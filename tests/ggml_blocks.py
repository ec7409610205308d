"""The blocks of ggml's quantized types, taken apart value by value from their definition.

Written for comparison, straight from the layout in ggml's quantization formats, one loop
a type; far too slow for anything but tests.
"""

from __future__ import annotations

import struct
from collections.abc import Callable


def _halves(block: bytes, *offsets: int) -> list[float]:
    return [struct.unpack_from("<e", block, offset)[0] for offset in offsets]


def _nibbles(packed: bytes) -> list[int]:
    """Low halves first, then high halves."""
    return [byte & 15 for byte in packed] + [byte >> 4 for byte in packed]


def _fifth_bits(packed: bytes) -> list[int]:
    bits = int.from_bytes(packed, "little")
    return [16 * (bits >> i & 1) for i in range(32)]


def q8_0(block: bytes) -> list[float]:
    (scale,) = _halves(block, 0)
    return [scale * value for value in struct.unpack_from("<32b", block, 2)]


def q4_0(block: bytes) -> list[float]:
    (scale,) = _halves(block, 0)
    return [scale * (value - 8) for value in _nibbles(block[2:18])]


def q4_1(block: bytes) -> list[float]:
    scale, low = _halves(block, 0, 2)
    return [scale * value + low for value in _nibbles(block[4:20])]


def q5_0(block: bytes) -> list[float]:
    (scale,) = _halves(block, 0)
    values = zip(_nibbles(block[6:22]), _fifth_bits(block[2:6]), strict=True)
    return [scale * (value + fifth - 16) for value, fifth in values]


def q5_1(block: bytes) -> list[float]:
    scale, low = _halves(block, 0, 2)
    values = zip(_nibbles(block[8:24]), _fifth_bits(block[4:8]), strict=True)
    return [scale * (value + fifth) + low for value, fifth in values]


def _six_bit_pairs(packed: bytes) -> list[tuple[int, int]]:
    """Eight scales and eight minima of six bits each, in twelve bytes."""
    pairs = [(packed[j] & 63, packed[j + 4] & 63) for j in range(4)]
    for j in range(4):
        low = packed[j + 8]
        pairs.append((low & 15 | packed[j] >> 6 << 4, low >> 4 | packed[j + 4] >> 6 << 4))
    return pairs


def q4_k(block: bytes) -> list[float]:
    scale, minimum = _halves(block, 0, 2)
    values = []
    for j, (factor, shift) in enumerate(_six_bit_pairs(block[4:16])):
        packed = block[16 + j // 2 * 32 :][:32]
        for byte in packed:
            value = byte >> 4 if j % 2 else byte & 15
            values.append(scale * factor * value - minimum * shift)
    return values


def q5_k(block: bytes) -> list[float]:
    scale, minimum = _halves(block, 0, 2)
    values = []
    for j, (factor, shift) in enumerate(_six_bit_pairs(block[4:16])):
        packed = block[48 + j // 2 * 32 :][:32]
        for high, byte in zip(block[16:48], packed, strict=True):
            value = (byte >> 4 if j % 2 else byte & 15) + 16 * (high >> j & 1)
            values.append(scale * factor * value - minimum * shift)
    return values


def q6_k(block: bytes) -> list[float]:
    (scale,) = _halves(block, 208)
    factors = struct.unpack_from("<16b", block, 192)
    values = []
    for i in range(256):
        half, row, column = i // 128, i % 128 // 32, i % 32
        low = block[64 * half + 32 * (row % 2) + column]
        low = low >> 4 if row > 1 else low & 15
        high = block[128 + 32 * half + column] >> 2 * row & 3
        values.append(scale * factors[i // 16] * (low + 16 * high - 32))
    return values


# Type, elements and bytes of a block, offsets of its half-precision scales, its reader.
BLOCKS: tuple[tuple[str, int, int, tuple[int, ...], Callable[[bytes], list[float]]], ...] = (
    ("Q8_0", 32, 34, (0,), q8_0),
    ("Q4_0", 32, 18, (0,), q4_0),
    ("Q4_1", 32, 20, (0, 2), q4_1),
    ("Q5_0", 32, 22, (0,), q5_0),
    ("Q5_1", 32, 24, (0, 2), q5_1),
    ("Q4_K", 256, 144, (0, 2), q4_k),
    ("Q5_K", 256, 176, (0, 2), q5_k),
    ("Q6_K", 256, 210, (208,), q6_k),
)
