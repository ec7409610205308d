"""From tokens to the logits of what follows, by the shortest way from what is in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foreword.engine.cache import FloatArray
from foreword.engine.graph import TokenGraph
from foreword.engine.prefix import Prefix, plan
from foreword.engine.speculate import Drafter, Guess, width_for
from foreword.errors import EngineError


@dataclass
class StreamStats:
    """Figures of one stream, filled in as it goes; times in milliseconds.

    Of the tokens that were guessed, `guessed_right` spared a run of the model each.
    """

    prompt_tokens: int
    reused_tokens: int = 0
    computed_tokens: int = 0
    generated_tokens: int = 0
    ttft_ms: float | None = None
    decode_ms: float = 0.0
    guessed_tokens: int = 0
    guessed_right: int = 0

    @property
    def decode_tokens_per_s(self) -> float | None:
        """Speed after the first token; None before there is a second."""
        if self.generated_tokens < 2 or self.decode_ms <= 0:
            return None
        return (self.generated_tokens - 1) / self.decode_ms * 1e3


class Forward:
    """A token model, what its cache holds, and what is known of the tokens after that."""

    def __init__(self, graph: TokenGraph) -> None:
        self.graph, self.drafter = graph, Drafter()
        self._prefix = Prefix()
        self._ahead: list[FloatArray] = []  # logits [V] after the last tokens of the prefix

    def forget(self) -> None:
        """Reuse nothing of what was computed before."""
        self._prefix.rewind(0)
        self._ahead = []

    def logits(
        self,
        tokens: Sequence[int],
        stats: StreamStats,
        called_off: Callable[[], bool],
        useful: int = 0,
    ) -> FloatArray | None:
        """Bring the cache up to `tokens`, and return the logits [V] of what follows them.

        At most `useful` tokens after them are guessed. None if called off; the next call
        overwrites the array. Raises EngineError when the model's output is not finite.
        """
        if called_off():
            return None
        known = self._known(tokens)
        if known is not None:
            stats.computed_tokens += 1
            return known
        reused = self._prefix.reuse(tokens)
        if not stats.computed_tokens:
            stats.reused_tokens = reused
        self._ahead = []
        widths = self.graph.widths
        useful = min(useful, self.graph.context - len(tokens), max(widths["verify"], default=0))
        self.graph.make_room(reused, len(tokens) + useful)
        *runs, last = plan(len(tokens) - reused, widths["prefill"], widths["verify"])
        for run in runs:
            if called_off():
                return None
            self._run(run.signature, tokens, run.count, stats)
        if called_off():
            return None
        guess = self.drafter.guess(tokens, useful)
        width = width_for(last.count, guess.chances, widths["verify"])
        guess = guess.first(width - last.count)
        signature = f"verify_{width}" if width > 1 else "decode"
        self.drafter.read(tokens, reused)
        found = self._run(signature, [*tokens, *guess.token_ids], last.count + len(guess), stats)
        assert found is not None, "a plan ends with logits"
        return self._judged(tokens, guess, found[last.count - 1 :], stats)

    def _known(self, tokens: Sequence[int]) -> FloatArray | None:
        """Return what a right guess has told already."""
        past = len(self._prefix.token_ids) - len(tokens)
        if past < len(self._ahead) and tokens == self._prefix.token_ids[: len(tokens)]:
            return self._ahead[-1 - past]
        return None

    def _run(
        self, signature: str, tokens: Sequence[int], count: int, stats: StreamStats
    ) -> FloatArray | None:
        """Run the next `count` of `tokens`."""
        position = len(self._prefix.token_ids)
        chunk = tokens[position : position + count]
        logits = self.graph.run(signature, chunk, position)
        self._prefix.extend(chunk)
        stats.computed_tokens += count
        return logits

    def _judged(
        self, tokens: Sequence[int], guess: Guess, rows: FloatArray, stats: StreamStats
    ) -> FloatArray:
        """Keep what is right of a guess, by the logits after each of its tokens; give the first."""
        text, right = list(tokens), 0
        first: FloatArray = rows[0]
        best = self._best(first)
        self.drafter.heard(text, best)
        for guessed in guess.token_ids:
            if guessed != best:
                break
            text.append(guessed)
            right += 1
            best = self._best(rows[right])
            self.drafter.heard(text, best)
            self._ahead.append(rows[right].copy())
        self._prefix.rewind(len(text))
        self.drafter.judge(guess, right)
        stats.guessed_tokens += len(guess)
        stats.guessed_right += right
        stats.computed_tokens -= len(guess)  # they are counted when they are asked for
        return first

    def _best(self, logits: FloatArray) -> int:
        best = int(logits.argmax())
        if not math.isfinite(logits[best]):
            self.forget()
            self.graph.clear()
            raise EngineError(
                "the model's output is not a finite number: its weights are damaged or overflow; "
                "check the bundle with 'foreword inspect --verify'"
            )
        return best
