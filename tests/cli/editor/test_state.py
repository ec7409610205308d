"""What is shown at the cursor: never what does not go on from the text there is now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.cli.editor.state import State
from foreword.cli.editor.status import status_line
from foreword.cli.editor.worker import Answer, Failed, Ready
from foreword.completion.suggestion import Suggestions
from suggesters import found


class Asked:
    """Notes what a state asks of its worker."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def ask(self, text: str, another: bool = False) -> None:
        self.log.append(f"another {text}" if another else text)

    def cancel(self) -> None:
        self.log.append("(cancel)")

    def dismiss(self) -> None:
        self.log.append("(dismiss)")


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def state(asked: Asked) -> State:
    """A state whose model is ready, at the end of `I like`."""
    state = State(asked, "tiny")
    state.receive(Ready(256))
    state.moved("I like", "")
    return state


def test_an_answer_to_the_text_is_shown(state: State, asked: Asked) -> None:
    assert asked.log == ["I like"]
    assert state.ghost == ""
    state.receive(Answer("I like", found(" to go", " it")))
    assert state.ghost == " to go"


def test_letters_that_agree_leave_the_rest_of_the_suggestion(state: State, asked: Asked) -> None:
    state.receive(Answer("I like", found(" to go")))
    state.moved("I like t", "")
    assert state.ghost == "o go"
    assert asked.log[-1] == "I like t"
    state.moved("I like to go", "")
    assert state.ghost == ""
    state.moved("I like to", "")
    assert state.ghost == " go"


def test_letters_that_disagree_take_the_suggestion_away(state: State) -> None:
    state.receive(Answer("I like", found(" to go")))
    state.moved("I like h", "")
    assert state.ghost == ""


def test_letters_that_agree_with_another_suggestion_show_that(state: State) -> None:
    state.receive(Answer("I like", found(" to go", " him")))
    state.moved("I like h", "")
    assert state.ghost == "im"


def test_a_late_answer_is_used_only_where_what_was_typed_agrees(state: State) -> None:
    state.moved("I like t", "")
    state.receive(Answer("I like", found(" to go")))
    assert state.ghost == "o go"
    state.moved("I like the", "")
    state.receive(Answer("I like t", found("o go")))
    assert state.ghost == ""
    state.receive(Answer("I like the", found(" sea")))
    assert state.ghost == " sea"


def test_silence_takes_the_place_of_what_was_suggested(state: State) -> None:
    state.receive(Answer("I like", found(" to go")))
    state.moved("I like t", "")
    state.receive(Answer("I like t", Suggestions()))
    assert state.ghost == ""


@given(st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_what_is_shown_always_goes_on_from_the_text(
    asked_for: str, now: str, texts: list[str]
) -> None:
    state = State(Asked(), "tiny")
    state.moved(now, "")
    state.receive(Answer(asked_for, found(*texts)))
    if state.ghost:
        assert now + state.ghost in {asked_for + text for text in texts}


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [
        ("I like", "\nmore", True),
        ("I like", " more", False),
        ("I like", "x", False),
        ("", "", False),
        (" \n", "", False),
    ],
)
def test_suggestions_are_asked_for_behind_a_text_at_the_end_of_a_line(
    asked: Asked, before: str, after: str, asks: bool
) -> None:
    state = State(asked, "tiny")
    state.moved("other", "")
    state.moved(before, after)
    assert asked.log == ["other", before if asks else "(cancel)"]


def test_nothing_is_asked_where_nothing_changed(state: State, asked: Asked) -> None:
    state.moved("I like", "")
    state.moved("I like", "\nmore")
    assert asked.log == ["I like"]


def test_a_word_or_all_is_accepted(state: State) -> None:
    assert state.accept() == ""
    assert state.accept("word") == ""
    state.receive(Answer("I like", found(" to go home")))
    assert state.accept("word") == " to"
    assert state.accept() == " to go home"


def test_what_is_dismissed_does_not_come_back_by_itself(state: State, asked: Asked) -> None:
    state.receive(Answer("I like", found(" to go")))
    state.dismiss()
    assert state.ghost == ""
    assert asked.log[-1] == "(dismiss)"
    state.receive(Answer("I like", found(" to go")))
    state.moved("I like", "")
    assert state.ghost == ""
    state.moved("I likes", "")
    state.receive(Answer("I likes", found(" it")))
    assert state.ghost == " it"


def test_another_is_asked_for_where_there_is_one(state: State, asked: Asked) -> None:
    state.another()
    assert asked.log == ["I like"]
    state.receive(Answer("I like", found(" to go", " it")))
    state.another()
    assert asked.log[-1] == "another I like"
    state.receive(Answer("I like", found(" it", " to go")))
    assert state.ghost == " it"


def line(state: State) -> str:
    return status_line(state, "letter.txt", modified=False)


def test_the_status_line_follows_the_model(state: State) -> None:
    fresh = State(Asked(), "tiny")
    assert status_line(fresh, "letter.txt", modified=True) == "letter.txt* | tiny | loading"
    assert line(state) == "letter.txt | tiny | ready"
    state.receive(Answer("I like", found(" to go")))
    assert line(state) == "letter.txt | tiny | 12 ms | 50% sure | context 7/256, 5 computed"
    state.moved("I like t", "")
    state.receive(Answer("I like t", found("o go", computed=0)))
    assert "context 7/256, typed through" in line(state)
    state.moved("I like to go", "")
    state.receive(Answer("I like to go", found(" home", computed=0)))
    assert "context 7/256, known already" in line(state)
    state.moved("I liken", "")
    state.receive(Answer("I liken", found()))
    assert "| not sure enough |" in line(state)


def test_the_status_line_says_why_there_is_no_suggestion(state: State) -> None:
    state.receive(Answer("I like", Suggestions(refused="input")))
    assert "mind your language" in line(state)
    state.receive(Answer("I like", Suggestions(refused="output")))
    assert line(state).endswith("no suggestion")
    state.receive(Failed("not a number", final=False))
    assert line(state).endswith("no suggestions: not a number")
    state.receive(Answer("I like", found(" it")))
    assert "50% sure" in line(state)
    unsure = found(" it")
    state.receive(
        Answer("I like", replace(unsure, items=(replace(unsure.items[0], confidence=None),)))
    )
    assert "sure" not in line(state)


def test_a_model_that_failed_to_load_is_not_loading_any_more() -> None:
    state = State(Asked(), "tiny")
    state.receive(Failed("it is damaged", final=True))
    assert line(state) == "letter.txt | no suggestions: it is damaged"
