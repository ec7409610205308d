"""What the word filter looks for and how letters are read: `lexicon.json` and lists of users.

The file, which Kotlin and JavaScript read too, holds (version 1):

- `words`: groups of `texts` of one `language`, `severity` (`slur`, `vulgar`, `mild`) and `match`:
  `word` is a whole word, `start` begins one, `inside` is found anywhere; any other match is a key
  of `endings`: a whole word, as it is or with one of those. A word's id is its language, a hyphen
  and the first 8 hex digits of the SHA-256 of its text in UTF-8.
- `allow`: texts in which a bad word is none.
- `folds`: letters written as several. `look_alikes`: letters that can be read as another.
  `signs`: digits and signs, each with all the letters that it can be read as.
- `wildcards`: signs that can stand for any letter. `tight`: signs skipped between letters.
- Ranges of code points, both ends included: `decorations` (never part of a word), `repeatable`
  (letters) and `scripts`, each with a number from 2 on: a word also ends where it changes from
  one of these to another, or to a letter of none of them (1). From 3 on they part no words.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """A word of the lexicon, or of a user's list: its id says which without repeating it."""

    id: str
    severity: str


class Node:
    """A node of a trie: the letters up to it are the beginning of a word, or a word."""

    __slots__ = ("children", "depth", "inner", "letter", "whole")

    def __init__(self, letter: str = "", depth: int = 0) -> None:
        self.letter = letter
        self.depth = depth
        self.children: dict[str, Node] = {}
        self.whole: Entry | None = None  # bad where the word ends here
        self.inner: Entry | None = None  # bad whatever follows

    def add(self, letters: str, entry: Entry, *, whole: bool = True) -> Node:
        """Put in a word and return its node; what is there already stays."""
        node = self
        for letter in letters:
            if letter not in node.children:
                node.children[letter] = Node(letter, node.depth + 1)
            node = node.children[letter]
        if whole:
            node.whole = node.whole or entry
        else:
            node.inner = node.inner or entry
        return node


@dataclass(frozen=True, slots=True)
class Cell:
    """One letter of a text after folding, with all that the filter asks of it."""

    letter: str
    script: int  # 0: in no word; two letters of different scripts have a boundary between them
    mark: bool  # joined to the letter before
    gap: str  # "" for a letter; "tight" or "loose" for what may stand between; "end" for neither
    readings: tuple[tuple[str, bool], ...]  # letters to read it as; True for one, not a digit
    repeats: str  # those of the readings that may be repeated
    punctuation: bool  # category P
    wildcard: bool
    decoration: bool


