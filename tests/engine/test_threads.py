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
        self.running: int | None = 2
        if monkeypatch is not None:
            monkeypatch.setattr(threads, "_processors", lambda: range(processors))

    def threads(self, most: int = 2) -> Threads:
        return Threads(
            most,
            lambda: self.own + self.others,
            lambda: self.running,
            lambda: self.own,
            lambda: self.now,
        )

    def work(self, seconds: float, own: float = 0.0, others: float = 0.0) -> None:
        self.now += seconds
        self.own += own * seconds
        self.others += others * seconds


def test_a_quiet_machine_has_as_many_threads_as_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    machine.work(1.0, own=2.0)
    assert now() == 2


def test_a_core_that_others_use_gets_no_thread_until_it_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    found = []
    for others in (1.0, 1.0, 0.4, 0.3, 0.1, 0.4, 0.6):
        machine.work(0.3, own=1.0, others=others)
        found.append(now())
    assert found == [1, 1, 1, 1, 2, 2, 1]


@pytest.mark.parametrize(("running", "threads"), [(1, 2), (2, 1), (None, 1)])
def test_what_is_done_by_now_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, running: int | None, threads: int
) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    machine.running = running
    machine.work(1.0, others=1.0)
    assert now() == threads


def test_there_is_always_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    machine.work(1.0, others=2.0)
    assert now() == 1


def test_other_processes_on_spare_processors_take_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, processors=8)
    now = machine.threads(most=4)
    machine.work(1.0, own=4.0, others=3.0)
    assert now() == 4
    machine.work(1.0, own=4.0, others=6.0)
    assert now() == 2


def test_between_samples_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    now = machine.threads()
    machine.work(0.2, others=2.0)
    assert now() == 2


def test_where_nothing_can_be_read_nothing_changes() -> None:
    now = Threads(3, lambda: None, lambda: 2, lambda: 0.0, iter(range(0, 1000, 10)).__next__)
    assert [now() for _ in range(5)] == [3] * 5


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(-1, 4), st.floats(0, 4)), max_size=20),
    st.integers(1, 4),
)
def test_it_is_from_one_to_the_most(steps: list[tuple[float, float, float]], most: int) -> None:
    machine = Machine()
    now = machine.threads(most)
    for seconds, others, own in steps:
        machine.work(seconds, own, others)
        assert 1 <= now() <= most


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
    running = threads._running()
    assert running is None or running >= 1
