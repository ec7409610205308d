"""A server on a free port, in a thread of the test's process, over models that are at hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

import foreword
from book_model import BookModel
from foreword import completion
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.safety import load_filter
from foreword.completion.suggestion import Policy
from foreword.engine.cache import FloatArray
from foreword.engine.engine import Cancel, LanguageModel
from foreword.server.app import create_app
from foreword.server.guards import Access
from foreword.server.listen import address_of, bound, server_of
from foreword.server.metrics import Metrics
from foreword.server.served import Served, Site
from foreword.server.worker import Limits, Worker

BOOK = {
    "the cat sat on the mat and purred.": 1.0,
    "the cat ran away from the dog.": 0.5,
    "an orange and a pear are on the table.": 1.0,
}


class Gated(BookModel):
    """Runs only while its gate is open; `begun` is set when it is asked to run."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer, BOOK)
        self.gate, self.begun = threading.Event(), threading.Event()

    def logits(
        self, token_ids: Sequence[int], cancel: Cancel | None = None, guesses: int = 0
    ) -> FloatArray | None:
        self.begun.set()
        assert self.gate.wait(60)
        return super().logits(token_ids, cancel)


class Endless(BookModel):
    """Goes on with one letter for ever; `steps` counts, `reached` tells of the tenth."""

    def __init__(self, tokenizer: Tokenizer, context: int = 1 << 20) -> None:
        super().__init__(tokenizer, {",": 1.0}, context)
        self.steps, self.reached = 0, threading.Event()
        self._letter = tokenizer.encode(",")[0]

    def logits(
        self, token_ids: Sequence[int], cancel: Cancel | None = None, guesses: int = 0
    ) -> FloatArray | None:
        self.steps += 1
        if self.steps == 10:
            self.reached.set()
        if cancel is not None and cancel.is_set():
            return None
        logits = np.zeros(len(self._pieces), np.float32)
        logits[self._letter] = 9
        return logits


@dataclass
class Serving:
    """A server that runs: where, and what is in it."""

    url: str
    served: Served
    metrics: Metrics

    def client(self, **headers: str) -> httpx.Client:
        """Return a client of it, that keeps its connection."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def metric(self, name: str) -> float:
        """Return a figure of `/metrics`, all its labels together."""
        lines = self.metrics.text().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def opens(model: LanguageModel) -> Callable[[], LanguageModel]:
    """Return what loads a model that is loaded already."""
    return lambda: model


@contextmanager
def serving(
    *models: Callable[[], LanguageModel],
    limits: Limits | None = None,
    access: Access | None = None,
    device: Mapping[str, Callable[[], Path]] | None = None,
    wait: bool = True,
) -> Iterator[Serving]:
    """Serve models under the names `first`, `second` … until the block ends."""
    metrics, names = Metrics(), ("first", "second", "third")
    workers = [
        Worker(name, model, load_filter(), limits or Limits(), metrics)
        for name, model in zip(names, models, strict=False)
    ]
    served = Served(workers, Policy(), device or {})
    static = Path(foreword.__path__[0]) / "server" / "static"
    site = Site(static, Path(completion.__path__[0]) / "lexicon.json", device or {})
    listener = bound("127.0.0.1", 0)
    server = server_of(create_app(served, access or Access(), metrics, site), served.end)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        for worker in workers if wait else ():
            assert worker.wait(60) == "ready"
        yield Serving(address_of(listener, "127.0.0.1"), served, metrics)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()
