from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from foreword.completion.safety import load_filter
from foreword.engine.engine import Engine
from foreword.server.seats import Seats
from tiny import load_tiny

LONG = "a text that goes on for quite a while, word after word"


@pytest.fixture
def engine(tiny_bundle: Path) -> Iterator[Engine]:
    with load_tiny(tiny_bundle) as engine:
        yield engine


def seats_of(engine: Engine, memory_bytes: int = 1 << 30) -> Seats:
    return Seats(engine, load_filter(), memory_bytes)


def test_a_session_comes_back_to_its_seat(engine: Engine) -> None:
    seats = seats_of(engine)
    mine = seats.take("mine", LONG)
    seats.give_back(mine)
    assert seats.take("other", LONG) is not mine
    assert seats.take("mine", "") is mine


def test_without_a_session_the_text_decides(engine: Engine) -> None:
    seats = seats_of(engine)
    first, second = seats.take(None, LONG), seats.take(None, LONG[::-1])
    for seat in (first, second):
        seats.give_back(seat)
    assert seats.take(None, LONG[::-1] + " and on") is second
    assert seats.take(None, LONG + " and on") is first
    assert seats.take(None, "something else, and long enough to tell them apart") not in (
        first,
        second,
    )


def test_a_seat_in_use_is_nobody_elses(engine: Engine) -> None:
    seats = seats_of(engine)
    assert seats.take("mine", LONG) is not seats.take("mine", LONG)


def test_the_least_recently_used_is_given_up_first(engine: Engine) -> None:
    seats = seats_of(engine, 0)
    for name in "abc":
        seat = seats.take(name, LONG)
        seat.completer.suggest(LONG)
        seats.give_back(seat)
    assert len(seats) == 1
    assert seats.take("c", LONG) is seat


def test_warming_leaves_no_seat_and_no_memory(engine: Engine) -> None:
    seats = seats_of(engine)
    seats.warm(threading.Event())
    assert (len(seats), seats.size_bytes) == (0, 0)
