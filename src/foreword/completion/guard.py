"""A stream of text in which no bad word is ever shown, nor taken back."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from foreword.completion.draft import TRIES, TokenModel
from foreword.completion.safety import Filter, Scan
from foreword.engine.engine import Cancel, LanguageModel
from foreword.engine.forward import StreamStats
from foreword.engine.generation import Generation, Step
from foreword.engine.sampling import SamplingParams
from foreword.errors import RefusedError


def guarded(
    model: LanguageModel,
    token_ids: Sequence[int],
    params: SamplingParams | None,
    safety: Filter,
    cancel: Cancel | None = None,
) -> Iterator[Step]:
    """Continue a prompt as `stream` does; text that may yet become a bad word is held back.

    The token that would complete one is not taken; where that does not help, what is generated
    goes back to where the word begins, and goes on with another. After three tries it ends with
    `finish_reason` "refused". So it does at once for a model that only streams. Raises
    RefusedError for a prompt with a bad word, before any text, and what `stream` raises. What is
    begun later on the same model calls it off.
    """
    scan = safety.scan()
    prompt = model.decode(token_ids)
    if scan.feed(prompt) is not None:
        raise RefusedError("input")
    if isinstance(model, TokenModel):
        tokens, params = model.checked(token_ids), params or SamplingParams()
        return _Guarded(model, tokens, params, scan, len(prompt)).steps(cancel)
    return _watched(model.stream(token_ids, params, cancel), scan, len(prompt))


def _watched(steps: Iterator[Step], scan: Scan, before: int) -> Iterator[Step]:
    """Pass on what is safe of steps that cannot be taken back."""
    text, shown = "", 0
    for step in steps:
        text += step.text
        match = scan.feed(step.text)
        if match is None and step.finish_reason is not None:
            match = scan.end()
        if match is not None:
            if match.end <= before:
                raise RefusedError("input")
            kept = text[shown : max(match.start - before, shown)]
            yield Step(None, kept, finish_reason="refused")
            return
        safe = len(text) if step.finish_reason else max(scan.safe - before, shown)
        yield replace(step, text=text[shown:safe])
        shown = safe


class _Guarded:
    """Generation that can go back; positions of scans are those of prompt and text together."""

    def __init__(
        self, model: TokenModel, tokens: list[int], params: SamplingParams, scan: Scan, before: int
    ) -> None:
        self._model, self._before = model, before
        self._generation = Generation(
            model.tokenizer, tokens, params, model.end_tokens, model.context
        )
        self._scans = [scan]
        self._offsets: list[int] = []  # of the text before each token
        self._text, self._shown = "", 0
        self._bans: dict[int, list[int]] = {}
        self._stats, self._started = StreamStats(len(tokens)), time.perf_counter()

    def steps(self, cancel: Cancel | None) -> Iterator[Step]:
        """Yield the steps of a guarded stream."""
        tries = TRIES
        while True:
            step = self._step(cancel)
            self._text += step.text
            scan = self._scans[-1]
            match = scan.feed(self._text[self._offsets[-1] :] if self._offsets else "")
            if match is None and step.finish_reason not in (None, "cancelled"):
                match = scan.end()
            if match is None:
                safe = scan.safe - self._before
                if step.finish_reason not in (None, "cancelled"):
                    safe = len(self._text)
                yield self._given(step, safe)
                if step.finish_reason is not None:
                    return
                continue
            if match.end <= self._before:
                raise RefusedError("input")
            if not tries:
                shown = match.start - self._before
                yield self._given(Step(None, "", finish_reason="refused"), shown)
                return
            # Another end for the word; at last another word.
            self._back(match.end - 1 if tries > 1 else match.start)
            tries -= 1

    def _given(self, step: Step, safe: int) -> Step:
        shown, self._shown = self._shown, max(safe, self._shown)
        return replace(step, text=self._text[shown : self._shown])

    def _back(self, position: int) -> None:
        """Go back to before the token with a character of prompt and text, and ban it there."""
        new = self._generation.new_tokens
        place = max(bisect_right(self._offsets, position - self._before) - 1, 0)
        place = min(place, len(new) - 1)  # what was held back to the end has no token
        self._bans.setdefault(place, []).append(new[place])
        self._bans = {at: ids for at, ids in self._bans.items() if at <= place}
        del self._scans[place + 1 :], self._offsets[place:]
        self._text = self._generation.back_to(place)

    def _step(self, cancel: Cancel | None) -> Step:
        """Take one more token; the text of the step is not yet judged."""
        model, generation = self._model, self._generation
        self._offsets.append(len(self._text))
        self._scans.append(self._scans[-1].copy())
        if self._stats.ttft_ms is not None and model.stats is not self._stats:
            return generation.end("cancelled")  # something newer runs on the model
        logits = model.logits(generation.tokens, cancel, generation.guessable)
        self._count(model.stats)
        if logits is None:
            return generation.end("cancelled")
        if banned := self._bans.get(len(generation.new_tokens)):
            logits = logits.copy()
            logits[banned] = -np.inf
        step = generation.take(logits)
        self._stats.generated_tokens = len(generation.new_tokens)
        return step

    def _count(self, last: StreamStats) -> None:
        """Add what one step took to the figures of the whole stream, the model's own now."""
        stats, elapsed_ms = self._stats, (time.perf_counter() - self._started) * 1e3
        if stats.ttft_ms is None:
            stats.ttft_ms, stats.reused_tokens = elapsed_ms, last.reused_tokens
        stats.computed_tokens += last.computed_tokens
        stats.guessed_tokens += last.guessed_tokens
        stats.guessed_right += last.guessed_right
        stats.decode_ms = elapsed_ms - stats.ttft_ms
        self._model.stats = stats
