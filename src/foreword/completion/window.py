"""The context window: how much of the text before the cursor the model is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foreword.bundle.tokenizer import Tokenizer

_NEAR = 16  # tokens looked through, at most, for one that begins a word


@dataclass(frozen=True)
class Window:
    """The tokens a model is given, and how many of the prompt's were left out before them."""

    token_ids: list[int]
    dropped: int


def keep_end(
    token_ids: Sequence[int], limit: int, tokenizer: Tokenizer, start: int | None = None
) -> Window:
    """Keep the end of a prompt, at most `limit` >= 1 tokens of it.

    What is kept begins at a word where one begins near the cut, else at a character. A
    leading `start` token, where given, is kept as well and counts.
    """
    head = [start] if start is not None and token_ids and token_ids[0] == start else []
    if len(token_ids) <= limit:
        return Window(list(token_ids), 0)
    kept = list(token_ids[len(token_ids) - max(limit - len(head), 1) :])
    skip = _first_boundary(kept, tokenizer)
    kept = (head + kept[skip:])[-limit:]
    return Window(kept, len(token_ids) - len(kept))


def _first_boundary(kept: Sequence[int], tokenizer: Tokenizer) -> int:
    """Index of the first token that begins a word, else a character, else 0."""
    near = [tokenizer.token_bytes(token_id) for token_id in kept[:_NEAR]]
    for index, piece in enumerate(near[: len(kept) - 1]):
        if piece[:1].isspace():
            return index
    for index, piece in enumerate(near):
        if piece and piece[0] & 0xC0 != 0x80:  # not a UTF-8 continuation byte
            return index
    return 0
