"""The journal of a search: a line of JSON for each finished trial, appended as it ends."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foreword.bundle.card import VERDICTS
from foreword.tune.outcomes import FIGURES, Outcome
from foreword.tune.trials import Trial

# What a line can raise that is no JSON, or none of ours.
_STRANGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def read_journal(path: Path, wanted: Mapping[str, Trial]) -> dict[Trial, Outcome]:
    """Return the outcomes that a journal holds of the trials with these keys.

    A line that was cut short, is damaged or lacks a field is passed over.
    """
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(*_STRANGE):
            row = json.loads(line)
            trial = wanted[row["key"]]
            found[trial] = _outcome(trial, row)
    return found


def append(path: Path, key: str, outcome: Outcome) -> None:
    """Add a trial to a journal, which need not exist; raises OSError."""
    row = {
        "key": key,
        **asdict(outcome.trial),
        "figures": dict(outcome.figures),
        "model_sha256": outcome.model_sha256,
        "verdict": outcome.verdict,
    }
    with path.open("a", encoding="utf-8") as file:
        # A line that a killed search left unfinished must not swallow this one.
        file.write(("" if _ends_a_line(path) else "\n") + json.dumps(row) + "\n")


def _outcome(trial: Trial, row: Mapping[str, Any]) -> Outcome:
    figures = {name: float(row["figures"][name]) for name in FIGURES}
    sha256, verdict = row["model_sha256"], row["verdict"]
    if not all(map(math.isfinite, figures.values())) or not isinstance(sha256, str):
        raise ValueError
    return Outcome(trial, figures, sha256, None if verdict is None else VERDICTS[verdict])


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"
