"""From a model's probability of a word to the chance that it is the writer's."""

from __future__ import annotations

import math

# Fitted by benchmarks/confidence.py on a development text.
SLOPE, SHIFT = 1.032, -0.206

DEFAULT_CONFIDENCE = 0.45
"""Below it there is silence: chosen on a development text (benchmarks/replay.py, docs/LOG.md)."""


def calibrated(logprob: float) -> float:
    """Return the chance that a word is right which the model gives the probability exp(logprob).

    Platt scaling (Platt 1999) of the log-odds.
    """
    if logprob >= 0:
        return 1.0
    odds = logprob - math.log(-math.expm1(logprob))
    return 1 / (1 + math.exp(-(SLOPE * odds + SHIFT)))
