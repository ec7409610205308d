"""`foreword export`: a bundle in the form that another runtime wants."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.console import JsonOption, guarded
from foreword.cli.convert import tell


class Form(StrEnum):
    """What a bundle can be exported for."""

    BROWSER = "browser"


@guarded
def export(
    bundle: Annotated[str, typer.Argument(help="The bundle: path or name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    form: Annotated[
        Form, typer.Option(help="browser: few signatures, for LiteRT.js.")
    ] = Form.BROWSER,
    decode_only: Annotated[
        bool, typer.Option("--decode-only", help="The least memory: one token at a time.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write BUNDLE in the form that another runtime wants."""
    from foreword.bundle.store import find_bundle, open_bundle
    from foreword.export import export_browser

    started = time.perf_counter()
    made = export_browser(open_bundle(find_bundle(bundle)), output, decode_only, replace)
    seconds = time.perf_counter() - started
    tell(made.path, made.manifest.recipe, made.size_bytes, seconds, as_json, made)
