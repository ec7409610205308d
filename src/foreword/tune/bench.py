"""Where trials are run: one source, beside its float32 form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from foreword.bundle.manifest import MODEL_NAME
from foreword.bundle.store import Bundle
from foreword.convert import Progress, convert, fingerprint, versions
from foreword.errors import ForewordError
from foreword.evaluation import gate
from foreword.evaluation.report import discard, make_report
from foreword.tune.outcomes import FIGURES, Outcome
from foreword.tune.trials import Origin, Plan, Trial


class Bench:
    """Runs trials of one source beside its float32 form, which has the longest context.

    That form is made for the first trial and kept in `scratch` until `close`. Raises what
    `convert` does for a source that cannot be read.
    """

    def __init__(self, source: str | Path, plan: Plan, scratch: Path) -> None:
        self.origin = Origin(fingerprint(source), versions())
        self._source, self._plan, self._scratch = source, plan, scratch
        self._float32: Bundle | None = None

    def run(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Run trials, one after the other."""
        return map(self.run_one, trials)

    def run_one(self, trial: Trial, progress: Progress | None = None) -> Outcome:
        """Convert, judge, score, measure and delete; a failed trial is an outcome too."""
        reference, bundle = self._reference(progress), None
        try:
            bundle = convert(
                self._source,
                self._scratch / "trial",
                recipe=trial.recipe,
                context=trial.context,
                prefill=trial.prefill,
                check=False,
                progress=progress,
            )
            check = gate.judge_bundle(bundle, reference, trial.recipe, progress)
            tokens, threads = self._plan.tokens, self._plan.threads
            report = make_report(bundle.path, reference.path, None, tokens, threads, progress)
        except ForewordError as error:
            return Outcome(trial, failure=str(error))
        finally:
            if bundle is not None:
                discard(bundle)
        if report.findings.nonfinite_at is not None:
            return Outcome(trial, failure="its output is not a finite number")
        found = report.as_json()
        return Outcome(
            trial,
            {name: found[name] for name in FIGURES},
            bundle.manifest.files[MODEL_NAME].sha256,
            None if check is None else check.verdict,
        )

    def close(self) -> None:
        """Delete the float32 form."""
        if self._float32 is not None:
            discard(self._float32)

    def _reference(self, progress: Progress | None) -> Bundle:
        if self._float32 is None:
            self._float32 = convert(
                self._source,
                self._scratch / "float32",
                recipe="float32",
                context=max(trial.context for trial in self._plan.trials),
                check=False,
                progress=progress,
            )
        return self._float32
