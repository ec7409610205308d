"""What the bytes of a bundle are for, read from the tables of its model."""

from __future__ import annotations

import mmap
import re
import struct
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from foreword.bundle.store import Bundle
from foreword.errors import BundleError

_MATRIX = re.compile(r"layers\.\d+\.(q|k|v|o|gate|up|down)\.weight")
_OFFSETS = re.compile(r"layers\.\d+\.[a-z]+\.offsets")
_OUTSIDE = {"embedding": "embedding", "output.weight": "output", "positions": "positions"}


def size_by_part(bundle: Bundle) -> dict[str, int]:
    """Return the bytes of each part of a bundle, the largest first; their sum is its size.

    `embedding` (and output, where it is tied), `output`, `positions`, the layers' matrices by
    kind (`q` … `down`), `offsets` of 4-bit blocks kept as they were, `norms and biases`, `scales`
    of quantized weights, by row or by block, `graph` (operators and constants) and `tokenizer`.
    Raises BundleError when the model's tables cannot be read.
    """
    model = bundle.model_path
    try:
        with model.open("rb") as file:
            # Closed by the collector: the last of the tables may outlive this block.
            parts = _weights(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError, IndexError, TypeError, struct.error, UnicodeDecodeError):
        raise BundleError(
            f"{model.name}: expected a LiteRT model, found tables that cannot be read: check it "
            "with 'foreword inspect --verify', or convert it again"
        ) from None
    parts["tokenizer"] = bundle.tokenizer_path.stat().st_size
    # What is left: operators, names, small constants, padding.
    parts["graph"] = max(bundle.size_bytes - sum(parts.values()), 0)
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def _weights(data: Any) -> dict[str, int]:
    model = schema.Model.GetRootAs(data, 0)
    parts: dict[str, int] = {}
    seen: set[int] = set()
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.TensorsLength()):
            tensor = graph.Tensors(j)
            buffer = tensor.Buffer()
            size = model.Buffers(buffer).DataLength()
            part = _part((tensor.Name() or b"").decode())
            quantization = tensor.Quantization()
            if (blocks := _block_scales(quantization)) is not None:
                scales = graph.Tensors(blocks).Buffer()
                if scales not in seen:
                    seen.add(scales)
                    parts["scales"] = parts.get("scales", 0) + model.Buffers(scales).DataLength()
            if quantization is not None and quantization.ScaleLength() and ~buffer not in seen:
                # Apart from the weight: a look-up reads it without its scales.
                seen.add(~buffer)
                parts["scales"] = parts.get("scales", 0) + 4 * quantization.ScaleLength()
            if size and part and buffer not in seen:
                seen.add(buffer)
                parts[part] = parts.get(part, 0) + size
    return parts


def _block_scales(quantization: Any) -> int | None:
    """Return the tensor that holds the scales of a weight's blocks, None where it has none."""
    kind = schema.QuantizationDetails.BlockwiseQuantization
    if quantization is None or quantization.DetailsType() != kind:
        return None
    details, blocks = quantization.Details(), schema.BlockwiseQuantization()
    blocks.Init(details.Bytes, details.Pos)
    return int(blocks.Scales())


def _part(name: str) -> str | None:
    """Return the part a weight belongs to; None for a constant of the graph."""
    if matrix := _MATRIX.fullmatch(name):
        return matrix[1]
    if _OFFSETS.fullmatch(name):
        return "offsets"
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    if name.endswith((".scale", ".bias")):
        return "norms and biases"
    return "scales" if name.endswith(".scales") else None
