"""Trials on a Dask cluster: every worker makes the float32 form once, and runs one at a time."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distributed import Client, Future, WorkerPlugin, as_completed, get_worker

from foreword.errors import ClusterError, ForewordError, UsageError
from foreword.sources.known import KNOWN
from foreword.tune.bench import Bench
from foreword.tune.outcomes import Outcome
from foreword.tune.trials import Origin, Plan, Trial

_ADDRESS = re.compile(r"(?:tcp|tls)://\S+:[0-9]{1,5}")
_CONNECT_SECONDS = 10
_WORKER_SECONDS = 30
# Speed is measured: a worker with more threads than one runs one trial all the same.
_ONE_TRIAL = {"foreword-trial": 1}


@contextmanager
def cluster(source: str | Path, plan: Plan, address: str) -> Iterator[Cluster]:
    """Give what runs trials on the workers of the Dask scheduler at `address`.

    What is still to be run at the end, or after Ctrl-C, is cancelled, and the float32 forms are
    deleted. Raises UsageError for an address that is none, ClusterError for a scheduler that
    does not answer or has no worker that can run Foreword, and what the source raises there.
    """
    client = _connect(address)
    running = Cluster(client, WorkerBench(_seen_by_all(source), plan))
    with _without_log():
        try:
            with _told(address):
                running.start()
            yield running
        finally:
            # The scheduler may have gone, and then there is nothing to tidy up.
            with suppress(Exception):
                running.stop()
            client.close(timeout=_CONNECT_SECONDS)


class Cluster:
    """Runs trials on a client's workers, each of which has the bench; `start` comes first."""

    origin: Origin

    def __init__(self, client: Any, bench: WorkerBench) -> None:
        self._client, self._bench = client, bench
        self._futures: list[Any] = []

    def start(self) -> None:
        """Give all workers the bench, those that come later too, and open it on one."""
        self._client.wait_for_workers(1, timeout=_WORKER_SECONDS)
        self._client.register_plugin(self._bench)
        self.origin = self._submit(_origin).result()

    def run(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Send all trials; one that fails, or whose workers die, is an outcome with a reason."""
        sent = {self._submit(_run, trial, self.origin): trial for trial in trials}
        for future in as_completed(list(sent), loop=self._client.loop):
            yield _outcome(sent[future], future)

    def stop(self) -> None:
        """Cancel what has not ended, and take the bench away."""
        self._client.cancel(self._futures, force=True)
        self._client.unregister_worker_plugin(self._bench.name)

    def _submit(self, function: Any, *arguments: object) -> Any:
        name = self._bench.name
        future = self._client.submit(function, name, *arguments, pure=False, resources=_ONE_TRIAL)
        self._futures.append(future)
        return future


class WorkerBench(WorkerPlugin):  # type: ignore[misc]  # Dask's types are not read
    """A worker's bench, opened for the first trial that comes to it."""

    def __init__(self, source: str, plan: Plan) -> None:
        self.name = f"foreword-{secrets.token_hex(6)}"
        self._source, self._plan = source, plan

    async def setup(self, worker: Any) -> None:
        """Say on a worker that it takes one trial at a time."""
        self._scratch = Path(tempfile.mkdtemp(prefix="foreword-", dir=worker.local_directory))
        self._bench: Bench | None = None
        self._busy, self._ended = threading.Lock(), False
        await worker.set_resources(**_ONE_TRIAL)

    async def teardown(self, worker: Any) -> None:
        """Make the trial that runs stop where it is, and delete what it worked with."""
        self._ended = True
        await asyncio.to_thread(self._clear)

    def origin(self) -> Origin:
        """Return what this worker makes trials of."""
        with self._busy:
            return self._opened().origin

    def run(self, trial: Trial, origin: Origin) -> Outcome:
        """Run a trial, unless others are made of something else."""
        with self._busy:
            bench = self._opened()
            if bench.origin != origin:
                return Outcome(
                    trial,
                    failure=f"worker {get_worker().address}: expected the source and versions "
                    f"that other workers have, found others: {self._source}",
                )
            return bench.run_one(trial, self._go_on)

    def _opened(self) -> Bench:
        if self._bench is None:
            self._bench = Bench(self._source, self._plan, self._scratch)
        return self._bench

    def _go_on(self, stage: str, done: int, total: int) -> None:
        if self._ended:
            raise CancelledError

    def _clear(self) -> None:
        with self._busy:
            if self._bench is not None:
                self._bench.close()
            shutil.rmtree(self._scratch, ignore_errors=True)


def _origin(bench: str) -> Origin:
    return _bench_here(bench).origin()


def _run(bench: str, trial: Trial, origin: Origin) -> Outcome:
    return _bench_here(bench).run(trial, origin)


def _bench_here(name: str) -> WorkerBench:
    bench = get_worker().plugins[name]
    assert isinstance(bench, WorkerBench)
    return bench


def _outcome(trial: Trial, future: Future) -> Outcome:
    try:
        found: Outcome = future.result()
    except CancelledError:
        raise ClusterError(
            "the Dask scheduler has gone or cancelled the trials; the journal has those that "
            "ended: start the command again"
        ) from None
    except ForewordError as error:
        return Outcome(trial, failure=f"on a worker: {error}")
    except Exception as error:  # whatever a worker can die of
        return Outcome(trial, failure=f"on a worker: {_line(error)}")
    return found


def _connect(address: str) -> Client:
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"scheduler: expected such as tcp://host:8786, found {address!r:.80}")
    with _told(address):
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)


@contextmanager
def _without_log() -> Iterator[None]:
    """Leave to our errors what Dask's client says of a lost connection."""
    log = logging.getLogger("distributed.client")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Turn whatever Dask can answer before the first trial into a ClusterError."""
    try:
        yield
    except ForewordError:
        raise
    except Exception as error:
        raise ClusterError(
            f"{address}: expected a Dask scheduler and workers that can run Foreword, found: "
            f"{_line(error)}; start 'dask scheduler' and 'dask worker ADDRESS --nthreads 1' in "
            "environments like this one"
        ) from None


def _seen_by_all(source: str | Path) -> str:
    """Return a source by a name that does not depend on the current directory."""
    if str(source) in KNOWN or not Path(source).exists():
        return str(source)
    return str(Path(source).absolute())


def _line(error: BaseException) -> str:
    return f"{' '.join(str(error).split()) or type(error).__name__:.200}"
