"""Another process that keeps one core busy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends with its parent: its standard input is closed then.
_SPIN = """
import os, sys, threading
def wait():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=wait, daemon=True).start()
print(flush=True)
while True:
    pass
"""


@contextmanager
def hogged_core() -> Iterator[int]:
    """Keep one core busy meanwhile, whichever the system chooses; gives the process's id."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SPIN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the parent
    )
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # it spins from here on
            yield process.pid
        finally:
            process.kill()
