"""Tiny bundles and engines for tests: random weights, two layers, made in well under a second."""

from __future__ import annotations

from pathlib import Path

import foreword
from foreword.bundle.manifest import Shape
from foreword.engine.engine import Engine
from foreword.engine.litert_graph import LiteRtGraph
from foreword.graph.description import GraphShape
from foreword.graph.spec import DecoderSpec
from tiny_gguf import TinyGguf, write_tiny_gguf

CONTEXT = 48
PREFILL = (4, 16)


def write_tiny_bundle(
    directory: Path,
    architecture: str = "llama",
    tied: bool = True,
    recipe: str = "float32",
    context: int = CONTEXT,
    prefill: tuple[int, ...] = PREFILL,
) -> tuple[TinyGguf, Path]:
    """Write a random GGUF and the bundle made of it; return both."""
    gguf = write_tiny_gguf(directory / f"{architecture}-{tied}.gguf", architecture, tied)
    bundle = foreword.convert(
        gguf.path,
        directory / f"{architecture}-{tied}-{recipe}-{context}",
        recipe=recipe,
        context=context,
        prefill=prefill,
        check=False,
    )
    return gguf, bundle.path


def load_tiny(path: Path) -> Engine:
    """Load a bundle with one thread, as tests run side by side."""
    return foreword.load(path, threads=1)


def graph_of(engine: Engine) -> LiteRtGraph:
    """Return the LiteRT graph under an engine."""
    graph = engine._graph
    assert isinstance(graph, LiteRtGraph)
    return graph


def graph_of_spec(path: Path, spec: DecoderSpec, shape: GraphShape) -> LiteRtGraph:
    """Compile the model of a spec at `path`, with one thread and without any bundle."""
    described = Shape(
        family="spec",
        parameters=1,
        layers=len(spec.layers),
        kv_heads=spec.attention.kv_heads,
        head_dim=spec.attention.head_dim,
        vocabulary=spec.embedding.vocabulary,
        context=shape.context,
        resizable=True,
    )
    return LiteRtGraph(path, described, tuple(s.name for s in shape.signatures), 1, None)
