"""Continuations of texts, as work for a worker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from foreword.completion.draft import TokenModel
from foreword.completion.window import Window
from foreword.engine.forward import StreamStats
from foreword.engine.generation import FinishReason, Step
from foreword.engine.sampling import SamplingParams, likeliest, log_probability
from foreword.errors import RefusedError
from foreword.server.failures import unsupported
from foreword.server.seats import Seat
from foreword.server.worker import Emit, Job, Work

Prompt = str | list[int]
ByToken = tuple[str, float | None, tuple[tuple[str, float], ...]]
"""A token's text, its natural logarithm, and the likeliest in its place with theirs."""


@dataclass(frozen=True)
class Begun:
    """A prompt was understood: how many tokens it has, and what they say."""

    tokens: int
    text: str


@dataclass(frozen=True)
class Piece:
    """The next text of a choice; the last one has `finish` and `stats`."""

    index: int
    text: str
    token_ids: tuple[int, ...] = ()
    by_token: tuple[ByToken, ...] = ()
    finish: FinishReason | None = None
    by_end_token: bool = False
    stats: StreamStats | None = None


@dataclass(frozen=True)
class Wanted:
    """What to make of each prompt: `choices`, with the prompt itself before them for `echo`.

    Without `generate` the prompts are computed, and that is all. After `line_seconds` a choice
    ends with its line.
    """

    params: SamplingParams
    choices: int = 1
    echo: bool = False
    generate: bool = True
    line_seconds: float | None = None


def continuations(prompts: Sequence[Prompt], wanted: Wanted) -> Work:
    """Return work that emits a Begun for each prompt and its Pieces, choice by choice."""

    def work(seat: Seat, job: Job, emit: Emit) -> Iterator[None]:
        run = _Run(seat, job, emit, wanted)
        for number, prompt in enumerate(prompts):
            yield from run.prompt(prompt, number * wanted.choices)

    return work


class _Run:
    def __init__(self, seat: Seat, job: Job, emit: Emit, wanted: Wanted) -> None:
        self._completer = seat.completer
        self._model = self._completer.model
        self._job, self._emit, self._wanted = job, emit, wanted

    def prompt(self, prompt: Prompt, first: int) -> Iterator[None]:
        model, wanted = self._model, self._wanted
        token_ids = model.encode(prompt) if isinstance(prompt, str) else prompt
        if isinstance(model, TokenModel):
            token_ids = model.checked(token_ids)
        text = model.decode(token_ids)
        # A bad word is told before anything else is.
        steps = self._begin(token_ids, text, 0)
        self._emit(Begun(len(token_ids), text))
        for choice in range(wanted.choices):
            if wanted.echo:
                yield from self._echo(token_ids, text, first + choice)
            if choice:
                steps = self._begin(token_ids, text, choice)
            yield from self._continue(steps, first + choice)

    def _begin(self, token_ids: list[int], text: str, choice: int) -> Iterator[Step]:
        if not self._wanted.generate:
            return self._nothing(token_ids, text)
        params, seed = self._wanted.params, self._wanted.params.seed
        params = replace(params, seed=None if seed is None else seed + choice)
        return self._completer.stream(Window(token_ids, 0), params, self._job)

    def _nothing(self, token_ids: list[int], text: str) -> Iterator[Step]:
        """Return the steps of a continuation of no tokens."""
        if self._completer.safety.scan().feed(text) is not None:
            raise RefusedError("input")
        if isinstance(self._model, TokenModel):
            self._model.logits(token_ids, self._job)
        return iter([Step(None, "", finish_reason="length")])

    def _continue(self, steps: Iterator[Step], index: int) -> Iterator[None]:
        started, text = time.monotonic(), ""
        for step in steps:
            text += step.text
            piece = self._piece(step, index)
            late = self._wanted.line_seconds
            if late is not None and "\n" in text and time.monotonic() - started > late:
                piece = replace(piece, finish=piece.finish or "length", stats=self._model.stats)
            self._emit(piece)
            if piece.finish is not None:
                return
            yield

    def _piece(self, step: Step, index: int) -> Piece:
        finish = step.finish_reason
        if finish == "cancelled" and self._job.timed_out:
            finish = "length"
        ids = () if step.token_id is None else (step.token_id,)
        by_token: tuple[ByToken, ...] = ()
        if self._wanted.params.logprobs and step.token_id is not None:
            top = tuple((self._shown(i), logprob) for i, logprob in step.top_logprobs)
            by_token = ((self._shown(step.token_id), step.logprob, top),)
        stats = None if finish is None else self._model.stats
        by_end_token = finish == "stop" and step.token_id is None
        return Piece(index, step.text, ids, by_token, finish, by_end_token, stats)

    def _echo(self, token_ids: list[int], text: str, index: int) -> Iterator[None]:
        params = self._wanted.params
        if not params.logprobs:
            self._emit(Piece(index, text))
            return
        model = self._model
        if not isinstance(model, TokenModel):
            raise unsupported("logprobs", "this model does not say how likely its tokens are")
        scored: list[ByToken] = [(self._shown(token_ids[0]), None, ())]
        for place in range(1, len(token_ids)):
            logits = model.logits(token_ids[:place], self._job)
            if logits is None:
                return
            top = [(self._shown(i), p) for i, p in likeliest(logits, params.top_logprobs)]
            logprob = log_probability(logits, token_ids[place])
            scored.append((self._shown(token_ids[place]), logprob, tuple(top)))
            yield
        self._emit(Piece(index, text, by_token=tuple(scored)))

    def _shown(self, token_id: int) -> str:
        """Return a token's text; of part of a character, its bytes as OpenAI has them."""
        raw = self._model.tokenizer.token_bytes(token_id)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
