"""Replays as a plot of precision against coverage, and as a page with figures and plots."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from foreword.evaluation.html import figure, page_of
from foreword.evaluation.plot import Axis, Mark, curve_plot, standalone
from foreword.evaluation.replay import BASELINE, MODEL, Replay
from foreword.evaluation.usefulness import Point, figures

NAMES = {MODEL: "Foreword", BASELINE: "n-gram"}
_LABELLED = (0.0, 0.3, 0.6)
_CAPTION = (
    "Higher and further right is better. Each line goes from a high threshold of confidence to "
    "none, Foreword's in the first colour and the n-gram baseline's in the second; some "
    "thresholds are marked."
)


def rows(replay: Replay) -> list[tuple[str, list[str]]]:
    """Return the figures of a replay as people read them, a column for each contender."""
    found = [figures(outcome.typed) for outcome in replay.outcomes.values()]
    return [
        ("keystrokes saved", [_percent(f["keystroke_savings"]) for f in found]),
        ("suggestions accepted", [_percent(f["acceptance_rate"]) for f in found]),
        ("precision when shown", [_percent(f["precision_when_shown"]) for f in found]),
        ("wrong shows", [_percent(f["wrong_show_rate"]) for f in found]),
        ("coverage", [_percent(f["coverage"]) for f in found]),
        ("words shown", [_number(f["suggestion_words"]) for f in found]),
        ("without a model call", [_percent(f["no_model_call_share"]) for f in found]),
        ("tokens a keystroke", [_number(f["tokens_computed_per_keystroke"]) for f in found]),
        ("ms, p50 p95 p99", [_milliseconds(f["latency_ms"]) for f in found]),
        ("ms, cold", [_milliseconds(f["cold_latency_ms"]) for f in found]),
    ]


def svg(replay: Replay) -> str:
    """Return the plot of a replay as a file of its own."""
    return standalone(_drawing(replay, "curve"))


def page(model: str, replays: Sequence[Replay], confidence: float) -> str:
    """Return a page with the figures and the plot of each replay; there is one at least."""
    body = [
        f"<h1>{escape(model)}</h1>",
        f'<p class="sub">Texts typed key by key, silent below a confidence of {confidence:g}</p>',
    ]
    for i, replay in enumerate(replays):
        heads = "".join(
            f'<th scope="col">{escape(NAMES.get(n, n))}</th>' for n in ("", *replay.outcomes)
        )
        lines = "".join(
            f'<tr><th scope="row">{label}</th>' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
            for label, cells in rows(replay)
        )
        body += [
            f"<h2>{escape(replay.name)}</h2>",
            f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>{lines}</tbody>\n</table>",
            figure("Precision against coverage", _drawing(replay, f"curve{i}"), _CAPTION),
        ]
    return page_of(f"{model}: replay", "\n".join(body))


def _drawing(replay: Replay, key: str) -> str:
    curves = [replay.outcomes[name].points() for name in (MODEL, BASELINE)]
    marks = [
        Mark(point.coverage, point.precision, f"{NAMES[name]}, {point.threshold:g}", bool(i))
        for i, (name, points) in enumerate(zip((MODEL, BASELINE), curves, strict=True))
        for point in points
        if point.threshold in _LABELLED and point.precision is not None
    ]
    said = "; ".join(
        f"{NAMES[name]}: " + ", ".join(f"{y:.2f} at coverage {x:.2f}" for x, y in _pairs(points))
        for name, points in zip((MODEL, BASELINE), curves, strict=True)
    )
    x, y = Axis("coverage: share of keystrokes with something shown"), Axis("precision when shown")
    return curve_plot([_pairs(points) for points in curves], marks, x, y, key, said)


def _pairs(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(p.coverage, p.precision) for p in reversed(points) if p.precision is not None]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _milliseconds(found: dict[str, Any]) -> str:
    return "-" if None in found.values() else " ".join(f"{found[p]:.1f}" for p in found)
