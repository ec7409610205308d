"""The choice of a search written down so that it can be made again."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foreword.quantize.recipes import RECIPES
from foreword.tune.outcomes import Outcome
from foreword.tune.trials import Origin, Plan, Trial


def is_named(trial: Trial) -> bool:
    """Return whether a trial's recipe is one that `convert` knows by its name."""
    return RECIPES.get(trial.recipe.name) == trial.recipe


def command(source: str, chosen: Outcome, recipe_file: Path) -> str:
    """Return the command that makes a trial's bundle again.

    `recipe_file` is where a recipe without a known name is written, as `to_toml` gives it. The
    gate lets the bundle pass as it is, or is told to.
    """
    trial = chosen.trial
    words = ["foreword", "convert", source]
    words += ["--recipe", trial.recipe.name if is_named(trial) else str(recipe_file)]
    words += ["--context", str(trial.context), "--prefill", ",".join(map(str, trial.prefill))]
    if chosen.verdict == "degraded":
        words.append("--allow-degraded")
    return shlex.join(words)


def document(
    source: str, plan: Plan, origin: Origin, chosen: Outcome, made_by: str
) -> dict[str, Any]:
    """Return the manifest of a choice: what it is made of and how, its figures, its command.

    `source_sha256` is `convert.fingerprint`, `model_sha256` the hash of `model.tflite`.
    """
    return {
        "source": source,
        **asdict(origin),
        **row(chosen),
        "recipe": asdict(chosen.trial.recipe),
        "tokens": plan.tokens,
        "threads": plan.threads,
        "command": made_by,
    }


def row(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON form of an outcome, with the name of its recipe."""
    trial = outcome.trial
    return {
        "recipe": trial.recipe.name,
        "context": trial.context,
        "prefill": list(trial.prefill),
        "verdict": outcome.verdict,
        "model_sha256": outcome.model_sha256,
        "figures": dict(outcome.figures),
    }
