"""Token healing: the letters typed last constrain the first tokens, however these cut them.

A tokenizer cuts "I'm enjoying a del" after "del", and a model seldom goes on from there with
"icious": it has learnt "delicious" as one token. So the last word is taken back, and what is
generated must begin with its bytes. (Lundberg 2023, "The art of prompt design: prompt boundaries
and token healing".)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foreword.bundle.tokenizer import Tokenizer

_MOST_TOKENS = 4
"""Tokens taken back at most: of text without spaces the last few say enough."""


class Healed(NamedTuple):
    """The tokens a model is given, and the bytes that what follows must begin with."""

    token_ids: list[int]
    typed: bytes


class Pieces:
    """The bytes `of` every token, and the tokens by their bytes; control tokens have none."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.of = [tokenizer.token_bytes(i) for i in range(tokenizer.vocabulary_size)]
        pairs = sorted((piece, i) for i, piece in enumerate(self.of) if piece)
        self._pieces = [piece for piece, _ in pairs]
        self._ids = np.array([token_id for _, token_id in pairs], np.int64)
        self._kept: dict[bytes, NDArray[np.int64]] = {}

    def fitting(self, typed: bytes) -> NDArray[np.int64]:
        """Return the tokens that begin with `typed`, or with which `typed` begins; not empty."""
        if typed not in self._kept:
            if len(self._kept) > 1 << 10:
                self._kept.clear()
            low, high = self._range(typed)
            shorter = [self._range(typed[:length], exactly=True) for length in range(1, len(typed))]
            parts = [self._ids[a:b] for a, b in [*shorter, (low, high)]]
            self._kept[typed] = np.concatenate(parts)
        return self._kept[typed]

    def _range(self, typed: bytes, exactly: bool = False) -> tuple[int, int]:
        after = typed + b"\0" if exactly else _after(typed)
        low = bisect_left(self._pieces, typed)
        return low, len(self._pieces) if after is None else bisect_left(self._pieces, after, low)


def heal(token_ids: Sequence[int], tokenizer: Tokenizer, start: int | None = None) -> Healed:
    """Take back the tokens of the word a prompt ends in, or of the space it ends with.

    A line's end is not taken back, nor is the first token: something must be left to go on
    from. `start` is a leading token that is no text.
    """
    least = 2 if start is not None and token_ids and token_ids[0] == start else 1
    cut, last = len(token_ids), len(token_ids) - _MOST_TOKENS
    while cut > max(least, last):
        piece = tokenizer.token_bytes(token_ids[cut - 1])
        if not piece or piece[-1:] in b"\r\n":
            break
        cut -= 1
        if piece[:1].isspace() or not _within_word(tokenizer, token_ids, cut):
            break
    # Half a character is no place to begin.
    typed = b"".join(map(tokenizer.token_bytes, token_ids[cut:]))
    while cut < len(token_ids) and typed[0] & 0xC0 == 0x80:
        typed = typed[len(tokenizer.token_bytes(token_ids[cut])) :]
        cut += 1
    return Healed(list(token_ids[:cut]), typed)


def _within_word(tokenizer: Tokenizer, token_ids: Sequence[int], cut: int) -> bool:
    """Return whether the token at `cut` goes on with a word, or a space, of the one before it."""
    before = tokenizer.token_bytes(token_ids[cut - 1]).decode("utf-8", "replace")[-1:] or " "
    after = tokenizer.token_bytes(token_ids[cut]).decode("utf-8", "replace")[:1] or " "
    if before == " ":
        return True
    return all(c.isalnum() or c == "\N{REPLACEMENT CHARACTER}" for c in (before, after))


def _after(typed: bytes) -> bytes | None:
    """Return the smallest bytes above all that begin with `typed`, None where there are none."""
    cut = typed.rstrip(b"\xff")
    return cut[:-1] + bytes([cut[-1] + 1]) if cut else None
