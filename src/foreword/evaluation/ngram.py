"""The baseline a language model has to beat: counts of three words, and the letters typed so far.

Trigrams with interpolated Kneser–Ney smoothing, one discount an order (Chen and Goodman 1999, "An
empirical study of smoothing techniques for language modeling", section 2.7). Words, marks of
punctuation and line breaks are its tokens, told apart by case. Of the words that begin with the
letters typed it gives the likeliest after the two before, and of a word that may be done, the next.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from foreword.completion.suggestion import Policy, Suggestion, Suggestions
from foreword.engine.engine import Cancel

_TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]|\n+")
_TYPED = re.compile(r"\w+(?:['’-]\w*)*$")
_SPACED_AFTER = tuple(".,;:!?)]}”’%")
_NEAR = 400  # characters of the text that hold the last words
_LAST = chr(0x10FFFF)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class _Order:
    """The n-grams of one order, as sorted numbers, and what a context gives to its followers."""

    def __init__(self, keys: Ints, counts: Ints, vocabulary: int) -> None:
        self._keys, self._counts, self._vocabulary = keys, counts, vocabulary
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        self._discount = once / (once + 2 * twice) if once else 0.5

    def apply(self, context: int, low: int, chances: Floats) -> Floats:
        """Refine the chances of the words from `low` on, after a context."""
        first = context * self._vocabulary
        bounds = [first, first + low, first + low + len(chances), first + self._vocabulary]
        begin, start, stop, end = np.searchsorted(self._keys, bounds)
        if begin == end:
            return chances
        total = self._counts[begin:end].sum()
        refined: Floats = chances * (self._discount * (end - begin) / total)
        inside = self._keys[start:stop] - first - low
        refined[inside] += (self._counts[start:stop] - self._discount) / total
        return refined


class NGram:
    """A suggester with the `max_words` and the `confidence` of a policy.

    A suggestion's confidence is the probability of its first word, given the letters typed; where
    no word it knows begins with these there is silence. Every answer counts as one computed token.
    """

    def __init__(self, text: str, policy: Policy | None = None) -> None:
        """Count the tokens of a text; without any, all is silence."""
        self._policy = policy or Policy()
        tokens = _TOKEN.findall(text)
        self._words = sorted(set(tokens))
        self._ids = {word: i for i, word in enumerate(self._words)}
        self._is_word = np.array([re.match(r"\w", word) is not None for word in self._words], bool)
        size = len(self._words)
        ids = np.array([self._ids[token] for token in tokens], np.int64)
        pairs = np.unique(ids[:-1] * size + ids[1:])
        trigrams, counts = np.unique(
            (ids[:-2] * size + ids[1:-1]) * size + ids[2:], return_counts=True
        )
        # Below the highest order a word counts once for each that it follows.
        bigrams, kinds = np.unique(trigrams % size**2, return_counts=True)
        self._bigrams = _Order(bigrams, kinds, size)
        self._trigrams = _Order(trigrams, counts, size)
        self._single = (np.bincount(pairs % size, minlength=size) + 1) / (len(pairs) + size)

    def with_policy(self, policy: Policy) -> NGram:
        """Return the same counts under another policy."""
        other = copy(self)
        other._policy = policy
        return other

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        """Return the likeliest rest of the word typed, or next word, and what follows it."""
        started = time.perf_counter()
        near = text[-_NEAR:]
        typed = _TYPED.search(near)
        letters = typed[0] if typed else ""
        before = _TOKEN.findall(near[: len(near) - len(letters)])
        words, chance = self._first(before, letters)
        items: tuple[Suggestion, ...] = ()
        if words and chance >= self._policy.confidence:
            shown = " ".join(
                [*words, *self._further([*before, *words], self._policy.max_words - 1)]
            )
            space = " " if near.endswith(_SPACED_AFTER) else ""
            items = (Suggestion(space + shown[len(letters) :], confidence=chance),)
        latency_ms = (time.perf_counter() - started) * 1e3
        return Suggestions(items, computed_tokens=1, latency_ms=latency_ms)

    def _first(self, before: Sequence[str], letters: str) -> tuple[list[str], float]:
        """Return the likeliest word of these letters, or they and the next word; how likely."""
        low = bisect_left(self._words, letters)
        high = bisect_left(self._words, letters + _LAST) if letters else len(self._words)
        if low == high:
            return [], 0.0
        chances = self._chances(before, low, high)
        chances /= chances.sum()
        done = float(chances[0]) if self._words[low] == letters else 0.0
        chances *= self._is_word[low:high]
        if done:
            chances[0] = 0
        best = int(chances.argmax())
        found, chance = [self._words[low + best]], float(chances[best])
        if done > chance:
            after = self._chances([*before, letters], 0, len(self._words)) * self._is_word
            following = int(after.argmax())
            if done * after[following] > chance:
                found, chance = [letters, self._words[following]], done * float(after[following])
        return (found, chance) if chance else ([], 0.0)

    def _further(self, before: Sequence[str], most: int) -> list[str]:
        """Return up to `most` words that go on, ended by a mark or where they are not sure."""
        tokens = list(before)
        for _ in range(most):
            chances = self._chances(tokens, 0, len(self._words))
            best = int(chances.argmax())
            if not self._is_word[best] or chances[best] < self._policy.confidence:
                break
            tokens.append(self._words[best])
        return tokens[len(before) :]

    def _chances(self, before: Sequence[str], low: int, high: int) -> Floats:
        """Return the probability of each word from `low` to `high` after these tokens."""
        chances = self._single[low:high].copy()
        context = [self._ids.get(token) for token in before[-2:]]
        if context and context[-1] is not None:
            chances = self._bigrams.apply(context[-1], low, chances)
            if len(context) == 2 and context[0] is not None:
                pair = context[0] * len(self._words) + context[-1]
                chances = self._trigrams.apply(pair, low, chances)
        return chances
