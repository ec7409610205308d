"""Who is asked when: every figure of all contenders in turn, A B A B, in one run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from foreword.engine.load import check_threads
from foreword.errors import UsageError
from foreword.evaluation.benchmark.bandwidth import triad
from foreword.evaluation.benchmark.child import Runner
from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.benchmark.hog import hogged_core
from foreword.evaluation.benchmark.questions import Request, decode_figure, few, questions
from foreword.evaluation.text import Text

SETTLE_SECONDS = 0.05
"""Waited before every question: the other runtime's threads stop spinning meanwhile."""

_RANGES = {"rounds": (1, 1000), "keystrokes": (100, 100_000)}

Row = Sequence[Any]
"""What each contender answered in one round."""
Progress = Callable[[str, int, int], None]


class Asked(Protocol):
    """A contender that runs, such as a `Runner`."""

    load_ms: float
    versions: dict[str, str]

    def ask(self, request: Request) -> Any:
        """Return the answer to a request."""
        ...

    def close(self) -> None:
        """End it."""
        ...


Ask = Callable[[Request], Any]
Start = Callable[[Entry, int, Path], Asked]


@dataclass(frozen=True)
class Options:
    """How much is measured: `keystrokes` are of each text, `threads` the most there are.

    Raises UsageError for values outside their range.
    """

    threads: int
    rounds: int = 5
    keystrokes: int = 200

    def __post_init__(self) -> None:
        check_threads(self.threads)
        for name, (least, most) in _RANGES.items():
            if not least <= (value := getattr(self, name)) <= most:
                raise UsageError(f"{name}: expected {least} to {most}, found {value}")


@dataclass(frozen=True)
class Measured:
    """The rows of every figure: with one thread and with the most, and of a few under load.

    The first of `loads`, in ms as the others, packed the weights. Bandwidths, in GB/s, are of the
    rounds of the figure that stands for decoding.
    """

    by_threads: Mapping[int, Mapping[str, Sequence[Row]]]
    busy: Mapping[str, Sequence[Row]]
    loads: Sequence[Row]
    bandwidths: Mapping[int, Sequence[float]]
    versions: Mapping[str, str]


def measure(
    entries: Sequence[Entry],
    texts: Sequence[Text],
    options: Options,
    progress: Progress | None = None,
    start: Start = Runner,
) -> Measured:
    """Measure one contender or two, each in a process of its own, which is gone afterwards.

    Weights are packed anew, into a directory of this run. `progress("benchmark", done, total)` is
    called as work goes on. Raises what loading raises, EngineError for a process that dies.
    """
    asked = questions(entries, texts, options.rounds, options.keystrokes)
    decode, counts = decode_figure(asked), sorted({1, options.threads})
    total = sum(map(len, asked.values())) * len(counts) + sum(map(len, few(asked).values()))
    turns = _Turns(total + options.rounds + 1, progress)
    by_threads, busy = dict[int, dict[str, list[Row]]](), dict[str, list[Row]]()
    bandwidths, versions = dict[int, list[float]](), dict[str, str]()
    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as directory:
        home, loads = Path(directory), list[Row]()
        for _ in range(options.rounds + 1):
            loads.append([_load_ms(entry, options.threads, home, start) for entry in entries])
            turns.advance()
        for threads in counts:
            with ExitStack() as stack:
                runners = list[Asked]()
                for entry in entries:
                    runners.append(start(entry, threads, home))
                    stack.callback(runners[-1].close)
                    versions |= runners[-1].versions
                memory = stack.enter_context(triad(threads))
                asks = [runner.ask for runner in runners]
                found = {
                    # The bandwidth is taken in the rounds of what it is compared with.
                    name: turns.take([memory.ask, *asks] if name == decode else asks, requests)
                    for name, requests in asked.items()
                }
                bandwidths[threads] = [row[0] for row in found[decode]]
                found[decode] = [row[1:] for row in found[decode]]
                found["peak_rss_bytes"] = [[ask({"figure": "peak_rss_bytes"}) for ask in asks]]
                by_threads[threads] = found
                if threads == options.threads:
                    with hogged_core():
                        busy = {name: turns.take(asks, few(asked)[name]) for name in few(asked)}
    return Measured(by_threads, busy, loads, bandwidths, versions)


class _Turns:
    """Asks contenders in turn, and says how far all is."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def take(self, asked: Sequence[Ask], requests: Sequence[Request]) -> list[Row]:
        """Return the rows of requests, without the first, which is a warm-up."""
        rows = list[Row]()
        for request in requests:
            row = []
            for ask in asked:
                time.sleep(SETTLE_SECONDS)
                row.append(ask(request))
            rows.append(row)
            self.advance()
        return rows[1:]

    def advance(self) -> None:
        """Count a step."""
        self._done += 1
        if self._progress is not None:
            self._progress("benchmark", self._done, self._total)


def _load_ms(entry: Entry, threads: int, home: Path, start: Start) -> float:
    runner = start(entry, threads, home)
    try:
        return runner.load_ms
    finally:
        runner.close()
