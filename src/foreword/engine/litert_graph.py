"""A bundle's model as the engine runs it: a `TokenGraph` over LiteRT, with its cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from foreword.bundle.manifest import CACHE_DTYPES, Shape
from foreword.engine.cache import Array, Cache, FloatArray, Rows, aligned, slots_for
from foreword.engine.graph import signature_name, widths_by_kind
from foreword.engine.runtime import Bound, Buffers, Compiled, Model, Signature, Tensor
from foreword.errors import EngineError


class LiteRtGraph:
    """A bundle's model compiled for the CPU, with its cache; a `TokenGraph`.

    `threads` is asked before every run; for another number the model is compiled anew.
    `weight_cache` is where packed weights are kept, a file or IN_MEMORY; without, every signature
    packs its own copy. Raises EngineError when LiteRT refuses the model or its signatures are not
    those the manifest promises.
    """

    def __init__(
        self,
        model: Path,
        shape: Shape,
        signatures: Sequence[str],
        threads: int | Callable[[], int],
        weight_cache: Path | None = None,
    ) -> None:
        if shape.cache_dtype not in CACHE_DTYPES:
            raise EngineError(
                f"cache_dtype: expected {' or '.join(CACHE_DTYPES)}, found "
                f"'{ascii(shape.cache_dtype)[1:-1]:.40}': convert the model again"
            )
        self.context = shape.context
        self.widths: Mapping[str, tuple[int, ...]] = widths_by_kind(signatures)
        self.weight_cache = weight_cache
        self._shape = shape
        self._threads = threads if callable(threads) else lambda: threads
        self._model: Model | None = None
        self._compiled: tuple[int, Compiled] | None = None
        self._cache, self._cache_buffers = Cache(shape, 0), Buffers({})
        self._chunks: dict[str, _Chunk] = {}
        try:
            self._model = Model(model)
            self._compiled_now()
            self._chunks = _chunks(shape, self.widths, self._model.signatures())
            self._hold(Cache(shape, self._slots_for(1)))
        except EngineError as error:
            self.close()
            raise EngineError(
                f"{model.name} could not be loaded ({error}): check it with "
                "'foreword inspect --verify', or convert it again"
            ) from None
        except MemoryError:
            self.close()
            raise self._no_memory() from None

    @property
    def slots(self) -> int:
        """Length of the cache at present."""
        return self._cache.slots

    def make_room(self, kept: int, tokens: int) -> None:
        """Give the cache a length for `tokens`; see `TokenGraph.make_room`."""
        slots = self._slots_for(tokens)
        if slots != self._cache.slots:
            try:
                self._hold(self._cache.resized(slots, kept))
            except MemoryError:
                raise self._no_memory() from None

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        """Run one chunk; see `TokenGraph.run`."""
        if self._model is None:
            raise EngineError("the model is closed: load it again")
        count = len(token_ids)
        if position + count > self._cache.slots:
            self.make_room(position, position + count)
        chunk, cache = self._chunks[signature], self._cache
        chunk.fill(token_ids, position)
        cache.show(position)
        compiled = self._compiled_now()
        compiled.resize(chunk.signature, self._cache_buffers)
        compiled.run(chunk.signature, chunk.inputs, chunk.outputs)
        cache.write(position, chunk.keys[:, :, :count], chunk.values[:, :, :count])
        return None if chunk.logits is None else chunk.logits[:count]

    def rows(self, length: int) -> Rows:
        """Return a copy of the first `length` slots; see `shared.KeepingGraph`."""
        return self._cache.rows(length)

    def restore(self, rows: Rows) -> None:
        """Put a copy back."""
        self.make_room(0, max(rows.keys.shape[2], 1))
        self._cache.write(0, rows.keys, rows.values)

    def clear(self) -> None:
        """Zero the cache."""
        self._cache.clear()

    def close(self) -> None:
        """Give the model's memory back; the graph cannot run afterwards."""
        if self._compiled is not None:
            self._compiled[1].close()
            self._compiled = None
        for chunk in self._chunks.values():
            chunk.close()
        self._chunks = {}
        self._cache_buffers.close()
        if self._model is not None:
            self._model.close()
            self._model = None

    def _slots_for(self, tokens: int) -> int:
        if not self._shape.resizable:
            return self.context
        return slots_for(tokens, self._cache.slots, self.context)

    def _hold(self, cache: Cache) -> None:
        """Let every signature run on a cache, and the one before go."""
        given = {"mask": cache.mask[None, None, None]}
        for i in range(self._shape.layers):
            given[f"kv_cache_k_{i}"] = cache.keys[i, None]
            given[f"kv_cache_v_{i}"] = cache.values[i, None]
        buffers = Buffers(given)
        for chunk in self._chunks.values():
            chunk.inputs = Bound(chunk.signature.inputs, buffers, chunk.given)
        self._cache_buffers.close()
        self._cache, self._cache_buffers = cache, buffers

    def _compiled_now(self) -> Compiled:
        """The model compiled for as many threads as there should be now.

        One at a time: each maps the packed weights for itself.
        """
        assert self._model is not None
        threads = self._threads()
        if self._compiled is not None:
            if self._compiled[0] == threads:
                return self._compiled[1]
            if self.weight_cache is None or not self.weight_cache.is_file():
                return self._compiled[1]  # weights would be packed again
            self._compiled[1].close()
            self._compiled = None
        self._compiled = threads, self._model.compiled(threads, self.weight_cache)
        return self._compiled[1]

    def _no_memory(self) -> EngineError:
        return EngineError(
            f"there is not enough memory for a context of {self.context} tokens: "
            "convert the model with a smaller one"
        )


