"""One thread that runs a model, and the queue before it.

Requests take turns: one that has run for a while makes room for those that wait, and goes on
when its turn comes again. So a long continuation keeps nobody from a suggestion.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from foreword.completion.safety import Filter
from foreword.engine.engine import LanguageModel
from foreword.errors import EngineError, ForewordError
from foreword.server.failures import ApiError, busy, unavailable
from foreword.server.metrics import Metrics
from foreword.server.seats import Seat, Seats

State = Literal["loading", "ready", "failed", "closed"]
Emit = Callable[[Any], None]
Work = Callable[[Seat, "Job", Emit], Iterable[None]]
"""What a request does in the worker's thread; where it yields it may be made to wait."""

_TURN_SECONDS = 0.03
_log = logging.getLogger("foreword.server")


@dataclass(frozen=True)
class Limits:
    """How much a worker takes on: requests that wait, memory for texts, time for one request."""

    queue: int = 64
    cache_bytes: int = 512 << 20
    request_seconds: float = 60.0


@dataclass(frozen=True)
class End:
    """The last thing that is emitted for a job: `error` where it failed."""

    error: Exception | None = None
    superseded: bool = False


class Job:
    """A request on its way: also the `Cancel` of what runs for it."""

    def __init__(self, work: Work, text: str, session: str | None, emit: Emit) -> None:
        self.session, self.text = session, text
        self.superseded = False
        self.timed_out = False
        self._work, self._emit = work, emit
        self._called_off = threading.Event()
        self._deadline = math.inf
        self.queued_at = time.monotonic()
        self.seat: Seat | None = None
        self.steps: Iterator[None] | None = None

    def cancel(self) -> None:
        """Call it off; what runs for it stops within one step."""
        self._called_off.set()

    def is_set(self) -> bool:
        """Return whether it is called off, or has run out of time."""
        self.timed_out = self.timed_out or time.monotonic() > self._deadline
        return self._called_off.is_set() or self.timed_out

    def limit(self, seconds: float) -> None:
        """Stop at this time from when it was queued."""
        self._deadline = self.queued_at + seconds

    def hurry(self, seconds: float) -> None:
        """Stop so long from now, if not before."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def begin(self) -> Iterator[None]:
        """Begin the work, at the seat."""
        assert self.seat is not None
        self.steps = iter(self._work(self.seat, self, self._emit))
        return self.steps

    def end(self, error: Exception | None = None) -> None:
        """Tell that nothing more comes."""
        self._emit(End(error, self.superseded))


class Worker:
    """Loads a model in its own thread and runs jobs on it, in turn."""

    def __init__(
        self,
        name: str,
        open_model: Callable[[], LanguageModel],
        safety: Filter,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self.name, self.metrics = name, metrics
        self.state: State = "loading"
        self.failure = ""
        self.model: LanguageModel | None = None
        self._open, self._safety, self._limits = open_model, safety, limits
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._latest: dict[str, Job] = {}
        self._running: Job | None = None
        self._wanted = threading.Event()  # no more time to warm the model
        self._job_seconds = 0.1  # of late
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def wait(self, seconds: float | None = None) -> State:
        """Return the state, when the model is loaded or could not be."""
        with self._changed:
            self._changed.wait_for(lambda: self.state != "loading", seconds)
            return self.state

    def submit(self, job: Job, supersedes: bool = False) -> None:
        """Queue a job; with `supersedes`, older ones of its session are called off.

        Raises ApiError when the model is not ready, or too many wait.
        """
        with self._changed:
            self.check_ready()
            job.limit(self._limits.request_seconds)
            if supersedes and job.session is not None and self._replace(job):
                return
            if len(self._waiting) >= self._limits.queue:
                for gone in [job for job in self._waiting if job.is_set() and job.seat is None]:
                    self._waiting.remove(gone)
                    gone.end()
            if len(self._waiting) >= self._limits.queue:
                self.metrics.turned_away.inc()
                raise busy(math.ceil(len(self._waiting) * self._job_seconds))
            self._waiting.append(job)
            self._wanted.set()
            self.metrics.waiting.set(len(self._waiting))
            self._changed.notify_all()

    def end(self, grace_seconds: float) -> None:
        """Take nothing more, and give what runs and waits so long; what is then undone ends."""
        with self._changed:
            if self.state == "ready":
                self.state = "closed"
            self._wanted.set()
            for job in (*self._waiting, *filter(None, [self._running])):
                job.hurry(grace_seconds)
            self._changed.notify_all()

    def close(self) -> None:
        """End at once, and give the model's memory back."""
        self.end(0.0)
        if self.state == "closed":
            self._thread.join()

    def check_ready(self) -> None:
        """Raise ApiError unless the model is loaded."""
        if self.state == "loading":
            raise unavailable("Loading model", "loading")
        if self.state == "failed":
            raise unavailable(self.failure, "failed")
        if self.state == "closed":
            raise unavailable("the server is shutting down", "closing")

    def _replace(self, job: Job) -> bool:
        """Call off what the session asked before; take its place in the queue if it waits."""
        assert job.session is not None
        old = self._latest.get(job.session)
        self._latest[job.session] = job
        if old is None:
            return False
        old.superseded = True
        old.cancel()
        if old.seat is not None or old not in self._waiting:
            return False
        self._waiting[self._waiting.index(old)] = job
        job.queued_at = old.queued_at  # what waits is the writer, not the letter
        self.metrics.superseded.inc()
        old.end()
        return True

    def _run(self) -> None:
        try:
            self.model = self._open()
            seats = Seats(self.model, self._safety, self._limits.cache_bytes)
        except Exception as error:
            self.failure = str(error) if isinstance(error, ForewordError) else type(error).__name__
            self._become("failed")
            return
        self._become("ready")
        self._warm(seats)
        while (job := self._next()) is not None:
            self._turn(job, seats)
            self.metrics.seats.set(len(seats))
            self.metrics.cache_bytes.set(seats.size_bytes)
        seats.close()

    def _warm(self, seats: Seats) -> None:
        """Warm the model while nobody asks: who waits for an answer need not wait for this."""
        try:
            seats.warm(self._wanted)
        except Exception as failed:  # each request will say what is wrong
            _log.warning("%s while the model was warmed", type(failed).__name__)

    def _become(self, state: State) -> None:
        with self._changed:
            if self.state == "loading":
                self.state = state
            self.metrics.ready.labels(self.name).set(self.state == "ready")
            self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            self._running = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self.state == "closed")
            if not self._waiting:
                return None
            self._running = self._waiting.popleft()
            self.metrics.waiting.set(len(self._waiting))
            return self._running

    def _turn(self, job: Job, seats: Seats) -> None:
        """Run a job until it is done, or has had its time while others wait."""
        if job.seat is None:
            if job.is_set():
                self._finish(job, None)
                return
            self.metrics.queue_seconds.observe(time.monotonic() - job.queued_at)
            job.seat = seats.take(job.session, job.text)
        started = time.monotonic()
        error: Exception | None = None
        try:
            for _ in job.begin() if job.steps is None else job.steps:
                if seats.take_turns and self._must_wait(job, started):
                    return
        except (ApiError, ForewordError) as failed:
            error = failed
        except Exception as failed:
            # Where, and not what: a message may quote the request.
            where = "".join(traceback.format_tb(failed.__traceback__))
            _log.error("%s in the worker\n%s", type(failed).__name__, where)
            error = EngineError("the model failed at this request; the server's log says where")
        seats.give_back(job.seat)
        self._job_seconds += 0.1 * (time.monotonic() - started - self._job_seconds)
        self._finish(job, error)

    def _must_wait(self, job: Job, started: float) -> bool:
        """Put a job that has run for its time behind the others, where there are any."""
        if time.monotonic() - started < _TURN_SECONDS or job.is_set():
            return False
        with self._changed:
            if not self._waiting:
                return False
            self._waiting.append(job)
            return True

    def _finish(self, job: Job, error: Exception | None) -> None:
        with self._changed:
            if job.session is not None and self._latest.get(job.session) is job:
                del self._latest[job.session]
        if job.is_set():
            self.metrics.called_off.inc()
        job.end(error)
