"""The context window: how much of the text before the cursor the model is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.words import divides

_CHARACTERS = 16  # of a token, at most, where a text is worth its tokens
_STRIDE = 4096  # characters
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
    return _cut(token_ids, len(token_ids) - max(limit - len(head), 1), head, limit, tokenizer)


def keep_steady(
    token_ids: Sequence[int], limit: int, tokenizer: Tokenizer, start: int | None = None
) -> Window:
    """Keep the end of a prompt as `keep_end` does, or up to a quarter less.

    The beginning stays where it is while a quarter of the window is typed: what is computed of
    it is not computed anew at every key.
    """
    head = [start] if start is not None and token_ids and token_ids[0] == start else []
    over = len(token_ids) - limit
    if over <= 0:
        return Window(list(token_ids), 0)
    stride = max(limit // 4, 1)
    cut = min(-(-over // stride) * stride + len(head), len(token_ids) - 1)
    return _cut(token_ids, cut, head, limit, tokenizer)


def near_end(text: str, limit: int) -> str:
    """Return the end of a text that surely has `limit` tokens, or all of it.

    It begins at a word, where one begins near, and stays there while thousands of characters
    are typed: so much less has to be cut into tokens at every key.
    """
    start = (len(text) - limit * _CHARACTERS) // _STRIDE * _STRIDE
    if start <= 0:
        return text
    for index in range(start, min(start + 64, len(text))):
        if text[index].isspace():
            return text[index:]
    while start < len(text) and not divides(text[:start], text[start:]):
        start += 1
    return text[start:]


def _cut(
    token_ids: Sequence[int], cut: int, head: list[int], limit: int, tokenizer: Tokenizer
) -> Window:
    kept = list(token_ids[cut:])
    before = b"".join(map(tokenizer.token_bytes, token_ids[max(cut - _NEAR, len(head)) : cut]))
    skip = _first_boundary(before, kept, tokenizer)
    kept = (head + kept[skip:])[-limit:]
    return Window(kept, len(token_ids) - len(kept))


def _first_boundary(before: bytes, kept: Sequence[int], tokenizer: Tokenizer) -> int:
    """Index of the first token that begins a word, else a character, else 0."""
    near = [tokenizer.token_bytes(token_id) for token_id in kept[:_NEAR]]
    for index, piece in enumerate(near[: len(kept) - 1]):
        if piece[:1].isspace():
            return index
    for index, piece in enumerate(near):
        if piece and piece[0] & 0xC0 != 0x80:  # not a UTF-8 continuation byte
            earlier = (before + b"".join(near[:index])).decode("utf-8", "ignore")
            if divides(earlier, b"".join(near[index:]).decode("utf-8", "ignore")):
                return index
    return 0
