"""One proof for every family: a Hugging Face checkpoint says here what it says in transformers.

Checkpoints and logits are those of scripts/make_family_golden.py; neither transformers nor
torch is needed here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreword.engine.forward import Forward, StreamStats
from foreword.engine.litert_graph import LiteRtGraph
from foreword.families.find import find_family
from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import Decoder
from foreword.quantize.prepare import encoder
from foreword.sources.safetensors import SafetensorsCheckpoint
from tiny import graph_of_spec

GOLDEN = Path(__file__).parent.parent / "testdata/golden/families"
# The two forms of GELU give logits 1e-3 apart here; rounding gives 1e-5.
TOLERANCE = 1e-4

Array = NDArray[np.float64]


def golden_names() -> list[str]:
    """Every checkpoint and configuration, as folder/file."""
    return [f"{path.parent.name}/{path.name}" for path in sorted(GOLDEN.glob("*/config*.json"))]


def golden_config(name: str, config: str = "config.json") -> dict[str, Any]:
    """A checkpoint's configuration, as release 4 or 5 of transformers writes it."""
    metadata: dict[str, Any] = json.loads((GOLDEN / name / config).read_text(encoding="utf-8"))
    return metadata


def read_golden(name: str, metadata: Mapping[str, object]) -> Decoder:
    """Read a checkpoint's weights under a configuration, through its family."""
    _, read = find_family("hugging_face", str(metadata["model_type"]))
    return read(SafetensorsCheckpoint(GOLDEN / name, metadata))


def assert_golden(name: str, directory: Path, config: str = "config.json") -> None:
    """Read a checkpoint and check its logits against those of transformers."""
    assert_logits(read_golden(name, golden_config(name, config)), name, directory)


def assert_logits(
    decoder: Decoder, name: str, directory: Path, golden: str = "golden.json"
) -> None:
    """Check logits of whole prefill, chunked prefill, verification alone and decode steps."""
    document = json.loads((GOLDEN / name / golden).read_text(encoding="utf-8"))
    tokens, expected = document["tokens"], np.array(document["logits"])
    graph = _compiled(decoder, directory, context=-(-len(tokens) // 8) * 8)
    try:
        apart = {
            "prefill": _apart(graph, tokens, expected, [32]),
            "chunks": _apart(graph, tokens, expected, [4, 4, 16]),
            "verify": _apart(graph, tokens, expected, []),
            "decode": _apart_step_by_step(graph, tokens, expected),
        }
        assert_guesses_change_nothing(graph, tokens)
    finally:
        graph.close()
    print(f"{name}: {', '.join(f'{way} {value:.1e}' for way, value in apart.items())}")
    assert max(apart.values()) <= TOLERANCE, apart


def assert_guesses_change_nothing(
    graph: LiteRtGraph, tokens: list[int], prompts: int = 16, new: int = 24
) -> int:
    """Continue beginnings of a text with and without guesses; return how many were right."""
    plain, guessing, stats = Forward(graph), Forward(graph), StreamStats(0)
    for end in np.linspace(2, len(tokens), prompts).astype(int):
        said = []
        for forward in (plain, guessing):
            forward.forget()
            text = tokens[:end]
            while len(text) < min(end + new, graph.context):
                logits = forward.logits(
                    text, stats, lambda: False, useful=8 if forward is guessing else 0
                )
                assert logits is not None
                text.append(int(logits.argmax()))
            said.append(text)
        assert said[0] == said[1]
    return stats.guessed_right


def _compiled(decoder: Decoder, directory: Path, context: int) -> LiteRtGraph:
    shape = GraphShape(context, prefill=(4, 16, 32))
    path = directory / "model.tflite"
    with path.open("wb") as file:
        build(decoder, shape, encoder("float32")).write(file)
    return graph_of_spec(path, decoder.spec, shape)


def _apart(graph: LiteRtGraph, tokens: list[int], expected: Array, chunks: list[int]) -> float:
    """Prefill in chunks, the last one not full, then score the rest eight tokens at a time."""
    position, apart = 0, []
    for number, width in enumerate(chunks, start=1):
        count = width - (number == len(chunks))
        graph.run(f"prefill_{width}", tokens[position : position + count], position)
        position += count
    while position < len(tokens):
        found = graph.run("verify_8", tokens[position : position + 8], position)
        assert found is not None
        apart.append(np.abs(found - expected[position : position + len(found)]).max())
        position += len(found)
    return float(np.max(apart))


def _apart_step_by_step(graph: LiteRtGraph, tokens: list[int], expected: Array) -> float:
    apart = []
    for position, token in enumerate(tokens):
        found = graph.run("decode", [token], position)
        assert found is not None
        apart.append(np.abs(found[-1] - expected[position]).max())
    return float(np.max(apart))
