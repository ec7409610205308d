"""The engine: token ids in, tokens and text out, over one cache that is kept between calls."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from foreword.bundle.manifest import Manifest
from foreword.bundle.tokenizer import Tokenizer
from foreword.engine.cache import FloatArray
from foreword.engine.forward import Forward, StreamStats
from foreword.engine.generation import Generation, Step
from foreword.engine.graph import TokenGraph
from foreword.engine.sampling import SamplingParams
from foreword.errors import PromptError


class Cancel(Protocol):
    """Anything that can tell whether a request was called off, such as threading.Event."""

    def is_set(self) -> bool:
        """Return whether to stop."""
        ...


class LanguageModel(Protocol):
    """What completion needs of a model: an `Engine`, or anything else that continues text."""

    tokenizer: Tokenizer
    stats: StreamStats
    load_ms: float

    @property
    def context(self) -> int:
        """Tokens that prompt and continuation have together, at most."""
        ...

    @property
    def first_token(self) -> int | None:
        """The token that `encode` begins every prompt with, None where there is none."""
        ...

    @property
    def recipe(self) -> str:
        """How weights are stored."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        ...

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        """Continue a prompt; the last step has a `finish_reason`."""
        ...

    def close(self) -> None:
        """Give the model's memory back."""
        ...


class Engine:
    """A loaded bundle. One stream runs at a time: a new one ends the one before."""

    def __init__(
        self,
        graph: TokenGraph,
        tokenizer: Tokenizer,
        manifest: Manifest,
        load_ms: float = 0.0,
    ) -> None:
        self.tokenizer = tokenizer
        self.manifest = manifest
        self.load_ms = load_ms
        self.stats = StreamStats(0)
        self._graph = graph
        self._forward = Forward(graph)
        self._turn = 0

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def context(self) -> int:
        """Tokens the cache holds: prompt and continuation together."""
        return self._graph.context

    @property
    def first_token(self) -> int | None:
        """The start token where the model wants one before every prompt, else None."""
        special = self.manifest.special_tokens
        return special.start if special.prepend_start else None

    @property
    def recipe(self) -> str:
        """How weights are stored."""
        return self.manifest.recipe

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Tokens with which the model ends a text."""
        return self.manifest.special_tokens.end

    @property
    def graph(self) -> TokenGraph:
        """The model under the engine, for whoever runs it by hand; the text in it is forgotten."""
        self._forward.forget()
        return self._graph

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, with the start token where the model wants it."""
        head = [] if self.first_token is None else [self.first_token]
        return [*head, *self.tokenizer.encode(text)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return self.tokenizer.decode(token_ids)

    def close(self) -> None:
        """Give the model's memory back."""
        self._turn += 1
        self._graph.close()

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        """Continue a prompt, one step at a time; what it shares with the last one is reused.

        An empty prompt starts from the model's start token. Raises PromptError, at once,
        for a prompt that is empty without a start token, longer than the context or not
        of this vocabulary; EngineError, while running, when the model's output is not finite.
        """
        prompt = self.checked(token_ids)
        self._turn += 1
        self.stats = StreamStats(len(prompt))
        return self._generate(prompt, params or SamplingParams(), cancel, self._turn)

    def logits(
        self, token_ids: Sequence[int], cancel: Cancel | None = None, guesses: int = 0
    ) -> FloatArray | None:
        """Return the scores of what follows a prompt, [V]; None when called off.

        What it shares with the last prompt is reused; the next call overwrites the array. Up to
        `guesses` tokens after it may be guessed and run too, which pays if the next prompts go on
        with what is likeliest. Ends a stream that runs, and raises what `stream` raises.
        """
        prompt = self.checked(token_ids)
        self._turn += 1
        turn, self.stats = self._turn, StreamStats(len(prompt))
        return self._forward.logits(
            prompt, self.stats, lambda: self._called_off(turn, cancel), guesses
        )

    def _called_off(self, turn: int, cancel: Cancel | None) -> bool:
        return turn != self._turn or (cancel is not None and cancel.is_set())

    def checked(self, token_ids: Sequence[int]) -> list[int]:
        """Return a prompt as the model takes it: the start token for an empty one.

        Raises PromptError as `stream` does.
        """
        if isinstance(token_ids, str):
            raise PromptError("expected token ids, found text: give stream(model.encode(text))")
        prompt = list(token_ids)
        start = self.manifest.special_tokens.start
        if not prompt:
            if start is None:
                raise PromptError(
                    "the prompt is empty and this model has no start token: give it some text"
                )
            return [start]
        if len(prompt) > self.context:
            raise PromptError(
                f"the prompt has {len(prompt)} tokens, the context holds {self.context}: "
                "keep its end, or convert with a longer --context"
            )
        vocabulary = self.manifest.shape.vocabulary
        strange = next((i for i in prompt if not 0 <= i < vocabulary), None)
        if strange is not None:
            raise PromptError(f"token {strange} is not in the vocabulary of {vocabulary} tokens")
        return prompt

    def _generate(
        self, prompt: list[int], params: SamplingParams, cancel: Cancel | None, turn: int
    ) -> Iterator[Step]:
        started, stats = time.perf_counter(), self.stats
        generation = Generation(self.tokenizer, prompt, params, self.end_tokens, self.context)
        while True:
            logits = self._forward.logits(
                generation.tokens,
                stats,
                lambda: self._called_off(turn, cancel),
                generation.guessable,
            )
            if logits is None:
                yield generation.end("cancelled")
                return
            step = generation.take(logits)
            now = time.perf_counter()
            if stats.ttft_ms is None:
                stats.ttft_ms, first = (now - started) * 1e3, now
            if step.token_id is not None:
                stats.generated_tokens += 1
                stats.decode_ms = (now - first) * 1e3
            yield step
            if step.finish_reason is not None:
                return
