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
    """Copy `decode` and the prefill chunks of these widths, over the whole context.

    Where `slots` is given they are those over the cache of that length, which is the context of
    what is written. Weights are copied byte by byte, one at a time, out of the mapped source.
    Returns the shape of what was written. Raises BundleError when the source is no model of
    Foreword's or lacks one of the signatures.
    """
    try:
        data, model = open_model(source)
        spec, found = described(data, model)
        shape = GraphShape(slots or found.context, tuple(prefill), verify=())
        prefix = "" if shape.context == found.context else f"s{shape.context}_"
        kept, buffers = _select(data, model, spec, shape, prefix)
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
    data: mmap.mmap, model: Any, spec: DecoderSpec, shape: GraphShape, prefix: str
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
    kept.subgraphs, kept.signatureDefs = [], []
    buffers: list[Array | None] = [None]  # 0 is "no data"
    moved = {0: 0}
    for wanted in shape.signatures:
        name = prefix + wanted.name
        if name not in by_name:
            raise ValueError(f"no signature {name}")
        signature = schema.SignatureDefT.InitFromObj(by_name[name])
        signature.signatureKey = wanted.name
        subgraph = schema.SubGraphT.InitFromObj(model.Subgraphs(signature.subgraphIndex))
        signature.subgraphIndex = len(kept.subgraphs)
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


def _data(data: mmap.mmap, model: Any, index: int) -> Array | None:
    values = contents(data, model, index)
    return values if values.size else None


def _giving(values: Array) -> Contents:
    return lambda: values
