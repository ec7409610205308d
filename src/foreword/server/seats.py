"""Who has what in the cache: a seat for each text, as many as fit under a memory ceiling."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from foreword.completion.completer import Completer
from foreword.completion.safety import Filter
from foreword.completion.warm import warm
from foreword.engine.engine import Cancel, Engine, LanguageModel
from foreword.engine.shared import SharedModel, TextEngine

_ALIKE = 32  # characters that make it worth going on from another request's text


@dataclass(eq=False)
class Seat:
    """A text's place at the model: its completer, and what of the text was seen last."""

    completer: Completer
    session: str | None
    text: str = ""
    busy: bool = False

    @property
    def size_bytes(self) -> int:
        """Memory that is held for this text alone."""
        model = self.completer.model
        kept = model.size_bytes if isinstance(model, TextEngine) else 0
        return kept + self.completer.remembered_bytes


class Seats:
    """Seats by session, the least recently used given up first. For one thread."""

    def __init__(self, model: LanguageModel, safety: Filter, memory_bytes: int) -> None:
        self._shared = SharedModel.of(model) if isinstance(model, Engine) else None
        self._model, self._memory_bytes = model, memory_bytes
        self._first = Completer(model, safety)
        self._seats: OrderedDict[int, Seat] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def take_turns(self) -> bool:
        """Whether one text may run between two steps of another."""
        return self._shared is not None

    @property
    def size_bytes(self) -> int:
        """Memory held for all texts."""
        return sum(seat.size_bytes for seat in self._seats.values())

    def warm(self, cancel: Cancel) -> None:
        """Make a first request as fast as the others; not where a run could not be called off."""
        if self.take_turns:
            completer = self._completer()
            warm(completer, cancel)
            completer.model.close()

    def take(self, session: str | None, text: str) -> Seat:
        """Return the session's seat, or without one that whose text begins most alike.

        A seat in use is nobody else's: then there is a new one.
        """
        seat = self._of(session, text)
        if seat is None:
            seat = Seat(self._completer(), session)
            self._seats[id(seat)] = seat
        seat.busy, seat.text = True, text
        self._seats.move_to_end(id(seat))
        return seat

    def give_back(self, seat: Seat) -> None:
        """End the use of a seat; seats that no longer fit are given up."""
        seat.busy = False
        size_bytes = self.size_bytes
        for key, old in list(self._seats.items()):
            if size_bytes <= self._memory_bytes:
                break
            if not old.busy and old is not seat:
                size_bytes -= old.size_bytes
                del self._seats[key]
                if self._shared is not None:
                    old.completer.model.close()

    def close(self) -> None:
        """Give the model's memory back."""
        self._seats.clear()
        self._model.close()

    def _of(self, session: str | None, text: str) -> Seat | None:
        idle = [seat for seat in self._seats.values() if not seat.busy]
        if session is not None:
            return next((seat for seat in idle if seat.session == session), None)
        alike = [(_shared_length(seat.text, text), seat) for seat in idle]
        best = max(
            ((length, seat) for length, seat in alike if seat.session is None),
            key=lambda found: found[0],
            default=None,
        )
        return best[1] if best is not None and best[0] >= min(_ALIKE, len(text)) else None

    def _completer(self) -> Completer:
        if self._shared is None:
            return self._first
        return self._first.beside(self._shared.text())


def _shared_length(a: str, b: str) -> int:
    """Return how many characters two texts begin alike with."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