class Tables:
    """How characters are read: the tables of `lexicon.json` except its words.

    A letter (Unicode category L, N or M) has the script of its range, else 1; it can be read as
    itself. All else is of script 0 and a gap, but a symbol (category S) that is in neither `signs`
    nor `tight`, as an emoji, can be read as itself, too. `look_alikes` and `signs` add readings.
    Read as itself, a digit does not count as a letter; nor does what is read by `signs`.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._folds: dict[str, str] = document["folds"]
        self._look_alikes: dict[str, str] = document["look_alikes"]
        self._signs: dict[str, str] = document["signs"]
        self._wildcards: str = document["wildcards"]
        self._tight: str = document["tight"]
        self._scripts: list[list[int]] = document["scripts"]
        self._decorations: list[list[int]] = document["decorations"]
        self._repeatable: list[list[int]] = document["repeatable"]
        self._cells: dict[str, tuple[Cell, ...]] = {}

    def cells(self, character: str) -> tuple[Cell, ...]:
        """Return the cells of one code point: NFKD, then lower case, then `folds`."""
        found = self._cells.get(character)
        if found is None:
            if len(self._cells) > 10_000:
                self._cells.clear()
            found = tuple(self._cell(letter) for letter in self._fold(character))
            self._cells[character] = found
        return found

    def letters(self, text: str) -> str:
        """Fold a word as it goes into a trie: gaps become one space each."""
        cells = [cell for character in text for cell in self.cells(character)]
        words = "".join(" " if cell.gap and not self._own(cell) else cell.letter for cell in cells)
        return " ".join(words.split())

    def unspaced(self, letters: str) -> bool:
        """Whether a folded word is of a script that does not part its words, Korean left out."""
        return all(self._cell(letter).script > 2 for letter in letters)

    def _fold(self, character: str) -> str:
        lowered = unicodedata.normalize("NFKD", character).lower()
        return "".join(self._folds.get(letter, letter) for letter in lowered)

    @staticmethod
    def _own(cell: Cell) -> bool:
        return any(letter == cell.letter for letter, _ in cell.readings)

    def _cell(self, letter: str) -> Cell:
        point, category = ord(letter), unicodedata.category(letter)
        script = 0
        if category[0] in "LNM":
            found = _range(self._scripts, point)
            script = found[2] if found else 1
        gap = ""
        if not script:
            if letter in "\n\r\u2028\u2029":
                gap = "end"
            else:
                gap = "tight" if letter in self._tight else "loose"
        readings = []
        if script or (gap == "loose" and category[0] == "S" and letter not in self._signs):
            readings.append((letter, category[0] != "N"))
        readings += [(other, True) for other in self._look_alikes.get(letter, "")]
        readings += [(other, False) for other in self._signs.get(letter, "")]
        return Cell(
            letter,
            script,
            category[0] == "M",
            gap,
            tuple(readings),
            "".join(other for other, _ in readings if _range(self._repeatable, ord(other))),
            category[0] == "P",
            letter in self._wildcards,
            _range(self._decorations, point) is not None,
        )


@dataclass(frozen=True)
class Lexicon:
    """Words in tries: `begin` is searched where a word begins, `inside` where none does."""

    tables: Tables
    begin: Node
    inside: Node
    allow: Node


def build(
    document: Mapping[str, Any],
    severities: Iterable[str],
    extra: Mapping[int, str] | None = None,
    allow: Iterable[str] = (),
) -> Lexicon:
    """Put words of some severities, and those of a user by their lines, into tries."""
    tables = Tables(document)
    lexicon = Lexicon(tables, Node(), Node(), Node())
    wanted = set(severities)
    for text in [*document["allow"], *allow]:
        lexicon.allow.add(tables.letters(text), Entry("allow", "none"))
    for group in document["words"]:
        if group["severity"] in wanted:
            endings = ["", *map(tables.letters, document["endings"].get(group["match"], []))]
            for text in group["texts"]:
                entry = Entry(word_id(group["language"], text), group["severity"])
                _add(lexicon, tables.letters(text), group["match"], entry, endings)
    for line, text in (extra or {}).items():
        letters = tables.letters(text)
        match = "inside" if tables.unspaced(letters) else "word"
        _add(lexicon, letters, match, Entry(f"user-{line}", "user"), [""])
    return lexicon


def _add(lexicon: Lexicon, letters: str, match: str, entry: Entry, endings: list[str]) -> None:
    if match == "inside":
        lexicon.inside.add(letters, entry, whole=False)
    if match in ("inside", "start"):
        lexicon.begin.add(letters, entry, whole=False)
        lexicon.begin.add(letters, entry)  # whole in single letters with spaces between
    else:
        stem = lexicon.begin.add(letters, entry)
        for ending in endings:
            stem.add(ending, entry)


def word_id(language: str, text: str) -> str:
    """Return the id of a word, which stays the same whatever else is in the lexicon."""
    return f"{language}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def read_lexicon() -> dict[str, Any]:
    """Read the lexicon in the package."""
    path = resources.files("foreword.completion") / "lexicon.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _range(ranges: list[list[int]], point: int) -> list[int] | None:
    """The range that holds a code point."""
    return next((found for found in ranges if found[0] <= point <= found[1]), None)
