"""A float model file read back as the decoder it was built from, for quantizing."""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from foreword.errors import BundleError
from foreword.graph.description import DESCRIPTION, GraphShape, read_description
from foreword.graph.spec import Decoder, DecoderSpec, FloatArray, weight_shapes

_FLOATS = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
_MOST_BUFFERS = 1 << 20
# What the generated reader raises for offsets that lead astray.
ASTRAY = (ValueError, IndexError, TypeError, AttributeError, KeyError, struct.error, OverflowError)


@dataclass(frozen=True)
class StoredModel:
    """A decoder as a float model file holds it, and the signatures the file has."""

    decoder: Decoder
    shape: GraphShape


def read_model(path: Path) -> StoredModel:
    """Read a model that `graph.decoder.build` made with float weights.

    Weights stay in the file, which is mapped, until they are asked for. Raises BundleError
    for a file without a description, with quantized weights or with damage.
    """
    try:
        return _read(*open_model(path))
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from None
    except ASTRAY as error:
        raise _refused(path, " ".join(str(error).split())[:120]) from None


def _refused(path: Path, found: str) -> BundleError:
    return BundleError(
        f"{path}: expected a float32 or float16 model made by this version of Foreword, found "
        f"{found}: convert the model again with --recipe float32"
    )


def open_model(path: Path) -> tuple[mmap.mmap, Any]:
    """Map a model file; return it and its root table, a schema.Model.

    Raises OSError, or ValueError for another kind of file.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if not schema.Model.ModelBufferHasIdentifier(data, 0):
        raise ValueError("another kind of file")
    return data, schema.Model.GetRootAs(data, 0)


def described(data: mmap.mmap, model: Any) -> tuple[DecoderSpec, GraphShape]:
    """Return what a model says of itself; raises one of ASTRAY when that is nothing."""
    names = {
        (model.Metadata(i).Name() or b"").decode(): model.Metadata(i).Buffer()
        for i in range(min(model.MetadataLength(), 16))
    }
    if DESCRIPTION not in names or not 0 < model.BuffersLength() < _MOST_BUFFERS:
        raise ValueError("no description of its decoder")
    return read_description(bytes(contents(data, model, names[DESCRIPTION])).decode())


def _read(data: mmap.mmap, model: Any) -> StoredModel:
    spec, shape = described(data, model)
    shapes, found = weight_shapes(spec), dict[str, FloatArray]()
    decode = model.Subgraphs(0)  # every weight is in the first signature
    for i in range(decode.TensorsLength()):
        tensor = decode.Tensors(i)
        name = (tensor.Name() or b"").decode()
        if name not in shapes or name in found:
            continue
        if tensor.Type() not in _FLOATS:
            raise ValueError("quantized weights")
        values = contents(data, model, tensor.Buffer()).view(_FLOATS[tensor.Type()])
        if values.size != math.prod(shapes[name]):
            raise ValueError(f"a {name} of another size than its decoder's")
        found[name] = values.reshape(shapes[name])
    if missing := sorted(set(shapes) - set(found)):
        raise ValueError(f"no weight {missing[0]}")
    return StoredModel(
        Decoder(spec, lambda name: found[name].astype(np.float32, copy=False)), shape
    )


def contents(data: mmap.mmap, model: Any, index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Contents of a buffer, a view of the file; raises one of ASTRAY when there are none."""
    if not 0 < index < model.BuffersLength():
        raise ValueError("a weight without data")
    table = model.Buffers(index)._tab
    field = table.Offset(4)  # Buffer.data, the first field of the table
    start, size = (table.Vector(field), table.VectorLen(field)) if field else (0, 0)
    if not 0 <= start <= start + size <= len(data):
        raise ValueError("data beyond its end")
    return np.frombuffer(data, np.uint8, size, start)
