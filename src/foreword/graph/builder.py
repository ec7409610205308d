"""A small typed builder over the TFLite schema: tensors, operators, signatures, one file.

The file is assembled in memory. Weights are encoded one at a time straight into their
place in it, so that peak memory is the size of the file plus one weight as it is read.
The schema and the meaning of every operator are those of
`tensorflow/lite/schema/schema.fbs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foreword.graph.spec import FloatArray
from foreword.graph.weights import Array, DType, Shape, Weight, Written
from foreword.graph.writer import Contents, write_model


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


class ModelBuilder:
    """Collects subgraphs and weights, then writes one `.tflite` file."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._buffers: list[Contents] = [None]  # 0 is "no data"
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
        weight = Weight(name, shape, dtype, produce, len(self._buffers) - 1, Written(), block)
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
        model = schema.ModelT()
        model.version = 3
        model.description = self._description
        model.operatorCodes = [_code_table(*key) for key in self._codes]
        model.subgraphs = [subgraph.table for subgraph in self._subgraphs]
        model.metadata = [_metadata_table(*item) for item in self._metadata.items()]
        model.signatureDefs = [
            subgraph.signature(index) for index, subgraph in enumerate(self._subgraphs)
        ]
        constants = sum(len(data) for _, _, data in self._constants)
        write_model(file, model, self._buffers, constants, progress or (lambda done, total: None))


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

    def tensor(
        self,
        shape: Shape,
        dtype: DType,
        buffer: int = 0,
        name: str = "",
        steps: Steps | None = None,
    ) -> Tensor:
        """Add a tensor; `buffer` 0 means that it is computed. `steps` are those of an int8 one."""
        table = schema.TensorT()
        table.shape, table.buffer = np.array(shape, np.int32), buffer
        table.type = getattr(schema.TensorType, dtype.upper())
        table.name = name or None
        table.hasRank = True
        if steps is not None:
            table.quantization = schema.QuantizationParametersT()
            table.quantization.scale = [steps.scale]
            table.quantization.zeroPoint = [steps.zero_point]
        self.table.tensors.append(table)
        return Tensor(len(self.table.tensors) - 1, shape, dtype)

    def input(self, name: str, shape: Shape, dtype: DType, steps: Steps | None = None) -> Tensor:
        """Add a named input of the signature; `steps` are those of an int8 one."""
        tensor = self.tensor(shape, dtype, name=f"{self._name}_{name}", steps=steps)
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
        result = self.tensor(shape, dtype, steps=steps)
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
