"""The built-in operators the decoders use, with shapes worked out as they are added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foreword.graph.builder import Steps, SubgraphBuilder, Tensor
from foreword.graph.weights import Array, Shape


def _binary(g: SubgraphBuilder, name: str, options: object, a: Tensor, b: Tensor) -> Tensor:
    return g.operator(name, [a, b], np.broadcast_shapes(a.shape, b.shape), options=options)


def add(g: SubgraphBuilder, a: Tensor, b: Tensor) -> Tensor:
    """Return a + b, broadcast."""
    return _binary(g, "ADD", schema.AddOptionsT(), a, b)


def subtract(g: SubgraphBuilder, a: Tensor, b: Tensor) -> Tensor:
    """Return a - b, broadcast."""
    return _binary(g, "SUB", schema.SubOptionsT(), a, b)


def multiply(g: SubgraphBuilder, a: Tensor, b: Tensor) -> Tensor:
    """Return a * b, broadcast."""
    return _binary(g, "MUL", schema.MulOptionsT(), a, b)


def minimum(g: SubgraphBuilder, a: Tensor, b: Tensor) -> Tensor:
    """Return the smaller of a and b, broadcast."""
    return _binary(g, "MINIMUM", schema.MaximumMinimumOptionsT(), a, b)


def maximum(g: SubgraphBuilder, a: Tensor, b: Tensor) -> Tensor:
    """Return the larger of a and b, broadcast."""
    return _binary(g, "MAXIMUM", schema.MaximumMinimumOptionsT(), a, b)


def mean(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return the mean over the last axis, which is kept with size 1."""
    options = schema.ReducerOptionsT()
    options.keepDims = True
    axis = g.constant(np.array([len(x.shape) - 1], np.int32))
    return g.operator("MEAN", [x, axis], (*x.shape[:-1], 1), options=options)


