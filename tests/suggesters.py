"""Stand-ins for a writer's session, for tests of the editor."""

from __future__ import annotations

import threading

from foreword.completion.suggestion import Suggestion, Suggestions
from foreword.engine.engine import Cancel


def found(*texts: str, computed: int = 5) -> Suggestions:
    """Return an answer with these suggestions."""
    items = tuple(Suggestion(text, -1.0, 1, 0.5) for text in texts)
    return Suggestions(items, None, 7, 0, computed, 12.3)


class Gated:
    """A suggester that answers with ` and so on`, and only when its gate is open.

    `asked` has what was asked, in order; `begun` is set when it begins to answer, `prepared`
    when it was asked what follows an answer.
    """

    def __init__(self) -> None:
        self.gate, self.begun, self.prepared = (threading.Event() for _ in range(3))
        self.asked: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        return self._answer("suggest", text, cancel)

    def next(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        return self._answer("next", text, cancel)

    def prefetch(self, text: str, cancel: Cancel | None = None) -> None:
        self.asked.append(("prefetch", text))
        self.prepared.set()

    def dismiss(self) -> None:
        self.asked.append(("dismiss", ""))

    def _answer(self, what: str, text: str, cancel: Cancel | None) -> Suggestions:
        self.asked.append((what, text))
        self.begun.set()
        assert self.gate.wait(60)
        if self.failure is not None:
            raise self.failure
        if cancel is not None and cancel.is_set():
            return Suggestions(cancelled=True)
        return found(" and so on")
