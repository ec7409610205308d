"""The `foreword` command."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated

import typer

from foreword import __version__
from foreword.cli import (
    android,
    benchmark,
    complete,
    convert,
    export,
    inspect,
    list_,
    pull,
    quantize,
    remove,
    replay,
    report,
    serve,
    tune,
    type_,
)
from foreword.cli.console import INTERRUPTED, print_error

app = typer.Typer(
    name="foreword",
    help="Text autocomplete that runs wholly on this device. Start with: foreword complete TEXT",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("complete")(complete.complete)
app.command("type")(type_.type_)
app.command("serve")(serve.serve)
app.command("pull")(pull.pull)
app.command("convert")(convert.convert)
app.command("quantize")(quantize.quantize)
app.command("export")(export.export)
app.command("android")(android.android)
app.command("report")(report.report)
app.command("tune")(tune.tune)
app.command("replay")(replay.replay)
app.command("benchmark")(benchmark.benchmark)
app.command("inspect")(inspect.inspect)
app.command("list")(list_.list_)
app.command("remove")(remove.remove)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"foreword {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Text autocomplete that runs wholly on this device."""


def main() -> None:
    """Run the command line; the entry point of the console script."""
    _mend_streams()
    # Asked to end, leave by the usual way: half-written files are removed on it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    arguments = sys.argv[1:] or ["--help"]
    try:
        status = app(arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):  # outside a command: still importing
        sys.exit(INTERRUPTED)
    except Exception as error:
        # The module of typer's own errors differs between its versions.
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        sys.exit(print_error(f"{describe()} ('foreword COMMAND --help' lists what there is)", 2))
    sys.exit(status if isinstance(status, int) else 0)


def _mend_streams() -> None:
    """Make the standard streams usable: a closed one is empty, an unknown letter a '?'."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")
