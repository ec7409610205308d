"""What the cache holds, and how a prompt is cut into runs: bookkeeping without tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

# Reading the weights costs a run about as much as the arithmetic of this many tokens.
_RUN_COST = 16


@dataclass
class Prefix:
    """The tokens whose keys and values are in the cache, slot by slot."""

    token_ids: list[int] = field(default_factory=list)

    def reuse(self, prompt: Sequence[int]) -> int:
        """Rewind to the longest prefix shared with `prompt`, and return its length.

        At least one token of the prompt is left to compute: its logits are needed.
        """
        shared = 0
        for ours, theirs in zip(self.token_ids, prompt[:-1], strict=False):
            if ours != theirs:
                break
            shared += 1
        self.rewind(shared)
        return shared

    def rewind(self, length: int) -> None:
        """Forget everything from slot `length` on."""
        del self.token_ids[length:]

    def extend(self, token_ids: Sequence[int]) -> None:
        """Record tokens just computed."""
        self.token_ids.extend(token_ids)


@dataclass(frozen=True, order=True)
class Run:
    """One call of a signature with `count` real tokens; what it is wider is padding."""

    signature: str
    count: int


@lru_cache(maxsize=4096)
def plan(count: int, prefill: tuple[int, ...], verify: tuple[int, ...]) -> tuple[Run, ...]:
    """Cut the last `count` >= 1 tokens of a prompt into runs at the lowest cost.

    The last run gives logits: `decode` for one token or, cheaper than prefill and decode,
    a verify signature for a short tail. `prefill` and `verify` are the widths there are;
    without any, every token is decoded.
    """
    if not prefill and not verify:
        return (Run("decode", 1),) * count
    endings = [(1, Run("decode", 1))]
    endings += [(width, Run(f"verify_{width}", min(width, count))) for width in verify]
    plans = []
    for width, ending in endings:
        rest = count - ending.count
        if rest and not prefill:
            head = plan(rest, (), verify)
            cost = rest * _RUN_COST
        else:
            cost, widths = _cheapest(rest, prefill)
            head = _fill(rest, widths)
        plans.append((cost + width + _RUN_COST, (*head, ending)))
    return min(plans)[1]


def _cheapest(count: int, widths: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Cost and widths, widest first, of the runs that hold `count` tokens."""
    if count <= 0:
        return 0, ()
    full = max(count // widths[-1] - 1, 0)
    rest = count - full * widths[-1]
    best: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    for held in range(1, rest + 1):
        options = []
        for width in widths:
            cost, chosen = best[max(held - width, 0)]
            options.append((cost + width + _RUN_COST, (*chosen, width)))
        best.append(min(options))
    cost, chosen = best[rest]
    chosen = (widths[-1],) * full + tuple(sorted(chosen, reverse=True))
    return cost + full * (widths[-1] + _RUN_COST), chosen


def _fill(count: int, widths: tuple[int, ...]) -> tuple[Run, ...]:
    """Give every run its tokens: all are full but the last."""
    runs = []
    for width in widths:
        taken = min(width, count)
        runs.append(Run(f"prefill_{width}", taken))
        count -= taken
    return tuple(runs)
