"""Plots as inline SVG: few marks, colours from the page, words for who cannot see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 16, 44
_BAR = 24
_LABELS = 130


STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --quiet: #59636e;
  --rule: #d1d9e0; --accent: #0a58ca; --other: #9a4a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117;
  --quiet: #9198a1; --rule: #3d444d; --accent: #6cb0ff; --other: #f0a25c; } }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .quiet { fill: var(--quiet); }
svg .rule { stroke: var(--rule); stroke-width: 1; } svg .line { stroke: var(--accent);
  stroke-width: 2; fill: none; }
svg .mark { fill: var(--accent); } svg .other { fill: var(--other); }
svg .line.second { stroke: var(--other); }
"""
"""The colours of a page, and how plots use them."""


@dataclass(frozen=True)
class Axis:
    """What an axis shows; it starts at 0."""

    label: str


@dataclass(frozen=True)
class Mark:
    """A point with its label; `other` draws it in the second colour."""

    x: float
    y: float
    label: str
    other: bool = False


def point_plot(
    marks: Sequence[Mark],
    x: Axis,
    y: Axis,
    key: str,
    said: str,
    line: Sequence[tuple[float, float]] = (),
) -> str:
    """Draw labelled points, and a line under them through other places in order of x.

    `key` makes the ids, `said` is read out in place of the plot.
    """
    frame = _Frame(_ticks(max(m.x for m in marks)), _ticks(max(m.y for m in marks)))
    drawn = [_line(frame, line)] if line else []
    drawn += [_mark(frame, mark) for mark in marks]
    return _svg(_HEIGHT, key, f"{y.label} by {x.label}", said, [*frame.drawn(x, y), *drawn])


def line_plot(pairs: Sequence[tuple[float, float]], x: Axis, y: Axis, key: str, said: str) -> str:
    """Draw one line through pairs in order of x."""
    frame = _Frame(_ticks(max(p[0] for p in pairs)), _ticks(max(p[1] for p in pairs)))
    drawn = [*frame.drawn(x, y), _line(frame, pairs)]
    return _svg(_HEIGHT, key, f"{y.label} by {x.label}", said, drawn)


def curve_plot(
    curves: Sequence[Sequence[tuple[float, float]]],
    marks: Sequence[Mark],
    x: Axis,
    y: Axis,
    key: str,
    said: str,
) -> str:
    """Draw up to two lines, the second in the second colour, with labelled points on them.

    Both axes go from 0 to 1.
    """
    frame = _Frame(_ticks(1.0), _ticks(1.0))
    drawn = [_line(frame, line, second=bool(i)) for i, line in enumerate(curves) if line]
    drawn += [_mark(frame, mark) for mark in marks]
    return _svg(_HEIGHT, key, f"{y.label} by {x.label}", said, [*frame.drawn(x, y), *drawn])


def standalone(drawing: str) -> str:
    """Return a plot as an SVG file of its own, with its colours."""
    style = f"<style>{STYLE}svg {{ background: var(--paper); }}</style>"
    opened = drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return opened.replace(">\n", f">\n{style}\n", 1) + "\n"


def bars(rows: Sequence[tuple[str, float]], unit: str, key: str, said: str) -> str:
    """Draw a horizontal bar for each label and value."""
    largest = max(value for _, value in rows) or 1.0
    room = _WIDTH - _LABELS - 90
    drawn = []
    for i, (label, value) in enumerate(rows):
        y, length = i * _BAR, room * value / largest
        drawn.append(
            f'<text x="{_LABELS - 8}" y="{y + 16}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="mark" x="{_LABELS}" y="{y + 4}" width="{length:.1f}" height="16"/>'
            f'<text class="quiet" x="{_LABELS + length + 6:.1f}" y="{y + 16}">'
            f"{value:.1f} {escape(unit)}</text>"
        )
    return _svg(len(rows) * _BAR + 4, key, f"size in {unit} by part", said, drawn)


class _Frame:
    """From values to places in the picture, with ticks and their rules."""

    def __init__(self, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> None:
        self._x_ticks, self._y_ticks = x_ticks, y_ticks

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / self._x_ticks[-1]

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / self._y_ticks[-1]

    def drawn(self, x: Axis, y: Axis) -> list[str]:
        bottom = _HEIGHT - _BOTTOM
        found = []
        for tick in self._y_ticks:
            at = self.y(tick)
            found.append(
                f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" '
                f'y2="{at:.1f}"/><text class="quiet" x="{_LEFT - 8}" y="{at + 4:.1f}" '
                f'text-anchor="end">{tick:.6g}</text>'
            )
        for tick in self._x_ticks:
            found.append(
                f'<text class="quiet" x="{self.x(tick):.1f}" y="{bottom + 18}" '
                f'text-anchor="middle">{tick:.6g}</text>'
            )
        middle = (_TOP + bottom) / 2
        found.append(
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f'{escape(x.label)}</text><text x="14" y="{middle}" text-anchor="middle" '
            f'transform="rotate(-90 14 {middle})">{escape(y.label)}</text>'
        )
        return found


def _mark(frame: _Frame, mark: Mark) -> str:
    at_x, at_y = frame.x(mark.x), frame.y(mark.y)
    # At the right edge, below and to the left: beside the names of the marks before it.
    left = at_x > _WIDTH - 160
    return (
        f'<circle class="{"other" if mark.other else "mark"}" cx="{at_x:.1f}" '
        f'cy="{at_y:.1f}" r="5"/><text x="{at_x + (-9 if left else 9):.1f}" '
        f'y="{at_y + (16 if left else -7):.1f}" text-anchor="{"end" if left else "start"}">'
        f"{escape(mark.label)}</text>"
    )


def _line(frame: _Frame, pairs: Sequence[tuple[float, float]], second: bool = False) -> str:
    places = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in pairs)
    return f'<polyline class="line{" second" if second else ""}" points="{places}"/>'


def _ticks(largest: float) -> list[float]:
    """Return round numbers from 0 to the first that is not below `largest`, about five."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))
    return [step * i for i in range(math.ceil(largest / step * (1 - 1e-9)) + 1)]


def _svg(height: int, key: str, title: str, said: str, drawn: Sequence[str]) -> str:
    body = "\n".join(drawn)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-labelledby="{key}-title {key}-desc">\n'
        f'<title id="{key}-title">{escape(title)}</title>\n'
        f'<desc id="{key}-desc">{escape(said)}</desc>\n{body}\n</svg>'
    )
