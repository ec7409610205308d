"""Guesses at what the model says next, to be verified several at a time.

A run of a few tokens takes little longer than a run of one: the weights are read once. So the next
tokens are guessed from what came after the same tokens before, in the text and in what the model
said (prompt look-up: Saxena 2023, "Prompt Lookup Decoding"; n-gram tables: Stewart et al. 2024,
"The N-Grammys"), and the model says how far the guess is right (Leviathan et al. 2023, "Fast
Inference from Transformers via Speculative Decoding"). What it would not have said is dropped, so
guesses change the speed, not the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

ORDERS = (3, 2, 1)
"""Tokens that have to be the same for what came after them to be a guess, most first."""

ROW_COST = 0.07
"""Time of one more token in a run, in runs of one token: .03 to .08 on two processors."""

_MOST_KNOWN = 1 << 13  # n-grams, in each of two generations
_BYTES_EACH = 200  # of an n-gram in a dict: measured
_PRIOR_RUNS = 8.0
_LONGEST = 512.0


class Source(NamedTuple):
    """Where a guess is from: how many tokens agreed, and whether the model had said it itself."""

    order: int
    said: bool


_Key = tuple[int, ...]  # whether the model said what came next, and the tokens before
_PRIOR = {1: 0.15, 2: 0.35, 3: 0.5}


@dataclass(frozen=True)
class Guess:
    """Tokens guessed to come next, where each is from, the chance that all up to it are right."""

    token_ids: tuple[int, ...] = ()
    sources: tuple[Source, ...] = ()
    chances: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.token_ids)

    def first(self, count: int) -> Guess:
        """Return no more than so many tokens of it."""
        return Guess(self.token_ids[:count], self.sources[:count], self.chances[:count])


@dataclass
class _Rate:
    """How often guesses of one source were right, older ones counting less."""

    right: float
    made: float = _PRIOR_RUNS

    def count(self, right: bool) -> None:
        self.right, self.made = self.right + right, self.made + 1
        if self.made > _LONGEST:
            self.right, self.made = self.right / 2, self.made / 2

    @property
    def chance(self) -> float:
        return self.right / self.made


@dataclass
class Drafter:
    """Tables of what came after which tokens, of one text and its versions; nothing outlives it."""

    _young: dict[_Key, int] = field(default_factory=dict)
    _old: dict[_Key, int] = field(default_factory=dict)
    _rates: dict[Source, _Rate] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """About how much memory the tables take."""
        return _BYTES_EACH * (len(self._young) + len(self._old))

    def read(self, token_ids: Sequence[int], start: int) -> None:
        """Note what came after which tokens in a text, for its tokens from `start` on."""
        for end in range(max(start, 1), len(token_ids)):
            self._note(token_ids, end, token_ids[end], said=False)

    def heard(self, token_ids: Sequence[int], next_token: int) -> None:
        """Note what the model said after a text."""
        self._note(token_ids, len(token_ids), next_token, said=True)

    def guess(self, token_ids: Sequence[int], most: int) -> Guess:
        """Guess at most so many tokens after a text."""
        known = list(token_ids[-ORDERS[0] :])
        sources, chances, chance = list[Source](), list[float](), 1.0
        taken = len(known)
        for _ in range(most):
            found = self._find(known)
            if found is None:
                break
            token_id, source = found
            chance *= self._rate(source).chance
            known.append(token_id)
            sources.append(source)
            chances.append(chance)
        return Guess(tuple(known[taken:]), tuple(sources), tuple(chances))

    def judge(self, guess: Guess, right: int) -> None:
        """Learn that the first `right` tokens of a guess were right, and no more."""
        for source in guess.sources[:right]:
            self._rate(source).count(right=True)
        if right < len(guess):
            self._rate(guess.sources[right]).count(right=False)

    def _note(self, token_ids: Sequence[int], end: int, token_id: int, said: bool) -> None:
        if len(self._young) >= _MOST_KNOWN:
            self._old, self._young = self._young, {}
        for order in ORDERS:
            if order <= end:
                self._young[said, *token_ids[end - order : end]] = token_id

    def _find(self, known: Sequence[int]) -> tuple[int, Source] | None:
        best, best_chance = None, 0.0
        for order in ORDERS:
            if order > len(known):
                continue
            for said in (True, False):
                key = (said, *known[-order:])
                token_id = self._young.get(key, self._old.get(key))
                if token_id is not None:
                    source = Source(order, said)
                    chance = self._rate(source).chance
                    if chance > best_chance:
                        best, best_chance = (token_id, source), chance
        return best

    def _rate(self, source: Source) -> _Rate:
        if source not in self._rates:
            self._rates[source] = _Rate(_PRIOR[source.order] * _PRIOR_RUNS)
        return self._rates[source]


def width_for(count: int, chances: Sequence[float], widths: Sequence[int]) -> int:
    """Return how many tokens the last run should have, `count` of them known: a width, or 1.

    The one that saves most: a token guessed right spares a run, a wider run takes longer.
    `chances` are those of a guess, `widths` those of the verify signatures.
    """
    best, best_gain = 0, 0.0
    for width in (1, *widths):
        if width < count:
            continue
        gain = sum(chances[: width - count]) - ROW_COST * (width - 1)
        if not best or gain > best_gain:
            best, best_gain = width, gain
    return best
