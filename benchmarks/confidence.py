"""Fit how sure a suggestion is: from the model's probability of a word to the share that is right.

    python benchmarks/confidence.py [--keystrokes 2000]

Types the development texts of benchmarks/replay.py (none of those it reports on) with sessions
that are never silent, and fits the two numbers of `completion/confidence.py` (Platt scaling) to
the words that a model call gave. Prints them, and how well they are calibrated in ten bins, and
writes benchmarks/results/confidence.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from replay_texts import fetch

import foreword
from foreword.completion import confidence
from foreword.completion.completer import Completer
from foreword.completion.session import Session
from foreword.completion.suggestion import Policy
from foreword.evaluation.typing import stretches, type_stretch
from foreword.sources.known import DEFAULT, pull

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keystrokes", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/confidence.json")
    options = parser.parse_args()
    checkpoint = pull(DEFAULT, ROOT / ".cache" / "downloads")
    odds, right = [], []
    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
        os.environ["FOREWORD_HOME"] = f"{scratch}/home"
        bundle = foreword.convert(checkpoint, Path(scratch) / "int8", check=False)
        with foreword.load(bundle.path, threads=options.threads) as engine:
            completer = Completer(engine)
            for kind, (_, development, _) in fetch().items():
                session = Session(completer, Policy(confidence=0.0))
                for stretch in stretches(development, options.keystrokes):
                    for key in type_stretch(stretch, session):
                        if key.shown is not None and not key.kept:
                            assert key.shown.confidence is not None
                            odds.append(uncalibrated(key.shown.confidence))
                            right.append(key.right)
                print(kind, len(odds), flush=True)
    x, y = np.array(odds), np.array(right, np.float64)
    slope, shift = platt(x, y)
    results = {
        "model": DEFAULT,
        "recipe": "int8",
        "keystrokes": options.keystrokes,
        "suggestions": len(odds),
        "slope": round(slope, 3),
        "shift": round(shift, 3),
        "bins": bins(1 / (1 + np.exp(-(slope * x + shift))), y),
        "versions": {name: metadata.version(name) for name in ("foreword", "ai-edge-litert")},
    }
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def uncalibrated(chance: float) -> float:
    """Return the log-odds that the model gave, whatever the calibration in use makes of them."""
    chance = min(max(chance, 1e-4), 1 - 1e-4)
    return (math.log(chance / (1 - chance)) - confidence.SHIFT) / confidence.SLOPE


def platt(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Fit y to 1 / (1 + exp(-(slope * x + shift))) by Newton's method on the log loss."""
    beta = np.array([1.0, 0.0])
    rows = np.stack([x, np.ones_like(x)], axis=1)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(rows @ beta)))
        curve = rows.T @ (rows * (chance * (1 - chance))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, rows.T @ (y - chance))
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    return float(beta[0]), float(beta[1])


def bins(chance: NDArray[np.float64], y: NDArray[np.float64]) -> list[dict[str, Any]]:
    found = []
    for low in np.arange(0, 1, 0.1):
        inside = (chance >= low) & (chance < low + 0.1 + (low > 0.85))
        if inside.any():
            found.append(
                {
                    "said": round(float(chance[inside].mean()), 3),
                    "right": round(float(y[inside].mean()), 3),
                    "suggestions": int(inside.sum()),
                }
            )
    return found


if __name__ == "__main__":
    main()
