"""`foreword tune`: search for the best bundle within limits."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreword.cli.console import (
    JsonOption,
    QuietOption,
    guarded,
    is_terminal,
    note,
    plot_place,
    print_json,
    progress,
    writable,
    write_file,
)
from foreword.errors import ForewordError, UsageError

if TYPE_CHECKING:
    from foreword.tune import Found, Outcome, Plan


@guarded
def tune(
    source: Annotated[str, typer.Argument(help="A model, as 'convert' takes it.")],
    recipe: Annotated[
        str, typer.Option(help="Recipes to try, comma-separated; names or .toml files.")
    ] = "int8,int4",
    embedding: Annotated[
        str | None,
        typer.Option(
            help="How to store the embedding, comma-separated: float32, float16, int8. By default "
            "as each recipe says.",
            show_default=False,
        ),
    ] = None,
    context: Annotated[str, typer.Option(help="Contexts to try, comma-separated.")] = "512",
    prefill: Annotated[
        str, typer.Option(help="Sets of chunk widths to try, separated by semicolons.")
    ] = "8,32,128",
    max_size: Annotated[float | None, typer.Option(help="Largest bundle, in MB.")] = None,
    max_memory: Annotated[float | None, typer.Option(help="Most memory running, in MB.")] = None,
    min_decode_tps: Annotated[
        float | None, typer.Option(help="Slowest decoding, in tokens per second.")
    ] = None,
    tokens: Annotated[int, typer.Option(help="Tokens of built-in text to score.")] = 1000,
    threads: Annotated[int | None, typer.Option(help="Threads; chosen by default.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Run the trials on the workers of a Dask scheduler, tcp://HOST:PORT, which see "
            "SOURCE under the same path."
        ),
    ] = None,
    journal: Annotated[
        Path, typer.Option(help="Finished trials; a search goes on where it ended.")
    ] = Path("tune.jsonl"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the choice there, as JSON.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a plot there: .html with a table, or .svg.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Try recipes and shapes of SOURCE, and choose the best quality within the limits."""
    from foreword.tune import Limits, best, pareto, plan, search
    from foreword.tune.choice import row

    limits = Limits(
        _bytes("max_size", max_size),
        _bytes("max_memory", max_memory),
        _positive("min_decode_tps", min_decode_tps),
    )
    widths = [_numbers("prefill", text) for text in prefill.split(";")]
    contexts = _numbers("context", context)
    embeddings = [] if embedding is None else _words(embedding)
    planned = plan(_words(recipe), contexts, widths, embeddings, tokens=tokens, threads=threads)
    plot_place(plot)
    writable(output)
    with progress(quiet) as report:
        found = search(source, planned, journal, report, scheduler)
    _tell_failures(found.outcomes, quiet)
    front, chosen = pareto(found.outcomes), best(found.outcomes, limits)
    choice = None
    if chosen is not None:
        choice = _write_choice(source, planned, found, chosen, output, journal)
    if plot is not None:
        _write_plot(plot, source, found.outcomes, chosen)
    if as_json:
        print_json({"choice": choice, "pareto": [row(outcome) for outcome in front]})
    else:
        _print(front, found.outcomes, chosen)
        if choice is not None:
            print(choice["command"])
    if chosen is None:
        raise ForewordError("no bundle stays within the limits: widen them, or try other recipes")
    if chosen.verdict == "degraded" and not quiet:
        note("the choice lost more than 'convert' allows: --allow-degraded writes it all the same")


def _bytes(option: str, megabytes: float | None) -> int | None:
    found = _positive(option, megabytes)
    return None if found is None else int(found * 1e6)


def _positive(option: str, value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise UsageError(f"{option}: expected a number above 0, found {value}")
    return value


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option}: expected numbers such as 256,512, found '{text}'") from None


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _tell_failures(outcomes: Sequence[Outcome], quiet: bool) -> None:
    """Tell of each trial that failed; raises ForewordError where all did."""
    from foreword.tune.plot import label

    failed = [(label(o.trial), o.failure) for o in outcomes if o.failure is not None]
    if len(failed) == len(outcomes):
        named, failure = failed[0]
        raise ForewordError(f"no trial could be run; the first, {named}: {failure}")
    for named, failure in failed:
        if not quiet:
            note(f"{named}: {failure}")


def _write_choice(
    source: str, plan: Plan, found: Found, chosen: Outcome, output: Path | None, journal: Path
) -> dict[str, Any]:
    """Write what makes the choice again, and return it."""
    from foreword.quantize.recipes import to_toml
    from foreword.tune.choice import command, document, is_named

    recipe_file = (output or journal).with_suffix(".recipe.toml")
    choice = document(source, plan, found.origin, chosen, command(source, chosen, recipe_file))
    if not is_named(chosen.trial):
        write_file(recipe_file, to_toml(chosen.trial.recipe))
    if output is not None:
        write_file(output, json.dumps(choice, indent=2) + "\n")
    return choice


def _write_plot(
    path: Path, source: str, outcomes: Sequence[Outcome], chosen: Outcome | None
) -> None:
    from foreword.tune.plot import page, svg

    html = path.suffix.lower() == ".html"
    write_file(path, page(source, outcomes, chosen) if html else svg(outcomes, chosen))


def _print(front: Sequence[Outcome], outcomes: Sequence[Outcome], chosen: Outcome | None) -> None:
    from foreword.tune.plot import TEXT_COLUMNS, in_characters

    heads = ("", "recipe", "context", "prefill", "MB", "perplexity", "tokens/s", "memory MB")
    rows = [heads]
    for outcome in front:
        trial, figures = outcome.trial, outcome.figures
        rows.append(
            (
                "*" if outcome is chosen else "",
                trial.recipe.name,
                str(trial.context),
                ",".join(map(str, trial.prefill)),
                f"{figures['size_bytes'] / 1e6:.1f}",
                f"{figures['perplexity']:.2f}",
                f"{figures['decode_tokens_per_s']:.1f}",
                f"{figures['peak_rss_bytes'] / 1e6:.0f}",
            )
        )
    wide = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())
    fits = not is_terminal(sys.stdout) or shutil.get_terminal_size().columns >= TEXT_COLUMNS
    if sum(bool(outcome.figures) for outcome in outcomes) > 1 and fits:
        print(f"\n{in_characters(outcomes, chosen)}\n")
