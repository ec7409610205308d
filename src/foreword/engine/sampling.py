"""From logits to a token: a sampler is one function composed of filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from foreword.errors import UsageError

FloatArray = NDArray[np.float32]

MOST_TOP_LOGPROBS = 100

LEAST_TEMPERATURE = 1e-4
"""What is nearer to 0 is as good as greedy, and would overflow."""


@dataclass(frozen=True)
class SamplingParams:
    """One request: how tokens are chosen and when to stop.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1, `min_p` 0 and `repetition_penalty` 1
    switch their filters off. `stop` strings end the text before them. `logprobs` fills
    `Step.logprob`, and `Step.top_logprobs` with as many tokens as `top_logprobs` says. Raises
    UsageError for values outside their range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_new_tokens: int = 32
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: bool = False
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "temperature": (0.0, 100.0),
            "top_k": (0, math.inf),
            "top_p": (0.0, 1.0),
            "min_p": (0.0, 1.0),
            "repetition_penalty": (0.01, 100.0),
            "max_new_tokens": (1, math.inf),
            "top_logprobs": (0, MOST_TOP_LOGPROBS),
        }
        for field in fields(self):
            if field.name in ranges:
                value, (low, high) = getattr(self, field.name), ranges[field.name]
                if not low <= value <= high:
                    bound = f"from {low:g}" + (f" to {high:g}" if math.isfinite(high) else " up")
                    raise UsageError(f"{field.name}: expected {bound}, found {value!r}")
        if self.top_p == 0:
            raise UsageError("top_p: expected above 0, found 0 (temperature 0 is greedy)")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"seed: expected 0 or more, found {self.seed}")
        if any(not stop for stop in self.stop):
            raise UsageError("stop: expected non-empty strings, found an empty one")


class Sampler:
    """Chooses tokens for one request; two with the same seed choose alike."""

    def __init__(self, params: SamplingParams) -> None:
        self._params = params
        self._random = np.random.default_rng(params.seed)

    def choose(self, logits: FloatArray, seen: Sequence[int]) -> int:
        """Return a token for logits [V]; `seen` are the prompt's and the new tokens so far.

        `logits` is not changed. The order of the filters is that of llama.cpp: penalty,
        top-k, top-p, min-p, then temperature.
        """
        params = self._params
        if params.repetition_penalty != 1.0 and seen:
            logits = _penalize(logits, seen, params.repetition_penalty)
        if params.temperature == 0:
            return int(logits.argmax())
        kept, scores = _top_k(logits, params.top_k)
        kept, scores = _top_p(kept, scores, params.top_p)
        kept, scores = _min_p(kept, scores, params.min_p)
        chances = _softmax(scores / max(params.temperature, LEAST_TEMPERATURE))
        return int(self._random.choice(kept, p=chances))


def log_probability(logits: FloatArray, token_id: int) -> float:
    """Return the natural logarithm of a token's probability under logits [V]."""
    shifted = logits.astype(np.float64) - float(logits.max())
    return float(shifted[token_id] - np.log(np.exp(shifted).sum()))


def likeliest(logits: FloatArray, count: int) -> tuple[tuple[int, float], ...]:
    """Return the `count` likeliest tokens under logits [V], each with its natural logarithm."""
    if not count:
        return ()
    kept, scores = _top_k(logits, count)
    total = float(logits.max()) + math.log(
        np.exp(logits.astype(np.float64) - float(logits.max())).sum()
    )
    return tuple((int(i), float(score) - total) for i, score in zip(kept, scores, strict=True))


def _penalize(logits: FloatArray, seen: Sequence[int], penalty: float) -> FloatArray:
    """Repetition penalty of CTRL (Keskar et al. 2019), once for each token seen."""
    logits = logits.copy()
    tokens = np.unique(np.asarray(seen))
    scores = logits[tokens]
    logits[tokens] = np.where(scores > 0, scores / penalty, scores * penalty)
    return logits


def _top_k(logits: FloatArray, k: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Keep the k best tokens (all for 0), best first; ties by token id."""
    if 0 < k < logits.size:
        kept = np.argpartition(-logits, k - 1)[:k]
    else:
        kept = np.arange(logits.size)
    kept = kept[np.lexsort((kept, -logits[kept]))]
    return kept, logits[kept].astype(np.float64)


def _top_p(
    kept: NDArray[np.intp], scores: NDArray[np.float64], p: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Keep the smallest head whose probability reaches p (Holtzman et al. 2020)."""
    if p >= 1:
        return kept, scores
    count = int(np.searchsorted(np.cumsum(_softmax(scores)), p)) + 1
    return kept[:count], scores[:count]


def _min_p(
    kept: NDArray[np.intp], scores: NDArray[np.float64], p: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Keep tokens at least p times as likely as the best (Nguyen et al. 2024)."""
    if p <= 0:
        return kept, scores
    enough = scores >= scores[0] + math.log(p)
    return kept[enough], scores[enough]


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())
