"""A model file with some of another's signatures, over the same weights.

A runtime that packs weights for every signature anew, as LiteRT's does in a browser, has
memory for one or two of them.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foreword.errors import BundleError
from foreword.graph.description import DESCRIPTION, GraphShape, describe
from foreword.graph.spec import DecoderSpec
from foreword.graph.stored import ASTRAY, contents, described, open_model
from foreword.graph.weights import Array
from foreword.graph.writer import Contents, write_model


def write_subset(
    source: Path, file: BinaryIO, prefill: Sequence[int], slots: int | None = None
) -> GraphShape:
    """Copy `decode` and the prefill chunks of these widths, over a cache of `slots`.

    Without, that is the whole context. Weights are copied byte by byte, one at a time, out of the
    mapped source. Returns the shape of what was written. Raises BundleError when the source is no
    model of Foreword's or lacks one of the signatures.
    """
    try:
        data, model = open_model(source)
        spec, found = described(data, model)
        shape = GraphShape(slots or found.context, tuple(prefill), verify=())
        kept, buffers = _select(data, model, spec, shape, found.context)
    except (OSError, *ASTRAY) as error:
        reason = " ".join(str(error).split())[:120]
        raise BundleError(
            f"{source}: expected a model made by Foreword, found {reason}: convert it again"
        ) from None
    size_bytes = sum(values.nbytes for values in buffers if values is not None)
    known: list[Contents] = [None if v is None else _giving(v) for v in buffers]
    write_model(file, kept, known, size_bytes, lambda done, total: None)
    return shape


def _select(
    data: mmap.mmap, model: Any, spec: DecoderSpec, shape: GraphShape, context: int
) -> tuple[Any, list[Array | None]]:
    """The tables that stay, a ModelT, and what its buffers hold."""
    by_name = {
        (model.SignatureDefs(i).SignatureKey() or b"").decode(): model.SignatureDefs(i)
        for i in range(model.SignatureDefsLength())
    }
    kept = schema.ModelT()
    kept.version, kept.description = model.Version(), model.Description()
    kept.operatorCodes = [
        schema.OperatorCodeT.InitFromObj(model.OperatorCodes(i))
        for i in range(model.OperatorCodesLength())
    ]
    operators = [code.builtinCode for code in kept.operatorCodes]
    kept.subgraphs, kept.signatureDefs = [], []
    buffers: list[Array | None] = [None]  # 0 is "no data"
    moved = {0: 0}
    for wanted in shape.signatures:
        if wanted.name not in by_name:
            raise ValueError(f"no signature {wanted.name}")
        signature = schema.SignatureDefT.InitFromObj(by_name[wanted.name])
        subgraph = schema.SubGraphT.InitFromObj(model.Subgraphs(signature.subgraphIndex))
        signature.subgraphIndex = len(kept.subgraphs)
        _lengthen(subgraph, signature, shape.context - context, operators)
        for tensor in subgraph.tensors:
            if tensor.buffer not in moved:
                moved[tensor.buffer] = len(buffers)
                buffers.append(_data(data, model, tensor.buffer))
            tensor.buffer = moved[tensor.buffer]
        kept.subgraphs.append(subgraph)
        kept.signatureDefs.append(signature)
    metadata = schema.MetadataT()
    metadata.name, metadata.buffer = DESCRIPTION, len(buffers)
    buffers.append(np.frombuffer(describe(spec, shape).encode(), np.uint8))
    kept.metadata = [metadata]
    return kept, buffers


def _lengthen(subgraph: Any, signature: Any, slots: int, operators: Sequence[int]) -> None:
    """Add so many slots to the cache, in the shape of every tensor that has them as an axis."""
    axes: dict[int, int] = {}  # of the slots, from the last on, by tensor
    for given in signature.inputs:
        name = given.name.decode()
        if name == "mask" or name.startswith("kv_cache_"):
            axes[given.tensorIndex] = -2 if name.startswith("kv_cache_k_") else -1
    for operator in subgraph.operators:
        found = [axes.get(index) for index in operator.inputs]
        match operators[operator.opcodeIndex]:
            case schema.BuiltinOperator.BATCH_MATMUL:
                axis = -1 if found[1] == -2 else None  # a @ b^T: the last axes vanish
            case schema.BuiltinOperator.SLICE:
                axis = None  # what is not of the cache
            case _:
                axis = next((axis for axis in found if axis is not None), None)
        if axis is not None:
            axes[operator.outputs[0]] = axis
    for index, axis in axes.items():
        shape = subgraph.tensors[index].shape.copy()
        shape[axis] += slots
        subgraph.tensors[index].shape = shape


def _data(data: mmap.mmap, model: Any, index: int) -> Array | None:
    values = contents(data, model, index)
    return values if values.size else None


def _giving(values: Array) -> Contents:
    return lambda: values
