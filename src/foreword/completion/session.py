"""One writer at one text: what is shown, what was typed since, what comes next."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

from foreword.completion.completer import Completer
from foreword.completion.suggestion import OnWords, Policy, Suggestion, Suggestions
from foreword.completion.words import parts_of
from foreword.engine.engine import Cancel

_MORE = 3
"""Alternatives that are looked for when the writer wants to see another."""


class Session:
    """Suggestions for a text as it is typed; letters that agree with one cost no model call.

    Not for several threads at once, except that a request may be called off from another.
    """

    def __init__(self, completer: Completer, policy: Policy | None = None) -> None:
        self._completer, self._policy = completer, policy or Policy()
        self._text: str | None = None  # what the answer below follows
        self._suffix = ""  # and what follows it
        self._answer = Suggestions()
        self._dismissed = False
        self._ahead: tuple[tuple[str, str], Suggestions] | None = None

    def suggest(
        self,
        text: str,
        cancel: Cancel | None = None,
        *,
        suffix: str = "",
        on_words: OnWords | None = None,
    ) -> Suggestions:
        """Return what may follow a text, the one to be shown first; see `Completer.suggest`.

        `on_words` is told only of what is not known already.
        """
        started = time.perf_counter()
        kept = self._kept(text) if suffix == self._suffix else None
        if kept is None:
            kept, self._dismissed = self._found(text, cancel, suffix, on_words), False
            if kept.cancelled:
                return kept
            self._text, self._suffix, self._answer = text, suffix, kept
        if self._dismissed:
            kept = replace(kept, items=())
        return replace(kept, latency_ms=(time.perf_counter() - started) * 1e3)

    def accept(self, text: str, part: Literal["all", "word"] = "all") -> str:
        """Return the text after its suggestion, or the next word of it, is accepted."""
        kept = self._kept(text)
        if kept is None or not kept.items or self._dismissed:
            return text
        suggestion = kept.items[0].text
        return text + (suggestion if part == "all" else first_word(suggestion))

    def dismiss(self) -> None:
        """Show nothing until the text is no longer one that the suggestion goes on from."""
        self._dismissed = True

    def next(self, text: str, cancel: Cancel | None = None, *, suffix: str = "") -> Suggestions:
        """Return the same suggestions with the next one first; more are found if there is one."""
        answer = self.suggest(text, cancel, suffix=suffix)
        if len(answer.items) == 1 and self._policy.alternatives < _MORE:
            policy = replace(self._policy, alternatives=_MORE)
            more = self._completer.suggest(text, policy, cancel, suffix=suffix)
            if more.cancelled:
                return more
            shown = answer.items[0]
            others = tuple(item for item in more.items if item.text != shown.text)
            answer = replace(more, items=(shown, *others))
        if answer.items:
            self._text = text
            self._answer = answer = replace(answer, items=(*answer.items[1:], answer.items[0]))
        return answer

    def prefetch(self, text: str, cancel: Cancel | None = None, *, suffix: str = "") -> None:
        """Find what may follow a text whose suggestion is accepted, while nobody waits for it."""
        place = self.accept(text), suffix
        if place[0] != text and (self._ahead is None or self._ahead[0] != place):
            found = self._completer.suggest(place[0], self._policy, cancel, suffix=suffix)
            if not found.cancelled:
                self._ahead = place, found

    def _found(
        self, text: str, cancel: Cancel | None, suffix: str, on_words: OnWords | None
    ) -> Suggestions:
        if self._ahead is not None and self._ahead[0] == (text, suffix):
            return replace(self._ahead[1], computed_tokens=0)
        return self._completer.suggest(text, self._policy, cancel, suffix=suffix, on_words=on_words)

    def _kept(self, text: str) -> Suggestions | None:
        """Return what is left of the last answer for a text, None where nothing is."""
        if self._text is None or not text.startswith(self._text):
            return None
        typed = text[len(self._text) :]
        if not typed:
            return replace(self._answer, computed_tokens=0)
        left = tuple(
            _rest(item, len(typed))
            for item in self._answer.items
            if item.text.startswith(typed) and item.text != typed
        )
        return replace(self._answer, items=left, computed_tokens=0) if left else None


def _rest(item: Suggestion, typed: int) -> Suggestion:
    """Return what is left of a suggestion, as sure as its next word is."""
    done = sum(part.end <= typed for part in parts_of(item.text))
    by_part = item.by_part[done:]
    confidence = by_part[0] if by_part else item.confidence
    return replace(item, text=item.text[typed:], confidence=confidence, by_part=by_part)


def first_word(text: str) -> str:
    """Return the first word of a text, with what is before it and the marks right behind it."""
    parts = parts_of(text)
    count = next((i for i, part in enumerate(parts, 1) if part.is_word), len(parts))
    end = parts[count - 1].end if parts else 0
    if count < len(parts) and not parts[count].is_word and not text[end].isspace():
        end = parts[count].end
    return text[:end]
