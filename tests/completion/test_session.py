"""A writer's session: what is known already is not asked of the model again."""

from __future__ import annotations

import threading

import pytest

from book_model import BookModel
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.completer import Completer
from foreword.completion.session import Session, first_word
from foreword.completion.suggestion import Policy

BOOK = {"the cat sat on the mat. It slept": 1.0, "the cat sang a song": 0.5}


@pytest.fixture
def model(tiny: Tokenizer) -> BookModel:
    return BookModel(tiny, BOOK)


@pytest.fixture
def session(model: BookModel) -> Session:
    return Session(Completer(model), Policy(confidence=0.0))


def shown(session: Session, text: str) -> str:
    items = session.suggest(text).items
    return items[0].text if items else ""


def test_letters_that_agree_cost_no_call(session: Session, model: BookModel) -> None:
    assert shown(session, "the cat") == " sat on the mat"
    calls = model.calls
    for typed in (" ", " s", " sa", " sat", " sat on th"):
        assert shown(session, "the cat" + typed) == " sat on the mat"[len(typed) :]
    assert model.calls == calls
    assert session.suggest("the cat s").computed_tokens == 0


def test_what_is_left_is_as_sure_as_its_next_word(session: Session) -> None:
    whole = session.suggest("the cat").items[0]
    assert len(whole.by_part) == 4
    assert session.suggest("the cat s").items[0].confidence == whole.by_part[0]
    assert session.suggest("the cat sat").items[0].confidence == whole.by_part[1]
    assert session.suggest("the cat sat on th").items[0].by_part == whole.by_part[2:]


def test_letters_that_disagree_drop_it(session: Session) -> None:
    shown(session, "the cat")
    assert shown(session, "the cat san") == "g a song"


def test_what_was_typed_away_comes_back(session: Session, model: BookModel) -> None:
    first = shown(session, "the cat")
    shown(session, "the cat sa")
    calls = model.calls
    assert shown(session, "the cat") == first
    assert model.calls == calls


def test_all_or_a_word_is_accepted(session: Session) -> None:
    shown(session, "the cat")
    assert session.accept("the cat") == "the cat sat on the mat"
    assert session.accept("the cat", "word") == "the cat sat"
    assert session.accept("the cat s", "word") == "the cat sat"
    assert session.accept("a dog") == "a dog"


def test_after_an_accept_the_next_is_there_already(model: BookModel) -> None:
    session = Session(Completer(model), Policy(max_words=2, confidence=0.0))
    assert shown(session, "the cat") == " sat on"
    session.prefetch("the cat")
    calls = model.calls
    assert shown(session, session.accept("the cat")) == " the mat"
    assert model.calls == calls


def test_a_dismissed_suggestion_stays_away(session: Session) -> None:
    shown(session, "the cat")
    session.dismiss()
    assert shown(session, "the cat") == ""
    assert shown(session, "the cat sa") == ""
    assert session.accept("the cat") == "the cat"
    assert shown(session, "the cat san") != ""


def test_another_is_looked_for_when_asked(session: Session) -> None:
    shown(session, "the cat sa")
    assert session.next("the cat sa").items[0].text.startswith("ng")
    assert shown(session, "the cat sa").startswith("ng")
    assert len({session.next("the cat sa").items[0].text for _ in range(3)}) == 3


def test_what_follows_the_cursor_is_part_of_the_question(session: Session) -> None:
    assert shown(session, "the cat") == " sat on the mat"
    assert session.suggest("the cat", suffix=" the mat").items[0].text == " sat on"
    assert session.accept("the cat") == "the cat sat on"
    session.prefetch("the cat", suffix=" the mat")
    assert not session.suggest("the cat sat on", suffix=" the mat").items
    assert session.next("the cat", suffix=" the mat").items


def test_only_what_is_new_is_told_as_it_grows(session: Session) -> None:
    told: list[str] = []
    session.suggest("the cat", on_words=told.append)
    assert told == [" sat", " sat on", " sat on the", " sat on the mat"]
    session.suggest("the cat s", on_words=told.append)
    assert len(told) == 4


def test_a_request_that_is_called_off_is_not_remembered(session: Session) -> None:
    cancel = threading.Event()
    cancel.set()
    assert session.suggest("the cat", cancel).cancelled
    assert shown(session, "the cat") == " sat on the mat"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (" sat on", " sat"),
        ("at, then", "at,"),
        (" (so) it", " (so)"),
        ("日本", "日"),
        (".", "."),
        ("", ""),
    ],
)
def test_a_word_comes_with_its_marks(text: str, first: str) -> None:
    assert first_word(text) == first
