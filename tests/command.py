"""The command line as tests run it: inside this process, or as a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import foreword
from foreword.cli.main import main

PROGRAM = "from foreword.cli.main import main; main()"
SOURCES = Path(foreword.__file__).parent.parent


@dataclass(frozen=True)
class Result:
    """How a command ended: exit status, and what it wrote to stdout and stderr."""

    status: int
    out: str
    err: str


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    """Run `foreword` in this process, with pipes for its streams."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    with (
        mock.patch.object(sys, "argv", ["foreword", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 0
    return Result(status, _text(out), _text(err))


def start(*arguments: str | Path, program: str = PROGRAM, **options: Any) -> subprocess.Popen[str]:
    """Start `foreword`, or another program that runs it, in a process group of its own."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options["env"] = os.environ | {"PYTHONPATH": str(SOURCES)} | options.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> Result:
    """Wait for a started command."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return Result(process.returncode, out or "", err)


def spawn(*arguments: str | Path, **options: Any) -> Result:
    """Run `foreword` in a process of its own."""
    return finish(start(*arguments, **options))


def refusal(result: Result, status: int = 1) -> str:
    """Check that a command failed with exactly one line on stderr, and return what it says."""
    assert result.status == status, result
    lines = result.err.splitlines()
    assert len(lines) == 1, result
    assert lines[0].startswith("foreword: error: "), result
    return lines[0].removeprefix("foreword: error: ")


def tree(directory: Path) -> list[str]:
    """Every file and directory under a directory, hidden ones too."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()
