"""A person at a text, key by key: what a suggester shows, and which keys it spares.

The typist knows the text and makes no mistakes. A keystroke is one key, after which the suggester
is asked once and one suggestion at most is seen, the best. The next key is then

- Tab, where all of the suggestion is what the text has next: all of it is taken;
- else Ctrl-Right, where its first word is, with the marks around it: that is taken, no more;
- else the next character (a code point).

So accepting costs a key a time, and a suggestion is accepted as soon as it helps. Words and marks
are those of `completion.words`. A word is right where the text has the same characters next and
its own word ends with them: "the" is wrong before "then", and "don" before "don't". Before
"food, and" the first word of "food. It" is right, yet it is not accepted: a full stop comes along.
Keys come without a pause, so nothing is computed ahead.

The figures (`usefulness.figures`) are, over the keystrokes of all stretches:

keystroke_savings
    1 − keys pressed / characters of text, accepting keys among the pressed: "keystroke savings"
    of Trnka and McCoy 2008, "Evaluating word prediction: framing keystroke savings" (ACL), which
    is 1 − KSPC of MacKenzie 2002, "KSPC (keystrokes per character) as a characteristic of text
    entry techniques", where plain typing takes one key a character.
coverage
    The share of keystrokes after which something is shown.
precision_when_shown
    Of these, the share where the first word shown is right. A suggestion that stays through
    several keystrokes counts at each of them.
wrong_show_rate
    Keystrokes after which something wrong is shown, over all keystrokes.
acceptance_rate
    The share of suggestions of which a word at least was accepted. What is left of a suggestion
    after a letter or a word of it is the same suggestion.
suggestion_words, suggestion_characters
    Mean length of what was shown.
no_model_call_share
    The share of keystrokes answered with `computed_tokens` 0.
tokens_computed_per_keystroke
    Mean `computed_tokens`, over all keystrokes.
latency_ms
    p50, p95 and p99 of the wait for an answer, over the keystrokes that called the model, without
    the first of every stretch. These, where nothing of the text is in the cache, are
    `cold_latency_ms`.

A share of nothing is None.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from foreword.completion.session import first_word
from foreword.completion.suggestion import Suggestion, Suggestions
from foreword.completion.words import parts_of
from foreword.engine.engine import Cancel

_BEFORE = 4000  # characters of the text before a stretch
_LONG_WORD = 64

AHEAD = 1000
"""Characters of the text a suggestion is held against: more than it is long."""
_PLACES, _LEAST_STRETCH = 10, 100


class Suggester(Protocol):
    """What is asked after every key: a `completion.session.Session`, or a baseline."""

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        """Return what may follow a text."""
        ...


@dataclass(frozen=True)
class Stretch:
    """A part of a text to be typed, with what stands before it and after it."""

    before: str
    text: str
    after: str = ""


@dataclass(frozen=True)
class Keystroke:
    """What one key led to: `characters` of the text, and an answer.

    `shown` is the best suggestion, None for silence; `right` says whether its first word is what
    the text has next, `accepted` whether the next key takes it, `kept` whether it is the rest of
    what was shown before.
    """

    characters: int
    shown: Suggestion | None
    right: bool
    accepted: bool
    kept: bool
    computed_tokens: int
    latency_ms: float


def stretches(text: str, keystrokes: int, begin: int = 0) -> list[Stretch]:
    """Choose about `keystrokes` characters from `begin` on, in up to ten places evenly apart.

    A stretch begins with a word, and has up to 4,000 characters of the text before it.
    """
    room = len(text) - begin
    wanted = min(keystrokes, room)
    places = max(1, min(_PLACES, wanted // _LEAST_STRETCH))
    chosen = []
    for place in range(1, places + 1):
        end = begin + room * place // places
        start = _word_start(text, end - wanted // places, end)
        before = text[max(0, start - _BEFORE) : start]
        chosen.append(Stretch(before, text[start:end], text[end : end + AHEAD]))
    return chosen


def _word_start(text: str, start: int, end: int) -> int:
    """Return where the first word from `start` on begins, `start` where there is none."""
    if start == 0 or text[start - 1].isspace():
        return start
    found = re.compile(r"\s\S").search(text, start, end)
    return found.start() + 1 if found else start


def type_stretch(stretch: Stretch, suggester: Suggester) -> Iterator[Keystroke]:
    """Type a stretch with a suggester, and give every keystroke."""
    whole = stretch.before + stretch.text + stretch.after
    at, end = len(stretch.before), len(stretch.before) + len(stretch.text)
    offered = ""
    while at < end:
        taken = accepted(offered, whole[at : at + AHEAD]) or 1
        rest = offered[taken:] if whole.startswith(offered[:taken], at) else ""
        at += taken
        started = time.perf_counter()
        answer = suggester.suggest(whole[:at])
        latency_ms = (time.perf_counter() - started) * 1e3
        shown = answer.items[0] if answer.items else None
        text = shown.text if shown else ""
        yield Keystroke(
            taken,
            shown,
            is_right(text, whole[at : at + AHEAD]),
            bool(accepted(text, whole[at : at + AHEAD])),
            bool(text) and text == rest,
            answer.computed_tokens,
            latency_ms,
        )
        offered = text


def accepted(suggestion: str, following: str) -> int:
    """Return how many characters the next key takes from a suggestion: all, a word or none."""
    for part in (suggestion, first_word(suggestion)):
        if _agrees(part, following):
            return len(part)
    return 0


def is_right(suggestion: str, following: str) -> bool:
    """Return whether the first word of a suggestion, or its marks, is what a text has next."""
    parts = parts_of(suggestion)
    word = next((part.end for part in parts if part.is_word), len(suggestion))
    return _agrees(suggestion[:word], following)


def _agrees(part: str, following: str) -> bool:
    """Return whether a text goes on with these words, and ends a word where they end."""
    near = following[: len(part) + _LONG_WORD]
    if not part or not near.startswith(part):
        return False
    return part[-1].isspace() or len(part) in (found.end for found in parts_of(near))
