"""Loading bundles here and in other processes, and the file of packed weights that is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from command import SOURCES
from tiny import load_tiny

LOADER = """
import sys
import foreword
sys.stdin.readline()
engine = foreword.load(sys.argv[1], threads=1)
logits = engine.logits([40, 41, 42, 43])
sys.stdin.readline()
print(logits.tobytes().hex())
engine.close()
"""


def answer(path: Path) -> bytes:
    """The logits of a few tokens, from a freshly loaded engine."""
    with load_tiny(path) as engine:
        logits = engine.logits([40, 41, 42, 43])
        assert logits is not None
        return logits.tobytes()


def only(directory: Path) -> Path:
    """The one file that a directory has."""
    (path,) = directory.iterdir()
    return path


def rewrite(path: Path, data: bytes) -> None:
    """Write over a file, though it is read-only."""
    path.chmod(0o644)
    path.write_bytes(data)


def loader(bundle: Path, program: str = LOADER) -> subprocess.Popen[str]:
    """A process that loads a bundle at a first line of input and prints its logits at a second."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(bundle)],
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
