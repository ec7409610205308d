"""What the engine needs of a token model, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from foreword.bundle.manifest import split_signature
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

    def clear(self) -> None:
        """Zero the caches: a NaN in a hidden slot would spread, a stale number does not."""
        ...

    def close(self) -> None:
        """Give the model's memory back."""
        ...


def widths_by_kind(signatures: Sequence[str], context: int) -> dict[str, tuple[int, ...]]:
    """Chunk widths of each kind of signature, ascending: {"decode": (1,), "prefill": (8, …)}.

    Only chunks that exist for the whole context count: those run on any text.
    """
    widths: dict[str, tuple[int, ...]] = {"decode": (), "prefill": (), "verify": ()}
    for name in signatures:
        slots, chunk = split_signature(name, context)
        kind, _, width = chunk.partition("_")
        if slots == context:
            widths[kind] = tuple(sorted((*widths[kind], int(width or 1))))
    return widths