def rsqrt(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return 1 / sqrt(x)."""
    return g.operator("RSQRT", [x], x.shape)


def relu(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return max(x, 0)."""
    return g.operator("RELU", [x], x.shape)


def tanh(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return the hyperbolic tangent of x."""
    return g.operator("TANH", [x], x.shape)


def logistic(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(-x))."""
    return g.operator("LOGISTIC", [x], x.shape)


def gelu(g: SubgraphBuilder, x: Tensor, approximate: bool) -> Tensor:
    """Return GELU (Hendrycks & Gimpel 2016), exact or by its tanh approximation."""
    options = schema.GeluOptionsT()
    options.approximate = approximate
    return g.operator("GELU", [x], x.shape, options=options)


def softmax(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return the softmax over the last axis."""
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return g.operator("SOFTMAX", [x], x.shape, options=options)


def reshape(g: SubgraphBuilder, x: Tensor, shape: Shape) -> Tensor:
    """Return x in another shape of the same size; nothing where the shape is the same."""
    if x.shape == shape:
        return x
    dimensions = g.constant(np.array(shape, np.int32))
    return g.operator("RESHAPE", [x, dimensions], shape)


def transpose(g: SubgraphBuilder, x: Tensor, order: Sequence[int]) -> Tensor:
    """Return x with its axes in the given order."""
    shape = tuple(x.shape[axis] for axis in order)
    permutation = g.constant(np.array(order, np.int32))
    return g.operator("TRANSPOSE", [x, permutation], shape, options=schema.TransposeOptionsT())


def concatenate(g: SubgraphBuilder, parts: Sequence[Tensor]) -> Tensor:
    """Return the parts joined along the last axis."""
    options = schema.ConcatenationOptionsT()
    options.axis = len(parts[0].shape) - 1
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    return g.operator("CONCATENATION", parts, shape, options=options)


def slice_last(g: SubgraphBuilder, x: Tensor, start: int, size: int) -> Tensor:
    """Return x[..., start:start + size]."""
    shape = (*x.shape[:-1], size)
    begin = g.constant(np.array([0] * (len(shape) - 1) + [start], np.int32))
    extent = g.constant(np.array(shape, np.int32))
    return g.operator("SLICE", [x, begin, extent], shape, options=schema.SliceOptionsT())


def rest_last(g: SubgraphBuilder, x: Tensor, start: int) -> Tensor:
    """Return x[..., start:], however long x is: XNNPACK fixes the size of a SLICE."""
    axes = len(x.shape)
    begin = g.constant(np.array([0] * (axes - 1) + [start], np.int32))
    end, strides = (g.constant(np.array(v, np.int32)) for v in (x.shape, [1] * axes))
    options = schema.StridedSliceOptionsT()
    options.endMask = (1 << axes) - 1
    shape = (*x.shape[:-1], x.shape[-1] - start)
    return g.operator("STRIDED_SLICE", [x, begin, end, strides], shape, options=options)


def count_last(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return 0, 1, 2, … along the last axis of x, which is finite, however long it is."""
    ones = add(g, multiply(g, x, constant(g, 0.0)), constant(g, 1.0))
    options = schema.CumsumOptionsT()
    options.exclusive = True
    axis = g.constant(np.array([len(x.shape) - 1], np.int32))
    return g.operator("CUMSUM", [ones, axis], x.shape, options=options)


def batch_matmul(g: SubgraphBuilder, a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b^T over the last two axes: XNNPACK packs a transposed right side faster."""
    options = schema.BatchMatMulOptionsT()
    options.adjY = True
    return g.operator("BATCH_MATMUL", [a, b], (*a.shape[:-1], b.shape[-2]), options=options)


def fully_connected(g: SubgraphBuilder, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x @ weight^T + bias; beside an int8 or int4 weight x is quantized on the fly."""
    quantized = weight.dtype in ("int8", "int4")
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = True
    options.asymmetricQuantizeInputs = quantized
    return g.operator(
        "FULLY_CONNECTED",
        [x, weight, bias],
        (*x.shape[:-1], weight.shape[0]),
        options=options,
        version=9 if quantized else 5,
    )


def static_fully_connected(
    g: SubgraphBuilder, x: Tensor, weight: Tensor, inputs: Steps, outputs: Steps
) -> Tensor:
    """Return x @ weight^T by an int8 product: x and the result rounded to steps known before."""
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = True
    shape = (*x.shape[:-1], weight.shape[0])
    operands = [quantize(g, x, inputs), weight, None]
    y = g.operator("FULLY_CONNECTED", operands, shape, "int8", options, 5, outputs)
    return dequantize(g, y)


def gather(g: SubgraphBuilder, table: Tensor, indices: Tensor) -> Tensor:
    """Return the rows of a table: shape indices.shape + table.shape[1:], type of the table."""
    return g.operator(
        "GATHER",
        [table, indices],
        (*indices.shape, *table.shape[1:]),
        table.dtype,
        schema.GatherOptionsT(),
        version=2 if table.dtype == "int8" else 1,
    )


def cast_float(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return x as float32."""
    options = schema.CastOptionsT()
    options.inDataType = getattr(schema.TensorType, x.dtype.upper())
    options.outDataType = schema.TensorType.FLOAT32
    return g.operator("CAST", [x], x.shape, options=options)


def quantize(g: SubgraphBuilder, x: Tensor, steps: Steps) -> Tensor:
    """Return x as int8, each to its nearest step."""
    return g.operator("QUANTIZE", [x], x.shape, "int8", schema.QuantizeOptionsT(), 1, steps)


def dequantize(g: SubgraphBuilder, x: Tensor) -> Tensor:
    """Return a float16 tensor, or an int8 one that has steps, as float32."""
    version = 3 if x.dtype == "float16" else 2
    options = schema.DequantizeOptionsT()
    return g.operator("DEQUANTIZE", [x], x.shape, options=options, version=version)


def constant(g: SubgraphBuilder, values: Array | float) -> Tensor:
    """Return a float32 constant."""
    return g.constant(np.asarray(values, np.float32))
