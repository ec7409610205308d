"""How fast this machine's memory is: the triad of STREAM, in threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

ELEMENTS = 1 << 25
"""Of each of the three arrays: 128 MB, several times what caches hold."""
_BLOCK = 1 << 16  # elements: what is computed in two steps stays in the cache of a core between
_FACTOR = np.float32(3)
_PASSES = 3


class Triad:
    """a = b + s c over float32 arrays, each thread with a part of its own.

    Counted are three arrays, as STREAM does (McCalpin 1995, "Memory bandwidth and machine balance
    in current high performance computers"): two read and one written. A processor that reads
    what it is about to overwrite moves a fourth.
    """

    def __init__(self, pool: ThreadPoolExecutor, threads: int, elements: int | None = None) -> None:
        self._pool = pool
        count = (elements or ELEMENTS) // threads
        self._parts = [
            (np.zeros(count, np.float32), np.ones(count, np.float32), np.ones(count, np.float32))
            for _ in range(threads)
        ]
        self._gb_per_s()  # a warm-up, which maps the pages

    def ask(self, request: object = None) -> float:
        """Return the best bandwidth of a few passes in 10^9 bytes a second, whatever is asked.

        The best, as other work can only make a pass slower, and a limit is looked for.
        """
        return max(self._gb_per_s() for _ in range(_PASSES))

    def _gb_per_s(self) -> float:
        moved = sum(array.nbytes for part in self._parts for array in part)
        started = time.perf_counter()
        list(self._pool.map(_pass, self._parts))
        return moved / (time.perf_counter() - started) / 1e9


@contextmanager
def triad(threads: int) -> Iterator[Triad]:
    """Give a triad whose threads and arrays are gone afterwards."""
    with ThreadPoolExecutor(threads) as pool:
        yield Triad(pool, threads)


def _pass(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    a, b, c = arrays
    for start in range(0, len(a), _BLOCK):
        place = slice(start, start + _BLOCK)
        np.multiply(c[place], _FACTOR, out=a[place])
        np.add(a[place], b[place], out=a[place])
