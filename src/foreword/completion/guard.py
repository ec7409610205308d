"""A stream of text in which no bad word is ever shown, nor taken back."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from foreword.bundle.tokenizer import TextStream
from foreword.completion.draft import TRIES, TokenModel
from foreword.completion.safety import Filter, Scan
from foreword.engine.engine import Cancel, FinishReason, LanguageModel, Step, StreamStats
from foreword.engine.sampling import Sampler, SamplingParams, likeliest, log_probability
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
        self._model, self._params = model, params
        self._prompt, self._before = tokens, before
        self._scans = [scan]
        self._ids: list[int] = []
        self._offsets: list[int] = []  # of the text before each token
        self._text, self._shown = "", 0
        self._stream = TextStream(model.tokenizer, params.stop)
        self._bans: dict[int, list[int]] = {}
        self._stats, self._started = StreamStats(len(tokens)), time.perf_counter()

    def steps(self, cancel: Cancel | None) -> Iterator[Step]:
        """Yield the steps of a guarded stream."""
        sampler, tries = Sampler(self._params), TRIES
        while True:
            step = self._step(sampler, cancel)
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
        place = max(bisect_right(self._offsets, position - self._before) - 1, 0)
        place = min(place, len(self._ids) - 1)  # what was held back to the end has no token
        self._bans.setdefault(place, []).append(self._ids[place])
        self._bans = {at: ids for at, ids in self._bans.items() if at <= place}
        kept = self._ids[:place]
        del self._scans[place + 1 :], self._offsets[place:]
        self._ids, self._text = [], ""
        self._stream = TextStream(self._model.tokenizer, self._params.stop)
        for token_id in kept:
            self._ids.append(token_id)
            self._text += self._stream.push(token_id)

    def _step(self, sampler: Sampler, cancel: Cancel | None) -> Step:
        """Take one more token; the text of the step is not yet judged."""
        model, params = self._model, self._params
        tokens = [*self._prompt, *self._ids]
        self._offsets.append(len(self._text))
        self._scans.append(self._scans[-1].copy())
        if self._stats.ttft_ms is not None and model.stats is not self._stats:
            return self._end(None, None, "cancelled")  # something newer runs on the model
        logits = model.logits(tokens, cancel)
        self._count(model.stats)
        if logits is None:
            return self._end(None, None, "cancelled")
        if banned := self._bans.get(len(self._ids)):
            logits = logits.copy()
            logits[banned] = -np.inf
        token_id = sampler.choose(logits, tokens)
        if token_id in model.end_tokens and not params.ignore_eos:
            return self._end(None, None, "stop")
        logprob = log_probability(logits, token_id) if params.logprobs else None
        top = likeliest(logits, params.top_logprobs)
        self._ids.append(token_id)
        self._stats.generated_tokens = len(self._ids)
        self._text += self._stream.push(token_id)
        if self._stream.stopped:
            return Step(token_id, "", logprob, "stop", top)
        full = len(tokens) + 1 > model.context
        if full or len(self._ids) == params.max_new_tokens:
            return replace(self._end(token_id, logprob, "length"), top_logprobs=top)
        return Step(token_id, "", logprob, None, top)

    def _count(self, last: StreamStats) -> None:
        """Add what one step took to the figures of the whole stream, the model's own now."""
        stats, elapsed_ms = self._stats, (time.perf_counter() - self._started) * 1e3
        if stats.ttft_ms is None:
            stats.ttft_ms, stats.reused_tokens = elapsed_ms, last.reused_tokens
        stats.computed_tokens += last.computed_tokens
        stats.decode_ms = elapsed_ms - stats.ttft_ms
        self._model.stats = stats

    def _end(self, token_id: int | None, logprob: float | None, reason: FinishReason) -> Step:
        self._text += self._stream.finish()
        return Step(token_id, "", logprob, reason)
