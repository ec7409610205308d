"""What the engine needs of a token model, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from foreword.engine.cache import FloatArray


class TokenGraph(Protocol):
    """A token model as the engine sees it: run tokens at a position, get logits back."""

    @property
    def context(self) -> int:
        """Slots of the cache."""
        ...

    @property
    def widths(self) -> Mapping[str, tuple[int, ...]]:
        """Chunk widths of each kind of signature: `decode`, `prefill`, `verify`."""
        ...

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        """Run `token_ids` at slots `position…`, keep their keys and values in the cache.

        Returns logits [len(token_ids), vocabulary], overwritten by the next run, or None
        for a prefill signature. Slots from `position` on are hidden from attention.
        """
        ...

    def make_room(self, kept: int, tokens: int) -> None:
        """Prepare for a text of `tokens` tokens, of which the first `kept` are in the cache.

        A run makes room for itself where there is none; this spares copying the text twice, and
        is how a cache becomes shorter.
        """
        ...

    def clear(self) -> None:
        """Zero the caches: a NaN in a hidden slot would spread, a stale number does not."""
        ...

    def close(self) -> None:
        """Give the model's memory back."""
        ...


def signature_name(kind: str, width: int) -> str:
    """Return the name of the signature of a kind for chunks of `width` tokens."""
    return kind if kind == "decode" else f"{kind}_{width}"


def widths_by_kind(signatures: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Chunk widths of each kind of signature, ascending: {"decode": (1,), "prefill": (8, …)}.

    Those over a shorter cache than the whole context, of version 0.1, do not count.
    """
    widths: dict[str, tuple[int, ...]] = {"decode": (), "prefill": (), "verify": ()}
    for name in signatures:
        kind, _, width = name.partition("_")
        if kind in widths:
            widths[kind] = tuple(sorted((*widths[kind], int(width or 1))))
    return widths
