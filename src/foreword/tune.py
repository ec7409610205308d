"""Search over recipes and shapes for the best bundle that stays within limits.

Every trial converts, scores beside float32 and measures; a journal, a line of JSON for each
trial, makes the search resumable. Quality is perplexity: the trial that raises it least wins,
the smaller file among equals.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from foreword.bundle.manifest import MODEL_NAME
from foreword.convert import Progress, convert
from foreword.errors import ForewordError, OutputError, UsageError
from foreword.evaluation.report import discard, make_report
from foreword.quantize.recipes import find_recipe

_KEPT = (
    "perplexity",
    "perplexity_ratio",
    "kl_mean",
    "top1_agreement",
    "size_bytes",
    "decode_tokens_per_s",
    "prefill_tokens_per_s",
    "peak_rss_bytes",
)


@dataclass(frozen=True)
class Trial:
    """Settings of one conversion."""

    recipe: str
    context: int
    prefill: tuple[int, ...]

    def key(self, source_sha256: str, tokens: int, threads: int | None) -> str:
        """Return the name of this trial in a journal: its settings and what it is made of."""
        said = json.dumps([asdict(self), source_sha256, tokens, threads], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """A finished trial: its figures, or why there are none."""

    trial: Trial
    figures: dict[str, float]
    failure: str | None = None


@dataclass(frozen=True)
class Limits:
    """What a bundle may take and must give; None for no limit."""

    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None
    min_decode_tokens_per_s: float | None = None

    def allow(self, figures: dict[str, float]) -> bool:
        """Return whether figures stay within the limits."""
        return bool(figures) and not (
            _above(figures["size_bytes"], self.max_size_bytes)
            or _above(figures["peak_rss_bytes"], self.max_memory_bytes)
            or _above(self.min_decode_tokens_per_s or 0, figures["decode_tokens_per_s"])
        )


@dataclass(frozen=True)
class Plan:
    """What a search covers, and how each trial is judged."""

    trials: Sequence[Trial]
    tokens: int = 1000
    threads: int | None = None


def plan(
    recipes: Sequence[str],
    contexts: Sequence[int],
    prefills: Sequence[Sequence[int]],
    tokens: int = 1000,
    threads: int | None = None,
) -> Plan:
    """Return the search over every combination; raises UsageError for an unknown recipe."""
    for recipe in recipes:
        find_recipe(recipe)
    if not (recipes and contexts and prefills):
        raise UsageError("tune: expected at least one recipe, context and set of prefill widths")
    settings = product(dict.fromkeys(recipes), dict.fromkeys(contexts), map(tuple, prefills))
    return Plan([Trial(*setting) for setting in settings], tokens, threads)


def search(
    source: str | Path, plan: Plan, journal: Path, progress: Progress | None = None
) -> list[Outcome]:
    """Run every trial that the journal does not hold yet, and return all outcomes in order.

    The float32 form that trials are compared with is made once, beside the journal, as are
    the trials' bundles; all are gone afterwards. `progress("trials", done, total)` counts
    trials. Raises UsageError, SourceError, OutputError; a trial whose conversion fails is an
    outcome with a reason.
    """
    finished = read_journal(journal)
    outcomes: list[Outcome] = []
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=".tune-", dir=journal.parent) as scratch,
            closing(_Bench(source, plan, Path(scratch))) as bench,
        ):
            for done, trial in enumerate(plan.trials):
                if progress is not None:
                    progress("trials", done, len(plan.trials))
                key = trial.key(bench.sha256, plan.tokens, plan.threads)
                outcome = finished.get(key)
                if outcome is None:
                    outcome = bench.run(trial)
                    if outcome.failure is None:  # a failure is tried again next time
                        _append(journal, key, outcome)
                outcomes.append(outcome)
    except OSError as error:
        raise OutputError(
            f"{error.filename or journal}: cannot be written: {error.strerror or error}; "
            "choose another journal"
        ) from None
    if progress is not None:
        progress("trials", len(plan.trials), len(plan.trials))
    return outcomes


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


def read_journal(path: Path) -> dict[str, Outcome]:
    """Return the finished trials in a journal by their keys; a line cut short is passed over."""
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            row = json.loads(line)
            trial = Trial(row["recipe"], row["context"], tuple(row["prefill"]))
            figures = {name: float(row["figures"][name]) for name in row["figures"]}
            if set(figures) == set(_KEPT):
                found[row["key"]] = Outcome(trial, figures)
    return found


class _Bench:
    """Runs trials of one source beside its float32 form, which has the longest context."""

    def __init__(self, source: str | Path, plan: Plan, scratch: Path) -> None:
        self._source, self._plan, self._scratch = source, plan, scratch
        longest = max(trial.context for trial in plan.trials)
        self._reference = convert(
            source, scratch / "float32", recipe="float32", context=longest, check=False
        )
        # The same source gives the same bytes, whatever form it comes in.
        self.sha256 = self._reference.manifest.files[MODEL_NAME].sha256

    def run(self, trial: Trial) -> Outcome:
        """Convert, score, measure and delete."""
        bundle = None
        try:
            bundle = convert(
                self._source,
                self._scratch / "trial",
                recipe=trial.recipe,
                context=trial.context,
                prefill=trial.prefill,
                check=False,
            )
            found = make_report(
                bundle.path, self._reference.path, None, self._plan.tokens, self._plan.threads
            ).as_json()
        except ForewordError as error:
            return Outcome(trial, {}, str(error))
        finally:
            if bundle is not None:
                discard(bundle)
        if found["nonfinite_at"] is not None:
            return Outcome(trial, {}, "its output is not a finite number")
        return Outcome(trial, {name: found[name] for name in _KEPT})

    def close(self) -> None:
        """Delete the float32 form."""
        discard(self._reference)


def _append(journal: Path, key: str, outcome: Outcome) -> None:
    row = {"key": key, **asdict(outcome.trial), "figures": outcome.figures}
    with journal.open("a", encoding="utf-8") as file:
        # A line that a killed search left unfinished must not swallow this one.
        file.write(("" if _ends_a_line(journal) else "\n") + json.dumps(row) + "\n")


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"


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
