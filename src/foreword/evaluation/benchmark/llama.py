"""llama.cpp through llama-cpp-python, in the form in which completion knows a model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.completer import Completer
from foreword.completion.suggestion import Policy, Suggestion, Suggestions
from foreword.completion.words import parts_of, sentence_end
from foreword.engine.engine import Cancel
from foreword.engine.forward import StreamStats
from foreword.engine.generation import Step
from foreword.engine.prefix import Prefix
from foreword.engine.sampling import SamplingParams
from foreword.errors import UsageError


def check_installed() -> None:
    """Raise UsageError where there is no llama-cpp-python."""
    if find_spec("llama_cpp") is None:
        raise UsageError(
            "against: expected the package llama-cpp-python, found none: run scripts/bench, which "
            "builds it in an environment of its own, or pip install llama-cpp-python"
        )


class LlamaCpp:
    """A GGUF file that llama.cpp runs over its own prefix cache, greedy."""

    def __init__(
        self,
        model: Path,
        tokenizer: Tokenizer,
        first_token: int | None,
        context: int,
        threads: int,
    ) -> None:
        """Load a file whose tokens are those of `tokenizer`.

        `first_token` begins every prompt where it is not None. Raises ImportError without
        llama-cpp-python, ValueError for a file it cannot load.
        """
        import llama_cpp

        started = time.perf_counter()
        self.tokenizer, self._first, self._context = tokenizer, first_token, context
        self._api = llama_cpp
        self._llama = llama_cpp.Llama(
            str(model),
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )
        self.stats = StreamStats(0)
        self.load_ms = (time.perf_counter() - started) * 1e3
        self.version = str(llama_cpp.__version__)

    @property
    def context(self) -> int:
        """Tokens that prompt and continuation have together, at most."""
        return self._context

    @property
    def first_token(self) -> int | None:
        """The token that begins every prompt, None where there is none."""
        return self._first

    @property
    def recipe(self) -> str:
        """How weights are stored: as the file says."""
        return "gguf"

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        head = [] if self._first is None else [self._first]
        return [*head, *self.tokenizer.encode(text)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return self.tokenizer.decode(token_ids)

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        """Continue a prompt by the likeliest tokens, end tokens or not, and nothing more.

        There is no text in the steps: evaluation and choice are all that takes time.
        """
        count = (params or SamplingParams()).max_new_tokens
        kept = self._reused(token_ids)
        self._llama.n_tokens = kept  # what lies behind is forgotten by eval
        self._llama.eval(list(token_ids[kept:]))
        for left in reversed(range(count)):
            token = self._likeliest()
            yield Step(token, "", finish_reason=None if left else "length")
            if left:
                self._llama.eval([token])

    def suggester(self, policy: Policy) -> LlamaSuggester:
        """Return what suggests with this model, by the window and the length of a policy."""
        return LlamaSuggester(self, policy)

    def generate(self, token_ids: Sequence[int]) -> tuple[int, Iterator[int]]:
        """Return how much of a prompt is cached, and its continuation by `Llama.generate`."""
        reused = self._reused(token_ids)
        return reused, self._llama.generate(list(token_ids), temp=0.0, repeat_penalty=1.0)

    @property
    def end_token(self) -> int:
        """The token with which the model ends a text."""
        return int(self._llama.token_eos())

    def close(self) -> None:
        """Give the model's memory back."""
        self._llama.close()

    def _reused(self, token_ids: Sequence[int]) -> int:
        """Return how many tokens of a prompt, but for its last, are in the cache."""
        return Prefix(self._llama.input_ids[: self._llama.n_tokens].tolist()).reuse(token_ids)

    def _likeliest(self) -> int:
        logits = self._api.llama_get_logits_ith(self._llama.ctx, -1)
        return int(np.ctypeslib.as_array(logits, (self._llama.n_vocab(),)).argmax())


class LlamaSuggester:
    """What llama.cpp generates, cut to whole words; asked at every key and never silent."""

    def __init__(self, model: LlamaCpp, policy: Policy) -> None:
        self._model, self._policy = model, policy
        self._completer = Completer(model)

    def suggest(self, text: str, cancel: Cancel | None = None) -> Suggestions:
        """Return one suggestion of as many words as the policy wants, or none."""
        started = time.perf_counter()
        window = self._completer.seen(text, self._policy)[1].token_ids
        reused, tokens = self._model.generate(window)
        said, count, raw = "", 0, b""
        for token in tokens:
            count += 1
            if token == self._model.end_token or count > self._policy.max_tokens:
                said = self._cut(raw.decode("utf-8", "ignore") + "\n") or ""
                break
            raw += self._model.tokenizer.token_bytes(token)
            cut = self._cut(raw.decode("utf-8", "ignore"))
            if cut is not None:
                said = cut
                break
        items = (Suggestion(said, tokens=count),) if said else ()
        latency_ms = (time.perf_counter() - started) * 1e3
        # The last token generated has not been run through the model.
        computed = len(window) - reused + count - 1
        return Suggestions(items, computed_tokens=computed, latency_ms=latency_ms)

    def _cut(self, said: str) -> str | None:
        """Return whole words once there are enough, or the sentence or line ends; else None."""
        text = said.partition("\n")[0]
        done = text != said
        end = sentence_end(said)
        if end is not None and end <= len(text):
            text, done = text[:end], True
        ends = [part.end for part in parts_of(text) if part.is_word]
        most = self._policy.max_words
        if len(ends) > most or (len(ends) == most and ends[-1] < len(text)):
            return text[: ends[most - 1]]
        return text if done else None
