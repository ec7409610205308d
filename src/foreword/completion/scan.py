"""How bad words are found in a text that comes in pieces.

A scan reads a text by code points and keeps threads. A thread is a place in a trie of words (see
`lexicon.py`) that some stretch of the text spells. For each cell (`Tables.cells`) of a code point
but decorations, which change nothing unless a thread's node has a child for them:

1. A *boundary* lies before the cell if it or the cell before is of script 0 or they are of
   different scripts; never before a mark. There, a thread at a whole word is a bad word.
2. Each thread goes on in all ways that apply, and ends if none does:
   - a mark: to the node's child for it;
   - a reading of the cell is a child of its node: there (but in a word of single letters with
     spaces between not right behind a letter, unless it is of the same code point);
   - a reading is its node's own letter, which is repeatable, and no gap since: it stays;
   - a wildcard, no gap since, no spaces before: to all children that are letters;
   - a gap, which is no end of line: a tight one once, or up to 3 of any kind while all pieces so
     far were single letters; from a node with a child " " also there, for up to 3.
3. A new thread begins at the cell: in the trie `begin` after a cell of script 0 and, for a
   letter, at a boundary; else in `inside`.

A word counts if one of its cells was read as a letter and the last one was no wildcard and no
punctuation mark (which rather ends a sentence); with wildcards, if it has 4 letters or more. A word
that counts whatever follows, spelt in single letters with spaces between, must be whole if it takes
fewer than 5 code points with its gaps, as two Korean syllables. A whole word spelt in single
letters ("t i t") counts only when it is certain that no other single letter follows ("t i t l e").
All cells of a code point are one single letter. An allowed text around it makes a bad word good: it
is matched letter by letter between boundaries, any gaps in place of a space.

The verdict is the bad word that is certain first; of several at once, the one that begins first,
then the longest. Safe to show is what lies before all threads and all words not yet certain; less
where the text cut there would end in a bad word that goes on as a good one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from foreword.completion.lexicon import Cell, Entry, Lexicon, Node

_MAX_GAP = 3
_MIN_SPACED = 5  # code points
_SINGLE, _SPACED, _LONG = range(3)  # pieces so far: single letters, with spaces between, longer


@dataclass(frozen=True, slots=True)
class Match:
    """A bad word: where it is, in code points of the text, and which; never the word itself."""

    start: int
    end: int
    severity: str
    entry: str


class _Thread(NamedTuple):
    node: Node
    start: int
    end: int
    pieces: int
    gap: int  # signs since the last letter
    lettered: bool  # one was read as a letter
    wild: bool  # a wildcard was used
    doubtful: bool  # the last letter was a wildcard or a punctuation mark

    def spells_word(self) -> bool:
        return (
            self.gap == 0
            and self.lettered
            and not self.doubtful
            and (not self.wild or self.node.depth > 3)
        )

    def ends_word(self) -> bool:
        return self.node.whole is not None and self.spells_word()


class _Spelt(NamedTuple):
    """A word in single letters, until what follows is known."""

    match: Match
    gap: int
    follower: int  # where a letter follows, else -1


class _Allowed(NamedTuple):
    node: Node
    start: int
    end: int


class WordScan:
    """One text, read piece by piece; a `Scan`."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._length = 0
        self._script = 0
        self._threads: list[_Thread] = []
        self._spelt: list[_Spelt] = []
        self._allowing: list[_Allowed] = []
        self._allowed: list[tuple[int, int]] = []
        self._pending: list[Match] = []  # bad unless an allowed text turns out to be around them
        # First and last place to cut the text at which leave a bad word, and its start: text shown
        # up to there would be bad, although the whole text is not.
        self._bad_cuts: list[tuple[int, int, int]] = []
        self._found: Match | None = None

    @property
    def safe(self) -> int:
        """How many code points of the text no bad word found later can take back."""
        starts = [thread.start for thread in self._threads]
        starts += [spelt.match.start for spelt in self._spelt]
        starts += [match.start for match in self._pending]
        if self._found:
            starts.append(self._found.start)
        safe = min(starts, default=self._length)
        for first, last, start in reversed(self._bad_cuts):
            if first <= safe <= last:
                safe = start
        return safe

    def copy(self) -> WordScan:
        """Return a scan that goes on from here by itself."""
        other = WordScan(self._lexicon)
        other.__dict__.update(self.__dict__)  # lists are replaced, never changed
        return other

    def feed(self, piece: str) -> Match | None:
        """Read on; return the first bad word that is certain, from then on always the same."""
        for character in piece:
            if self._found:
                break
            for cell in self._lexicon.tables.cells(character):
                self._step(cell)
            self._length += 1
            self._settle()
        return self._found

    def end(self) -> Match | None:
        """Say that the text is over, which ends its last word."""
        if not self._found:
            self._end_words()
            self._pending = self._pending + [
                spelt.match for spelt in self._spelt if spelt.follower < 0
            ]
            self._threads, self._spelt, self._allowing = [], [], []
            self._settle()
        return self._found

    def _step(self, cell: Cell) -> None:
        before, joined = self._script, cell.mark or cell.decoration
        boundary = not joined and (not cell.script or cell.script != before)
        if boundary:
            self._end_words()
        elif not joined:
            whole = [thread for thread in self._threads if thread.ends_word()]
            self._cut_badly((thread.end, self._length, thread.start) for thread in whole)
        if not joined:
            self._script = cell.script
            if self._spelt:
                self._follow(cell, boundary)
        self._allow(cell, boundary)
        grown: dict[tuple[object, ...], _Thread] = {}
        for thread in self._threads:
            for new in self._advance(thread, cell):
                _keep(grown, new)
        if not joined:
            begins = not before or (cell.script > 0 and cell.script != before)
            root = self._lexicon.begin if begins else self._lexicon.inside
            pieces = _SINGLE if begins else _LONG
            seed = _Thread(root, self._length, self._length, pieces, 0, False, False, False)
            for reading, letter in cell.readings:
                child = root.children.get(reading)
                if child:
                    _keep(grown, self._move(seed, child, pieces, cell, letter))
        self._threads = list(grown.values())
        bad = [
            _match(thread, thread.node.inner)
            for thread in self._threads
            if thread.node.inner
            and thread.spells_word()
            and (thread.pieces != _SPACED or thread.end - thread.start >= _MIN_SPACED)
        ]
        if bad:
            self._pending = self._pending + bad

    def _advance(self, thread: _Thread, cell: Cell) -> list[_Thread]:
        node, pieces, gap = thread.node, thread.pieces, thread.gap
        children = node.children
        grown = []
        if cell.mark or cell.decoration:
            if cell.decoration:
                grown.append(thread)
            child = children.get(cell.letter)
            if child:
                grown.append(self._move(thread, child, pieces, cell, False))
            return grown
        close = gap == 0 and self._length >= thread.end
        if not (close and pieces == _SPACED):
            longer = _LONG if close else pieces
            for reading, letter in cell.readings:
                child = children.get(reading)
                if child:
                    grown.append(self._move(thread, child, longer, cell, letter))
            if cell.wildcard and close:
                grown += [
                    self._move(thread, child, _LONG, cell, False)._replace(wild=True, doubtful=True)
                    for letter, child in children.items()
                    if letter != " "
                ]
        if gap == 0 and node.letter in cell.repeats:
            grown.append(thread._replace(end=self._length + 1))
        if cell.gap and cell.gap != "end" and gap < _MAX_GAP:
            if node.letter == " ":
                grown.append(thread._replace(gap=gap + 1))
            elif pieces != _LONG:
                spaced = _SINGLE if cell.gap == "tight" and pieces == _SINGLE else _SPACED
                grown.append(thread._replace(pieces=spaced, gap=gap + 1))
            elif cell.gap == "tight" and gap == 0:
                grown.append(thread._replace(gap=1))
            if " " in children and gap == 0 and pieces != _SPACED:
                grown.append(self._move(thread, children[" "], _LONG, cell, False))
        return grown

    def _move(self, thread: _Thread, node: Node, pieces: int, cell: Cell, letter: bool) -> _Thread:
        return _Thread(
            node=node,
            start=thread.start,
            end=self._length + 1,
            pieces=pieces,
            gap=0,
            lettered=thread.lettered or letter,
            wild=thread.wild,
            doubtful=cell.punctuation,
        )

    def _end_words(self) -> None:
        """Bad and allowed words that end before the current cell."""
        for thread in self._threads:
            entry = thread.node.whole
            if entry and thread.spells_word():
                match = _match(thread, entry)
                if thread.pieces == _LONG or match.end - match.start == 1:
                    self._pending = [*self._pending, match]
                else:
                    self._spelt = [*self._spelt, _Spelt(match, 0, -1)]
        for allowing in self._allowing:
            if allowing.node.whole:
                self._allowed = [*self._allowed, (allowing.start, allowing.end)]

    def _follow(self, cell: Cell, boundary: bool) -> None:
        """Words in single letters: bad if no other single letter follows."""
        waiting = []
        for match, gap, follower in self._spelt:
            if follower < 0 and cell.script:
                waiting.append(_Spelt(match, gap, self._length))
            elif follower < 0 and cell.gap != "end" and gap < _MAX_GAP:
                waiting.append(_Spelt(match, gap + 1, -1))
            elif follower == self._length:
                waiting.append(_Spelt(match, gap, follower))
            elif follower < 0 or not boundary:
                self._pending = [*self._pending, match]
            else:
                self._cut_badly([(match.end, follower, match.start)])
        self._spelt = waiting

    def _allow(self, cell: Cell, boundary: bool) -> None:
        """Go on with the allowed texts; one may begin at a boundary."""
        going = []
        for node, start, end in self._allowing:
            letter = " " if cell.gap and cell.gap != "end" else cell.letter
            child = node.children.get(letter)
            if child:
                going.append(_Allowed(child, start, self._length + 1))
            elif cell.decoration or (letter == " " == node.letter):
                going.append(_Allowed(node, start, end))
        if boundary and cell.script:
            child = self._lexicon.allow.children.get(cell.letter)
            if child:
                going.append(_Allowed(child, self._length, self._length + 1))
        self._allowing = going

    def _cut_badly(self, cuts: Iterable[tuple[int, int, int]]) -> None:
        self._bad_cuts = [*self._bad_cuts, *cuts]

    def _settle(self) -> None:
        """Find the first word that no allowed text can still be around."""
        bad = []
        for match in self._pending:
            around = [
                end for start, end in self._allowed if start <= match.start and match.end <= end
            ]
            if around:
                self._cut_badly([(match.end, max(around) - 1, match.start)])
            else:
                bad.append(match)
        self._pending = bad
        if self._pending:
            first = min((allowing.start for allowing in self._allowing), default=self._length)
            certain = [match for match in self._pending if match.start < first]
            if certain:
                self._found = min(certain, key=lambda match: (match.start, -match.end, match.entry))
                return
        if self._allowed or self._bad_cuts:
            safe = self.safe
            self._allowed = [span for span in self._allowed if span[1] > safe]
            self._bad_cuts = [cut for cut in self._bad_cuts if cut[1] > safe]


def _match(thread: _Thread, entry: Entry) -> Match:
    return Match(thread.start, thread.end, entry.severity, entry.id)


def _keep(threads: dict[tuple[object, ...], _Thread], new: _Thread) -> None:
    """Of threads that differ in their beginnings alone keep the earliest."""
    key = (id(new.node), *new[3:])
    old = threads.get(key)
    if old is None or new.start < old.start:
        threads[key] = new
