"""llama.cpp as a scorer of texts, for benchmarks of quality. Needs llama-cpp-python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray


class Scorer:
    """llama.cpp giving the logits of every token of a text."""

    def __init__(self, model: Path, context: int, threads: int) -> None:
        self.size_bytes = model.stat().st_size
        self._model = llama_cpp.Llama(
            str(model),
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=True,
            verbose=False,
        )

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Return the logits after each of up to `context` tokens of a new text, [n, V]."""
        self._model.reset()
        self._model.eval(list(tokens))
        return self._model.scores[: len(tokens)].copy()
