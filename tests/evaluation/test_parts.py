"""What the bytes of a bundle are for, where 4-bit blocks are kept: scales and offsets."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from foreword.bundle.manifest import FileEntry
from foreword.bundle.store import Bundle, open_bundle
from foreword.evaluation.parts import size_by_part
from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import FeedForward, Output, weight_shapes
from foreword.quantize.kept import with_offsets
from foreword.quantize.prepare import Encoder
from foreword.quantize.recipes import find_recipe
from quantize_specs import SPECS
from spec_reference import random_decoder
from tiny import write_tiny_bundle


def test_scales_of_blocks_and_offsets_are_counted_as_such(tmp_path: Path) -> None:
    spec = replace(
        SPECS["llama"],
        width=64,
        feed_forward=FeedForward(64, "silu", gated=True),
        output=Output(tied=False),
    )
    bundle = open_bundle(write_tiny_bundle(tmp_path)[1])
    kinds = ("q", "k", "v", "gate", "up")
    kept = frozenset(f"layers.{i}.{kind}.weight" for i in range(2) for kind in kinds)
    decoder = with_offsets(random_decoder(spec), kept)
    store = Encoder(find_recipe("int8"), len(spec.layers), kept)
    with bundle.model_path.open("wb") as file:
        build(decoder, GraphShape(16, prefill=(), verify=(8,)), store).write(file)
    files = {
        path.name: FileEntry(path.stat().st_size, "")
        for path in (bundle.model_path, bundle.tokenizer_path)
    }
    written = Bundle(bundle.path, replace(bundle.manifest, files=files))

    parts = size_by_part(written)

    assert sum(parts.values()) == written.size_bytes
    shapes = {name: s for name, s in weight_shapes(decoder.spec).items() if len(s) == 2}
    stored = {name: math.prod(s) for name, s in shapes.items()}
    for name, shape in shapes.items():
        if store.dtype(name, shape) == "int4":
            stored[name] //= 2
    assert parts["offsets"] == sum(size for name, size in stored.items() if "offsets" in name)
    assert parts["q"] == 2 * stored["layers.0.q.weight"]
    blocks = sum(math.prod(shapes[name]) // 32 for name in kept)
    rows = sum(shape[0] for name, shape in shapes.items() if name not in kept)
    rows += 64 // 32  # of the matrix that sums blocks, in the graph
    assert parts["scales"] == 2 * blocks + 4 * rows
