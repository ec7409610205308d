"""The document of a benchmark as people read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from foreword.evaluation.benchmark.figures import SIDES, Document
from foreword.evaluation.benchmark.questions import POLICIES

_MB = ("peak_rss_bytes",)
_HEADLINES = {
    "decode_ratio": "times as fast at decoding",
    "prefill_ratio": "times as fast at prefill, of {prefill_tokens} tokens",
    "continue_ratio": "times as fast at continuing a text",
    "keystroke_p50_ratio": "of the time for a keystroke, p50, never silent as the other is",
    "keystroke_p95_ratio": "of the time for a keystroke, p95, never silent as the other is",
    "default_keystroke_p50_ratio": "of the time for a keystroke, p50, as people have it",
    "default_keystroke_p95_ratio": "of the time for a keystroke, p95, as people have it",
}


def lines(found: Document) -> Iterator[str]:
    """Give the lines of the table."""
    sides = [side for side in SIDES if side in found["contenders"]]
    for side in sides:
        about = found["contenders"][side]
        words = dict.fromkeys((about["name"], about["runtime"], about["recipe"]))
        yield f"{side:<10}" + ", ".join(words)
    yield (
        f"{found['machine']['processor']}, {found['machine']['cores']} cores; context "
        f"{found['context']}; medians of {found['rounds']} rounds, and their range"
    )
    head = "".join(f"{side:>26}" for side in sides)
    for title, rows in _blocks(found):
        yield ""
        yield f"{title:<30}{head}" + ("     ratio" if len(sides) > 1 else "")
        for name, row in rows:
            yield _line(name, row, sides)
    yield ""
    for threads, speed in found["bandwidth_gb_per_s"].items():
        share = found["bandwidth_shares"][threads]
        yield (
            f"memory, {_threads(threads)}: {speed['median']:.1f} GB/s ({speed['min']:.1f}–"
            f"{speed['max']:.1f}); decoding reads weights at {share:.0%} of it"
        )
    for key, headline in _HEADLINES.items():
        if found.get(key) is not None:
            yield f"{found[key]:.2f} {headline.format(**found)}"


def _blocks(found: Document) -> Iterator[tuple[str, list[tuple[str, Document]]]]:
    loads = found["load_ms"]
    yield "loading", [("load_ms", loads), ("load_ms, weights packed anew", loads["cold"])]
    for threads, rows in found["by_threads"].items():
        yield _threads(threads), list(_split(rows))
    yield f"{_threads(found['threads'])}, a busy core", list(_split(found["with_a_busy_core"]))


def _split(rows: Document) -> Iterator[tuple[str, Document]]:
    """Give the rows of the table: the percentiles of keystrokes have one each."""
    for name, row in rows.items():
        if name in POLICIES:
            for key in ("p50_ms", "p95_ms"):
                yield f"{name.removesuffix('s')}_{key}", row[key]
        else:
            yield name, row


def _line(name: str, row: Document, sides: list[str]) -> str:
    scale, shown = (1e6, "peak_rss_MB") if name in _MB else (1.0, name)
    cells = "".join(f"{_cell(row[side], scale):>26}" for side in sides)
    return f"{shown:<30}{cells}{_ratio(row.get('ratio'))}".rstrip()


def _ratio(value: Any) -> str:
    match value:
        case {"median": median, "min": least, "max": most} if least != most:
            return f"{median:>10.2f} ({least:.2f}–{most:.2f})"
        case {"median": median}:
            return f"{median:>10.2f}"
        case _:
            return f"{value:>10.2f}" if value is not None else ""


def _cell(value: Any, scale: float) -> str:
    match value:
        case None:
            return "-"
        case {"median": median, "min": least, "max": most} if least == most:
            return _number(median / scale)
        case {"median": median, "min": least, "max": most}:
            return f"{_number(median / scale)} ({_number(least / scale)}–{_number(most / scale)})"
        case _:
            return _number(value / scale)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"


def _threads(count: str | int) -> str:
    return f"{count} thread{'' if str(count) == '1' else 's'}"
