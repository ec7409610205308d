"""The only file that touches LiteRT: models, compiled, over memory that NumPy owns.

It speaks the C interface of the wheel's own `libLiteRt.so`. The Python wrapper of
ai-edge-litert copies every tensor in and out and logs to stderr; here they are NumPy arrays
that the runtime reads and writes in place. Structures and functions are those of the headers
`litert/c/*.h` at the pinned version.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

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


def load_runtime() -> None:
    """Load LiteRT, which whatever needs it does by itself; raises EngineError where it is not."""
    _environment()


@dataclass(frozen=True)
class Tensor:
    """Element type, by LiteRT's number, and dimensions."""

    element_type: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Return the tensor of a NumPy array; `dtype` is float32, int32 or int8."""
        return cls(_ELEMENT_TYPES[dtype], shape)

    def __str__(self) -> str:
        names = {number: name for name, number in _ELEMENT_TYPES.items()}
        kind = names.get(self.element_type, f"type {self.element_type}")
        return f"{list(self.shape)} of {kind}"


@dataclass(frozen=True)
class Signature:
    """A signature of a model: its number, and its tensors by name in the order of the model."""

    index: int
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


class Model:
    """A model file, and what is compiled of it. Raises EngineError where LiteRT fails."""

    def __init__(self, path: Path) -> None:
        self._library = _library()
        self._handles: list[tuple[str, ctypes.c_void_p]] = []
        with _quiet_stderr():
            model = self._library.make(
                "LiteRtCreateModelFromFile", _environment(), os.fsencode(path)
            )
        self._model = self._own("Model", model)

    def close(self) -> None:
        """Give all memory back; what was compiled is to be closed before."""
        while self._handles:
            self._library.destroy(*self._handles.pop())

    def signatures(self) -> dict[str, Signature]:
        """Return the signatures by name."""
        count = ctypes.c_size_t()
        self._library.call("LiteRtGetNumModelSignatures", self._model, ctypes.byref(count))
        found = {}
        for index in range(count.value):
            handle = self._library.make(
                "LiteRtGetModelSignature", self._model, ctypes.c_size_t(index)
            )
            name = self._text("LiteRtGetSignatureKey", handle)
            sides = (self._tensors(handle, side) for side in ("Input", "Output"))
            found[name] = Signature(index, *sides)
        return found

    def compiled(self, threads: int, weight_cache: Path | None) -> Compiled:
        """Compile for the CPU; `weight_cache` is where XNNPACK keeps packed weights.

        A file or IN_MEMORY: all signatures then share them; without, each packs its own copy.
        """
        call, make = self._library.call, self._library.make
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
            handle = make("LiteRtCreateCompiledModel", _environment(), self._model, options)
        return Compiled(self._library, handle)

    def _own(self, kind: str, handle: ctypes.c_void_p) -> ctypes.c_void_p:
        self._handles.append((f"LiteRtDestroy{kind}", handle))
        return handle

    def _tensors(self, signature: ctypes.c_void_p, side: str) -> dict[str, Tensor]:
        count = ctypes.c_size_t()
        self._library.call(f"LiteRtGetNumSignature{side}s", signature, ctypes.byref(count))
        found = {}
        for i in map(ctypes.c_size_t, range(count.value)):
            name = self._text(f"LiteRtGetSignature{side}Name", signature, i)
            tensor = self._library.make(f"LiteRtGetSignature{side}TensorByIndex", signature, i)
            type_ = _TensorType()
            self._library.call("LiteRtGetRankedTensorType", tensor, ctypes.byref(type_))
            shape = tuple(type_.dimensions[: type_.rank & 0x7F])
            found[name] = Tensor(type_.element_type, shape)
        return found

    def _text(self, name: str, *arguments: Any) -> str:
        text = self._library.make(name, *arguments)
        return ctypes.string_at(text).decode(errors="replace") if text else ""


class Buffers:
    """Tensor buffers over the memory of arrays, by the names of tensors."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._library = _library()
        self._arrays = arrays  # kept alive
        self.shapes = {name: array.shape for name, array in arrays.items()}
        self.handles: dict[str, ctypes.c_void_p] = {}
        for name, array in arrays.items():
            type_ = _TensorType(_ELEMENT_TYPES[array.dtype.name], array.ndim)
            type_.dimensions[: array.ndim] = array.shape
            self.handles[name] = self._library.make(
                "LiteRtCreateTensorBufferFromHostMemory",
                ctypes.byref(type_),
                ctypes.c_void_p(array.ctypes.data),
                ctypes.c_size_t(array.nbytes),
                None,
            )

    def close(self) -> None:
        """Give the buffers back; the arrays are their owner's."""
        while self.handles:
            _, handle = self.handles.popitem()
            self._library.destroy("LiteRtDestroyTensorBuffer", handle)


class Bound:
    """Buffers in the order in which a signature names its tensors."""

    def __init__(self, tensors: Mapping[str, Tensor], *buffers: Buffers) -> None:
        handles = {name: handle for some in buffers for name, handle in some.handles.items()}
        self.count = ctypes.c_size_t(len(tensors))
        self.handles = (ctypes.c_void_p * len(tensors))(*(handles[n].value for n in tensors))


class Compiled:
    """A model compiled for a number of threads."""

    def __init__(self, library: _Library, handle: ctypes.c_void_p) -> None:
        self._library, self._handle = library, handle
        self._shapes: dict[int, Mapping[str, tuple[int, ...]]] = {}

    def close(self) -> None:
        """Give its memory back."""
        self._library.destroy("LiteRtDestroyCompiledModel", self._handle)

    def resize(self, signature: Signature, buffers: Buffers) -> None:
        """Give inputs of a signature the shapes of these buffers, if it has others."""
        before = self._shapes.get(signature.index)
        if before is buffers.shapes:
            return
        self._shapes[signature.index] = buffers.shapes
        for i, (name, tensor) in enumerate(signature.inputs.items()):
            shape = buffers.shapes.get(name)
            if shape is not None and shape != (tensor.shape if before is None else before[name]):
                self._library.call(
                    "LiteRtCompiledModelResizeInputTensorNonStrict",
                    self._handle,
                    ctypes.c_size_t(signature.index),
                    ctypes.c_size_t(i),
                    (ctypes.c_int * len(shape))(*shape),
                    ctypes.c_size_t(len(shape)),
                )

    def run(self, signature: Signature, inputs: Bound, outputs: Bound) -> None:
        """Run a signature; whoever calls sees to it that shapes agree: the runtime does not."""
        self._library.call(
            "LiteRtRunCompiledModel",
            self._handle,
            ctypes.c_size_t(signature.index),
            inputs.count,
            inputs.handles,
            outputs.count,
            outputs.handles,
        )


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


def trim_memory() -> None:
    """Give memory that is free back to the system, where its allocator can (glibc)."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _c_string(text: str) -> tuple[ctypes.c_void_p, Any]:
    """Copy a string into memory that C may free, and return it with C's own `free`."""
    libc = ctypes.CDLL(None)
    libc.strdup.restype = ctypes.c_void_p
    return ctypes.c_void_p(libc.strdup(text.encode())), libc.free
