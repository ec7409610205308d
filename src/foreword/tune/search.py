"""The search: every trial that the journal does not hold, here or on a cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foreword.convert import Progress
from foreword.errors import OutputError, UsageError
from foreword.tune.bench import Bench
from foreword.tune.journal import append, read_journal
from foreword.tune.outcomes import Outcome
from foreword.tune.trials import Origin, Plan, Trial


class Runner(Protocol):
    """What runs trials of one source."""

    @property
    def origin(self) -> Origin:
        """What they are made of."""

    def run(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Run each trial once; outcomes come as they are ready, in any order."""


@dataclass(frozen=True)
class Found:
    """All outcomes of a search in the order of its plan, and what they were made of."""

    origin: Origin
    outcomes: Sequence[Outcome]


def search(
    source: str | Path,
    plan: Plan,
    journal: Path,
    progress: Progress | None = None,
    scheduler: str | None = None,
) -> Found:
    """Run every trial that the journal does not hold yet, and return all outcomes in order.

    Bundles and the float32 form they are compared with lie beside the journal meanwhile; with
    the address of a Dask `scheduler`, such as tcp://host:8786, on the disks of its workers,
    which have to see the source under the same path. `progress("trials", done, total)` counts
    trials. Raises UsageError, SourceError, OutputError, ClusterError; a trial whose conversion
    fails is an outcome with a reason, and is tried again next time.
    """
    total = len(plan.trials)
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with _runner(source, plan, journal.parent, scheduler) as runner:
            keys = {trial: plan.key(trial, runner.origin) for trial in plan.trials}
            found = read_journal(journal, {key: trial for trial, key in keys.items()})
            if progress is not None:
                progress("trials", len(found), total)
            for outcome in runner.run([trial for trial in plan.trials if trial not in found]):
                found[outcome.trial] = outcome
                if outcome.failure is None:
                    append(journal, keys[outcome.trial], outcome)
                if progress is not None:
                    progress("trials", len(found), total)
            return Found(runner.origin, [found[trial] for trial in plan.trials])
    except OSError as error:
        raise OutputError(
            f"{error.filename or journal}: cannot be written: {error.strerror or error}; "
            "choose another journal"
        ) from None


def _runner(
    source: str | Path, plan: Plan, beside: Path, scheduler: str | None
) -> AbstractContextManager[Runner]:
    if scheduler is None:
        return _local(source, plan, beside)
    try:
        from foreword.tune.cluster import cluster
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("dask", "distributed"):
            raise
        raise UsageError(
            "scheduler: expected Dask, found no package 'distributed': pip install 'foreword[tune]'"
        ) from None
    return cluster(source, plan, scheduler)


@contextmanager
def _local(source: str | Path, plan: Plan, beside: Path) -> Iterator[Runner]:
    with (
        tempfile.TemporaryDirectory(prefix=".tune-", dir=beside) as scratch,
        closing(Bench(source, plan, Path(scratch))) as bench,
    ):
        yield bench
