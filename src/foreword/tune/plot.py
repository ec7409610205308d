"""Size against perplexity of the trials of a search: as SVG, as a page, in characters."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from foreword.evaluation.html import figure, page_of
from foreword.evaluation.plot import Axis, Mark, point_plot, standalone
from foreword.tune.outcomes import Outcome
from foreword.tune.trials import Trial

_COLUMNS, _ROWS = 56, 9
TEXT_COLUMNS = 80
"""The widest line of `in_characters`."""


def label(trial: Trial) -> str:
    """Return a trial in a few words."""
    return f"{trial.recipe.name}, {trial.context}, {','.join(map(str, trial.prefill))}"


def svg(outcomes: Sequence[Outcome], chosen: Outcome | None) -> str:
    """Return the plot as a file of its own; `outcomes` holds one with figures."""
    return standalone(_drawing(outcomes, chosen))


def page(source: str, outcomes: Sequence[Outcome], chosen: Outcome | None) -> str:
    """Return a page with the plot and a table of all trials; one of them has figures."""
    heads = ("recipe, context, prefill", "MB", "perplexity", "tokens/s", "memory MB", "verdict")
    rows = ["<tr>" + "".join(f'<th scope="col">{escape(head)}</th>' for head in heads) + "</tr>"]
    for outcome in _by_size(outcomes):
        found, named = outcome.figures, escape(label(outcome.trial))
        cells = (
            f"<strong>{named}</strong> (chosen)" if outcome is chosen else named,
            f"{found['size_bytes'] / 1e6:.1f}",
            f"{found['perplexity']:.3f}",
            f"{found['decode_tokens_per_s']:.1f}",
            f"{found['peak_rss_bytes'] / 1e6:.0f}",
            outcome.verdict or "not judged",
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    failed = [
        f"<li>{escape(label(outcome.trial))}: {escape(outcome.failure)}</li>"
        for outcome in outcomes
        if outcome.failure is not None
    ]
    body = [
        f'<h1>{escape(source)}</h1>\n<p class="sub">{len(outcomes)} trials of foreword tune</p>',
        figure("Size against quality", _drawing(outcomes, chosen), _CAPTION),
        "<h2>Trials</h2>\n<table>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>",
        *(["<h2>Failed</h2>\n<ul>", *failed, "</ul>"] if failed else []),
    ]
    return page_of(f"{source}: tune", "\n".join(body))


_CAPTION = (
    "Lower and further left is better. The line joins what no other trial beats in both; the "
    "choice is in the second colour."
)


def in_characters(outcomes: Sequence[Outcome], chosen: Outcome | None) -> str:
    """Return a small plot in ASCII: `*` the choice, `o` what none beats, `.` the others."""
    measured, front = _by_size(outcomes), _front(outcomes)
    x0, x1 = _span([o.figures["size_bytes"] / 1e6 for o in measured])
    y0, y1 = _span([o.figures["perplexity"] for o in measured])
    grid = [[" "] * _COLUMNS for _ in range(_ROWS)]
    # What matters most is drawn last, over what it hides.
    ranks = sorted(measured, key=lambda o: (o is chosen, o in front))
    for outcome in ranks:
        column = round((outcome.figures["size_bytes"] / 1e6 - x0) / (x1 - x0) * (_COLUMNS - 1))
        line = round((y1 - outcome.figures["perplexity"]) / (y1 - y0) * (_ROWS - 1))
        grid[line][column] = "*" if outcome is chosen else "o" if outcome in front else "."
    ends = {0: f"{y1:.4g}", _ROWS - 1: f"{y0:.4g}"}
    lines = [f"{ends.get(i, ''):>9} |{''.join(cells)}".rstrip() for i, cells in enumerate(grid)]
    left, right = f"{x0:.4g}", f"{x1:.4g} MB"
    lines += [
        f"{'':>9} +{'-' * _COLUMNS}",
        f"{'':>11}{left}{right:>{_COLUMNS - len(left)}}",
        f"{'':>11}perplexity by size: * choice, o no other beats it in both, . others",
    ]
    return "\n".join(lines)


def _drawing(outcomes: Sequence[Outcome], chosen: Outcome | None) -> str:
    measured, front = _by_size(outcomes), _front(outcomes)
    # The others would only hide each other's names.
    marks = [
        Mark(
            o.figures["size_bytes"] / 1e6,
            o.figures["perplexity"],
            name if o is chosen or o in front else "",
            other=o is chosen,
        )
        for o, name in zip(measured, _short_labels(measured), strict=True)
    ]
    line = [(o.figures["size_bytes"] / 1e6, o.figures["perplexity"]) for o in front]
    said = "; ".join(
        f"{label(o.trial)}{' (chosen)' if o is chosen else ''}: "
        f"{o.figures['size_bytes'] / 1e6:.1f} MB, perplexity {o.figures['perplexity']:.2f}"
        for o in measured
    )
    return point_plot(marks, Axis("size in MB"), Axis("perplexity"), "tune", said, line)


def _by_size(outcomes: Sequence[Outcome]) -> list[Outcome]:
    measured = [o for o in outcomes if o.figures]
    return sorted(measured, key=lambda o: (o.figures["size_bytes"], o.figures["perplexity"]))


def _front(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return what no other beats in both size and perplexity, which is what the plot shows."""
    front: list[Outcome] = []
    for outcome in _by_size(outcomes):
        if not front or outcome.figures["perplexity"] < front[-1].figures["perplexity"]:
            front.append(outcome)
    return front


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _short_labels(outcomes: Sequence[Outcome]) -> list[str]:
    """Return trials by their recipes, and by what else is not the same in all of them."""
    trials = [outcome.trial for outcome in outcomes]
    contexts, prefills = {trial.context for trial in trials}, {trial.prefill for trial in trials}
    return [
        trial.recipe.name
        + (f", {trial.context}" if len(contexts) > 1 else "")
        + (f", {','.join(map(str, trial.prefill))}" if len(prefills) > 1 else "")
        for trial in trials
    ]
