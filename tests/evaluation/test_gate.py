"""A bundle that lost too much of its model is not written; one that cannot be judged is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import foreword
from command import refusal, run, tree
from foreword.bundle.store import open_bundle
from foreword.errors import QualityError, UsageError
from foreword.evaluation import gate
from foreword.graph.weights import Array
from foreword.quantize import prepare
from foreword.quantize.prepare import Encoder
from foreword.quantize.recipes import RECIPES, Recipe
from tiny import write_tiny_bundle
from tiny_bigram import built_in_tokens, write_bigram_gguf
from tiny_gguf import FloatArray, write_tiny_gguf

CONTEXT = 48


class Ruinous(Encoder):
    """int8 that turns the output layer's rows upside down."""

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        if name == "output.weight" and self.recipe.name == "int8":
            values = -values
        return super().encode(name, values, out)


class Endless(Encoder):
    """float16 whose output layer overflows."""

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        ruined = self.recipe.name == "float16" and name == "output.weight"
        with np.errstate(over="ignore"):
            return super().encode(name, values * 1e6 if ruined else values, out)


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bigram")
    _, bundle = write_tiny_bundle(directory)
    return write_bigram_gguf(directory / "bigram.gguf", built_in_tokens(bundle))


@pytest.fixture
def ruinous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "Encoder", Ruinous)


@pytest.mark.parametrize("recipe", ["float16", "int8", "int4"])
def test_a_sound_bundle_passes_and_says_how_near_it_is(
    bigram: Path, tmp_path: Path, recipe: str
) -> None:
    bundle = foreword.convert(bigram, tmp_path / "bundle", recipe=recipe, context=CONTEXT)
    check = open_bundle(bundle.path).manifest.check
    assert check is not None
    assert check.verdict == "passed"
    assert check.reason.startswith(f"{recipe}: perplexity ")
    assert tree(bundle.path) == ["bundle.json", "model.tflite", "tokenizer.json"]


@pytest.mark.usefixtures("ruinous")
def test_a_ruined_bundle_is_refused_and_nothing_is_left(bigram: Path, tmp_path: Path) -> None:
    with pytest.raises(QualityError, match=r"int8: perplexity \+ .* accepted.*--allow-degraded"):
        foreword.convert(bigram, tmp_path / "new" / "bundle", context=CONTEXT)
    assert tree(tmp_path) == []


@pytest.mark.usefixtures("ruinous")
def test_a_ruined_bundle_does_not_replace_a_sound_one(bigram: Path, tmp_path: Path) -> None:
    old = foreword.convert(bigram, tmp_path / "b", recipe="float32", context=CONTEXT)
    with pytest.raises(QualityError):
        foreword.convert(bigram, tmp_path / "b", context=CONTEXT, replace=True)
    assert open_bundle(tmp_path / "b", verify=True).manifest == old.manifest


@pytest.mark.usefixtures("ruinous")
def test_what_is_written_all_the_same_says_so_wherever_it_is_used(
    bigram: Path, tmp_path: Path
) -> None:
    command = ("convert", bigram, "-o", tmp_path / "b", "--context", CONTEXT)
    assert "--allow-degraded" in refusal(run(*map(str, command)))
    made = run(*map(str, command), "--allow-degraded")
    assert made.status == 0
    assert made.err.startswith("foreword: degraded: int8: perplexity + ")
    shown = run("inspect", tmp_path / "b").out
    assert any(line.startswith("check           degraded: int8") for line in shown.splitlines())
    said = run("complete", "the cat", "-m", tmp_path / "b")
    assert said.status == 0
    assert said.err.startswith("foreword: this model is degraded: int8: perplexity + ")
    assert run("complete", "the cat", "-m", tmp_path / "b", "--quiet").err == ""


@pytest.mark.parametrize("allow_degraded", [False, True])
@pytest.mark.parametrize("random", [False, True], ids=["bigram", "random"])
def test_a_bundle_without_finite_output_never_passes(
    bigram: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    allow_degraded: bool,
    random: bool,
) -> None:
    monkeypatch.setattr(prepare, "Encoder", Endless)
    source = write_tiny_gguf(tmp_path / "r.gguf", tied=False).path if random else bigram
    with pytest.raises(QualityError, match="not a finite number"):
        foreword.convert(
            source,
            tmp_path / "out" / "b",
            recipe="float16",
            context=CONTEXT,
            allow_degraded=allow_degraded,
        )
    assert not (tmp_path / "out").exists()


def test_float32_is_checked_for_finite_output_alone(bigram: Path, tmp_path: Path) -> None:
    made = foreword.convert(bigram, tmp_path / "a", recipe="float32", context=CONTEXT)
    assert made.manifest.check is not None
    assert made.manifest.check.reason == "its output is finite"

    large = write_tiny_gguf(
        tmp_path / "l.gguf", tied=False, mutate=lambda m, t: t["output.weight"].fill(3e38)
    )
    with pytest.raises(QualityError, match="not a finite number"):
        foreword.convert(large.path, tmp_path / "b", recipe="float32", context=CONTEXT)


@pytest.mark.parametrize("recipe", ["float16", "int8", "int4"])
def test_random_weights_are_told_apart(tmp_path: Path, recipe: str) -> None:
    gguf = write_tiny_gguf(tmp_path / "r.gguf").path
    check = foreword.convert(gguf, tmp_path / "b", recipe=recipe, context=32).manifest.check
    assert check is not None
    assert check.verdict == "unjudged"


@pytest.mark.usefixtures("ruinous")
def test_no_check_writes_anything_and_records_none(bigram: Path, tmp_path: Path) -> None:
    bundle = foreword.convert(bigram, tmp_path / "b", context=CONTEXT, check=False)
    assert bundle.manifest.check is None
    assert '"check"' not in (bundle.path / "bundle.json").read_text()


def test_a_large_model_is_checked_only_when_asked_and_then_refused(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "LARGEST_PARAMETERS", 1000)
    assert foreword.convert(bigram, tmp_path / "b", context=CONTEXT).manifest.check is None
    with pytest.raises(UsageError, match="check: expected a model of at most"):
        foreword.convert(bigram, tmp_path / "c", context=CONTEXT, check=True)


def test_four_bits_may_cost_more_than_eight() -> None:
    own = Recipe("mine", "int4", "float16")
    assert gate.limit(RECIPES["int4"]) == gate.limit(own) == 0.10
    assert {gate.limit(RECIPES[name]) for name in ("int8", "int8-full", "float16")} == {0.03}


@pytest.mark.parametrize("stage", ["reference", "quality"])
def test_an_interrupt_during_the_check_leaves_nothing(
    bigram: Path, tmp_path: Path, stage: str
) -> None:
    def stop(at: str, done: int, total: int) -> None:
        if at == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        foreword.convert(bigram, tmp_path / "new" / "b", context=CONTEXT, progress=stop)
    assert tree(tmp_path) == []


def test_a_bundle_is_judged_later_as_its_conversion_judged_it(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES["int8"]
    bundle = foreword.convert(bigram, tmp_path / "int8", recipe=recipe, context=32)
    reference = foreword.convert(bigram, tmp_path / "float32", recipe="float32", context=CONTEXT)
    assert gate.judge_bundle(bundle, reference, recipe) == bundle.manifest.check
    monkeypatch.setattr(gate, "LARGEST_PARAMETERS", 1)
    assert gate.judge_bundle(bundle, reference, recipe) is None
