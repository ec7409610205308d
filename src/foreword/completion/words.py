"""Words and characters as a reader counts them, in any script.

A word is a run of letters and digits, with the marks within it ("don't", "3.14"); in scripts that
do not put spaces between words (Han, kana, Thai, Lao, Khmer, Burmese …) every character is one. A
run of other marks stands by itself, and is no word. A character is an extended grapheme cluster
(Unicode Standard Annex 29).
"""

from __future__ import annotations

from typing import NamedTuple

import regex

_UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
    r"\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Javanese}"
)
_LETTER = rf"(?:(?![{_UNSPACED}])(?=[\p{{L}}\p{{N}}])\X)"
_MARK = r"(?:(?![\s\p{L}\p{N}])\X)"
_PART = regex.compile(rf"\s*(?:(?=[{_UNSPACED}])\X|{_LETTER}+(?:['’._-]{_LETTER}+)*|{_MARK}+|\S)")
_WORD = regex.compile(r"[\p{L}\p{N}]")
_CHARACTER = regex.compile(r"\X")
# The end of a sentence: its mark, quotes and brackets that close, and then something else.
_SENTENCE = regex.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*)")


class Part(NamedTuple):
    """A word of a text, or a run of marks: up to `end`, with the spaces before it."""

    end: int
    is_word: bool


def parts_of(text: str) -> list[Part]:
    """Return the words and runs of marks of a text, in order."""
    return [Part(match.end(), bool(_WORD.search(match.group()))) for match in _PART.finditer(text)]


def last_words(text: str, count: int) -> str:
    """Return the end of a text that has its last `count` words, without the space before them."""
    parts = parts_of(text)
    starts = [0, *(part.end for part in parts)]
    words = [i for i, part in enumerate(parts) if part.is_word]
    return text if len(words) <= count else text[starts[words[-count]] :].lstrip()


def sentence_end(text: str) -> int | None:
    """Return where the first sentence of a text ends, None where it does not in this text.

    A mark such as a full stop ends one only when white space follows.
    """
    match = _SENTENCE.search(text)
    return match.end() if match else None


def characters(text: str) -> list[str]:
    """Return the characters of a text as a reader sees them."""
    return _CHARACTER.findall(text)


def divides(before: str, after: str) -> bool:
    """Return whether a character ends between two texts."""
    if not before or not after:
        return True
    # What a character can reach across: flags and families of emoji are the longest.
    near = before[-32:]
    position = 0
    for match in _CHARACTER.finditer(near + after[:32]):
        position = match.end()
        if position >= len(near):
            break
    return position == len(near)
