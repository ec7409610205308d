"""Every family through every recipe: prepared, written, run, and near its float logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import Decoder
from foreword.quantize.prepare import prepare
from foreword.quantize.recipes import RECIPES, Recipe
from golden_families import GOLDEN, TOLERANCE, golden_config, golden_names, read_golden
from tiny import graph_of_spec

TURNED = Recipe("turned", "float32", "float32", rotate=True)
# Correlation of logits: those of random weights, two layers, widths of 16 to 64.
LEAST = {"float32": 0.999999, "turned": 0.999999, "float16": 0.9999, "int8": 0.99}
CONTEXT = 40
NAMES = [name for name in golden_names() if name.endswith("/config.json")]


def last_logits(decoder: Decoder, recipe: Recipe, tokens: list[int], directory: Path) -> np.ndarray:  # type: ignore[type-arg]
    shape = GraphShape(CONTEXT, prefill=(8,), verify=(8,))
    text = np.random.default_rng(0).integers(0, decoder.spec.embedding.vocabulary, (4, CONTEXT))
    prepared = prepare(recipe, decoder.within(CONTEXT), lambda count: text)
    path = directory / f"{recipe.name}.tflite"
    with path.open("wb") as file:
        build(prepared.decoder, shape, prepared.encoder, prepared.ranges).write(file)
    graph = graph_of_spec(path, decoder.spec, shape)
    try:
        for position in range(0, 32, 8):
            found = graph.run("verify_8", tokens[position : position + 8], position)
        assert found is not None
        return found.astype(np.float64)
    finally:
        graph.close()


@pytest.mark.parametrize("recipe", [*RECIPES.values(), TURNED], ids=lambda r: r.name)
@pytest.mark.parametrize("golden", NAMES)
def test_a_family_says_nearly_the_same(golden: str, recipe: Recipe, tmp_path: Path) -> None:
    name, config = golden.split("/")
    document = json.loads((GOLDEN / name / "golden.json").read_text(encoding="utf-8"))
    decoder = read_golden(name, golden_config(name, config))
    found = last_logits(decoder, recipe, document["tokens"][:32], tmp_path)
    expected = np.array(document["logits"])[24:32]
    assert np.isfinite(found).all()
    if recipe.name in ("float32", "turned"):
        assert np.abs(found - expected).max() <= TOLERANCE
    alike = np.corrcoef(found.reshape(-1), expected.reshape(-1))[0, 1]
    assert alike > LEAST.get(recipe.name, 0.8)
