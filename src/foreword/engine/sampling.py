"""From logits to a token: a sampler is one function composed of filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from numpy.typing import NDArray

from foreword.errors import UsageError

FloatArray = NDArray[np.float32]
Places = NDArray[np.intp]

MOST_TOP_LOGPROBS = 100

LEAST_TEMPERATURE = 1e-4
"""What is nearer to 0 is as good as greedy, and would overflow."""

_BLOCK = 256  # tokens that are summed, or looked through for their best, at once


@dataclass(frozen=True)
class SamplingParams:
    """One request: how tokens are chosen and when to stop.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1, `min_p` 0 and `repetition_penalty` 1
    switch their filters off. `stop` strings end the text before them. `logprobs` fills
    `Step.logprob`, and `Step.top_logprobs` with as many tokens as `top_logprobs` says. `speculate`:
    guess what a greedy text goes on with, and run several tokens at once where that is likely to
    be right; see `engine.speculate`. Raises UsageError for values outside their range.
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
    speculate: bool = True

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
        self._filters: list[Callable[[FloatArray], Places]] = []
        if params.top_k:
            self._filters.append(partial(_best, count=params.top_k))
        if params.top_p < 1:
            self._filters.append(partial(_head, p=params.top_p))
        if params.min_p > 0:
            self._filters.append(partial(_near, p=params.min_p))

    def choose(self, logits: FloatArray, seen: Sequence[int]) -> int:
        """Return a token for logits [V]; `seen` are the prompt's and the new tokens so far.

        `logits` is not changed. The order of the filters is that of llama.cpp: penalty,
        top-k, top-p, min-p, then temperature. Of what they keep, the token is drawn at which the
        sum of the chances, by token id, passes a random number.
        """
        params = self._params
        if params.repetition_penalty != 1.0 and seen:
            logits = _penalize(logits, seen, params.repetition_penalty)
        if params.temperature == 0:
            return int(logits.argmax())
        ids: Places | None = None
        for keep in self._filters:
            kept = keep(logits)
            logits = logits[kept]
            ids = kept if ids is None else ids[kept]
        chances = _relative(logits, max(params.temperature, LEAST_TEMPERATURE))
        place = _place(chances, self._random.random())
        return place if ids is None else int(ids[place])


def log_probability(logits: FloatArray, token_id: int) -> float:
    """Return the natural logarithm of a token's probability under logits [V]."""
    return float(logits[token_id]) - _log_total(logits)


def likeliest(logits: FloatArray, count: int) -> tuple[tuple[int, float], ...]:
    """Return the `count` likeliest tokens under logits [V], each with its natural logarithm."""
    if not count:
        return ()
    kept = _best(logits, count)
    kept = kept[np.argsort(-logits[kept], kind="stable")]
    total = _log_total(logits)
    return tuple((int(i), float(logits[i]) - total) for i in kept)


def _penalize(logits: FloatArray, seen: Sequence[int], penalty: float) -> FloatArray:
    """Repetition penalty of CTRL (Keskar et al. 2019), once for each token seen."""
    penalized, tokens = logits.copy(), np.fromiter(seen, np.intp, len(seen))
    scores = logits[tokens]
    with np.errstate(over="ignore"):
        penalized[tokens] = np.where(scores > 0, scores / penalty, scores * penalty)
    return penalized


def _best(scores: FloatArray, count: int) -> Places:
    """Return where the best scores are, in order of place; of equal ones the first."""
    if count >= scores.size:
        return np.arange(scores.size)
    # As many groups have a score from `least` up, so the best have: few are left to compare.
    rows = max(min(scores.size // (4 * count), _BLOCK), 1)
    columns = scores.size // rows
    tops = scores[: rows * columns].reshape(rows, columns).max(axis=0)
    least = np.partition(tops, columns - count)[columns - count]
    places = np.flatnonzero(scores >= least)
    return _first(scores, places, np.sort(scores[places]), count)


def _head(scores: FloatArray, p: float) -> Places:
    """Return the smallest head whose probability reaches p (Holtzman et al. 2020)."""
    mass, best = p * float(_relative(scores).sum(dtype=np.float64)), float(scores.max())
    share, reached = (1 - p) / 64, False
    while not reached:
        places = np.flatnonzero(scores >= best + math.log(share))
        ascending = np.sort(scores[places])
        sums = np.cumsum(_relative(ascending[::-1]), dtype=np.float64)
        # What is below so small a share cannot make up more than is left out.
        reached = sums[-1] >= mass or share < (1 - p) / (2 * scores.size)
        share /= 64
    count = min(int(np.searchsorted(sums, mass)) + 1, places.size)
    return _first(scores, places, ascending, count)


def _near(scores: FloatArray, p: float) -> Places:
    """Return the tokens at least p times as likely as the best (Nguyen et al. 2024)."""
    return np.flatnonzero(scores >= np.float64(scores.max()) + math.log(p))


def _first(scores: FloatArray, places: Places, ascending: FloatArray, count: int) -> Places:
    """Return the `count` of some places with the best scores, of equal ones the first."""
    least = ascending[-count]
    found = scores[places]
    equal = np.flatnonzero(found == least)
    surplus = np.count_nonzero(found >= least) - count
    keep = found >= least
    keep[equal[equal.size - surplus :]] = False
    kept: Places = places[keep]
    return kept


def _relative(scores: FloatArray, temperature: float = 1.0) -> FloatArray:
    """Return probabilities, all of them relative to the highest."""
    with np.errstate(over="ignore"):
        relative: FloatArray = scores - scores.max()
        if temperature != 1.0:
            relative /= temperature
    np.exp(relative, out=relative)
    return relative


def _log_total(logits: FloatArray) -> float:
    """Return the logarithm of what the exponentials of all logits sum up to."""
    return float(logits.max()) + math.log(_relative(logits).sum(dtype=np.float64))


def _place(chances: FloatArray, random: float) -> int:
    """Return where the running sum of the chances passes `random` of the whole, 0 <= random < 1.

    First of blocks, then in one: a running sum of a whole vocabulary takes longer than all else.
    """
    blocks = np.add.reduceat(chances, np.arange(0, chances.size, _BLOCK), dtype=np.float64)
    sums = np.cumsum(blocks)
    rest = random * sums[-1]
    block = _passed(sums, rest)
    if block:
        rest -= sums[block - 1]
    first = block * _BLOCK
    within = np.cumsum(chances[first : first + _BLOCK], dtype=np.float64)
    return first + _passed(within, rest)


def _passed(sums: NDArray[np.float64], least: float) -> int:
    """Return the first place above `least`; where rounding leaves none, the last that rises."""
    return int(np.searchsorted(sums, min(least, np.nextafter(sums[-1], 0)), side="right"))
