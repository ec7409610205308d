"""A language model that knows a few sentences by heart, and says how likely its tokens are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from foreword.bundle.store import open_bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.engine.cache import FloatArray
from foreword.engine.engine import Cancel
from foreword.engine.forward import StreamStats
from foreword.engine.generation import Step
from foreword.engine.sampling import SamplingParams
from tiny import write_tiny_bundle

_NOISE = 1e-6


def tiny_tokenizer(directory: Path) -> Tokenizer:
    """Return the tokenizer of the tiny models: bytes, and some forty longer tokens."""
    return Tokenizer.from_file(open_bundle(write_tiny_bundle(directory)[1]).tokenizer_path)


class BookModel:
    """Goes on with the sentence of which the text shows the longest beginning, by weight.

    Its tokens are the longest there are, as a trained model's. `calls` counts runs.
    """

    load_ms = 0.0
    recipe = "book"
    first_token: int | None = None

    def __init__(self, tokenizer: Tokenizer, book: Mapping[str, float], context: int = 512) -> None:
        self.tokenizer, self.book, self.context = tokenizer, book, context
        self.stats = StreamStats(0)
        self.calls = 0
        self.end_tokens = (0,)
        self._pieces = [tokenizer.token_bytes(i) for i in range(tokenizer.vocabulary_size)]

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self.tokenizer.decode(token_ids)

    def checked(self, token_ids: Sequence[int]) -> list[int]:
        return list(token_ids) or [0]

    def close(self) -> None:
        pass

    def logits(
        self, token_ids: Sequence[int], cancel: Cancel | None = None, guesses: int = 0
    ) -> FloatArray | None:
        self.stats = StreamStats(len(token_ids), computed_tokens=1)
        self.calls += 1
        if cancel is not None and cancel.is_set():
            return None
        seen = b"".join(self._pieces[i] for i in token_ids)
        chances = np.full(len(self._pieces), _NOISE)
        for sentence, weight in self.book.items():
            written = sentence.encode()
            shown = next((k for k in range(len(written), 0, -1) if seen.endswith(written[:k])), 0)
            if shown == len(written):
                chances[0] += weight * shown**2
            elif shown:
                chances[self._longest(written[shown:])] += weight * shown**2
        return np.log(chances / chances.sum()).astype(np.float32)

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        raise AssertionError("who knows likelihoods is asked for them")

    def _longest(self, rest: bytes) -> int:
        fitting = [i for i, piece in enumerate(self._pieces) if piece and rest.startswith(piece)]
        return max(fitting, key=lambda i: len(self._pieces[i]))


class StreamModel(BookModel):
    """The same without likelihoods, as a text graph is: it only streams."""

    logits = None  # type: ignore[assignment]

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        tokens = list(token_ids)
        for _ in range((params or SamplingParams()).max_new_tokens):
            if cancel is not None and cancel.is_set():
                yield Step(None, "", finish_reason="cancelled")
                return
            scores = BookModel.logits(self, tokens)
            assert scores is not None
            token_id = int(scores.argmax())
            if token_id == 0:
                break
            tokens.append(token_id)
            yield Step(token_id, self.tokenizer.decode([token_id]))
        yield Step(None, "", finish_reason="stop")
