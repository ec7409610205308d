"""Words and characters as a reader counts them, in any script.

A word is a run of characters without white space; in scripts that do not put spaces between
words (Han, kana, Thai, Lao, Khmer, Burmese …) every character is one. A character is an extended
grapheme cluster (Unicode Standard Annex 29).
"""

from __future__ import annotations

import regex

_UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}"
    r"\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Javanese}"
)
_WORD = regex.compile(rf"\s*(?:(?=[{_UNSPACED}])\X|(?:(?![{_UNSPACED}\s])\X)+)")
_CHARACTER = regex.compile(r"\X")
# The end of a sentence: its mark, quotes and brackets that close, and then something else.
_SENTENCE = regex.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*)")


def word_ends(text: str) -> list[int]:
    """Return where each word of a text ends; the spaces before a word belong to it."""
    return [match.end() for match in _WORD.finditer(text)]


def last_words(text: str, count: int) -> str:
    """Return the end of a text that has its last `count` words, without the space before them."""
    ends = word_ends(text)
    return text if len(ends) <= count else text[ends[-count - 1] :].lstrip()


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
