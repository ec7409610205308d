"""From a float bundle to a quantized one: the same bytes as converting at once."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import foreword
import tiny_keras
from command import refusal, run, tree
from foreword.bundle.store import open_bundle
from foreword.convert import quantize
from foreword.engine.sampling import SamplingParams
from foreword.errors import BundleError, OutputError, UsageError
from foreword.quantize.recipes import RECIPES, Recipe
from tiny import load_tiny, write_tiny_bundle
from tiny_gguf import write_tiny_gguf

OWN = Recipe("own", "int4", "int8", int8=("o", "-1"), rounding="gptq", calibration_tokens=200)


@pytest.mark.parametrize("recipe", [*RECIPES.values(), OWN], ids=lambda r: r.name)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_float32_bundle_gives_the_bytes_of_the_source(
    tmp_path: Path, architecture: str, tied: bool, recipe: Recipe
) -> None:
    gguf, floats = write_tiny_bundle(tmp_path, architecture, tied)
    direct = foreword.convert(
        gguf.path, tmp_path / "direct", recipe=recipe, context=48, prefill=(4, 16)
    )
    made = quantize(floats, tmp_path / "made", recipe=recipe)
    assert made.model_path.read_bytes() == direct.model_path.read_bytes()
    assert made.tokenizer_path.read_bytes() == direct.tokenizer_path.read_bytes()
    assert made.manifest == direct.manifest
    engine = load_tiny(made.path)
    steps = list(engine.stream([40, 41], SamplingParams(max_new_tokens=3, ignore_eos=True)))
    assert len(steps) == 3
    engine.close()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_keras_gpt2_goes_through_every_recipe(tmp_path: Path, recipe: str) -> None:
    preset = tiny_keras.write_preset(tmp_path / "preset")
    floats = foreword.convert(preset, tmp_path / "floats", recipe="float32", context=32)
    made = quantize(floats.path, tmp_path / "made", recipe=recipe)
    direct = foreword.convert(preset, tmp_path / "direct", recipe=recipe, context=32)
    assert made.model_path.read_bytes() == direct.model_path.read_bytes()


def test_from_float16_the_manifest_says_so(tmp_path: Path) -> None:
    _, halves = write_tiny_bundle(tmp_path, recipe="float16")
    made = quantize(halves, tmp_path / "made", recipe="int8")
    assert made.manifest.recipe == "int8"
    assert made.manifest.quantization == {"from": "float16", "rotated": "stream and values"}


def test_a_quantized_bundle_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    _, small = write_tiny_bundle(tmp_path, recipe="int8")
    with pytest.raises(BundleError, match="expected a float32 or float16 model"):
        quantize(small, tmp_path / "out" / "made")
    assert not (tmp_path / "out").exists()


def test_an_existing_bundle_is_replaced_only_when_asked(tmp_path: Path) -> None:
    _, floats = write_tiny_bundle(tmp_path)
    quantize(floats, tmp_path / "made")
    with pytest.raises(OutputError, match="--replace"):
        quantize(floats, tmp_path / "made")
    quantize(floats, tmp_path / "made", recipe="float16", replace=True)
    assert open_bundle(tmp_path / "made", verify=True).manifest.recipe == "float16"


def test_an_unknown_recipe_is_refused_before_the_bundle_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe 'int3'"):
        quantize(tmp_path / "missing", tmp_path / "made", recipe="int3")


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_model_gives_one_line(tmp_path: Path, seed: int) -> None:
    from foreword.graph.stored import read_model

    _, floats = write_tiny_bundle(tmp_path)
    data = bytearray((floats / "model.tflite").read_bytes())
    random = np.random.default_rng(seed)
    if seed % 4 == 0:
        del data[int(random.integers(0, len(data))) :]
    else:  # the tables lie at the front
        for at in random.integers(0, 60_000 if seed % 2 else 400, 8):
            data[at : at + 4] = struct.pack("<I", int(random.integers(0, 1 << 32)))
    path = tmp_path / "damaged.tflite"
    path.write_bytes(data)
    try:
        stored = read_model(path)
        for name in ("embedding", "layers.0.q.weight"):
            stored.decoder.load(name)
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_the_command_says_in_one_line_what_it_made(tmp_path: Path) -> None:
    _, floats = write_tiny_bundle(tmp_path)
    result = run("quantize", floats, "-o", tmp_path / "made", "--recipe", "int4")
    assert (result.status, result.err) == (0, "")
    (line,) = result.out.splitlines()
    assert line.startswith(f"{tmp_path / 'made'}  int4  ")


def test_the_command_takes_a_recipe_of_ones_own(tmp_path: Path) -> None:
    _, floats = write_tiny_bundle(tmp_path)
    recipe = tmp_path / "mine.toml"
    recipe.write_text('name = "mine"\nmatrices = "int8"\nvocabulary = "float32"\nrotate = true\n')
    result = run("quantize", floats, "-o", tmp_path / "made", "--recipe", recipe)
    assert result.status == 0
    assert open_bundle(tmp_path / "made", verify=True).manifest.recipe == "mine"
    recipe.write_text('name = "mine"\nmatrices = "int3"\nvocabulary = "int8"\n')
    before = tree(tmp_path)
    result = run("quantize", floats, "-o", tmp_path / "no", "--recipe", recipe)
    assert "int3" in refusal(result, status=2)
    assert tree(tmp_path) == before
    with pytest.raises(UsageError):
        foreword.convert(
            write_tiny_gguf(tmp_path / "x.gguf").path, tmp_path / "no", recipe=str(recipe)
        )
