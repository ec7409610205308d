"""One continuation as it grows: a token from the scores, text from the tokens, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from foreword.bundle.tokenizer import TextStream, Tokenizer
from foreword.engine.cache import FloatArray
from foreword.engine.sampling import Sampler, SamplingParams, likeliest, log_probability

FinishReason = Literal["stop", "length", "cancelled", "refused"]


@dataclass(frozen=True)
class Step:
    """One step of a stream: the token chosen and the text that became safe to show.

    The last step of a stream has `finish_reason`; its `token_id` is None when it only
    carries text held back until then. `logprob` is None unless asked for; so are the likeliest
    tokens, `top_logprobs`, best first.
    """

    token_id: int | None
    text: str
    logprob: float | None = None
    finish_reason: FinishReason | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


class Generation:
    """The tokens of a prompt and its continuation; those of `end` finish it unless ignored."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        params: SamplingParams,
        end: Sequence[int],
        context: int,
    ) -> None:
        self.tokens = list(prompt)
        self._prompt_tokens, self._context, self._params = len(prompt), context, params
        self._end = () if params.ignore_eos else end
        self._tokenizer, self._sampler = tokenizer, Sampler(params)
        self._text = TextStream(tokenizer, params.stop)

    @property
    def new_tokens(self) -> list[int]:
        """The tokens of the continuation."""
        return self.tokens[self._prompt_tokens :]

    @property
    def guessable(self) -> int:
        """Tokens after the next that are likely to be the likeliest: none where they are drawn."""
        params = self._params
        if not params.speculate or params.temperature > 0 or params.repetition_penalty != 1:
            return 0
        return self._prompt_tokens + params.max_new_tokens - len(self.tokens) - 1

    def take(self, logits: FloatArray) -> Step:
        """Choose the next token by the scores [V] of what follows, and return its step."""
        params = self._params
        token_id = self._sampler.choose(logits, self.tokens)
        if token_id in self._end:
            return self.end("stop")
        logprob = log_probability(logits, token_id) if params.logprobs else None
        top = likeliest(logits, params.top_logprobs)
        self.tokens.append(token_id)
        piece = self._text.push(token_id)
        if self._text.stopped:
            return Step(token_id, piece, logprob, "stop", top)
        count = len(self.tokens) - self._prompt_tokens
        if len(self.tokens) > self._context or count == params.max_new_tokens:
            return Step(token_id, piece + self._text.finish(), logprob, "length", top)
        return Step(token_id, piece, logprob, None, top)

    def end(self, reason: FinishReason) -> Step:
        """Return the step that ends it without a token."""
        return Step(None, self._text.finish(), finish_reason=reason)

    def back_to(self, count: int) -> str:
        """Take back all new tokens but the first `count`; return the text of those."""
        del self.tokens[self._prompt_tokens + count :]
        self._text = TextStream(self._tokenizer, self._params.stop)
        return "".join(map(self._text.push, self.new_tokens))
