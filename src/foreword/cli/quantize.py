"""`foreword quantize`: a float bundle becomes a smaller one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.console import JsonOption, QuietOption, guarded, progress
from foreword.cli.convert import RECIPE_HELP, AllowDegradedOption, CheckOption, tell


@guarded
def quantize(
    bundle: Annotated[str, typer.Argument(help="A float32 or float16 bundle: path or name.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle to write; by default one 'list' names."),
    ] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "int8",
    cache_dtype: Annotated[
        str | None, typer.Option(help="float32 or int8; by default as it is in BUNDLE.")
    ] = None,
    check: CheckOption = None,
    allow_degraded: AllowDegradedOption = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Store the weights of BUNDLE, which has floats, by another recipe."""
    from foreword.bundle.home import bundles_dir
    from foreword.convert import quantize as make
    from foreword.quantize.recipes import find_recipe

    started = time.perf_counter()
    chosen = find_recipe(recipe)
    name = Path(bundle).resolve().name
    for suffix in ("-float32", "-float16"):
        name = name.removesuffix(suffix)
    with progress(quiet) as report:
        made = make(
            bundle,
            output or bundles_dir() / f"{name}-{chosen.name}",
            recipe=chosen,
            cache_dtype=cache_dtype,
            check=check,
            allow_degraded=allow_degraded,
            replace=replace,
            progress=report,
        )
    tell(made.path, chosen.name, made.size_bytes, time.perf_counter() - started, as_json, made)
