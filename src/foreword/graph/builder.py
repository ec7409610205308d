"""A small typed builder over the TFLite schema: tensors, operators, signatures, one file.

The file is assembled in memory. Weights are encoded one at a time straight into their
place in it, so that peak memory is the size of the file plus one weight as it is read.
The schema and the meaning of every operator are those of
`tensorflow/lite/schema/schema.fbs`.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, Protocol

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.builder import BuilderSizeError
from numpy.typing import NDArray

from foreword.errors import UnsupportedModelError
from foreword.graph.spec import FloatArray

DType = Literal["float32", "float16", "int8", "int4", "int32"]
Array = NDArray[Any]
Shape = tuple[int, ...]

_BITS: dict[DType, int] = {"float32": 32, "float16": 16, "int8": 8, "int4": 4, "int32": 32}
_TYPE = {name: getattr(schema.TensorType, name.upper()) for name in _BITS}
# Offsets inside a flatbuffer are 32-bit and signed in most readers.
_LARGEST_FILE_BYTES = (1 << 31) - 1
_TABLES_BYTES = 64 << 20  # room for all that is not data
_ALIGNMENT = 16  # force_align of Buffer.data in the schema


class WeightEncoder(Protocol):
    """How a recipe stores weights; the graph knows no recipe, only this."""

    def dtype(self, name: str, shape: Shape) -> DType:
        """Return the type a weight will be stored in."""
        ...

    def block(self, name: str, shape: Shape) -> int:
        """Return how many columns of an int4 weight share a scale; 0: all of a row."""
        ...

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        """Write the stored form of a weight to `out` and return its scales, if it has any.

        `out` has the weight's shape and type; for int4 it is uint8, flat, two elements a
        byte. int8 and int4 are symmetric, with float32 scales of shape [rows], or where a
        block has one, [rows, blocks], which are stored as float16.
        """
        ...


@dataclass(frozen=True)
class Tensor:
    """A tensor of one subgraph."""

    index: int
    shape: Shape
    dtype: DType


@dataclass(frozen=True)
class Steps:
    """What an int8 activation q stands for: (q - `zero_point`) * `scale`."""

    scale: float
    zero_point: int


@dataclass
class _Written:
    """A flatbuffer table that is in the file by now; packing it again is naming its offset."""

    offset: int = 0

    def Pack(self, _: flatbuffers.Builder) -> int:  # noqa: N802 - the schema's own name
        return self.offset


@dataclass
class Weight:
    """A weight of the whole file, shared by every subgraph that asks for it.

    `produce` writes the stored form to the array it is given, as `WeightEncoder.encode` does.
    """

    name: str
    shape: Shape
    dtype: DType
    produce: Callable[[Array], FloatArray | None]
    buffer: int
    quantization: _Written
    block: int = 0
    scales: FloatArray | None = None
    scales_buffer: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes its data takes in the file."""
        return (math.prod(self.shape) * _BITS[self.dtype] + 7) // 8

    @property
    def quantized(self) -> bool:
        """Whether rows have scales."""
        return self.dtype in ("int8", "int4")

    @property
    def scales_bytes(self) -> int:
        """Bytes its scales take in the file."""
        return (2 if self.block else 4) * math.prod(self.scales_shape or (0,))

    @property
    def scales_shape(self) -> Shape | None:
        """The shape of its scales, None where it has none."""
        if not self.quantized:
            return None
        rows = self.shape[0]
        return (rows, self.shape[1] // self.block) if self.block else (rows,)


class ModelBuilder:
    """Collects subgraphs and weights, then writes one `.tflite` file."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._buffers: list[Callable[[], Array] | Weight | None] = [None]  # 0 is "no data"
        self._constants: dict[tuple[str, Shape, bytes], int] = {}
        self._codes: dict[tuple[int, int], int] = {}
        self._subgraphs: list[SubgraphBuilder] = []
        self._metadata: dict[str, int] = {}

    def weight(
        self,
        name: str,
        shape: Shape,
        dtype: DType,
        produce: Callable[[Array], FloatArray | None],
        block: int = 0,
    ) -> Weight:
        """Declare a weight; `produce` (see `Weight`) runs once, while the file is written."""
        self._buffers.append(None)
        weight = Weight(name, shape, dtype, produce, len(self._buffers) - 1, _Written(), block)
        self._buffers[-1] = weight
        if block:
            weight.scales_buffer = self.deferred(lambda: np.asarray(weight.scales, np.float16))
        return weight

    def deferred(self, produce: Callable[[], Array]) -> int:
        """Declare a buffer that is known only after the weights declared before it."""
        self._buffers.append(produce)
        return len(self._buffers) - 1

    def constant(self, values: Array) -> int:
        """Return the buffer of a small constant; equal constants share one."""
        key = (str(values.dtype), values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = self.deferred(lambda: values)
        return self._constants[key]

    def metadata(self, name: str, text: str) -> None:
        """Add a text to the file, under a name; the runtime passes over it."""
        data = np.frombuffer(text.encode(), np.uint8)
        self._metadata[name] = self.deferred(lambda: data)

    def subgraph(self, name: str) -> SubgraphBuilder:
        """Start the subgraph of the signature `name`."""
        subgraph = SubgraphBuilder(self, name)
        self._subgraphs.append(subgraph)
        return subgraph

    def operator_code(self, code: int, version: int) -> int:
        """Index of a built-in operator in the file's table of operators."""
        return self._codes.setdefault((code, version), len(self._codes))

    def write(self, file: BinaryIO, progress: Callable[[int, int], None] | None = None) -> None:
        """Encode every weight and write the model; `progress(done_bytes, total_bytes)`.

        Raises UnsupportedModelError when the file would pass the 2 GiB of a flatbuffer.
        """
        weights = [buffer for buffer in self._buffers if isinstance(buffer, Weight)]
        known = sum(weight.size_bytes + weight.scales_bytes for weight in weights)
        known += sum(len(data) for _, _, data in self._constants)
        if known > _LARGEST_FILE_BYTES:
            raise _too_large(known)
        try:
            self._write(file, known, progress or (lambda done, total: None))
        except BuilderSizeError:  # what is not data passed the limit
            raise _too_large(known) from None

    def _write(self, file: BinaryIO, known: int, progress: Callable[[int, int], None]) -> None:
        builder = _builder(min(known + _TABLES_BYTES, _LARGEST_FILE_BYTES))
        quantizations = _Quantizations(builder)
        written: list[_Written] = []
        total = sum(b.size_bytes for b in self._buffers if isinstance(b, Weight))
        done = 0
        for buffer in self._buffers:
            if not isinstance(buffer, Weight):
                written.append(_write_buffer(builder, buffer and buffer()))
                continue
            written.append(_write_weight(builder, buffer))
            if buffer.scales is not None and not buffer.block:
                buffer.quantization.offset = quantizations.write(buffer.scales)
            done += buffer.size_bytes
            progress(done, total)
        model = schema.ModelT()
        model.version = 3
        model.description = self._description
        model.operatorCodes = [_code_table(*key) for key in self._codes]
        model.subgraphs = [subgraph.table for subgraph in self._subgraphs]
        model.buffers = written
        model.metadata = [_metadata_table(*item) for item in self._metadata.items()]
        model.signatureDefs = [
            subgraph.signature(index) for index, subgraph in enumerate(self._subgraphs)
        ]
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        if len(builder.Bytes) - builder.Head() > _LARGEST_FILE_BYTES:
            raise _too_large(known)
        file.write(memoryview(builder.Bytes)[builder.Head() :])


def _code_table(code: int, version: int) -> Any:
    table = schema.OperatorCodeT()
    table.builtinCode, table.version = code, version
    # Readers older than schema 3a look here, and take the larger of the two.
    table.deprecatedBuiltinCode = min(code, 127)
    return table


def _metadata_table(name: str, buffer: int) -> Any:
    table = schema.MetadataT()
    table.name, table.buffer = name, buffer
    return table


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


def _write_buffer(builder: flatbuffers.Builder, data: Array | None) -> _Written:
    if data is None:
        return _end_buffer(builder, None)
    raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    _start_vector(builder, raw.size)[:] = raw
    return _end_buffer(builder, builder.EndVector())


def _write_weight(builder: flatbuffers.Builder, weight: Weight) -> _Written:
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


def _end_buffer(builder: flatbuffers.Builder, vector: int | None) -> _Written:
    schema.BufferStart(builder)
    if vector is not None:
        schema.BufferAddData(builder, vector)
    return _Written(schema.BufferEnd(builder))


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


class SubgraphBuilder:
    """One signature: tensors, operators in order of execution, named inputs and outputs."""

    def __init__(self, model: ModelBuilder, name: str) -> None:
        self.model = model
        self._name = name
        self._inputs: dict[str, int] = {}
        self._outputs: dict[str, int] = {}
        self._shared: dict[int, Tensor] = {}
        self.table = schema.SubGraphT()
        self.table.name = name
        self.table.tensors = []
        self.table.operators = []

    def tensor(self, shape: Shape, dtype: DType, buffer: int = 0, name: str = "") -> Tensor:
        """Add a tensor; `buffer` 0 means that it is computed."""
        table = schema.TensorT()
        table.shape, table.type, table.buffer = np.array(shape, np.int32), _TYPE[dtype], buffer
        table.name = name or f"t{len(self.table.tensors)}"
        table.hasRank = True
        self.table.tensors.append(table)
        return Tensor(len(self.table.tensors) - 1, shape, dtype)

    def input(self, name: str, shape: Shape, dtype: DType) -> Tensor:
        """Add a named input of the signature."""
        tensor = self.tensor(shape, dtype, name=f"{self._name}_{name}")
        self._inputs[name] = tensor.index
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Name a tensor as an output of the signature."""
        self.table.tensors[tensor.index].name = f"{self._name}_{name}"
        self._outputs[name] = tensor.index

    def constant(self, values: Array) -> Tensor:
        """Return a constant of this subgraph; its buffer is shared over the file."""
        buffer = self.model.constant(values)
        if buffer not in self._shared:
            dtype: Any = values.dtype.name
            self._shared[buffer] = self.tensor(values.shape, dtype, buffer)
        return self._shared[buffer]

    def weight(self, weight: Weight, quantized: bool = True) -> Tensor:
        """Return a weight as a tensor; `quantized=False` gives the raw int8 for GATHER."""
        tensor = self.tensor(weight.shape, weight.dtype, weight.buffer, weight.name)
        if weight.quantized and quantized:
            table = self.table.tensors[tensor.index]
            table.quantization = self._blocks(weight) if weight.block else weight.quantization
        return tensor

    def _blocks(self, weight: Weight) -> Any:
        """Quantization by blocks, whose scales are a tensor of their own."""
        assert weight.scales_shape is not None
        details = schema.BlockwiseQuantizationT()
        details.scales = self.tensor(weight.scales_shape, "float16", weight.scales_buffer).index
        details.zeroPoints, details.blockSize = -1, weight.block
        quantization = schema.QuantizationParametersT()
        quantization.details = details
        quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        return quantization

    def operator(
        self,
        name: str,
        inputs: Sequence[Tensor | None],
        shape: Shape,
        dtype: DType = "float32",
        options: Any = None,
        version: int = 1,
        steps: Steps | None = None,
    ) -> Tensor:
        """Append the built-in operator `name` and return its output of the given shape.

        `steps` are those of an int8 output.
        """
        result = self.tensor(shape, dtype)
        if steps is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale, quantization.zeroPoint = [steps.scale], [steps.zero_point]
            self.table.tensors[result.index].quantization = quantization
        table = schema.OperatorT()
        code = getattr(schema.BuiltinOperator, name)
        table.opcodeIndex = self.model.operator_code(code, version)
        table.inputs = np.array([-1 if t is None else t.index for t in inputs], np.int32)
        table.outputs = np.array([result.index], np.int32)
        if options is not None:
            table.builtinOptions = options
            table.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
        self.table.operators.append(table)
        return result

    def signature(self, index: int) -> Any:
        """Close the subgraph, which is number `index` of the file, and return its signature."""
        self.table.inputs = np.array(list(self._inputs.values()), np.int32)
        self.table.outputs = np.array(list(self._outputs.values()), np.int32)
        table = schema.SignatureDefT()
        table.signatureKey, table.subgraphIndex = self._name, index
        table.inputs = [_tensor_map(*item) for item in self._inputs.items()]
        table.outputs = [_tensor_map(*item) for item in self._outputs.items()]
        return table


def _tensor_map(name: str, index: int) -> Any:
    table = schema.TensorMapT()
    table.name, table.tensorIndex = name, index
    return table
