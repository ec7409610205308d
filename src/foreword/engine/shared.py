"""Several texts over one compiled model: each has its own part of the cache, put aside in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from foreword.engine.cache import FloatArray, Rows
from foreword.engine.engine import Engine
from foreword.engine.graph import TokenGraph


@runtime_checkable
class KeepingGraph(TokenGraph, Protocol):
    """A token model whose cache can be copied out and back."""

    def rows(self, length: int) -> Rows:
        """Return a copy of the first `length` slots."""
        ...

    def restore(self, rows: Rows) -> None:
        """Put a copy back."""
        ...


class TextEngine(Engine):
    """An engine with a text of its own; closing it leaves the model to the others.

    Engines of one model run one at a time, in any order: also between two steps of a stream.
    """

    _graph: _View

    @property
    def kept_bytes(self) -> int:
        """Memory of the keys and values that are put aside, 0 while they are in the cache."""
        return self._graph.kept_bytes

    @property
    def size_bytes(self) -> int:
        """Memory that is held for this text: what is put aside, and what guesses are made of."""
        return self.kept_bytes + self._forward.drafter.size_bytes


class SharedModel:
    """A loaded bundle that several texts take turns on."""

    def __init__(self, engine: Engine, graph: KeepingGraph) -> None:
        """`graph` is the one under `engine`, which is not to be used by itself afterwards."""
        self._engine, self.graph = engine, graph
        self.owner: _View | None = None

    @classmethod
    def of(cls, engine: Engine) -> SharedModel | None:
        """Share a loaded bundle, where its graph can put a text aside."""
        graph = engine.graph
        return cls(engine, graph) if isinstance(graph, KeepingGraph) else None

    def text(self) -> TextEngine:
        """Return an engine for one more text."""
        engine = self._engine
        return TextEngine(_View(self), engine.tokenizer, engine.manifest, engine.load_ms)

    def close(self) -> None:
        """Give the model's memory back."""
        self.owner = None
        self._engine.close()


class _View:
    """The model as one text sees it; a `TokenGraph`."""

    def __init__(self, shared: SharedModel) -> None:
        self.context = shared.graph.context
        self.widths: Mapping[str, tuple[int, ...]] = shared.graph.widths
        self._shared = shared
        self._length = 0  # slots that hold the text, as far as is known
        self._aside: Rows | None = None

    @property
    def kept_bytes(self) -> int:
        return sum(array.nbytes for array in self._aside or ())

    def make_room(self, kept: int, tokens: int) -> None:
        self._take_turn(kept)
        self._shared.graph.make_room(kept, tokens)

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        self._take_turn(position)
        self._length = position + len(token_ids)
        return self._shared.graph.run(signature, token_ids, position)

    def clear(self) -> None:
        """Forget the text; zero the caches if it is in them."""
        self._length, self._aside = 0, None
        if self._shared.owner is self:
            self._shared.graph.clear()

    def close(self) -> None:
        self._length, self._aside = 0, None
        if self._shared.owner is self:
            self._shared.owner = None

    def _take_turn(self, position: int) -> None:
        """Bring the first `position` slots of this text into the cache, another's out of it."""
        shared = self._shared
        if shared.owner is self:
            return
        if shared.owner is not None:
            shared.owner._put_aside()
        aside, self._aside = self._aside, None
        if aside is not None and position:
            shared.graph.restore(Rows(aside.keys[:, :, :position], aside.values[:, :, :position]))
        shared.owner = self

    def _put_aside(self) -> None:
        if self._length:
            self._aside = self._shared.graph.rows(self._length)
