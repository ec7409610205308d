"""From what was measured to one document, with ratios, and to a table of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.benchmark.questions import POLICIES, decode_figure, prefill_figure
from foreword.evaluation.benchmark.schedule import Measured, Options, Row
from foreword.evaluation.text import Text

Document = dict[str, Any]
SIDES = ("foreword", "against")
_PERCENTILES = (50, 95)


def document(
    measured: Measured, entries: Sequence[Entry], texts: Sequence[Text], options: Options
) -> Document:
    """Return the figures as JSON has them.

    A ratio is the first contender's figure over the second's, the median of those of all rounds:
    above 1 is better for a speed, below 1 for a time or for memory. Only `prefill_ratio`, of
    speeds, is of a figure that is a time.
    """
    usual = measured.by_threads[options.threads]
    decode, (_, tokens) = decode_figure(usual), prefill_figure(usual)
    shares = {
        str(threads): _bandwidth_share(found[decode], entries[0], measured.bandwidths[threads])
        for threads, found in measured.by_threads.items()
    }
    found: Document = {
        "model": entries[0].name,
        "recipe": entries[0].recipe,
        "context": entries[0].context,
        "threads": options.threads,
        "against": entries[1].name if len(entries) > 1 else None,
        "bandwidth_share": shares[str(options.threads)],
        "prefill_tokens": tokens,
        "rounds": options.rounds,
        "keystrokes": options.keystrokes,
        "texts": [text.name for text in texts],
        "contenders": {
            side: {
                "name": entry.name,
                "runtime": entry.runtime,
                "recipe": entry.recipe,
                "context": entry.context,
                "weight_bytes": entry.weight_bytes,
            }
            for side, entry in zip(SIDES, entries, strict=False)
        },
        "load_ms": {
            **_figure(measured.loads[1:]),
            "cold": _sides(list(map(_rounded, measured.loads[0]))),
        },
        "by_threads": {str(n): _rows(rows) for n, rows in measured.by_threads.items()},
        "with_a_busy_core": _rows(measured.busy),
        "bandwidth_gb_per_s": {str(n): spread(v) for n, v in measured.bandwidths.items()},
        "bandwidth_shares": shares,
        "machine": machine(),
        "versions": {**versions(), **measured.versions},
    }
    return found if len(entries) == 1 else {**found, **_ratios(usual)}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the range of values."""
    return {
        "median": _rounded(float(np.median(values))),
        "min": _rounded(min(values)),
        "max": _rounded(max(values)),
    }


def machine() -> dict[str, Any]:
    """Return what this machine is: processor, cores, system and Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what runs a bundle."""
    return {name: metadata.version(name) for name in ("foreword", "ai-edge-litert", "numpy")}


def _ratios(rows: Mapping[str, Sequence[Row]]) -> Document:
    """Return the ratios by which two runs are compared; None where nothing was measured."""
    usual, waits = _rows(rows), rows[prefill_figure(rows)[0]]
    found = {
        "decode_ratio": usual[decode_figure(rows)]["ratio"]["median"],
        "prefill_ratio": spread([theirs / ours for ours, theirs in waits])["median"],
        "continue_ratio": usual["continue_tokens_per_s"]["ratio"]["median"],
    }
    for name in POLICIES:
        head = name.replace("keystrokes", "keystroke")
        for p in _PERCENTILES:
            found[f"{head}_p{p}_ratio"] = usual[name][f"p{p}_ms"].get("ratio")
    return found


def _rows(rows: Mapping[str, Sequence[Row]]) -> Document:
    return {
        name: _keystrokes(found) if name in POLICIES else _figure(found)
        for name, found in rows.items()
    }


def _figure(rows: Sequence[Row]) -> Document:
    found: Document = _sides([spread(values) for values in zip(*rows, strict=True)])
    if len(rows[0]) > 1:
        found["ratio"] = spread([ours / theirs for ours, theirs in rows])
    return found


def _keystrokes(rows: Sequence[Row]) -> Document:
    """Return the percentiles of all stretches together, and how the ratio of medians varies."""
    sides = list(zip(*rows, strict=True))
    found: Document = {"keystrokes": _sides([sum(a["keystrokes"] for a in side) for side in sides])}
    for p in _PERCENTILES:
        pooled = [
            _percentile([ms for answer in side for ms in answer["latency_ms"]], p) for side in sides
        ]
        found[f"p{p}_ms"] = _sides(pooled)
        if len(sides) > 1:
            found[f"p{p}_ms"]["ratio"] = _over(*pooled)
    if len(sides) > 1:
        each = [_over(*(_percentile(a["latency_ms"], 50) for a in row)) for row in rows]
        known = [ratio for ratio in each if ratio is not None]
        found["p50_ratio_of_stretches"] = spread(known) if known else None
    return found


def _percentile(values: Sequence[float], p: int) -> float | None:
    return _rounded(float(np.percentile(values, p))) if values else None


def _over(ours: float | None, theirs: float | None) -> float | None:
    return _rounded(ours / theirs) if ours is not None and theirs else None


def _sides(values: Sequence[Any]) -> Document:
    return dict(zip(SIDES, values, strict=False))


def _bandwidth_share(rows: Sequence[Row], entry: Entry, speeds: Sequence[float]) -> float:
    """Return the weights read in a second over the bandwidth of the same round: the median."""
    read = [row[0] * entry.weight_bytes / 1e9 for row in rows]
    return _rounded(float(np.median(np.divide(read, speeds))))


def _rounded(value: float) -> float:
    return round(value, 3)
