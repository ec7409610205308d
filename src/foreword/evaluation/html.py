"""A report card as a page: one file, its plots drawn inline, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from foreword.evaluation.plot import STYLE, Axis, Mark, bars, line_plot, point_plot
from foreword.evaluation.report import Point, Report

_STYLE = f"""{STYLE}
body {{ background: var(--paper); color: var(--ink); margin: 2rem auto; max-width: 46rem;
  padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; margin-bottom: 0; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
p.sub, figcaption, footer {{ color: var(--quiet); }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid var(--rule); padding: .3rem .5rem .3rem 0;
  text-align: left; vertical-align: top; font-weight: normal; }}
td {{ font-variant-numeric: tabular-nums; }} th {{ color: var(--quiet); }}
th[scope=row] {{ width: 40%; }}
.bad {{ color: var(--other); font-weight: bold; }}
figure {{ margin: 1rem 0; }} svg {{ width: 100%; height: auto; display: block; }}
"""


def page(report: Report) -> str:
    """Return the HTML of a report: figures as a table, three plots with titles and words."""
    manifest = report.bundle.manifest
    name = escape(report.bundle.path.name)
    against = "" if report.reference is None else f", against {escape(report.reference.name)}"
    sections = [
        f"<h1>{name}</h1>",
        f'<p class="sub">{escape(manifest.provenance.source)}, recipe {escape(manifest.recipe)}, '
        f"context {manifest.shape.context}{against}</p>",
        "<h2>Figures</h2>",
        _table(report),
        *_plots(report),
        f"<footer><p>Scored on {report.card.tokens} tokens of {escape(report.card.text)}; "
        f"measured with {report.card.threads} threads on the machine that made this page. "
        f"{escape(_versions(report))}</p></footer>",
    ]
    return page_of(f"{report.bundle.path.name}: report card", "\n".join(sections))


def page_of(title: str, body: str) -> str:
    """Return a page with this title and body, in the style of all pages."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def figure(title: str, drawing: str, caption: str) -> str:
    """Return a plot under a heading, with a caption."""
    return (
        f"<h2>{escape(title)}</h2>\n<figure>\n{drawing}\n"
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def _table(report: Report) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td{_marked(bad)}>{escape(value)}</td></tr>\n'
        for label, value, bad in _rows(report)
    )
    return f"<table>\n<tbody>\n{cells}</tbody>\n</table>"


def _marked(bad: bool) -> str:
    return ' class="bad"' if bad else ""


def _rows(report: Report) -> Iterable[tuple[str, str, bool]]:
    """Label and value of each figure there is, and whether it is a bad sign."""
    figures, findings = report.card.figures, report.findings
    check = report.bundle.manifest.check
    yield "Size", f"{report.bundle.size_bytes / 1e6:.1f} MB", False
    if check is not None:
        found = f"{check.verdict}: {check.reason}"
        yield "Check at conversion", found, check.verdict == "degraded"
    if findings.nonfinite_at is not None:
        yield "Output", f"not a finite number at token {findings.nonfinite_at}", True
    if "perplexity" in figures:
        doubt = figures["perplexity_stderr"]
        yield "Perplexity", f"{figures['perplexity']:.3f} ± {doubt:.3f}", False
    if "perplexity_ratio" in figures:
        doubt = figures["perplexity_ratio_stderr"]
        yield "Perplexity / reference", f"{figures['perplexity_ratio']:.4f} ± {doubt:.4f}", False
        spread = " / ".join(f"{figures[f'kl_{name}']:.4f}" for name in ("mean", "p99", "max"))
        yield "KL divergence, mean / p99 / max", f"{spread} nats", False
        yield "Likeliest token is the reference's", f"{figures['top1_agreement']:.2%}", False
        yield "… or among the likeliest five", f"{figures['top5_agreement']:.2%}", False
    if "greedy_divergence" in figures:
        value = f"{figures['greedy_divergence']:g} tokens, median of {len(findings.divergence)}"
        yield "Greedy text equals the reference's for", value, False
    if findings.loops is not None:
        beside = findings.reference_loops
        value = f"{findings.loops} of 4" + ("" if beside is None else f" (reference: {beside})")
        yield "Greedy texts that end in a loop", value, findings.loops > (beside or 0) + 2
    if "load_ms" not in figures:
        return
    yield "Load", f"{figures['load_ms']:.0f} ms", False
    yield "Prefill", f"{figures['prefill_tokens_per_s']:.1f} tokens/s", False
    yield "Decode", f"{figures['decode_tokens_per_s']:.1f} tokens/s", False
    yield "Peak memory", f"{figures['peak_rss_bytes'] / 1e6:.0f} MB", False


def _plots(report: Report) -> Iterable[str]:
    points = _points(report)
    if points:
        marks = [
            Mark(p.size_bytes / 1e6, p.perplexity, f"{p.recipe} (reference)", other=True)
            if p is report.reference
            else Mark(p.size_bytes / 1e6, p.perplexity, p.recipe)
            for p in points
        ]
        said = "; ".join(
            f"{p.name} ({p.recipe}) {p.size_bytes / 1e6:.0f} MB, perplexity {p.perplexity:.2f}"
            for p in points
        )
        yield figure(
            "Size against quality",
            point_plot(marks, Axis("size in MB"), Axis("perplexity"), "size-quality", said),
            "Lower and further left is better. Other stored bundles of the same weights appear "
            "when their report is on the same text.",
        )
    if len(report.findings.kl_by_position) > 1:
        pairs = report.findings.kl_by_position
        said = (
            f"Mean divergence from {pairs[0][1]:.4f} at the start of the window to "
            f"{pairs[-1][1]:.4f} nats at its end."
        )
        yield figure(
            "KL divergence by position",
            line_plot(pairs, Axis("position in the window"), Axis("mean KL, nats"), "kl", said),
            "How far predictions are from the reference's after so many tokens of context.",
        )
    total = report.bundle.size_bytes
    rows = [(part, count / 1e6) for part, count in report.parts.items()]
    said = "; ".join(f"{part} {count / 1e6:.1f} MB" for part, count in report.parts.items())
    yield figure("Where the bytes are", bars(rows, "MB", "parts", said), f"{total / 1e6:.1f} MB.")


def _points(report: Report) -> Sequence[Point]:
    own = []
    if "perplexity" in report.card.figures:
        name, recipe = report.bundle.path.name, report.bundle.manifest.recipe
        size = report.bundle.size_bytes
        own = [Point(name, recipe, size, report.card.figures["perplexity"])]
    if report.reference is not None:
        own.append(report.reference)
    taken = {point.name for point in own}
    return own + [peer for peer in report.peers if peer.name not in taken]


def _versions(report: Report) -> str:
    made = report.bundle.manifest.versions
    return "Made with " + ", ".join(f"{name} {version}" for name, version in made.items()) + "."
