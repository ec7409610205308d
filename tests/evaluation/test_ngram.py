"""The n-gram baseline: counts that are probabilities, and the words it completes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.completion.suggestion import Policy
from foreword.evaluation.ngram import NGram

OPEN = Policy(confidence=0)
TAUGHT = """The cat sat on the mat. The cat sat on the chair. The cat sat on the mat again.
A dog ran in the park. A dog ran home, and the dog slept. Don't wake the dog."""


@pytest.fixture(scope="module")
def taught() -> NGram:
    return NGram(TAUGHT, OPEN)


def first(model: NGram, text: str) -> str:
    (item,) = model.suggest(text).items
    return item.text


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("The cat s", "at on the mat"),
        ("The cat sat on the m", "at"),
        ("The cat sat on ", "the mat"),
        ("The cat sat", " on the mat"),
        ("Don", "'t wake the dog"),
    ],
)
def test_it_completes_the_word_and_goes_on_as_it_was_taught(
    taught: NGram, text: str, rest: str
) -> None:
    assert first(taught, text).startswith(rest)


def test_after_a_mark_there_is_a_space(taught: NGram) -> None:
    assert first(taught, "The cat sat on the mat.")[0] == " "
    assert first(taught, "The cat sat on the mat. ")[0] != " "


def test_it_says_no_more_words_than_it_may(taught: NGram) -> None:
    one = taught.with_policy(Policy(max_words=1, confidence=0))
    assert first(one, "The cat s") == "at"
    assert first(one, "The cat sat ") == "on"


def test_letters_no_word_begins_with_meet_silence(taught: NGram) -> None:
    assert taught.suggest("The xyz").items == ()


def test_it_is_silent_where_it_is_not_sure(taught: NGram) -> None:
    (item,) = taught.suggest("The ").items
    assert item.confidence is not None
    assert taught.with_policy(Policy(confidence=item.confidence)).suggest("The ").items
    above = Policy(confidence=min(item.confidence + 1e-6, 1))
    assert not taught.with_policy(above).suggest("The ").items


@given(st.lists(st.sampled_from(["the", "cat", "dog", "Don't", ".", "unknown"]), max_size=4))
def test_whatever_came_before_the_chances_add_up_to_one(before: list[str]) -> None:
    model = NGram(TAUGHT, OPEN)
    chances = model._chances(before, 0, len(model._words))
    assert chances.min() > 0
    assert np.isclose(chances.sum(), 1)


@given(st.text(max_size=60))
def test_any_text_has_an_answer_that_goes_on_with_a_word(text: str) -> None:
    model = NGram(TAUGHT, OPEN)
    for item in model.suggest(text).items:
        assert item.text.strip()
        assert item.confidence is not None
        assert 0 < item.confidence <= 1 + 1e-9


@given(st.text(max_size=60), st.text(max_size=10))
def test_it_learns_from_any_text_and_says_only_words_of_it(text: str, typed: str) -> None:
    for item in NGram(text, OPEN).suggest(typed).items:
        assert all(word in text for word in item.text.split())
