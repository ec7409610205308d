"""The flatbuffer of a model: data first, each at its place, then every table, equal ones once."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.builder import BuilderSizeError
from numpy.typing import NDArray

from foreword.errors import UnsupportedModelError
from foreword.graph.spec import FloatArray
from foreword.graph.weights import Array, Weight, Written

Contents = Callable[[], Array] | Weight | None
"""What a buffer holds: data that is asked for while the file is written, a weight, nothing."""

# Offsets inside a flatbuffer are 32-bit and signed in most readers.
_LARGEST_FILE_BYTES = (1 << 31) - 1
_TABLES_BYTES = 64 << 20  # room for all that is not data
_ALIGNMENT = 16  # force_align of Buffer.data in the schema


def write_model(
    file: BinaryIO,
    model: Any,
    buffers: Sequence[Contents],
    constants_bytes: int,
    progress: Callable[[int, int], None],
) -> None:
    """Encode every weight and write `model`, a ModelT without buffers.

    `constants_bytes` of the buffers are no weight's. `progress(done_bytes, total_bytes)`.
    Raises UnsupportedModelError when the file would pass the 2 GiB of a flatbuffer.
    """
    weights = [buffer for buffer in buffers if isinstance(buffer, Weight)]
    known = constants_bytes + sum(weight.size_bytes + weight.scales_bytes for weight in weights)
    if known > _LARGEST_FILE_BYTES:
        raise _too_large(known)
    builder = _builder(min(known + _TABLES_BYTES, _LARGEST_FILE_BYTES))
    try:
        model.buffers = _write_buffers(builder, buffers, progress)
        _share_tables(builder, model)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    except BuilderSizeError:  # what is not data passed the limit
        raise _too_large(known) from None
    if len(builder.Bytes) - builder.Head() > _LARGEST_FILE_BYTES:
        raise _too_large(known)
    file.write(memoryview(builder.Bytes)[builder.Head() :])


def _write_buffers(
    builder: flatbuffers.Builder,
    buffers: Sequence[Contents],
    progress: Callable[[int, int], None],
) -> list[Written]:
    quantizations = _Quantizations(builder)
    written: list[Written] = []
    total = sum(buffer.size_bytes for buffer in buffers if isinstance(buffer, Weight))
    done = 0
    for buffer in buffers:
        if not isinstance(buffer, Weight):
            written.append(_write_buffer(builder, buffer and buffer()))
            continue
        written.append(_write_weight(builder, buffer))
        if buffer.scales is not None and not buffer.block:
            buffer.quantization.offset = quantizations.write(buffer.scales)
        done += buffer.size_bytes
        progress(done, total)
    return written


def _share_tables(builder: flatbuffers.Builder, model: Any) -> None:
    """Write the tables of all subgraphs, equal ones once.

    Signatures differ in a few shapes: written apart, their tables take seven times as much.
    """
    made: dict[Any, Written] = {}

    def shared(table: Any) -> Written:
        key = _contents(table)
        if key not in made:
            made[key] = Written(table.Pack(builder))
        return made[key]

    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            operator.builtinOptions = operator.builtinOptions and shared(operator.builtinOptions)
        subgraph.tensors = [shared(table) for table in subgraph.tensors]
        subgraph.operators = [shared(table) for table in subgraph.operators]


def _contents(value: Any) -> Any:
    """Return what tells a table of the schema from all that are not equal to it."""
    if isinstance(value, np.ndarray):
        return value.dtype.char, value.shape, value.tobytes()
    if isinstance(value, list):
        return tuple(map(_contents, value))
    if hasattr(value, "__dict__"):
        return type(value), tuple(map(_contents, vars(value).values()))
    return value


def _too_large(known: int) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"the weights take {known / 2**30:.1f} GiB, a .tflite file holds 2 GiB with all else: "
        "choose a smaller recipe (int8, int4), context or model"
    )


def _builder(size: int) -> flatbuffers.Builder:
    """Return a builder with room for `size` bytes, which take memory only as they are written.

    Sized once: a flatbuffer that grows is copied, and peak memory doubles. And a bytearray,
    which the package makes, is filled with zeros at once.
    """
    builder = flatbuffers.Builder(0)
    builder.Bytes, builder.head = mmap.mmap(-1, size), size
    return builder


def _write_buffer(builder: flatbuffers.Builder, data: Array | None) -> Written:
    if data is None:
        return _end_buffer(builder, None)
    raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    _start_vector(builder, raw.size)[:] = raw
    return _end_buffer(builder, builder.EndVector())


def _write_weight(builder: flatbuffers.Builder, weight: Weight) -> Written:
    out: Array = _start_vector(builder, weight.size_bytes)
    if weight.dtype != "int4":
        out = out.view(weight.dtype).reshape(weight.shape)
    weight.scales = weight.produce(out)
    found = None if weight.scales is None else weight.scales.shape
    if found != weight.scales_shape:
        raise TypeError(f"encoder gave scales of shape {found} for {weight}")
    return _end_buffer(builder, builder.EndVector())


def _start_vector(builder: flatbuffers.Builder, size: int) -> NDArray[np.uint8]:
    """Start a vector of bytes and return its place in the file, which is still empty."""
    builder.StartVector(1, size, _ALIGNMENT)
    builder.head = builder.Head() - size
    return np.frombuffer(builder.Bytes, np.uint8)[builder.Head() : builder.Head() + size]


def _end_buffer(builder: flatbuffers.Builder, vector: int | None) -> Written:
    schema.BufferStart(builder)
    if vector is not None:
        schema.BufferAddData(builder, vector)
    return Written(schema.BufferEnd(builder))


class _Quantizations:
    """Writes each weight's scales once: repeated in every signature they add a tenth."""

    def __init__(self, builder: flatbuffers.Builder) -> None:
        self._builder = builder
        self._zeros: dict[int, int] = {}  # vectors of zero points, by length

    def write(self, scales: FloatArray) -> int:
        builder, count = self._builder, scales.size
        if count not in self._zeros:
            self._zeros[count] = builder.CreateNumpyVector(np.zeros(count, np.int64))
        vector = builder.CreateNumpyVector(scales)
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, vector)
        schema.QuantizationParametersAddZeroPoint(builder, self._zeros[count])
        schema.QuantizationParametersAddQuantizedDimension(builder, 0)
        return int(schema.QuantizationParametersEnd(builder))
