"""The thread that runs the model: it is asked for the newest text only, and never waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from foreword.completion.suggestion import Suggestions
from foreword.engine.engine import Cancel

_PATIENCE_S = 2.0  # for a model that is still loading, or a long step, when the editor is left


class Suggester(Protocol):
    """What the editor needs of a `Session`."""

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        """Return what may follow a text."""
        ...

    def next(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        """Return the same with another suggestion first."""
        ...

    def dismiss(self) -> None:
        """Suggest no more what was suggested last."""
        ...

    def prefetch(self, text: str, cancel: Cancel | None = None) -> None:
        """Find what follows the suggestion, in case it is accepted."""
        ...


@dataclass(frozen=True)
class Opened:
    """A model that is ready: who suggests, tokens it is given at most, how to warm and close it."""

    suggester: Suggester
    limit_tokens: int
    warm: Callable[[Cancel], None]
    close: Callable[[], None]


@dataclass(frozen=True)
class Ready:
    """Told once: the model is loaded."""

    limit_tokens: int


@dataclass(frozen=True)
class Failed:
    """The model could not be loaded or run; `final` where it will never be."""

    reason: str
    final: bool


@dataclass(frozen=True)
class Answer:
    """What may follow a text."""

    text: str
    found: Suggestions


Message = Ready | Failed | Answer


@dataclass(frozen=True)
class _Request:
    text: str
    another: bool
    cancel: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Runs a model in a thread of its own.

    `open_model` is called there first. `deliver` is called there too, with every message. The
    model is warmed until something is asked.
    """

    def __init__(
        self, open_model: Callable[[], Opened], deliver: Callable[[Message], None]
    ) -> None:
        self._open_model = open_model
        self._deliver = deliver
        self._changed = threading.Condition()
        self._waiting: _Request | None = None
        self._newest: _Request | None = None
        self._dismissed = False
        self._closing = False
        self._wanted = threading.Event()  # no more time to warm the model
        self._thread = threading.Thread(target=self._run, name="suggest", daemon=True)

    def start(self) -> None:
        """Begin loading the model."""
        self._thread.start()

    def ask(self, text: str, another: bool = False) -> None:
        """Ask what follows a text, or for another answer, in place of whatever was asked before."""
        self._put(_Request(text, another))

    def cancel(self) -> None:
        """Take back what was asked."""
        self._put(None)

    def dismiss(self) -> None:
        """Take back what was asked, and suggest no more what was suggested last."""
        self._dismissed = True
        self._put(None)

    def close(self) -> None:
        """Stop the model and give its memory back, as far as that takes no more than a moment."""
        self._closing = True
        self._put(None)
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)

    def _put(self, request: _Request | None) -> None:
        with self._changed:
            if self._newest is not None:
                self._newest.cancel.set()
            self._newest = self._waiting = request
            if request is not None or self._closing:
                self._wanted.set()
            self._changed.notify()

    def _take(self) -> _Request | None:
        """Wait for a request; None when the editor is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._waiting is not None)
            request, self._waiting = self._waiting, None
            return None if self._closing else request

    def _run(self) -> None:
        try:
            model = self._open_model()
        except Exception as error:  # whatever it is, the person can go on typing
            self._deliver(Failed(_one_line(error), final=True))
            return
        try:
            self._deliver(Ready(model.limit_tokens))
            self._attempt(partial(model.warm, self._wanted))
            while (request := self._take()) is not None:
                self._attempt(partial(self._answer, model.suggester, request))
        finally:
            model.close()

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._deliver(Failed(_one_line(error), final=False))

    def _answer(self, suggester: Suggester, request: _Request) -> None:
        if self._dismissed:
            self._dismissed = False
            suggester.dismiss()
        find = suggester.next if request.another else suggester.suggest
        found = find(request.text, request.cancel)
        if found.cancelled:
            return
        self._deliver(Answer(request.text, found))
        if found.items and not request.cancel.is_set():
            suggester.prefetch(request.text, request.cancel)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
