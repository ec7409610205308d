"""What came out of trials, and which of them is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foreword.bundle.card import Verdict
from foreword.tune.trials import Trial

FIGURES = (
    "perplexity",
    "perplexity_ratio",
    "kl_mean",
    "top1_agreement",
    "size_bytes",
    "decode_tokens_per_s",
    "prefill_tokens_per_s",
    "peak_rss_bytes",
)
"""The figures of a trial, by their names in a report."""


@dataclass(frozen=True)
class Outcome:
    """A finished trial: figures and the hash of its `model.tflite`, or why there are none.

    `verdict` is what `convert` would say of it; None for a model that it does not judge.
    """

    trial: Trial
    figures: Mapping[str, float] = field(default_factory=dict)
    model_sha256: str | None = None
    verdict: Verdict | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Limits:
    """What a bundle may take and must give; None for no limit."""

    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None
    min_decode_tokens_per_s: float | None = None

    def allow(self, figures: Mapping[str, float]) -> bool:
        """Return whether figures stay within the limits."""
        return bool(figures) and not (
            _above(figures["size_bytes"], self.max_size_bytes)
            or _above(figures["peak_rss_bytes"], self.max_memory_bytes)
            or _above(self.min_decode_tokens_per_s or 0, figures["decode_tokens_per_s"])
        )


def best(outcomes: Sequence[Outcome], limits: Limits) -> Outcome | None:
    """Return the outcome of the best quality within the limits; None where there is none."""
    allowed = [o for o in outcomes if limits.allow(o.figures)]
    return min(
        allowed, key=lambda o: (o.figures["perplexity"], o.figures["size_bytes"]), default=None
    )


def pareto(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that no other beats in size, quality and speed at once, by size."""
    measured = [o for o in outcomes if o.figures]
    kept = [o for o in measured if not any(_dominates(other, o) for other in measured)]
    return sorted(kept, key=lambda o: o.figures["size_bytes"])


def _dominates(one: Outcome, other: Outcome) -> bool:
    """Return whether one is nowhere worse and somewhere better."""
    pairs = [
        (one.figures["size_bytes"], other.figures["size_bytes"]),
        (one.figures["perplexity"], other.figures["perplexity"]),
        (other.figures["decode_tokens_per_s"], one.figures["decode_tokens_per_s"]),
    ]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _above(value: float, most: float | None) -> bool:
    return most is not None and value > most
