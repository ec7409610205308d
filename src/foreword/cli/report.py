"""`foreword report`: how good, how fast and how large a bundle is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import (
    JsonOption,
    QuietOption,
    guarded,
    is_terminal,
    note,
    print_json,
    progress,
    size,
    writable,
    write_file,
)
from foreword.errors import OutputError

if TYPE_CHECKING:
    from foreword.evaluation.report import Report

Rows = list[tuple[str, str]]


@guarded
def report(
    bundle: Annotated[str, typer.Argument(help="A bundle's path or its name.")],
    against: Annotated[
        str | None, typer.Option(help="A bundle to compare with: the same model in float32.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="A UTF-8 text to score; one is built in.")
    ] = None,
    tokens: Annotated[int, typer.Option(help="Tokens of it to score, at most.")] = 2000,
    threads: Annotated[int | None, typer.Option(help="Threads; chosen by default.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots there.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score BUNDLE on a text, measure its speed and memory, and keep the result in it."""
    from foreword.evaluation.html import page
    from foreword.evaluation.report import keep, make_report

    writable(html)
    with progress(quiet) as advance:
        found = make_report(bundle, against, text, tokens, threads, advance)
    try:
        keep(found)
    except OutputError as error:
        note(f"the report is not kept in the bundle: {error}")
    if html is not None:
        write_file(html, page(found))
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: Report) -> None:
    sections = {
        "Model": _model(found),
        "Quality": _quality(found),
        "Checks": _checks(found),
        "Speed": _speed(found),
        "Size": [
            (part, f"{size(count)}  {count / found.bundle.size_bytes:.1%}")
            for part, count in found.parts.items()
        ],
    }
    if not is_terminal(sys.stdout):
        for rows in sections.values():
            for label, value in rows:
                print(f"{label:<22} {value}")
        return
    from rich.console import Console
    from rich.table import Table

    # The console takes NO_COLOR and TERM=dumb into account.
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for title, rows in sections.items():
        for i, (label, value) in enumerate(rows):
            table.add_row("" if i else title, label, value)
        table.add_row()
    Console(markup=False, highlight=False).print(table)


def _model(found: Report) -> Rows:
    manifest = found.bundle.manifest
    rows = [
        ("bundle", str(found.bundle.path)),
        ("source", manifest.provenance.source),
        ("recipe", manifest.recipe),
        ("parameters", f"{manifest.shape.parameters / 1e6:.0f} M"),
        ("context", f"{manifest.shape.context} tokens"),
        ("size", size(found.bundle.size_bytes)),
    ]
    if manifest.check is not None:
        rows.append(("check at conversion", f"{manifest.check.verdict}: {manifest.check.reason}"))
    if found.reference is not None:
        point = found.reference
        rows.append(("against", f"{point.name} ({point.recipe}, {size(point.size_bytes)})"))
    return rows


def _quality(found: Report) -> Rows:
    figures = found.card.figures
    rows = [("text", f"{found.card.tokens} tokens of {found.card.text}")]
    if "perplexity" in figures:
        rows.append(
            ("perplexity", f"{figures['perplexity']:.3f} ± {figures['perplexity_stderr']:.3f}")
        )
    if "perplexity_ratio" in figures:
        ratio, doubt = figures["perplexity_ratio"], figures["perplexity_ratio_stderr"]
        rows += [
            ("against the reference", f"{(ratio - 1) * 100:+.2f} % ± {doubt * 100:.2f} %"),
            (
                "KL divergence",
                f"mean {figures['kl_mean']:.4f}, p99 {figures['kl_p99']:.3f}, "
                f"max {figures['kl_max']:.3f} nats",
            ),
            ("top-1 agreement", f"{figures['top1_agreement']:.2%}"),
            ("top-5 agreement", f"{figures['top5_agreement']:.2%}"),
        ]
    if "greedy_divergence" in figures:
        each = ", ".join(map(str, found.findings.divergence))
        rows.append(
            (
                "greedy text leaves",
                f"after {figures['greedy_divergence']:g} tokens in the median ({each})",
            )
        )
    return rows


def _checks(found: Report) -> Rows:
    findings = found.findings
    if findings.nonfinite_at is not None:
        return [("NaN and infinity", f"FOUND at token {findings.nonfinite_at}: it is broken")]
    rows = [("NaN and infinity", "none")]
    if findings.loops is not None:
        beside = findings.reference_loops
        text = f"{findings.loops} of 4 greedy texts end in a loop"
        rows.append(
            ("repetition", text if beside is None else f"{text}, {beside} by the reference")
        )
    return rows


def _speed(found: Report) -> Rows:
    figures = found.card.figures
    if "load_ms" not in figures:
        return []
    return [
        ("threads", str(found.card.threads)),
        ("load", f"{figures['load_ms']:.0f} ms"),
        ("prefill", f"{figures['prefill_tokens_per_s']:.1f} tokens/s"),
        ("decode", f"{figures['decode_tokens_per_s']:.1f} tokens/s"),
        ("peak memory", size(int(figures["peak_rss_bytes"]))),
    ]
