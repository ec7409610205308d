"""Contenders are asked in turn, and are gone whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from foreword.errors import EngineError, UsageError
from foreword.evaluation.benchmark import schedule
from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.benchmark.questions import POLICIES
from foreword.evaluation.benchmark.schedule import Asked, Measured, Options, Start, measure
from foreword.evaluation.text import built_in

ENTRIES = [Entry(name, Path(name), 128, 300, 1000, "int8") for name in ("a", "b")]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("foreword.evaluation.benchmark.bandwidth.ELEMENTS", 1000)


class Scripted:
    """A contender that answers at once; all of them share a log of who was asked what."""

    def __init__(self, stage: Stage, name: str, threads: int, home: Path) -> None:
        self.stage, self.log, self.name, self.home = stage, stage.log, name, home
        self.open, self.load_ms, self.versions = True, 5.0, {name: "1"}
        self.log.append((name, ("open", threads)))

    def ask(self, request: Mapping[str, Any]) -> Any:
        assert self.open
        assert self.home.is_dir()
        if self.stage.error is not None:
            raise self.stage.error
        self.log.append((self.name, request["figure"]))
        if request["figure"] == "keystrokes":
            return {"keystrokes": 3, "latency_ms": [1.0, 2.0]}
        return float(len(self.log))

    def close(self) -> None:
        self.open = False


class Stage:
    """Starts scripted contenders and remembers them."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self.started: list[Scripted] = []
        self.error: BaseException | None = None

    def __call__(self, entry: Entry, threads: int, home: Path) -> Asked:
        self.started.append(Scripted(self, entry.name, threads, home))
        return self.started[-1]

    def all_gone(self) -> bool:
        return not any(one.open or one.home.exists() for one in self.started)


def run(start: Start, threads: int = 2, rounds: int = 2, entries: int = 2) -> Measured:
    options = Options(threads, rounds, 100)
    return measure(ENTRIES[:entries], [built_in()], options, start=start)


def test_contenders_are_asked_the_same_in_turn() -> None:
    stage = Stage()
    run(stage)
    figures = [(name, what) for name, what in stage.log if not isinstance(what, tuple)]
    assert [name for name, _ in figures] == ["a", "b"] * (len(figures) // 2)
    assert all(a[1] == b[1] for a, b in zip(figures[::2], figures[1::2], strict=True))


def test_the_first_round_does_not_count() -> None:
    stage = Stage()
    found = run(stage, rounds=3).by_threads[2]
    assert [len(rows) for name, rows in found.items() if name not in POLICIES] == [3] * 6 + [1]
    assert all(len(found[name]) == 1 for name in POLICIES)
    assert stage.log.count(("a", "continue_tokens_per_s")) == 2 * (3 + 1)


def test_one_thread_and_the_most_are_measured_and_a_busy_core_with_the_most() -> None:
    stage = Stage()
    found = run(stage, threads=3)
    assert list(found.by_threads) == list(found.bandwidths) == [1, 3]
    assert list(found.busy) == ["decode_tokens_per_s_after_90", *POLICIES]
    opened = [what[1] for name, what in stage.log if isinstance(what, tuple) and name == "a"]
    assert opened == [3, 3, 3, 1, 3]  # loads first
    assert list(run(Stage(), threads=1).by_threads) == [1]


def test_the_bandwidth_is_taken_in_every_round_that_it_is_compared_with() -> None:
    found = run(Stage(), rounds=4)
    decode = found.by_threads[1]["decode_tokens_per_s_after_90"]
    assert [len(row) for row in decode] == [2] * 4
    assert len(found.bandwidths[1]) == 4
    assert min(found.bandwidths[1]) > 0


def test_one_alone_is_measured_as_well() -> None:
    found = run(Stage(), entries=1)
    assert all(len(row) == 1 for rows in found.by_threads[1].values() for row in rows)
    assert found.versions == {"a": "1"}


def test_progress_counts_up_to_the_whole() -> None:
    said: list[tuple[str, int, int]] = []
    measure(ENTRIES, [built_in()], Options(2, 2, 100), lambda *stage: said.append(stage), Stage())
    assert {stage for stage, *_ in said} == {"benchmark"}
    assert all(b[1] == a[1] + 1 for a, b in pairwise(said))
    assert said[-1][1] == said[-1][2]


def test_all_are_gone_after_a_run() -> None:
    stage = Stage()
    run(stage)
    assert stage.all_gone()


@pytest.mark.parametrize("error", [EngineError("it died"), KeyboardInterrupt()])
@pytest.mark.parametrize("when", ["opening", "asking", "with a busy core"])
def test_all_are_gone_after_an_error_wherever_it_comes(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, when: str
) -> None:
    stage, hogs, real = Stage(), list[int](), schedule.hogged_core

    def start(entry: Entry, threads: int, home: Path) -> Asked:
        if when == "opening" and len(stage.started) == 7:  # the second of a pair
            raise error
        return stage(entry, threads, home)

    @contextmanager
    def watched() -> Iterator[int]:
        with real() as pid:
            hogs.append(pid)
            stage.error = error
            yield pid

    monkeypatch.setattr(schedule, "hogged_core", watched)
    if when == "asking":
        stage.error = error
    with pytest.raises(type(error)):
        run(start)
    assert stage.all_gone()
    assert len(hogs) == (when == "with a busy core")
    assert not any(Path(f"/proc/{pid}").exists() for pid in hogs)


@pytest.mark.parametrize(
    ("threads", "rounds", "keystrokes", "says"),
    [
        (0, 5, 200, "threads"),
        (2, 0, 200, "rounds: expected 1 to 1000, found 0"),
        (2, 1001, 200, "rounds"),
        (2, 5, 99, "keystrokes: expected 100 to 100000, found 99"),
    ],
)
def test_what_can_never_work_is_refused(
    threads: int, rounds: int, keystrokes: int, says: str
) -> None:
    with pytest.raises(UsageError, match=f"^{says}"):
        Options(threads, rounds, keystrokes)
