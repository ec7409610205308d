from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.engine import threads
from foreword.engine.threads import Threads, default_threads


class Machine:
    """Processors whose work is told: by us, and by others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch | None = None, processors: int = 2) -> None:
        self.now = self.own = self.others = 0.0
        if monkeypatch is not None:
            monkeypatch.setattr(threads, "_processors", lambda: range(processors))

    def threads(self, most: int = 2) -> Threads:
        return Threads(most, lambda: self.own + self.others, lambda: self.own, lambda: self.now)

    def work(self, now: Threads, own: float = 0.0, others: float = 0.0) -> int:
        """Run for a while, with these shares of a processor; return the threads at the end."""
        for _ in range(60):
            now()
            self.wait(0.007, own, others)
        return now()

    def wait(self, seconds: float, own: float = 0.0, others: float = 0.0) -> None:
        self.now += seconds
        self.own += own * seconds
        self.others += others * seconds


def test_a_quiet_machine_has_as_many_threads_as_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    assert machine.work(machine.threads(), own=2.0) == 2


def test_a_core_that_others_use_gets_no_thread_until_it_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    shares = (1.0, 1.0, 0.4, 0.3, 0.1, 0.4, 0.6)
    assert [machine.work(now, 1.0, others) for others in shares] == [1, 1, 1, 1, 2, 2, 1]


def test_there_is_always_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    assert machine.work(machine.threads(), others=2.0) == 1


def test_other_processes_on_spare_processors_take_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, processors=8)
    now = machine.threads(most=4)
    assert machine.work(now, own=4.0, others=3.0) == 4
    assert machine.work(now, own=4.0, others=6.0) == 2


def test_what_others_did_while_there_was_nothing_to_do_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    for _ in range(20):
        machine.wait(5.0, others=2.0)
        assert machine.work(now, own=2.0) == 2


def test_many_short_runs_are_enough_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    for _ in range(20):  # a key, three steps, a pause
        for _ in range(4):
            now()
            machine.wait(0.015, own=1.0, others=1.0)
        machine.wait(0.3, others=1.0)
    assert now() == 1


def test_where_nothing_can_be_read_nothing_changes() -> None:
    ticks = (i / 100 for i in range(1000))
    now = Threads(3, lambda: None, lambda: 0.0, lambda: next(ticks))
    assert {now() for _ in range(500)} == {3}


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(-1, 4), st.floats(0, 4)), max_size=20),
    st.integers(1, 4),
)
def test_it_is_from_one_to_the_most(steps: list[tuple[float, float, float]], most: int) -> None:
    machine = Machine()
    now = machine.threads(most)
    for seconds, others, own in steps:
        machine.wait(seconds, own, others)
        assert 1 <= now() <= most
        assert 1 <= machine.work(now, own, others) <= most


def test_threads_of_one_core_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_processors", lambda: range(6))
    monkeypatch.setattr(threads, "_siblings", lambda processor: str(processor // 2))
    assert default_threads() == 3
    monkeypatch.setattr(threads, "_siblings", str)
    assert default_threads() == 4


def test_the_kernel_tells_how_long_the_processors_of_this_process_worked() -> None:
    found = threads._busy_seconds(threads._processors())
    assert found is None or found > 0
    assert threads._busy_seconds([1 << 20]) is None
