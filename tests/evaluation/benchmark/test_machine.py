"""What is about the machine: bandwidth, and a core that is kept busy."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from foreword.evaluation.benchmark.bandwidth import Triad, triad
from foreword.evaluation.benchmark.hog import hogged_core


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_triad_computes_all_of_its_arrays(threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        memory = Triad(pool, threads, elements=200_000)
        assert memory.ask() > 0
        assert sum(len(a) for a, _, _ in memory._parts) >= 199_998
        for a, b, c in memory._parts:
            assert np.array_equal(a, b + np.float32(3) * c)


def test_the_threads_of_a_triad_are_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foreword.evaluation.benchmark.bandwidth.ELEMENTS", 1000)
    with triad(2) as memory:
        pool = memory._pool
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(print)


def test_a_core_is_busy_meanwhile_and_no_longer() -> None:
    with hogged_core() as pid:
        before = ticks(pid)
        while ticks(pid) == before:
            pass
    assert not Path(f"/proc/{pid}").exists()


def test_it_is_let_go_after_an_error_too() -> None:
    with pytest.raises(KeyboardInterrupt), hogged_core() as pid:
        raise KeyboardInterrupt
    assert not Path(f"/proc/{pid}").exists()


def test_it_ends_with_its_parent() -> None:
    parent = (
        "import os\n"
        "from foreword.evaluation.benchmark.hog import hogged_core\n"
        "with hogged_core() as pid:\n"
        "    print(pid, flush=True)\n"
        "    os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True, timeout=60
    )
    for _ in range(500):
        if not runs(int(done.stdout)):
            return
        select.select([], [], [], 0.02)
    os.kill(int(done.stdout), 9)
    pytest.fail("it outlived its parent")


def ticks(pid: int) -> int:
    """Processor time a process has had."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
