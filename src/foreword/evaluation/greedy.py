"""What a model writes when it always takes the likeliest token: where it leaves another, loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from foreword.engine.engine import Engine
from foreword.engine.sampling import SamplingParams

PROMPTS = 4
_PROMPT_TOKENS = 32
_NEW_TOKENS = 48
_SHORTEST_LOOP = 3  # times a cycle must stand at the end to be one


def prompts(token_ids: Sequence[int], context: int, start: int | None) -> list[list[int]]:
    """Cut `PROMPTS` beginnings out of a text, evenly spread, that leave room to go on."""
    head = [] if start is None else [start]
    length = max(min(_PROMPT_TOKENS, context // 2) - len(head), 1)
    last = max(len(token_ids) - length, 0)
    places = [last * i // (PROMPTS - 1) for i in range(PROMPTS)]
    return [head + list(token_ids[at : at + length]) for at in places]


def continuation(engine: Engine, prompt: Sequence[int]) -> list[int]:
    """Return the tokens a model adds greedily, until an end token or for 48 tokens."""
    params = SamplingParams(max_new_tokens=_NEW_TOKENS)
    return [s.token_id for s in engine.stream(prompt, params) if s.token_id is not None]


def first_divergence(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the number of tokens before the first that differs; all of them where none does."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def median_divergence(ones: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """Return the median of `first_divergence` over pairs of continuations."""
    return float(median(first_divergence(*pair) for pair in zip(ones, others, strict=True)))


def loops(token_ids: Sequence[int]) -> bool:
    """Return whether a text's second half, or more, is one cycle again and again."""
    count = len(token_ids)
    for period in range(1, count // _SHORTEST_LOOP + 1):
        tail = period
        while tail < count and token_ids[-tail - 1] == token_ids[-tail - 1 + period]:
            tail += 1
        if tail >= max(_SHORTEST_LOOP * period, count / 2) and tail >= 2 * _SHORTEST_LOOP:
            return True
    return False


def loops_alone(
    continuations: Sequence[Sequence[int]], reference: Callable[[int], Sequence[int]]
) -> int:
    """Count continuations that loop where the reference's, asked for only then, does not."""
    return sum(loops(c) and not loops(reference(i)) for i, c in enumerate(continuations))
