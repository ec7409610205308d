"""`foreword quantize`: a float bundle becomes a smaller one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.console import JsonOption, QuietOption, guarded, print_json, progress, size
from foreword.cli.convert import RECIPE_HELP


@guarded
def quantize(
    bundle: Annotated[str, typer.Argument(help="A float32 or float16 bundle: path or name.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle to write; by default one 'list' names."),
    ] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "int8",
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
            replace=replace,
            progress=report,
        )
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "recipe": chosen.name,
                "quantization": dict(made.manifest.quantization),
                "size_bytes": made.size_bytes,
                "seconds": round(seconds, 2),
            }
        )
    else:
        print(f"{made.path}  {chosen.name}  {size(made.size_bytes)}  {seconds:.1f} s")
