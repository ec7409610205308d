"""The typist: which key comes next, what counts as right, and what that saves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_suggester import Fixed, Mute, Oracle
from foreword.evaluation.typing import (
    Keystroke,
    Stretch,
    accepted,
    is_right,
    stretches,
    type_stretch,
)

TEXT = "The ships sail at dawn, and nobody waits for the late ones. "


def keys(stretch: Stretch, suggester: Oracle | Fixed | Mute) -> list[Keystroke]:
    return list(type_stretch(stretch, suggester))


@pytest.mark.parametrize(
    ("suggestion", "following", "right", "taken"),
    [
        ("the sea", "the sea.", True, 7),
        ("the sea", "the seas.", True, 3),
        ("the", "then", False, 0),
        ("don", "don't go", False, 0),
        ("food. It", "food, and", True, 0),
        ("food. It", "food. She", True, 5),
        (" there", "there", False, 0),
        ("", "there", False, 0),
        ("there", "", False, 0),
        ("ious", "ious and", True, 4),
        ("天氣", "天氣很好", True, 2),
    ],
)
def test_a_word_is_right_where_the_text_has_it_whole(
    suggestion: str, following: str, right: bool, taken: int
) -> None:
    assert is_right(suggestion, following) is right
    assert accepted(suggestion, following) == taken


def test_without_suggestions_every_character_is_a_key() -> None:
    found = keys(Stretch("", TEXT), Mute())
    assert len(found) == len(TEXT)
    assert not any(key.shown or key.right or key.kept for key in found)


def test_an_oracle_of_one_word_saves_all_of_a_word_but_a_key() -> None:
    # One letter to begin with, then a key for each of the words and its mark.
    found = keys(Stretch("", "The ships sail, all."), Oracle("The ships sail, all. ", words=1))
    assert [key.characters for key in found] == [1, 2, 6, 6, 5]


def test_what_is_right_in_full_is_accepted_with_one_key() -> None:
    found = keys(Stretch("", "The ships sail"), Fixed({"T": "he ships sail"}, after=" away"))
    assert [key.characters for key in found] == [1, 13]


def test_what_is_right_in_part_is_accepted_word_by_word() -> None:
    said = {"T": "he ships fly", "The": " ships fly", "The ships": " fly"}
    found = keys(Stretch("", "The ships"), Fixed(said))
    assert [key.characters for key in found] == [1, 2, 6]
    assert [key.kept for key in found] == [False, True, True]
    assert [key.right for key in found] == [True, True, False]


def test_what_stands_after_the_stretch_tells_whether_its_last_word_ends() -> None:
    said = Fixed({"a s": "hip"})
    assert keys(Stretch("a ", "s", "hip sails"), said)[0].right
    assert not keys(Stretch("a ", "s", "hipyard"), said)[0].right


@given(st.text(min_size=1, max_size=80), st.integers(1, 4))
def test_whatever_the_text_an_oracle_never_costs_keys(text: str, words: int) -> None:
    found = keys(Stretch("", text), Oracle(text, words))
    assert sum(key.characters for key in found) == len(text)
    assert len(found) <= len(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_what_the_text_has_is_ever_accepted(suggestion: str, following: str) -> None:
    taken = accepted(suggestion, following)
    assert following[:taken] == suggestion[:taken]
    assert taken == 0 or is_right(suggestion, following)


@given(st.text(min_size=200, max_size=400), st.integers(1, 500), st.integers(0, 99))
def test_stretches_lie_apart_within_the_text_and_are_no_longer_than_asked(
    text: str, keystrokes: int, begin: int
) -> None:
    chosen = stretches(text, keystrokes, begin)
    assert 0 < sum(len(stretch.text) for stretch in chosen) <= keystrokes
    assert all(stretch.text for stretch in chosen)
    for stretch in chosen:
        assert stretch.before + stretch.text + stretch.after in text


def test_stretches_begin_with_a_word_and_keep_what_is_before_them() -> None:
    text = TEXT * 200
    chosen = stretches(text, 2000)
    assert len(chosen) == 10
    for stretch in chosen:
        assert stretch.before[-1:] in ("", " ")
        assert not stretch.text[0].isspace()
    assert {len(stretch.before) for stretch in chosen[4:]} == {4000}
