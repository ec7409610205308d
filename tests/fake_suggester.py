"""Suggesters whose every answer is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foreword.completion.suggestion import Suggestion, Suggestions
from foreword.completion.words import parts_of
from foreword.engine.engine import Cancel

SILENCE = Suggestions(computed_tokens=1)


def said(text: str, confidence: float = 0.5, computed_tokens: int = 1) -> Suggestions:
    """Return an answer with one suggestion."""
    return Suggestions((Suggestion(text, confidence=confidence),), computed_tokens=computed_tokens)


class Mute:
    """Never says anything."""

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        return SILENCE


class Fixed:
    """Says what it was given for a text, and `after` for every other, if anything."""

    def __init__(self, answers: Mapping[str, str], after: str = "") -> None:
        self._answers, self._after = answers, after

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        answer = self._answers.get(text, self._after)
        return said(answer) if answer else SILENCE


class Listed:
    """Gives the first answer after one character, the second after two, and so on."""

    def __init__(self, answers: Sequence[Suggestions]) -> None:
        self._answers = answers

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        return self._answers[len(text) - 1]


class Oracle:
    """Knows a text, and says its next words and the marks behind them."""

    def __init__(self, text: str, words: int) -> None:
        self._text, self._words = text, words

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        rest = self._text[len(text) :]
        parts = parts_of(rest)
        starts = [i for i, part in enumerate(parts) if part.is_word]
        if len(starts) > self._words:
            rest = rest[: parts[starts[self._words] - 1].end]
        return said(rest) if rest else SILENCE
