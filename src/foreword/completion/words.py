"""Words and characters as a reader counts them, in any script.

A word is a run of letters and digits, with the marks within it ("don't", "3.14"); in scripts that
do not put spaces between words (Han, kana, Thai, Lao, Khmer, Burmese …) every character is one. A
run of other marks stands by itself, and is no word. A character is an extended grapheme cluster
(Unicode Standard Annex 29).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import regex

_COMPARED = 4096
"""Characters after the cursor that a suggestion is compared with, at most."""

_UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
    r"\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Javanese}"
)
_JOINERS = "'’._-"
_LETTER = rf"(?:(?![{_UNSPACED}])(?=[\p{{L}}\p{{N}}])\X)"
_MARK = r"(?:(?![\s\p{L}\p{N}])\X)"
_PART = regex.compile(
    rf"\s*(?:(?=[{_UNSPACED}])\X|{_LETTER}+(?:[{_JOINERS}]{_LETTER}+)*|{_MARK}+|\S)"
)
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


def settled_parts(text: str) -> list[Part]:
    """Return the parts of a text that are the same whatever is written behind it."""
    parts = parts_of(text)
    if parts and parts[-1].end == len(text):
        parts.pop()
        # "don" and its mark may become "don't".
        if parts and parts[-1].is_word and text[parts[-1].end :] in _JOINERS:
            parts.pop()
    return parts


def repeats_from(text: str, following: str) -> int:
    """Return where a text begins to say what follows it, its length where it does not.

    Compared are whole words and marks, up to the end of the shorter; what follows is the rest of
    a line. White space counts only at the cut: there is to be some before what follows.
    """
    line = following[:_COMPARED].partition("\n")[0]
    said, next_said = _cut(text), [part.strip() for part in _cut(line)]
    start = 0
    for i, part in enumerate(said if next_said else []):
        if all(a.strip() == b for a, b in zip(said[i:], next_said, strict=False)):
            spaces = 0 if line[0].isspace() else len(part) - len(part.lstrip())
            return start + spaces
        start += len(part)
    return len(text)


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


def _cut(text: str) -> list[str]:
    """Return the words and runs of marks of a text, with the spaces before them."""
    return [text[a:b] for a, b in pairwise([0, *(part.end for part in parts_of(text))])]


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
