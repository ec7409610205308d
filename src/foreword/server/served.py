"""The models a server has, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foreword.completion.suggestion import Policy
from foreword.engine.engine import Engine
from foreword.server.failures import no_model
from foreword.server.worker import Worker


@dataclass(frozen=True)
class Site:
    """What the page is made of, and what a browser gets that runs a model itself.

    `device` returns the bundle for it, of the models of which there is one; `safety` is the level
    of the filter it is to use.
    """

    static: Path
    lexicon: Path
    device: Mapping[str, Callable[[], Path]] = field(default_factory=dict)
    safety: str = "default"


class Served:
    """Workers by the name of their model; the first one serves who names none."""

    def __init__(
        self, workers: Sequence[Worker], policy: Policy, on_device: Collection[str] = ()
    ) -> None:
        """`on_device` are the models of which there is a form for browsers."""
        self.policy, self._on_device = policy, on_device
        self._workers = {worker.name: worker for worker in workers}
        self._since = int(time.time())

    def worker(self, name: str | None = None) -> Worker:
        """Return the worker of a model; raises ApiError where there is none of that name."""
        if not name:
            return next(iter(self._workers.values()))
        if name not in self._workers:
            raise no_model(name)
        return self._workers[name]

    def check_ready(self) -> None:
        """Raise ApiError unless every model is loaded."""
        for worker in self._workers.values():
            worker.check_ready()

    def cards(self) -> list[dict[str, Any]]:
        """Describe the models that are loaded, for `GET /v1/models`."""
        return [self._card(worker) for worker in self._workers.values() if worker.model]

    def start(self) -> None:
        """Begin to load all models."""
        for worker in self._workers.values():
            worker.start()

    def end(self, grace_seconds: float) -> None:
        """Take nothing more, and bring what runs to its end within the grace."""
        for worker in self._workers.values():
            worker.end(grace_seconds)

    def close(self) -> None:
        """Unload all models."""
        for worker in self._workers.values():
            worker.close()

    def _card(self, worker: Worker) -> dict[str, Any]:
        model = worker.model
        assert model is not None
        shape = model.manifest.shape if isinstance(model, Engine) else None
        return {
            "id": worker.name,
            "object": "model",
            "created": self._since,
            "owned_by": "foreword",
            "context": model.context,
            "recipe": model.recipe,
            "family": shape.family if shape else None,
            "parameters": shape.parameters if shape else None,
            "device": worker.name in self._on_device,
        }
