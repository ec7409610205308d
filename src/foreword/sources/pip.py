"""Wheels, fetched with the pip of this Python as its user has set it up."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from foreword.errors import DownloadError, OutputError

Progress = Callable[[str, int, int], None]
"""Called with a stage ("download", "check" or "extract"), bytes done and bytes in all."""

_POLL_SECONDS = 0.2
_ERROR = "ERROR: "


def pip_download(requirement: str, staging: Path, size_bytes: int, progress: Progress) -> Path:
    """Fetch one wheel into the directory `staging` and return its path.

    Index, proxy and cache are those of the user's own pip configuration. pip's temporary
    files go to `staging` too: the largest against `size_bytes`, the wheel's, is the
    progress. pip is stopped when the caller is interrupted. Raises DownloadError, and
    OutputError where the disk is full.
    """
    target, log = staging / "wheel", staging / "pip.log"
    # -P: a pip.py in the current directory is not pip. Wheels only: building would run code.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(target), requirement]
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(staging))
    progress("download", 0, size_bytes)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | temporary,
            )
        except OSError as error:
            raise DownloadError(f"pip could not be started: {error.strerror or error}") from None
        try:
            status = _wait(process, staging, size_bytes, progress)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    wheels = list(target.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        said = log.read_text(encoding="utf-8", errors="replace")
        raise _failed(requirement, said, staging.parent, size_bytes)
    progress("download", size_bytes, size_bytes)
    return wheels[0]


def _wait(process: subprocess.Popen[bytes], staging: Path, total: int, progress: Progress) -> int:
    done = 0
    while True:
        try:
            return process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            # Not the sum: pip writes its cache's copy at the same time.
            done = max(done, min(_largest_file(staging), total))
            progress("download", done, total)


def _largest_file(directory: Path) -> int:
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                size = max(size, (Path(folder) / name).lstat().st_size)
            except OSError:  # moved or removed by pip since it was listed
                continue
    return size


def _failed(
    requirement: str, log: str, directory: Path, size_bytes: int
) -> DownloadError | OutputError:
    if "No module named pip" in log:
        return DownloadError(
            f"expected pip in this Python to download {requirement} with, found none: "
            "install it (python -m ensurepip)"
        )
    full = os.strerror(errno.ENOSPC)
    if full in log:
        return OutputError(
            f"{directory}: {full}; make room (about {3 * size_bytes >> 20} MiB) or choose "
            "another directory with FOREWORD_HOME"
        )
    lines = (line.strip() for line in log.splitlines())
    errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    said = errors[-1][:200] if errors else "nothing"
    return DownloadError(
        f"pip could not download {requirement}, it said: {said}; check the network and "
        "pip's configuration (pip config list), then try again"
    )
