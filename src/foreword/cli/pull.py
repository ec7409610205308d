"""`foreword pull`: fetch a known model."""

from __future__ import annotations

from typing import Annotated

import typer

from foreword.cli.console import JsonOption, QuietOption, guarded, print_json, progress


@guarded
def pull(
    name: Annotated[
        str | None, typer.Argument(help="A known model; the default one without.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch a known model's checkpoint, check it and keep it. A second pull does nothing."""
    from foreword.bundle.home import downloads_dir
    from foreword.sources import known

    wanted = name or known.DEFAULT
    with progress(quiet) as report:
        path = known.pull(wanted, downloads_dir(), report)
    if as_json:
        print_json({"name": wanted, "path": str(path), "size_bytes": path.stat().st_size})
    else:
        print(path)
