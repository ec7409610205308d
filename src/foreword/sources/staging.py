"""Directories for what is only needed for a while, gone afterwards whatever happens."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from foreword.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".partial-"


@contextmanager
def staging(directory: Path) -> Iterator[Path]:
    """A new directory inside `directory` that is gone afterwards.

    Whoever uses one holds a shared lock; whoever finds itself alone removes what processes
    that were killed have left. Raises OutputError where nothing can be written there.
    """
    with ExitStack() as stack:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((directory / ".lock").open("wb"))
            if _alone(lock):
                for stale in directory.glob(f"{_PREFIX}*"):
                    shutil.rmtree(stale, ignore_errors=True)
            _share(lock)
            made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=directory))
        except OSError as error:
            raise OutputError(
                f"{error.filename or directory}: cannot be written: {error.strerror or error}; "
                "make room or choose another directory with FOREWORD_HOME"
            ) from None
        stack.callback(shutil.rmtree, made, ignore_errors=True)
        yield made


def _alone(lock: BinaryIO) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process is at it, or this file system knows no locks
        return False
    return True


def _share(lock: BinaryIO) -> None:
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
        except OSError:  # without locks nothing is ever swept either
            return
