"""From typed text to figures, and from a threshold to all of them; `typing` defines the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foreword.completion.suggestion import Suggestions
from foreword.completion.words import parts_of
from foreword.engine.engine import Cancel
from foreword.evaluation.typing import Keystroke, Stretch, type_stretch

Figures = dict[str, Any]
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(20))


@dataclass(frozen=True)
class Point:
    """What a threshold of confidence leads to; shares of nothing are None."""

    threshold: float
    precision: float | None
    coverage: float
    wrong_show_rate: float
    keystroke_savings: float


def figures(typed: Sequence[Sequence[Keystroke]]) -> Figures:
    """Return the figures of stretches as they were typed; `typing` says what each key means.

    There is one stretch at least, of one keystroke at least.
    """
    keys = [key for one in typed for key in one]
    shown = [key.shown.text for key in keys if key.shown]
    right = sum(key.right for key in keys)
    warm = [key for one in typed for key in one[1:] if key.computed_tokens]
    cold = [one[0] for one in typed if one[0].computed_tokens]
    characters = sum(key.characters for key in keys)
    return {
        "keystrokes": len(keys),
        "characters": characters,
        "keystroke_savings": _rounded(1 - len(keys) / characters),
        "acceptance_rate": _mean([float(taken) for one in typed for taken in _suggestions(one)]),
        "precision_when_shown": _share(right, len(shown)),
        "wrong_show_rate": _share(len(shown) - right, len(keys)),
        "coverage": _share(len(shown), len(keys)),
        "suggestion_words": _mean([float(_words(text)) for text in shown]),
        "suggestion_characters": _mean([float(len(text)) for text in shown]),
        "no_model_call_share": _share(sum(not k.computed_tokens for k in keys), len(keys)),
        "tokens_computed_per_keystroke": _mean([float(k.computed_tokens) for k in keys]),
        "latency_ms": _percentiles(warm),
        "cold_latency_ms": _percentiles(cold),
    }


def _suggestions(typed: Sequence[Keystroke]) -> list[bool]:
    """Return of every suggestion, in order, whether a word of it was accepted."""
    found: list[bool] = []
    for key in typed:
        if key.shown and key.kept and found:
            found[-1] |= key.accepted
        elif key.shown:
            found.append(key.accepted)
    return found


def _words(text: str) -> int:
    return sum(part.is_word for part in parts_of(text))


def _share(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return _rounded(float(np.mean(values))) if values else None


def _rounded(value: float) -> float:
    return round(value, 4)


def _percentiles(keys: Sequence[Keystroke]) -> dict[str, float | None]:
    times = [key.latency_ms for key in keys]
    return {
        f"p{p}": round(float(np.percentile(times, p)), 3) if times else None for p in (50, 95, 99)
    }


@dataclass(frozen=True)
class Recording:
    """What a suggester that is never silent says after every letter of a stretch, in order."""

    stretch: Stretch
    answers: Sequence[Suggestions]


class _Replayed:
    """Says again what was recorded, silent below a confidence."""

    def __init__(self, recording: Recording, confidence: float) -> None:
        self._recording, self._confidence = recording, confidence

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        letters = len(text) - len(self._recording.stretch.before)
        if letters > len(self._recording.answers):  # accepted past the end
            return Suggestions()
        answer = self._recording.answers[letters - 1]
        best = answer.items[0].confidence if answer.items else None
        return answer if best is None or best >= self._confidence else Suggestions()


def curve(recordings: Sequence[Recording], thresholds: Sequence[float] = THRESHOLDS) -> list[Point]:
    """Type the stretches once for each threshold, with the answers recorded.

    Each answer is of its own text alone: nothing stays from the key before.
    """
    points = []
    for threshold in thresholds:
        found = figures(
            [list(type_stretch(r.stretch, _Replayed(r, threshold))) for r in recordings]
        )
        points.append(
            Point(
                threshold,
                found["precision_when_shown"],
                found["coverage"],
                found["wrong_show_rate"],
                found["keystroke_savings"],
            )
        )
    return points


def choose(points: Sequence[Point], precision: float, wrong_show_rate: float) -> Point | None:
    """Return the point that spares most keys of those good enough, None where none is."""
    enough = [
        point
        for point in points
        if point.precision is not None
        and point.precision >= precision
        and point.wrong_show_rate <= wrong_show_rate
    ]
    return max(enough, key=lambda point: point.keystroke_savings, default=None)
