"""A stand-in for llama-cpp-python, where its directory is on the path: the tokens give scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from numpy.typing import NDArray

__version__ = "0.0.fake"


class Llama:
    """As much of the real one as the benchmark uses; `evaluated` are the tokens it ran."""

    def __init__(
        self, model_path: str, n_ctx: int, n_threads: int, n_threads_batch: int, verbose: bool
    ) -> None:
        if not Path(model_path).is_file():
            raise ValueError(f"Failed to load model from file: {model_path}")
        fields = GGUFReader(model_path).fields
        self._vocabulary = len(fields["tokenizer.ggml.tokens"].data)
        self._context = n_ctx
        self.input_ids = np.zeros(n_ctx, np.intc)
        self.n_tokens = 0
        self.evaluated = 0
        self.closed = False

    @property
    def ctx(self) -> Llama:
        return self

    def n_vocab(self) -> int:
        return self._vocabulary

    def token_eos(self) -> int:
        return 0

    def eval(self, tokens: Sequence[int]) -> None:
        end = self.n_tokens + len(tokens)
        if not tokens or end > self._context:
            raise RuntimeError(f"{len(tokens)} tokens after {self.n_tokens} of {self._context}")
        self.input_ids[self.n_tokens : end] = tokens
        self.n_tokens, self.evaluated = end, self.evaluated + len(tokens)

    def scores(self) -> NDArray[np.float32]:
        """One token after another, never the end token."""
        scores = np.zeros(self._vocabulary, np.float32)
        scores[1 + (7 * int(self.input_ids[: self.n_tokens].sum())) % (self._vocabulary - 1)] = 1
        return scores

    def generate(self, tokens: Sequence[int], temp: float, repeat_penalty: float) -> Iterator[int]:
        assert (temp, repeat_penalty) == (0.0, 1.0)
        held = self.input_ids[: self.n_tokens].tolist()
        same = 0
        while same < min(len(held), len(tokens) - 1) and held[same] == tokens[same]:
            same += 1
        self.n_tokens = same
        self.eval(tokens[same:])
        while True:
            token = int(self.scores().argmax())
            yield token
            self.eval([token])

    def close(self) -> None:
        self.closed = True


def llama_get_logits_ith(context: Llama, index: int) -> Any:
    assert index == -1
    return context.scores()
