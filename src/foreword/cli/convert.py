"""`foreword convert`: a model source becomes a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from foreword.cli.console import JsonOption, QuietOption, guarded, print_json, progress, size
from foreword.errors import UsageError

RECIPE_HELP = "float32, float16, int8, int8-full, int4, or the path of a .toml file."


@guarded
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A known name, keras:PRESET, hf:ORG/NAME, or the path of a GGUF file, a .keras "
            "file, a KerasHub preset directory or a Hugging Face checkpoint folder."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle to write; by default one 'list' names."),
    ] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "int8",
    context: Annotated[int, typer.Option(help="Tokens the cache holds.")] = 512,
    prefill: Annotated[str, typer.Option(help="Chunk widths, comma-separated.")] = "8,32,128",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert SOURCE to a bundle that runs on this device and others."""
    from foreword.bundle.home import bundles_dir
    from foreword.convert import convert as make
    from foreword.quantize.recipes import find_recipe

    started = time.perf_counter()
    # A name for `list`: the source's own, and the recipe's where it is not the usual one.
    name = _name(source)
    chosen = find_recipe(recipe)
    named = name if chosen.name == "int8" else f"{name}-{chosen.name}"
    with progress(quiet) as report:
        bundle = make(
            source,
            output or bundles_dir() / named,
            recipe=chosen,
            context=context,
            prefill=_widths(prefill),
            replace=replace,
            progress=report,
        )
    seconds = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "path": str(bundle.path),
                "recipe": chosen.name,
                "size_bytes": bundle.size_bytes,
                "seconds": round(seconds, 2),
            }
        )
    else:
        print(f"{bundle.path}  {chosen.name}  {size(bundle.size_bytes)}  {seconds:.1f} s")


def _name(source: str) -> str:
    path = Path(source)
    if path.is_dir():
        return path.resolve().name
    if path.exists() or ":" not in source:
        return path.stem if path.exists() else source
    # keras:PRESET, keras:kaggle://OWNER/MODEL/keras/NAME/VERSION, hf:ORG/NAME
    parts = [part for part in source.partition(":")[2].split("/") if part]
    if len(parts) > 1 and parts[-1].isdecimal():
        del parts[-1]
    return parts[-1] if parts else source


def _widths(text: str) -> list[int]:
    try:
        return [int(width) for width in text.split(",")]
    except ValueError:
        raise UsageError(f"prefill: expected widths such as 8,32,128, found '{text}'") from None