class _Chunk:
    """What one run of T tokens takes and gives, whatever the length of the cache."""

    def __init__(self, shape: Shape, signature: Signature, width: int, logits: bool) -> None:
        slices = (shape.layers, shape.kv_heads, width, shape.head_dim)
        self.signature = signature
        self.tokens, self.positions = aligned((width,), "int32"), aligned((width,), "int32")
        self.keys: Array = aligned(slices, shape.cache_dtype)
        self.values: Array = aligned(slices, shape.cache_dtype)
        self.logits: FloatArray | None = None
        taken = {}
        for i in range(shape.layers):
            taken[f"kv_slice_k_{i}"] = self.keys[i, None]
            taken[f"kv_slice_v_{i}"] = self.values[i, None]
        if logits:
            self.logits = aligned((width, shape.vocabulary), "float32")
            taken["logits"] = self.logits[None]
        self.given = Buffers({"tokens": self.tokens[None], "input_pos": self.positions})
        self._taken = Buffers(taken)
        self.inputs = Bound({})
        self.outputs = Bound(signature.outputs, self._taken)

    def fill(self, token_ids: Sequence[int], position: int) -> None:
        """Set tokens and positions; padding is token 0 at the last real position."""
        count = len(token_ids)
        self.tokens[:count] = token_ids
        self.tokens[count:] = 0
        self.positions[:count] = range(position, position + count)
        self.positions[count:] = position + count - 1

    def close(self) -> None:
        self.given.close()
        self._taken.close()


def _chunks(
    shape: Shape, widths: Mapping[str, tuple[int, ...]], found: Mapping[str, Signature]
) -> dict[str, _Chunk]:
    """Make what every signature of the manifest takes and gives.

    EngineError where the model has none of that name, or one of other shapes: the runtime does not
    compare, it would write past the end of a smaller array.
    """
    chunks = {}
    for kind, of_kind in widths.items():
        for width in of_kind:
            name = signature_name(kind, width)
            if name not in found:
                raise EngineError(f"signature {name} is missing")
            given, taken = _tensors(shape, width, logits=kind != "prefill")
            _compare(name, "inputs", given, found[name].inputs)
            _compare(name, "outputs", taken, found[name].outputs)
            chunks[name] = _Chunk(shape, found[name], width, logits=kind != "prefill")
    return chunks


def _tensors(shape: Shape, width: int, logits: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What a signature takes and gives by the graph contract, over the whole context."""
    heads, size, slots, dtype = shape.kv_heads, shape.head_dim, shape.context, shape.cache_dtype
    given = {
        "tokens": Tensor.of((1, width), "int32"),
        "input_pos": Tensor.of((width,), "int32"),
        "mask": Tensor.of((1, 1, 1, slots), "float32"),
    }
    taken = {}
    for i in range(shape.layers):
        given[f"kv_cache_k_{i}"] = Tensor.of((1, heads, slots, size), dtype)
        given[f"kv_cache_v_{i}"] = Tensor.of((1, heads, size, slots), dtype)
        for side in "kv":
            taken[f"kv_slice_{side}_{i}"] = Tensor.of((1, heads, width, size), dtype)
    if logits:
        taken["logits"] = Tensor.of((1, width, shape.vocabulary), "float32")
    return given, taken


def _compare(
    signature: str, side: str, promised: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    if strange := sorted(set(found) ^ set(promised)):
        raise EngineError(f"{side} of {signature} differ from the manifest: {strange[:2]}")
    for name, tensor in found.items():
        if tensor != promised[name]:
            raise EngineError(
                f"{name} of {signature} has shape {tensor}, the manifest promises {promised[name]}"
            )
