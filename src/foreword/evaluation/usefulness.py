"""From typed text to figures, and from a threshold to all of them; `typing` defines the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from foreword.completion.words import parts_of
from foreword.evaluation.typing import AHEAD, Keystroke, Stretch, Suggester, accepted, is_right

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


class Letter(NamedTuple):
    """What is said after a letter of a text, without silence.

    `confidence` is None where there is nothing to say; `taken` are the characters of it that the
    next key would accept.
    """

    confidence: float | None
    right: bool
    taken: int


def record(stretch: Stretch, suggester: Suggester) -> Iterator[Letter]:
    """Ask a suggester that is never silent after every letter of a stretch, in order."""
    for end in range(1, len(stretch.text) + 1):
        items = suggester.suggest(stretch.before + stretch.text[:end]).items
        if not items:
            yield Letter(None, False, 0)
            continue
        said, following = items[0].text, (stretch.text + stretch.after)[end : end + AHEAD]
        # What does not say how sure it is, is always shown.
        sure = 1.0 if items[0].confidence is None else items[0].confidence
        yield Letter(sure, is_right(said, following), accepted(said, following))


def curve(
    recordings: Sequence[Sequence[Letter]], thresholds: Sequence[float] = THRESHOLDS
) -> list[Point]:
    """Type what was recorded once for each threshold; there is one letter at least.

    What is said after a letter is of its own text alone: nothing stays from the key before.
    """
    return [_point(recordings, threshold) for threshold in thresholds]


def _point(recordings: Sequence[Sequence[Letter]], threshold: float) -> Point:
    keys = characters = shown = right = 0
    for letters in recordings:
        at = taken = 0
        while at < len(letters):
            at, keys = at + (taken or 1), keys + 1
            taken = 0
            if at > len(letters):  # accepted past the end
                break
            found = letters[at - 1]
            if found.confidence is not None and found.confidence >= threshold:
                shown, right, taken = shown + 1, right + found.right, found.taken
        characters += at
    return Point(
        threshold,
        _share(right, shown),
        _rounded(shown / keys),
        _rounded((shown - right) / keys),
        _rounded(1 - keys / characters),
    )


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
