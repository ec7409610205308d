from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.engine.speculate import ROW_COST, Drafter, Guess, width_for

TEXT = [1, 2, 3, 4, 5, 6, 7, 8]
token_lists = st.lists(st.integers(0, 6), max_size=40)


def test_what_came_after_the_same_tokens_is_guessed() -> None:
    drafter = Drafter()
    drafter.read([*TEXT, 9, 1, 2, 3], 0)
    assert drafter.guess([9, 1, 2, 3], 3).token_ids == (4, 5, 6)
    assert drafter.guess([50, 51, 3], 2).token_ids == (4, 5)


def test_what_is_new_is_not_guessed() -> None:
    drafter = Drafter()
    drafter.read(TEXT, 0)
    assert not drafter.guess([70, 71], 5)
    assert not drafter.guess([], 5)
    assert not drafter.guess(TEXT, 0)


def test_more_tokens_that_agree_count_for_more() -> None:
    drafter = Drafter()
    drafter.read([1, 2, 3, 4, 60, 3, 5], 0)  # after 3 alone it is 5 now
    assert drafter.guess([1, 2, 3], 1).token_ids == (4,)


def test_what_the_model_said_counts_for_more_than_what_was_typed_once_it_proves_right() -> None:
    drafter = Drafter()
    drafter.read([1, 2, 3, 4], 0)
    drafter.heard([1, 2, 3], 9)
    for _ in range(4):
        drafter.judge(
            drafter.guess([1, 2, 3], 1), int(drafter.guess([1, 2, 3], 1).token_ids == (9,))
        )
    assert drafter.guess([1, 2, 3], 1).token_ids == (9,)


def test_only_what_is_new_in_a_text_is_read() -> None:
    drafter = Drafter()
    drafter.read(TEXT, 5)
    assert not drafter.guess([1, 2], 1)
    assert drafter.guess([3, 4, 5], 1).token_ids == (6,)


def test_guesses_that_fail_lose_their_chance() -> None:
    drafter = Drafter()
    drafter.read([*TEXT, 1, 2, 3], 0)
    before = drafter.guess([1, 2, 3], 1).chances[0]
    for _ in range(50):
        drafter.judge(drafter.guess([1, 2, 3], 1), 0)
    assert drafter.guess([1, 2, 3], 1).chances[0] < before / 4


@given(token_lists, token_lists, st.integers(0, 8))
def test_chances_fall_and_a_guess_is_no_longer_than_asked_for(
    text: list[int], prompt: list[int], most: int
) -> None:
    drafter = Drafter()
    drafter.read(text, 0)
    guess = drafter.guess(prompt, most)
    assert len(guess) == len(guess.sources) == len(guess.chances) <= most
    assert all(0 <= chance <= 1 for chance in guess.chances)
    assert list(guess.chances) == sorted(guess.chances, reverse=True)
    assert set(guess.token_ids) <= set(text)


def test_memory_is_bounded_and_what_is_recent_stays() -> None:
    drafter = Drafter()
    text = list(range(60_000))
    drafter.read(text, 0)
    assert len(drafter._young) + len(drafter._old) <= 2 * (1 << 13) + 3
    assert drafter.guess(text[-4:-1], 1).token_ids == (text[-1],)


@given(
    count=st.integers(1, 8),
    chances=st.lists(st.floats(0, 1), max_size=8),
)
def test_the_width_is_one_there_is_and_holds_what_is_known(
    count: int, chances: list[float]
) -> None:
    width = width_for(count, chances, (2, 5, 8))
    assert width in (1, 2, 5, 8)
    assert width >= count


@pytest.mark.parametrize(
    ("count", "chances", "width"),
    [
        (1, (), 1),
        (1, (ROW_COST * 0.9,), 1),
        (1, (ROW_COST * 1.1,), 2),
        (1, (0.9, 0.8, 0.7, 0.6), 5),
        (1, (0.9,) * 7, 8),
        (3, (), 5),
        (3, (0.5, 0.4), 5),
        (4, (0.9, 0.1, 0.01), 5),
    ],
)
def test_a_run_is_as_wide_as_pays(count: int, chances: tuple[float, ...], width: int) -> None:
    assert width_for(count, chances, (2, 5, 8)) == width


def test_a_guess_can_be_cut() -> None:
    drafter = Drafter()
    drafter.read([*TEXT, 1], 0)
    guess = drafter.guess([1], 4)
    assert len(guess.first(2)) == 2
    assert guess.first(9) == guess
    assert not Guess()
