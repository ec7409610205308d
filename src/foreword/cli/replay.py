"""`foreword replay`: what a model's suggestions are worth to a person who types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import (
    JsonOption,
    QuietOption,
    guarded,
    harmless,
    plot_place,
    print_json,
    progress,
    write_file,
)
from foreword.cli.models import opened
from foreword.cli.suggestions import policy_of

if TYPE_CHECKING:
    from foreword.evaluation.replay import Replay


@guarded
def replay(
    bundle: Annotated[str, typer.Argument(help="A bundle's path or its name.")],
    texts: Annotated[list[Path], typer.Argument(help="UTF-8 texts to type.")],
    train: Annotated[
        Path | None,
        typer.Option(
            help="A text for the n-gram baseline to learn from; by default the first half of "
            "each text, and only the second is typed."
        ),
    ] = None,
    keystrokes: Annotated[
        int, typer.Option(help="Characters of each text to type, from several places.")
    ] = 2000,
    max_words: Annotated[int, typer.Option(help="Words of a suggestion, at most.")] = 4,
    confidence: Annotated[
        float | None,
        typer.Option(help="Silent below; 0: never silent. What suggestions use, by default."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; chosen by default.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write precision against coverage there: .html with tables, or .svg."),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Type TEXTS key by key with the suggestions of BUNDLE, and report what they spare.

    A person is simulated who accepts a suggestion, or its first word, wherever it is right.
    """
    from foreword.engine.load import check_threads
    from foreword.evaluation.replay import read_texts, together
    from foreword.evaluation.replay import replay as run

    check_threads(threads)
    policy = policy_of(None, None, None, max_words, confidence)
    plot_place(plot)
    contents = read_texts(texts)
    taught = None if train is None else read_texts([train], "train")[0]
    model, name = opened(bundle, threads, quiet)
    try:
        with progress(quiet) as advance:
            replays = run(model, contents, taught, keystrokes, policy, advance)
    finally:
        model.close()
    whole = together(replays)
    shown = replays if len(replays) == 1 else [*replays, whole]
    if plot is not None:
        _write_plot(plot, name, shown, policy.confidence)
    if as_json:
        about = {
            "model": name,
            "recipe": model.recipe,
            "context": model.context,
            "max_words": policy.max_words,
            "confidence": policy.confidence,
            "train": None if taught is None else taught.name,
        }
        print_json({**about, **whole.as_json(), "texts": [r.as_json() for r in replays]})
    else:
        _print(shown)


def _print(replays: list[Replay]) -> None:
    from foreword.evaluation.replay_page import NAMES, rows

    for i, found in enumerate(replays):
        if i:
            print()
        print(harmless(found.name))
        heads = [NAMES.get(name, name) for name in found.outcomes]
        for label, cells in [("", heads), *rows(found)]:
            print("  ".join([f"{label:<22}", *(f"{cell:>20}" for cell in cells)]).rstrip())


def _write_plot(path: Path, name: str, replays: list[Replay], confidence: float) -> None:
    from foreword.evaluation.replay_page import page, svg

    html = path.suffix.lower() == ".html"
    write_file(path, page(name, replays, confidence) if html else svg(replays[-1]))
