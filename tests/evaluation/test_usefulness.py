"""Figures of typed text, counted by hand; thresholds, and the choice among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_suggester import SILENCE, Fixed, Listed, Mute, Oracle, said
from foreword.completion.suggestion import Suggestion
from foreword.evaluation.typing import Keystroke, Stretch, type_stretch
from foreword.evaluation.usefulness import Letter, Point, choose, curve, figures, record

TEXT = "The ships sail at dawn, and nobody waits for the late ones. "


def key(
    shown: str | None = None,
    right: bool = False,
    kept: bool = False,
    computed_tokens: int = 0,
    latency_ms: float = 0.0,
) -> Keystroke:
    suggestion = None if shown is None else Suggestion(shown)
    return Keystroke(1, suggestion, right, right, kept, computed_tokens, latency_ms)


def test_a_mute_suggester_saves_nothing_and_is_never_wrong() -> None:
    found = figures([list(type_stretch(Stretch("", TEXT), Mute()))])
    assert found["keystroke_savings"] == found["coverage"] == found["wrong_show_rate"] == 0
    assert found["precision_when_shown"] is found["acceptance_rate"] is None
    assert found["suggestion_words"] is None


def test_an_oracle_saves_a_known_share() -> None:
    text = "The ships sail, all."
    found = figures([list(type_stretch(Stretch("", text), Oracle(text + " ", words=1)))])
    assert (found["keystrokes"], found["characters"]) == (5, 20)
    assert found["keystroke_savings"] == 0.75


def test_an_oracle_that_says_the_whole_text_needs_two_keys() -> None:
    found = figures([list(type_stretch(Stretch("", TEXT), Oracle(TEXT, words=99)))])
    assert found["keystrokes"] == 2
    assert found["acceptance_rate"] == 1


def test_wrong_words_are_shown_at_every_key_and_save_nothing() -> None:
    found = figures([list(type_stretch(Stretch("", TEXT), Fixed({}, after="xyz")))])
    assert found["keystroke_savings"] == 0
    assert found["precision_when_shown"] == found["acceptance_rate"] == 0
    assert found["wrong_show_rate"] == found["coverage"] == 1


def test_a_suggestion_that_stays_is_shown_often_and_counted_once() -> None:
    stays = [key("here"), key("ere", kept=True), key("re", right=True, kept=True), key()]
    found = figures([[*stays, key("now")]])
    assert found["acceptance_rate"] == 0.5
    assert found["precision_when_shown"] == 0.25
    assert found["wrong_show_rate"] == 0.6
    assert found["coverage"] == 0.8


def test_the_first_key_of_a_stretch_is_cold_and_keys_without_the_model_are_in_no_latency() -> None:
    stretch = [
        key(computed_tokens=100, latency_ms=900),
        key(computed_tokens=4, latency_ms=10),
        key(latency_ms=0.01),
        key(computed_tokens=4, latency_ms=20),
    ]
    found = figures([stretch, stretch])
    assert found["cold_latency_ms"] == {"p50": 900, "p95": 900, "p99": 900}
    assert found["latency_ms"]["p50"] == 15
    assert found["no_model_call_share"] == 0.25
    assert found["tokens_computed_per_keystroke"] == 27


def test_without_a_call_there_is_no_latency() -> None:
    assert figures([[key()]])["latency_ms"] == {"p50": None, "p95": None, "p99": None}


def test_silence_below_a_threshold_is_what_the_curve_shows() -> None:
    # Right with 0.9, wrong with 0.2, silent at the end.
    answers = [said("b", 0.9), said("nothing", 0.2), said("nothing", 0.2), SILENCE]
    recorded = list(record(Stretch("", "ab c"), Listed(answers)))
    low, high, above = curve([recorded], (0.0, 0.5, 0.95))
    assert (low.precision, low.coverage) == (pytest.approx(1 / 3, abs=1e-4), 0.75)
    assert (high.precision, high.coverage, high.wrong_show_rate) == (1, 0.25, 0)
    assert (above.precision, above.coverage) == (None, 0)


@given(st.text("ab ,.", min_size=1, max_size=60), st.integers(1, 3), st.text("ab ", max_size=9))
def test_the_curve_is_what_typing_with_that_suggester_gives(
    text: str, words: int, after: str
) -> None:
    oracle, stretch = Oracle(text + after, words), Stretch("", text, after)
    (point,) = curve([list(record(stretch, oracle))], (0.0,))
    found = figures([list(type_stretch(stretch, oracle))])
    assert point.keystroke_savings == found["keystroke_savings"]


@given(
    st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=2),
)
def test_a_higher_threshold_never_shows_more_of_what_is_wrong(
    sure: list[float | None], thresholds: list[float]
) -> None:
    letters = [Letter(confidence, right=False, taken=0) for confidence in sure]
    shown = [point.coverage for point in curve([letters], sorted(thresholds))]
    assert shown == sorted(shown, reverse=True)


def test_the_choice_spares_most_among_what_is_good_enough() -> None:
    points = [
        Point(0.0, 0.2, 0.9, 0.7, 0.4),
        Point(0.3, 0.6, 0.4, 0.15, 0.3),
        Point(0.6, 0.9, 0.2, 0.02, 0.2),
        Point(0.9, None, 0.0, 0.0, 0.0),
    ]
    assert choose(points, precision=0.6, wrong_show_rate=0.15) == points[1]
    assert choose(points, precision=0.6, wrong_show_rate=0.1) == points[2]
    assert choose(points, precision=0.95, wrong_show_rate=0.1) is None
