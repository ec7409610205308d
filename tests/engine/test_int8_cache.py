"""Keys and values kept as int8: nearly the logits of float32, and the same warm as cold."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import foreword
from foreword.bundle.store import open_bundle
from foreword.convert import quantize
from foreword.engine.litert_graph import LiteRtGraph
from foreword.errors import EngineError, UsageError
from tiny import CONTEXT, PREFILL, graph_of, load_tiny, write_tiny_bundle
from tiny_gguf import write_tiny_gguf

TOKENS = [int(i) for i in np.random.default_rng(5).integers(3, 250, CONTEXT)]
ARCHITECTURES = ["llama", "gpt2"]


def small(directory: Path, architecture: str, recipe: str = "float32") -> Path:
    """Write a tiny bundle with an int8 cache."""
    gguf = write_tiny_gguf(directory / f"{architecture}.gguf", architecture)
    return foreword.convert(
        gguf.path,
        directory / f"{architecture}-{recipe}-small",
        recipe=recipe,
        context=CONTEXT,
        prefill=PREFILL,
        cache_dtype="int8",
        check=False,
    ).path


def logits(graph: LiteRtGraph, chunks: list[tuple[str, int]]) -> np.ndarray:
    """Run TOKENS in chunks, and return the last one's logits."""
    position, found = 0, None
    for signature, count in chunks:
        found = graph.run(signature, TOKENS[position : position + count], position)
        position += count
    assert found is not None
    return found[-1].copy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_are_near_those_of_a_float32_cache(tmp_path: Path, architecture: str) -> None:
    floats = load_tiny(write_tiny_bundle(tmp_path, architecture)[1])
    engine = load_tiny(small(tmp_path, architecture))
    differences, spread = [], 0.0
    for position in range(CONTEXT):
        expected, found = (
            graph_of(e).run("decode", [TOKENS[position]], position) for e in (floats, engine)
        )
        assert expected is not None
        assert found is not None
        differences.append(np.abs(found - expected).max())
        spread = max(spread, float(np.ptp(expected)))
    assert 0 < np.median(differences) < 0.02 * spread
    assert max(differences) < 0.1 * spread
    floats.close()
    engine.close()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_where_a_text_is_cut_makes_no_difference(tmp_path: Path, architecture: str) -> None:
    engine = load_tiny(small(tmp_path, architecture))
    graph = graph_of(engine)
    stepwise = logits(graph, [("decode", 1)] * 40)
    even = [("prefill_16", 16), ("prefill_16", 16), ("verify_8", 8)]
    uneven = [("prefill_4", 3), ("prefill_16", 11), ("decode", 1), ("prefill_16", 16)]
    for chunks in (even, [*uneven, ("verify_8", 8), ("decode", 1)]):
        graph.clear()
        # A key on the edge between two steps may fall on either side.
        np.testing.assert_allclose(logits(graph, chunks), stepwise, rtol=0, atol=2e-3)
    engine.close()


def test_the_cache_takes_a_quarter_of_the_memory(tmp_path: Path) -> None:
    floats = load_tiny(write_tiny_bundle(tmp_path)[1])
    engine = load_tiny(small(tmp_path, "llama"))
    sizes = [
        graph_of(e)._cache.keys.nbytes + graph_of(e)._cache.values.nbytes for e in (floats, engine)
    ]
    assert sizes[0] == 4 * sizes[1]
    floats.close()
    engine.close()


@pytest.mark.parametrize("recipe", ["int8", "int4", "int8-full"])
def test_a_float32_bundle_gives_the_bytes_of_the_source(tmp_path: Path, recipe: str) -> None:
    direct = open_bundle(small(tmp_path, "llama", recipe))
    _, floats = write_tiny_bundle(tmp_path)
    made = quantize(floats, tmp_path / "made", recipe=recipe, cache_dtype="int8", check=False)
    assert made.model_path.read_bytes() == direct.model_path.read_bytes()
    assert made.manifest.shape == direct.manifest.shape
    assert made.manifest.shape.cache_dtype == "int8"
    assert made.manifest.quantization == direct.manifest.quantization


def test_quantize_leaves_the_cache_as_it_is_unless_asked(tmp_path: Path) -> None:
    floats = small(tmp_path, "llama")
    kept = quantize(floats, tmp_path / "kept", check=False)
    back = quantize(floats, tmp_path / "back", cache_dtype="float32", check=False)
    assert kept.manifest.shape.cache_dtype == "int8"
    assert back.manifest.shape.cache_dtype == "float32"
    load_tiny(kept.path).close()
    load_tiny(back.path).close()


def test_an_unknown_type_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cache_dtype: expected float32 or int8, found 'int4'"):
        foreword.convert("missing.gguf", tmp_path / "out", cache_dtype="int4")
    with pytest.raises(UsageError, match="cache_dtype: expected float32 or int8, found 'float16'"):
        quantize(tmp_path / "missing", tmp_path / "out", cache_dtype="float16")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("cache_dtype", "found"),
    [
        ("int8", r"kv_cache_k_0 of decode has shape \[1, 2, 48, 16\] of float32, the manifest"),
        ("float64", "cache_dtype: expected float32 or int8, found 'float64'"),
    ],
)
def test_the_runtime_refuses_a_type_the_model_does_not_have(
    tmp_path: Path, cache_dtype: str, found: str
) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path)[1])
    shape = dataclasses.replace(bundle.manifest.shape, cache_dtype=cache_dtype)
    with pytest.raises(EngineError, match=found):
        LiteRtGraph(bundle.model_path, shape, bundle.manifest.signatures, 1)
