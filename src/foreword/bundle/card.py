"""The report card a bundle may carry: how good, how fast and how large it was found to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from foreword.bundle.fields import Fields

Verdict = Literal["passed", "unjudged", "degraded"]
VERDICTS: Mapping[str, Verdict] = {word: word for word in get_args(Verdict)}

FIGURES = (
    "perplexity",
    "perplexity_stderr",
    "perplexity_ratio",
    "perplexity_ratio_stderr",
    "kl_mean",
    "kl_p99",
    "kl_max",
    "top1_agreement",
    "top5_agreement",
    "greedy_divergence",
    "load_ms",
    "prefill_tokens_per_s",
    "decode_tokens_per_s",
    "peak_rss_bytes",
)
"""The figures of a report, by the names they have in JSON everywhere."""

_MAX_TOKENS = 10**9
_MAX_FIGURE = 1e18


@dataclass(frozen=True)
class Check:
    """What the conversion's own check said, and why.

    `unjudged` is a model whose float32 form makes no sense of the check's text, such as one
    with random weights; `degraded` one that was written all the same.
    """

    verdict: Verdict
    reason: str

    def as_json(self) -> dict[str, object]:
        """Return what `bundle.json` holds under `check`."""
        return {"verdict": self.verdict, "reason": self.reason}


@dataclass(frozen=True)
class ReportCard:
    """The last `foreword report`: its text, the recipe compared with, and the `FIGURES`.

    A figure is absent where it was not measured; `against` is None without a comparison.
    """

    text: str
    text_sha256: str
    tokens: int
    threads: int
    against: str | None
    figures: Mapping[str, float]

    def as_json(self) -> dict[str, object]:
        """Return what `bundle.json` holds under `report`."""
        return {
            "text": self.text,
            "text_sha256": self.text_sha256,
            "tokens": self.tokens,
            "threads": self.threads,
            "against": self.against,
            **{name: self.figures.get(name) for name in FIGURES},
        }


def read_check(fields: Fields) -> Check | None:
    """Return the check in a manifest, None where there is none; BundleError for anything else."""
    if fields.is_absent("check"):
        return None
    check = fields.object("check")
    verdict = check.text("verdict")
    if verdict not in VERDICTS:
        check.refuse("verdict", " or ".join(VERDICTS))
    return Check(VERDICTS[verdict], check.text("reason"))


def read_report(fields: Fields) -> ReportCard | None:
    """Return the report in a manifest, None where there is none; BundleError for anything else."""
    if fields.is_absent("report"):
        return None
    report = fields.object("report")
    measured = [name for name in FIGURES if not report.is_absent(name)]
    return ReportCard(
        text=report.text("text"),
        text_sha256=report.sha256("text_sha256"),
        tokens=report.integer("tokens", 1, _MAX_TOKENS),
        threads=report.integer("threads", 1, 1 << 16),
        against=None if report.is_absent("against") else report.text("against"),
        figures={name: report.number(name, 0, _MAX_FIGURE) for name in measured},
    )
