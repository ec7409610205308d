"""The only file that touches LiteRT: a compiled token model over memory that NumPy owns.

It speaks the C interface of the wheel's own `libLiteRt.so`. The Python wrapper of
ai-edge-litert copies every tensor in and out and logs to stderr; here caches, tokens,
mask and logits are NumPy arrays that the runtime reads and writes in place. Structures
and functions are those of the headers `litert/c/*.h` at the pinned version.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from foreword.bundle.manifest import CACHE_DTYPES, Shape, split_signature
from foreword.engine.cache import Array, Cache, Caches, FloatArray, Rows, aligned
from foreword.engine.graph import widths_by_kind
from foreword.errors import EngineError

RUNTIME_VERSION = "2.3.0"  # the ABI below was tested with this version only

IN_MEMORY = Path(":memory")  # XNNPACK's name for a weight cache that is no file

_MAX_RANK = 8
_CPU = 1  # kLiteRtHwAcceleratorCpu
_SILENT = 4  # kLiteRtLogSeveritySilent
_INT = 2  # kLiteRtAnyTypeInt
_ELEMENT_TYPES = {"float32": 1, "int32": 2, "int8": 9}
_AUTO_REGISTER_ACCELERATORS, _MIN_LOGGER_SEVERITY = 24, 25  # LiteRtEnvOptionTag
_STDERR = threading.Lock()


class _Any(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("value", ctypes.c_int64)]


class _EnvOption(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_int), ("value", _Any)]


class _TensorType(ctypes.Structure):
    # LiteRtRankedTensorType, with LiteRtLayout's bit field `rank : 7, has_strides : 1` flat.
    _fields_ = [
        ("element_type", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * _MAX_RANK),
        ("strides", ctypes.c_uint32 * _MAX_RANK),
    ]


class _Library:
    """The C functions used here, each raising EngineError unless it returns success."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise EngineError(f"LiteRT: {name} failed with status {status}")

    def make(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function whose last argument receives a handle, and return the handle."""
        handle = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def destroy(self, name: str, handle: ctypes.c_void_p) -> None:
        function = getattr(self._library, name)
        function.restype = None
        function(handle)


@functools.cache
def _library() -> _Library:
    """Load the pinned wheel's library once a process."""
    try:
        version = metadata.version("ai-edge-litert")
    except metadata.PackageNotFoundError:
        version = "none"
    if version != RUNTIME_VERSION:
        raise EngineError(
            f"ai-edge-litert {RUNTIME_VERSION} is needed, {version} is installed: "
            f"pip install ai-edge-litert=={RUNTIME_VERSION}"
        )
    package = importlib.util.find_spec("ai_edge_litert")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(next(iter(package.submodule_search_locations))) / "libLiteRt.so"
    if not path.is_file():
        raise EngineError(f"{path.name} is missing from ai-edge-litert: reinstall the package")
    return _Library(path)


@functools.cache
def _environment() -> ctypes.c_void_p:
    """One quiet environment a process, with the CPU alone: looking for others takes 0.2 s."""
    options = (_EnvOption * 2)(
        _EnvOption(_MIN_LOGGER_SEVERITY, _Any(_INT, _SILENT)),
        _EnvOption(_AUTO_REGISTER_ACCELERATORS, _Any(_INT, _CPU)),
    )
    return _library().make("LiteRtCreateEnvironment", len(options), options)


class LiteRtGraph:
    """A bundle's model compiled for the CPU, with its caches; a `TokenGraph`.

    `weight_cache` is where XNNPACK keeps packed weights, a file or IN_MEMORY: all
    signatures then share them; without, each packs its own copy. Raises EngineError when
    LiteRT refuses the model or its signatures are not those the manifest promises.
    """

    def __init__(
        self,
        model: Path,
        shape: Shape,
        signatures: Sequence[str],
        threads: int,
        weight_cache: Path | None = None,
    ) -> None:
        if shape.cache_dtype not in CACHE_DTYPES:
            raise EngineError(
                f"cache_dtype: expected {' or '.join(CACHE_DTYPES)}, found "
                f"'{ascii(shape.cache_dtype)[1:-1]:.40}': convert the model again"
            )
        self.context = shape.context
        self.widths: Mapping[str, tuple[int, ...]] = widths_by_kind(signatures, shape.context)
        self._library = _library()
        self._handles: list[tuple[str, ctypes.c_void_p]] = []
        try:
            self._compile(model, threads, weight_cache)
            self._allocate(shape, signatures)
        except EngineError as error:
            self.close()
            raise EngineError(
                f"{model.name} could not be loaded ({error}): check it with "
                "'foreword inspect --verify', or convert it again"
            ) from None
        except MemoryError:
            self.close()
            raise EngineError(
                f"there is not enough memory for a context of {shape.context} tokens: "
                "convert the model with a smaller one"
            ) from None

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        """Run one chunk; see `TokenGraph.run`."""
        if not self._handles:
            raise EngineError("the model is closed: load it again")
        chunk = self._chunks[signature]
        count = len(token_ids)
        calls = self._calls[signature]
        cache = self._caches.hold(position, position + count, calls)
        chunk.fill(token_ids, position)
        cache.show(position)
        call = calls[cache.slots]
        self._library.call(
            "LiteRtRunCompiledModel",
            self._compiled,
            ctypes.c_size_t(call.index),
            ctypes.c_size_t(len(call.inputs)),
            call.inputs,
            ctypes.c_size_t(len(call.outputs)),
            call.outputs,
        )
        cache.write(position, chunk.keys[:, :, :count], chunk.values[:, :, :count])
        return None if chunk.logits is None else chunk.logits[:count]

    def rows(self, length: int) -> Rows:
        """Return a copy of the first `length` slots; see `shared.SharedGraph`."""
        return self._caches.rows(length)

    def restore(self, rows: Rows) -> None:
        """Put a copy back."""
        self._caches.restore(rows)

    def clear(self) -> None:
        """Zero the caches."""
        for cache in self._caches:
            cache.clear()

    def close(self) -> None:
        """Give the model's memory back; the graph cannot run afterwards."""
        while self._handles:
            self._library.destroy(*self._handles.pop())

    def _own(self, kind: str, handle: ctypes.c_void_p) -> ctypes.c_void_p:
        self._handles.append((f"LiteRtDestroy{kind}", handle))
        return handle

    def _compile(self, model: Path, threads: int, weight_cache: Path | None) -> None:
        call, make = self._library.call, self._library.make
        path = os.fsencode(model)
        environment = _environment()
        with _quiet_stderr():
            self._model = self._own("Model", make("LiteRtCreateModelFromFile", environment, path))
        options = self._own("Options", make("LiteRtCreateOptions"))
        call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        settings = f"num_threads = {threads}\n"
        if weight_cache is not None:
            quotable = str(weight_cache).isprintable() and not {'"', "\\"} & set(str(weight_cache))
            settings += f'weight_cache_file_path = "{weight_cache if quotable else IN_MEMORY}"\n'
        payload, free = _c_string(settings)
        call(
            "LiteRtAddOpaqueOptions",
            options,
            make("LiteRtCreateOpaqueOptions", b"xnnpack", payload, free),
        )
        with _quiet_stderr():
            compiled = make("LiteRtCreateCompiledModel", environment, self._model, options)
        self._compiled = self._own("CompiledModel", compiled)

    def _allocate(self, shape: Shape, signatures: Sequence[str]) -> None:
        """Make caches and chunks, and bind every signature of the manifest to them."""
        split = {name: split_signature(name, shape.context) for name in signatures}
        lengths = {slots for slots, _ in split.values()}
        caches = [Cache(shape, slots) for slots in lengths]
        bound = {cache.slots: self._bind_cache(cache) for cache in caches}
        self._caches = Caches(caches)
        self._chunks = {chunk: _Chunk(shape, chunk) for _, chunk in split.values()}
        inputs = {name: self._bind_inputs(chunk) for name, chunk in self._chunks.items()}
        outputs = {name: self._bind_outputs(chunk) for name, chunk in self._chunks.items()}
        # By chunk, then by length of the cache: not every chunk exists for every length.
        self._calls: dict[str, dict[int, _Call]] = {chunk: {} for chunk in self._chunks}
        for index, (name, handle) in enumerate(self._model_signatures()):
            if name not in split:
                continue
            slots, chunk = split.pop(name)
            self._calls[chunk][slots] = _Call(
                index,
                self._in_order(handle, name, "Input", bound[slots] | inputs[chunk]),
                self._in_order(handle, name, "Output", outputs[chunk]),
            )
        if split:
            raise EngineError(f"signature {next(iter(split))} is missing")

    def _model_signatures(self) -> Iterator[tuple[str, ctypes.c_void_p]]:
        """Name and handle of each signature of the model."""
        count = ctypes.c_size_t()
        self._library.call("LiteRtGetNumModelSignatures", self._model, ctypes.byref(count))
        for index in range(count.value):
            handle = self._library.make(
                "LiteRtGetModelSignature", self._model, ctypes.c_size_t(index)
            )
            yield self._text("LiteRtGetSignatureKey", handle), handle

    def _bind_cache(self, cache: Cache) -> dict[str, ctypes.c_void_p]:
        buffers = {"mask": self._buffer(cache.mask[None, None, None])}
        for i in range(len(cache.keys)):
            buffers[f"kv_cache_k_{i}"] = self._buffer(cache.keys[i, None])
            buffers[f"kv_cache_v_{i}"] = self._buffer(cache.values[i, None])
        return buffers

    def _bind_inputs(self, chunk: _Chunk) -> dict[str, ctypes.c_void_p]:
        return {
            "tokens": self._buffer(chunk.tokens[None]),
            "input_pos": self._buffer(chunk.positions),
        }

    def _bind_outputs(self, chunk: _Chunk) -> dict[str, ctypes.c_void_p]:
        buffers = {}
        for i in range(len(chunk.keys)):
            buffers[f"kv_slice_k_{i}"] = self._buffer(chunk.keys[i, None])
            buffers[f"kv_slice_v_{i}"] = self._buffer(chunk.values[i, None])
        if chunk.logits is not None:
            buffers["logits"] = self._buffer(chunk.logits[None])
        return buffers

    def _in_order(
        self,
        handle: ctypes.c_void_p,
        signature: str,
        side: str,
        buffers: Mapping[str, ctypes.c_void_p],
    ) -> Any:
        """Return the buffers as the signature orders them; EngineError where one differs."""
        count = ctypes.c_size_t()
        self._library.call(f"LiteRtGetNumSignature{side}s", handle, ctypes.byref(count))
        indices = [ctypes.c_size_t(i) for i in range(count.value)]
        names = [self._text(f"LiteRtGetSignature{side}Name", handle, i) for i in indices]
        if sorted(names) != sorted(buffers):
            strange = sorted(set(names) ^ set(buffers))
            raise EngineError(
                f"{side.lower()}s of {signature} differ from the manifest: {strange[:2]}"
            )
        # The runtime does not compare: it would write past the end of a smaller array.
        for i, name in zip(indices, names, strict=True):
            tensor = self._library.make(f"LiteRtGetSignature{side}TensorByIndex", handle, i)
            found = self._tensor_type("LiteRtGetRankedTensorType", tensor)
            expected = self._tensor_type("LiteRtGetTensorBufferTensorType", buffers[name])
            if found != expected:
                raise EngineError(
                    f"{name} of {signature} has shape {_shown(found)}, "
                    f"the manifest promises {_shown(expected)}"
                )
        return (ctypes.c_void_p * len(names))(*(buffers[name].value for name in names))

    def _text(self, name: str, *arguments: Any) -> str:
        text = self._library.make(name, *arguments)
        return ctypes.string_at(text).decode(errors="replace") if text else ""

    def _tensor_type(self, name: str, handle: ctypes.c_void_p) -> tuple[int, tuple[int, ...]]:
        """Element type and dimensions, of a tensor or a buffer as `name` says."""
        found = _TensorType()
        self._library.call(name, handle, ctypes.byref(found))
        return found.element_type, tuple(found.dimensions[: found.rank & 0x7F])

    def _buffer(self, array: NDArray[Any]) -> ctypes.c_void_p:
        """Make a tensor buffer over an array's own memory."""
        tensor_type = _TensorType(_ELEMENT_TYPES[array.dtype.name], array.ndim)
        tensor_type.dimensions[: array.ndim] = array.shape
        return self._own(
            "TensorBuffer",
            self._library.make(
                "LiteRtCreateTensorBufferFromHostMemory",
                ctypes.byref(tensor_type),
                ctypes.c_void_p(array.ctypes.data),
                ctypes.c_size_t(array.nbytes),
                None,
            ),
        )


@dataclass(frozen=True)
class _Call:
    """A signature by its index, with tensor buffers in the order the model names them."""

    index: int
    inputs: Any
    outputs: Any


class _Chunk:
    """What one run of T tokens takes and gives, the same for every length of the cache."""

    def __init__(self, shape: Shape, signature: str) -> None:
        kind, _, width = signature.partition("_")
        tokens = int(width or 1)
        slices = (shape.layers, shape.kv_heads, tokens, shape.head_dim)
        self.tokens = aligned((tokens,), "int32")
        self.positions = aligned((tokens,), "int32")
        self.keys: Array = aligned(slices, shape.cache_dtype)
        self.values: Array = aligned(slices, shape.cache_dtype)
        self.logits: FloatArray | None = None
        if kind != "prefill":
            self.logits = aligned((tokens, shape.vocabulary), "float32")

    def fill(self, token_ids: Sequence[int], position: int) -> None:
        """Set tokens and positions; padding is token 0 at the last real position."""
        count = len(token_ids)
        self.tokens[:count] = token_ids
        self.tokens[count:] = 0
        self.positions[:count] = range(position, position + count)
        self.positions[count:] = position + count - 1


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep TFLite's own lines off the terminal: they know no log level. One caller at a time."""
    with _STDERR:
        try:
            kept = os.dup(2)
        except OSError:  # stderr is closed
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _shown(tensor_type: tuple[int, tuple[int, ...]]) -> str:
    """A tensor's dimensions, and its type by name."""
    kind, shape = tensor_type
    names = {number: name for name, number in _ELEMENT_TYPES.items()}
    return f"{list(shape)} of {names.get(kind, f'type {kind}')}"


def _c_string(text: str) -> tuple[ctypes.c_void_p, Any]:
    """Copy a string into memory that C may free, and return it with C's own `free`."""
    libc = ctypes.CDLL(None)
    libc.strdup.restype = ctypes.c_void_p
    return ctypes.c_void_p(libc.strdup(text.encode())), libc.free
