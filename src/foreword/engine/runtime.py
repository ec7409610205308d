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
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foreword.bundle.manifest import Shape
from foreword.errors import EngineError

RUNTIME_VERSION = "2.3.0"  # the ABI below was tested with this version only

FloatArray = NDArray[np.float32]
HIDDEN = -1e4  # the graph contract's mask value for a slot that may not be attended
IN_MEMORY = Path(":memory")  # XNNPACK's name for a weight cache that is no file

_ALIGNMENT = 64  # LITERT_HOST_MEMORY_BUFFER_ALIGNMENT
_MAX_RANK = 8
_CPU = 1  # kLiteRtHwAcceleratorCpu
_SILENT = 4  # kLiteRtLogSeveritySilent
_INT = 2  # kLiteRtAnyTypeInt
_ELEMENT_TYPES = {"float32": 1, "int32": 2}
_AUTO_REGISTER_ACCELERATORS, _MIN_LOGGER_SEVERITY = 24, 25  # LiteRtEnvOptionTag
_STDERR = threading.Lock()


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
        self.context = shape.context
        self.widths: Mapping[str, tuple[int, ...]] = widths_by_kind(signatures)
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
        buffers = self._signatures[signature]
        count = len(token_ids)
        end = position + count
        buffers.tokens[:count] = token_ids
        buffers.tokens[count:] = 0
        buffers.positions[:count] = range(position, end)
        buffers.positions[count:] = end - 1
        self._mask[:position] = 0
        self._mask[position:] = HIDDEN
        self._library.call(
            "LiteRtRunCompiledModel",
            self._compiled,
            ctypes.c_size_t(buffers.index),
            ctypes.c_size_t(len(buffers.inputs)),
            buffers.inputs,
            ctypes.c_size_t(len(buffers.outputs)),
            buffers.outputs,
        )
        self._keys[:, :, position:end] = buffers.keys[:, :, :count]
        self._values[:, :, :, position:end] = buffers.values[:, :, :count].swapaxes(2, 3)
        return None if buffers.logits is None else buffers.logits[:count]

    def clear(self) -> None:
        """Zero the caches."""
        self._keys[:] = 0
        self._values[:] = 0

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
        layers, heads, size = shape.layers, shape.kv_heads, shape.head_dim
        self._mask = aligned((shape.context,), "float32")
        self._keys = aligned((layers, heads, shape.context, size), "float32")
        self._values = aligned((layers, heads, size, shape.context), "float32")
        shared = {"mask": self._buffer(self._mask[None, None, None])}
        for i in range(layers):
            shared[f"kv_cache_k_{i}"] = self._buffer(self._keys[i, None])
            shared[f"kv_cache_v_{i}"] = self._buffer(self._values[i, None])
        self._signatures: dict[str, _Buffers] = {}
        count = ctypes.c_size_t()
        self._library.call("LiteRtGetNumModelSignatures", self._model, ctypes.byref(count))
        for index in range(count.value):
            handle = self._library.make(
                "LiteRtGetModelSignature", self._model, ctypes.c_size_t(index)
            )
            name = self._text("LiteRtGetSignatureKey", handle)
            if name in signatures:
                self._signatures[name] = _Buffers(self, handle, index, name, shape, shared)
        missing = sorted(set(signatures) - set(self._signatures))
        if missing:
            raise EngineError(f"signature {missing[0]} is missing")

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


class _Buffers:
    """The arrays and tensor buffers of one signature, in the order the model names them."""

    def __init__(
        self,
        graph: LiteRtGraph,
        handle: ctypes.c_void_p,
        index: int,
        name: str,
        shape: Shape,
        shared: Mapping[str, ctypes.c_void_p],
    ) -> None:
        self.index = index
        kind, _, width = name.partition("_")
        tokens = int(width or 1)
        self.tokens = aligned((tokens,), "int32")
        self.positions = aligned((tokens,), "int32")
        self.keys = aligned((shape.layers, shape.kv_heads, tokens, shape.head_dim), "float32")
        self.values = aligned((shape.layers, shape.kv_heads, tokens, shape.head_dim), "float32")
        self.logits: FloatArray | None = None
        inputs = dict(shared)
        inputs["tokens"] = graph._buffer(self.tokens[None])
        inputs["input_pos"] = graph._buffer(self.positions)
        outputs: dict[str, ctypes.c_void_p] = {}
        for i in range(shape.layers):
            outputs[f"kv_slice_k_{i}"] = graph._buffer(self.keys[i, None])
            outputs[f"kv_slice_v_{i}"] = graph._buffer(self.values[i, None])
        if kind != "prefill":
            self.logits = aligned((tokens, shape.vocabulary), "float32")
            outputs["logits"] = graph._buffer(self.logits[None])
        self.inputs = self._in_order(graph, handle, name, "Input", inputs)
        self.outputs = self._in_order(graph, handle, name, "Output", outputs)

    @staticmethod
    def _in_order(
        graph: LiteRtGraph,
        handle: ctypes.c_void_p,
        signature: str,
        side: str,
        buffers: Mapping[str, ctypes.c_void_p],
    ) -> Any:
        count = ctypes.c_size_t()
        graph._library.call(f"LiteRtGetNumSignature{side}s", handle, ctypes.byref(count))
        indices = [ctypes.c_size_t(i) for i in range(count.value)]
        names = [graph._text(f"LiteRtGetSignature{side}Name", handle, i) for i in indices]
        if sorted(names) != sorted(buffers):
            strange = sorted(set(names) ^ set(buffers))
            raise EngineError(
                f"{side.lower()}s of {signature} differ from the manifest: {strange[:2]}"
            )
        # The runtime does not compare: it would write past the end of a smaller array.
        for i, name in zip(indices, names, strict=True):
            tensor = graph._library.make(f"LiteRtGetSignature{side}TensorByIndex", handle, i)
            found = graph._tensor_type("LiteRtGetRankedTensorType", tensor)
            expected = graph._tensor_type("LiteRtGetTensorBufferTensorType", buffers[name])
            if found != expected:
                raise EngineError(
                    f"{name} of {signature} has shape {list(found[1])}, "
                    f"the manifest promises {list(expected[1])}"
                )
        return (ctypes.c_void_p * len(names))(*(buffers[name].value for name in names))


def aligned(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return a zeroed array whose first axis steps over blocks the runtime may bind apart.

    Every block starts at a multiple of 64 bytes, so that `array[i]` can be a tensor buffer.
    """
    itemsize = np.dtype(dtype).itemsize
    strides = [itemsize]
    for extent in reversed(shape[1:]):
        strides.insert(0, strides[0] * extent)
    if len(shape) > 2:
        strides[0] = -(-strides[0] // _ALIGNMENT) * _ALIGNMENT
    memory = np.zeros(strides[0] * shape[0] + _ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % _ALIGNMENT
    return np.ndarray(shape, dtype, memory.data, offset, strides)


def widths_by_kind(signatures: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Chunk widths of each kind of signature, ascending: {"decode": (1,), "prefill": (8, …)}."""
    widths: dict[str, tuple[int, ...]] = {"decode": (), "prefill": (), "verify": ()}
    for name in signatures:
        kind, _, width = name.partition("_")
        widths[kind] = tuple(sorted((*widths.get(kind, ()), int(width or 1))))
    return widths


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


def _c_string(text: str) -> tuple[ctypes.c_void_p, Any]:
    """Copy a string into memory that C may free, and return it with C's own `free`."""
    libc = ctypes.CDLL(None)
    libc.strdup.restype = ctypes.c_void_p
    return ctypes.c_void_p(libc.strdup(text.encode())), libc.free
