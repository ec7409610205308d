"""How many threads a run should have: one for each core that others leave free.

A run waits for its slowest thread. Where another process keeps one of two cores busy, two threads
take 15 ms for what one does in 9 (SmolLM2-135M, int8), so it is better to have fewer.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

_MOST = 4  # decoding waits for memory: more threads than this only contend
_LOOK_SECONDS = 0.02  # between two looks: reading the counts takes as long as a step's Python
_ENOUGH_SECONDS = 0.2  # the counts are in hundredths of a second
_PAUSE_SECONDS = 0.1
# A core counts as taken above the first of these shares, and as free again below the second.
_TAKEN, _FREE = 0.5, 0.25


def default_threads() -> int:
    """Return the number of physical cores this process may use, at most four."""
    processors = _processors()
    cores = {_siblings(processor) for processor in processors}
    return max(min(len(cores), _MOST), 1)


class Threads:
    """Threads for the next run; `most` where others leave the processors alone.

    What others take is told by the kernel's counts of the processors it may use, while runs
    follow each other: what others did while this process had nothing to do says little. Where
    the counts cannot be read it is `most`.
    """

    def __init__(
        self,
        most: int,
        busy_seconds: Callable[[], float | None] | None = None,
        own_seconds: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        processors = _processors()
        self._most, self._now, self._processors = most, most, len(processors)
        self._busy_seconds = busy_seconds or (lambda: _busy_seconds(processors))
        self._own_seconds, self._clock = own_seconds, clock
        self._called = self._looked = -math.inf
        self._before: float | None = None
        self._watched = self._taken = 0.0

    def __call__(self) -> int:
        """Return the number for a run that begins now."""
        now = self._clock()
        paused, self._called = now - self._called >= _PAUSE_SECONDS, now
        if now - self._looked < _LOOK_SECONDS:
            return self._now
        others, before = self._others(), self._before
        if not paused and others is not None and before is not None:
            self._watched += now - self._looked
            self._taken += others - before
        self._looked, self._before = now, others
        if self._watched >= _ENOUGH_SECONDS:
            self._decide(self._processors - max(self._taken, 0.0) / self._watched)
            self._watched = self._taken = 0.0
        return self._now

    def _decide(self, spare: float) -> None:
        if spare + _TAKEN < self._now:
            self._now = max(int(spare + _TAKEN), 1)
        else:
            self._now = max(self._now, min(int(spare + _FREE), self._most))

    def _others(self) -> float | None:
        """Processor time that other processes have had."""
        busy = self._busy_seconds()
        return None if busy is None else busy - self._own_seconds()


def _processors() -> Collection[int]:
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # macOS
        return range(os.cpu_count() or 1)


def _siblings(processor: int) -> str:
    """Name the core that a processor is a thread of."""
    topology = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    with suppress(OSError):
        return topology.read_text(encoding="ascii")
    return str(processor)


def _busy_seconds(processors: Collection[int]) -> float | None:
    """Return how long these processors have worked, but for what is niced; None if not told."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        # user, nice, system, idle, iowait, irq, softirq, steal
        counts = {line.split()[0]: line.split()[1:9] for line in lines if line.startswith("cpu")}
        ticks = [counts[f"cpu{processor}"] for processor in processors]
        worked = sum(int(row[at]) for row in ticks for at in (0, 2, 5, 6, 7))
        return worked / os.sysconf("SC_CLK_TCK")
    except (OSError, KeyError, IndexError, ValueError):
        return None
