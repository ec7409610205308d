"""The safety filter: bad words in what is typed and in what is suggested.

One scan reads a prompt and then its suggestion, so that a word half typed is judged with what is
suggested for it: `feed` the prompt (a match refuses it), then each piece of the suggestion. Show no
more than `safe` code points of both. On a match go back to its `start`: keep a `copy` of the scan
for every step. `end` judges the last word, which before may still become another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from foreword.completion.lexicon import Lexicon, Tables, build, read_lexicon
from foreword.completion.scan import Match, WordScan
from foreword.errors import UsageError

__all__ = ["LEVELS", "Filter", "Match", "Scan", "WordFilter", "check_level", "load_filter"]

LEVELS: dict[str, tuple[str, ...]] = {
    "off": (),
    "default": ("slur", "vulgar"),
    "strict": ("slur", "vulgar", "mild"),
}
_MAX_LIST_BYTES = 1_000_000
_MAX_WORD = 100


class Scan(Protocol):
    """One text, read piece by piece; the verdict does not depend on the pieces."""

    @property
    def safe(self) -> int:
        """How many code points of the text no bad word found later can take back."""

    def feed(self, piece: str) -> Match | None:
        """Read on; return the first bad word that is certain, from then on always the same."""

    def end(self) -> Match | None:
        """Say that the text is over, which ends its last word."""

    def copy(self) -> Scan:
        """Return a scan that goes on from here by itself."""


class Filter(Protocol):
    """What tells whether a text may be shown."""

    def find(self, text: str) -> Match | None:
        """Return the first bad word of a whole text."""

    def scan(self) -> Scan:
        """Begin a text that comes in pieces."""


class WordFilter:
    """A `Filter` that finds the words of a lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def find(self, text: str) -> Match | None:
        """Return the first bad word of a whole text."""
        scan = self.scan()
        return scan.feed(text) or scan.end()

    def scan(self) -> WordScan:
        """Begin a text that comes in pieces."""
        return WordScan(self._lexicon)


def check_level(level: str) -> None:
    """Raise UsageError for a level that there is not."""
    if level not in LEVELS:
        raise UsageError(f"safety level: expected {', '.join(LEVELS)}, found {level!r}")


def load_filter(
    level: str = "default", extra: Path | None = None, allow: Path | None = None
) -> WordFilter:
    """Load the filter of a level: `off` (the extra words alone), `default` or `strict`.

    `extra` and `allow` name text files in UTF-8 with a word or phrase a line, `#` before a comment:
    what is bad as well, and what is not, which wins. Raises UsageError for another level or a file
    that is not of this kind.
    """
    check_level(level)
    document = read_lexicon()
    tables = Tables(document)
    bad = _read_list(extra, tables) if extra else {}
    good = _read_list(allow, tables) if allow else {}
    return WordFilter(build(document, LEVELS[level], bad, good.values()))


def _read_list(path: Path, tables: Tables) -> dict[int, str]:
    """Read a user's words by their lines; errors name the line, never the word."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_LIST_BYTES + 1)
        if len(data) > _MAX_LIST_BYTES:
            raise UsageError(
                f"{path}: expected at most {_MAX_LIST_BYTES:,} bytes, found more; shorten the list"
            )
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(
            f"{path}: expected a text file with a word a line: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: expected words in UTF-8, a line each; save it as that"
        ) from error
    words = {}
    for number, line in enumerate(lines, 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        if len(word) > _MAX_WORD:
            raise UsageError(
                f"{path}, line {number}: expected at most {_MAX_WORD} characters, found {len(word)}"
            )
        if not tables.letters(word):
            raise UsageError(f"{path}, line {number}: expected a word, found no letter; remove it")
        words[number] = word
    return words
