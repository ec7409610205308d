"""`foreword tune`: search for the best bundle within limits."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreword.cli.console import JsonOption, QuietOption, guarded, note, print_json, progress
from foreword.errors import ForewordError, UsageError

if TYPE_CHECKING:
    from foreword.tune import Outcome, Trial


@guarded
def tune(
    source: Annotated[str, typer.Argument(help="A model, as 'convert' takes it.")],
    recipe: Annotated[str, typer.Option(help="Recipes to try, comma-separated.")] = "int8,int4",
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
    journal: Annotated[
        Path, typer.Option(help="Finished trials; a search goes on where it ended.")
    ] = Path("tune.jsonl"),
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the choice there, as JSON.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Try recipes and shapes of SOURCE, and choose the best quality within the limits."""
    from foreword.tune import Limits, best, pareto, plan, search

    limits = Limits(_bytes(max_size), _bytes(max_memory), min_decode_tps)
    widths = [_numbers("prefill", text) for text in prefill.split(";")]
    recipes = [name.strip() for name in recipe.split(",")]
    planned = plan(recipes, _numbers("context", context), widths, tokens, threads)
    with progress(quiet) as report:
        outcomes = search(source, planned, journal, report)
    for outcome in outcomes:
        if outcome.failure is not None and not quiet:
            note(f"{outcome.trial.recipe}, context {outcome.trial.context}: {outcome.failure}")
    front, chosen = pareto(outcomes), best(outcomes, limits)
    choice = None if chosen is None else _choice(source, chosen)
    if choice is not None and output is not None:
        output.write_text(json.dumps(choice, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json({"choice": choice, "pareto": [_row(o) for o in front]})
    else:
        _print(front, chosen)
        if choice is not None:
            print(choice["command"])
    if chosen is None:
        raise ForewordError("no bundle stays within the limits: widen them, or try other recipes")


def _bytes(megabytes: float | None) -> int | None:
    return None if megabytes is None else int(megabytes * 1e6)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option}: expected numbers such as 256,512, found '{text}'") from None


def _choice(source: str, chosen: Outcome) -> dict[str, Any]:
    return {"source": source, **_row(chosen), "command": _command(source, chosen.trial)}


def _command(source: str, trial: Trial) -> str:
    """Return the command that makes a trial's bundle again."""
    widths = ",".join(map(str, trial.prefill))
    options = f"--recipe {trial.recipe} --context {trial.context} --prefill {widths}"
    return f"foreword convert {shlex.quote(source)} {options}"


def _row(outcome: Outcome) -> dict[str, Any]:
    trial = outcome.trial
    return {
        "recipe": trial.recipe,
        "context": trial.context,
        "prefill": list(trial.prefill),
        **outcome.figures,
    }


def _print(front: list[Outcome], chosen: Outcome | None) -> None:
    heads = ("", "recipe", "context", "prefill", "MB", "perplexity", "tokens/s", "memory MB")
    rows = [heads]
    for outcome in front:
        trial, figures = outcome.trial, outcome.figures
        rows.append(
            (
                "*" if outcome is chosen else "",
                trial.recipe,
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
