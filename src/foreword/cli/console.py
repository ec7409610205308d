"""What every command shares: errors in one line, exit status, progress, JSON."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TextIO

import typer

from foreword.errors import ForewordError, OutputError, UsageError

P = ParamSpec("P")
Report = Callable[[str, int, int], None]

INTERRUPTED = 130

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]

_PLOTS = (".html", ".svg")
_IN_BYTES = {"download", "check", "extract", "convert", "reference"}
_STAGES = {
    "download": "Downloading the model",
    "check": "Checking the download",
    "extract": "Unpacking the model",
    "convert": "Converting the model",
    "load": "Loading it with Keras",
    "trace": "Tracing generation",
    "lower": "Converting the graph",
    "try": "Trying it out",
    "reference": "Converting to float32",
    "quality": "Judging the quality",
    "trials": "Trying settings",
    "speed": "Measuring the speed",
    "replay": "Typing the texts",
    "requantize": "Preparing the other side",
    "benchmark": "Measuring in turn",
}


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a command raises into one line on stderr and the exit status of the design."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except UsageError as error:
            # The library names its parameters, a person typed options.
            option = re.sub(r"^[a-z_]+(?=: )", _as_option, str(error))
            fail(option, error.exit_status)
        except ForewordError as error:
            fail(str(error), error.exit_status)
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has gone; python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            fail(f"{error.filename or 'the output'}: {error.strerror or error}", 1)
        except MemoryError:
            fail("there is not enough memory", 1)

    return run


def _as_option(parameter: re.Match[str]) -> str:
    return "--" + parameter[0].replace("_", "-")


def fail(message: str, status: int) -> None:
    """Print an error in one line and leave the command with a status."""
    raise typer.Exit(print_error(message, status))


def print_error(message: str, status: int) -> int:
    """Print an error in one line and return the status to leave with."""
    note(f"{_painted('error:', '31')} {' '.join(message.split())}")
    return status


def note(message: str) -> None:
    """Print one line for the person, on stderr."""
    with contextlib.suppress(OSError):
        print(f"foreword: {message}", file=sys.stderr, flush=True)


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON object on stdout, and nothing else."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person reads this stream."""
    return stream.isatty()


def dimmed(text: str) -> str:
    """Return text in a quieter colour, where stdout is a terminal that wants colours."""
    return f"\x1b[2m{text}\x1b[0m" if _colours(sys.stdout) else text


def harmless(text: str) -> str:
    """Return text without control characters, which could drive a terminal that shows it."""
    return "".join(
        "\ufffd" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text
    )


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if _colours(sys.stderr) else text


def _colours(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def progress(quiet: bool = False) -> Iterator[Report]:
    """Give a `report(stage, done, total)` that draws bars on a terminal and nothing on a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TextColumn("{task.fields[amount]:<17}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                for before in tasks.values():
                    bars.stop_task(before)
                # What is done in one piece shows that it goes on, not how far it is.
                described = _STAGES.get(stage, stage)
                tasks[stage] = bars.add_task(described, total=None, amount="")
            if total > 1:
                shown = size if stage in _IN_BYTES else str
                amount = f"{shown(done)} of {shown(total)}"
                bars.update(tasks[stage], completed=done, total=total, amount=amount)
            elif done == total:
                bars.update(tasks[stage], completed=1, total=1)

        yield report


def writable(path: Path | None) -> None:
    """Raise OutputError, before the work is done, for what can be no file's path."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise OutputError(f"{path}: expected a file in a directory that exists: make it first")


def plot_place(path: Path | None) -> None:
    """Raise UsageError or OutputError, before the work is done, for what can be no plot's path."""
    if path is not None and path.suffix.lower() not in _PLOTS:
        raise UsageError(f"plot: expected a name that ends in .html or .svg, found '{path}'")
    writable(path)


def write_file(path: Path, text: str) -> None:
    """Write a file at once or not at all; raises OutputError."""
    partial = path.with_name(f".{path.name[:32]}.partial-{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: could not be written, {error.strerror or error}: choose another place"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def size(size_bytes: int) -> str:
    """Return a size as people read it, in decimal units."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
