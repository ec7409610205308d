"""From a source to a bundle, whole or not at all."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

import foreword
from command import finish, start, tree
from foreword.bundle.store import open_bundle
from foreword.convert import fingerprint
from foreword.engine.sampling import SamplingParams
from foreword.errors import OutputError, SourceError, UsageError
from foreword.quantize.recipes import RECIPES
from tiny import load_tiny
from tiny_gguf import GPT2_POSITIONS, LLAMA_CONTEXT, FloatArray, write_tiny_gguf

BYTES = {"float32": 4, "float16": 2, "int8": 1, "int8-full": 1, "int4": 0.5}
VOCABULARY = ("token_embd.weight", "output.weight")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").path


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny-2.gguf", "gpt2").path


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_every_family_runs_in_every_recipe_and_its_weights_are_there_once(
    tmp_path: Path, architecture: str, tied: bool, recipe: str
) -> None:
    gguf = write_tiny_gguf(tmp_path / "tiny.gguf", architecture, tied)
    bundle = foreword.convert(gguf.path, tmp_path / "bundle", recipe=recipe, context=32)
    parameters = sum(array.size for array in gguf.arrays.values())
    assert bundle.manifest.shape.parameters == parameters
    assert bundle.manifest.recipe == recipe
    least = sum(
        array.size * BYTES["int8" if recipe == "int4" and name in VOCABULARY else recipe]
        for name, array in gguf.arrays.items()
        if array.ndim == 2
    )
    # The graphs of all signatures take under 230 kB; a second copy of the weights would show.
    assert least < bundle.model_path.stat().st_size < least + 230_000
    engine = load_tiny(bundle.path)
    steps = list(engine.stream([40, 41], SamplingParams(max_new_tokens=3, ignore_eos=True)))
    assert len(steps) == 3
    engine.close()


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_source_gives_the_same_bytes(llama: Path, tmp_path: Path, recipe: str) -> None:
    one, two = (
        foreword.convert(llama, tmp_path / name, recipe=recipe, context=32) for name in "ab"
    )
    assert one.manifest == two.manifest
    assert one.model_path.read_bytes() == two.model_path.read_bytes()
    assert one.tokenizer_path.read_bytes() == two.tokenizer_path.read_bytes()


def test_the_manifest_says_what_was_made_and_of_what(llama: Path, tmp_path: Path) -> None:
    made = foreword.convert(llama, tmp_path / "bundle", context=32, prefill=(16, 4, 16, 64))
    manifest = open_bundle(made.path, verify=True).manifest
    verify = ("verify_2", "verify_5", "verify_8")
    assert manifest.signatures == ("decode", "prefill_4", "prefill_16", *verify)
    assert manifest.shape.resizable
    assert manifest.shape.context == 32
    assert manifest.shape.family == "llama"
    assert (manifest.provenance.source, manifest.provenance.license) == ("tiny", "cc0-1.0")
    assert set(manifest.versions) == {"foreword", "ai-edge-litert", "gguf"}


def test_progress_rises_to_the_end_of_every_stage(llama: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    foreword.convert(
        llama, tmp_path / "bundle", context=32, progress=lambda *step: seen.append(step)
    )
    assert {stage for stage, _, _ in seen} == {"convert", "reference"}
    for _, steps in groupby(seen, key=lambda step: step[0]):
        done = [(at, total) for _, at, total in steps]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_whatever_stops_it_midway_leaves_nothing(
    llama: Path, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done > total // 2:
            raise error

    with pytest.raises(error):
        foreword.convert(llama, tmp_path / "new" / "bundle", context=32, progress=stop)
    assert tree(tmp_path) == []


def test_a_failed_replacement_leaves_the_old_bundle(llama: Path, tmp_path: Path) -> None:
    old = foreword.convert(llama, tmp_path / "bundle", context=32)

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        foreword.convert(llama, old.path, context=48, replace=True, progress=stop)
    assert open_bundle(old.path, verify=True).manifest == old.manifest
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_existing_bundle_is_replaced_only_when_asked(llama: Path, tmp_path: Path) -> None:
    foreword.convert(llama, tmp_path / "bundle", context=32)
    with pytest.raises(OutputError, match="--replace"):
        foreword.convert(llama, tmp_path / "bundle", context=48)
    foreword.convert(llama, tmp_path / "bundle", context=48, replace=True)
    assert open_bundle(tmp_path / "bundle", verify=True).manifest.shape.context == 48
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_is_not_a_bundle_is_never_replaced(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"letter\.txt"):
        foreword.convert(llama, tmp_path / "mine", context=32, replace=True)
    assert tree(tmp_path) == ["mine", "mine/letter.txt"]


def test_a_context_beyond_the_trained_positions_is_refused(llama: Path, tmp_path: Path) -> None:
    foreword.convert(llama, tmp_path / "longest", context=LLAMA_CONTEXT)
    with pytest.raises(UsageError, match=f"was trained for {LLAMA_CONTEXT} positions, 257"):
        foreword.convert(llama, tmp_path / "bundle", context=LLAMA_CONTEXT + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["longest"]


def test_a_context_beyond_the_learned_positions_is_refused(gpt2: Path, tmp_path: Path) -> None:
    foreword.convert(gpt2, tmp_path / "longest", context=GPT2_POSITIONS)
    with pytest.raises(UsageError, match=f"has learned {GPT2_POSITIONS} positions"):
        foreword.convert(gpt2, tmp_path / "bundle", context=GPT2_POSITIONS + 1)


@pytest.mark.parametrize("context", [-1, 0, 15, (1 << 20) + 1, 1 << 70])
def test_a_context_no_model_has_is_refused(llama: Path, tmp_path: Path, context: int) -> None:
    with pytest.raises(UsageError, match="context: expected from 16 to 1048576 tokens"):
        foreword.convert(llama, tmp_path / "bundle", context=context)


@pytest.mark.parametrize("prefill", [(), (0,), (1, 8), (-4,), (8, 1025)])
def test_widths_no_graph_has_are_refused(
    llama: Path, tmp_path: Path, prefill: tuple[int, ...]
) -> None:
    with pytest.raises(UsageError, match="prefill: expected widths from 2 to 1024"):
        foreword.convert(llama, tmp_path / "bundle", context=32, prefill=prefill)


def test_widths_that_all_pass_the_context_are_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prefill: no width fits the context of 16 tokens"):
        foreword.convert(llama, tmp_path / "bundle", context=16, prefill=(32, 64))


def test_an_unknown_recipe_is_refused_before_the_source_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe 'int3': expected one of float32"):
        foreword.convert(tmp_path / "missing.gguf", tmp_path / "bundle", recipe="int3")


def test_a_source_that_fails_halfway_leaves_nothing(tmp_path: Path) -> None:
    def damage(metadata: dict[str, object], tensors: dict[str, FloatArray]) -> None:
        tensors["output_norm.weight"][3] = np.nan

    gguf = write_tiny_gguf(tmp_path / "tiny.gguf", mutate=damage)
    with pytest.raises(SourceError, match=r"output_norm\.weight.*not finite"):
        foreword.convert(gguf.path, tmp_path / "out" / "bundle", context=32)
    assert tree(tmp_path) == ["tiny.gguf"]


def test_a_model_above_the_limit_of_the_format_leaves_nothing(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foreword.graph.writer._LARGEST_FILE_BYTES", 10_000)
    with pytest.raises(foreword.ForewordError, match=r"a \.tflite file holds 2 GiB"):
        foreword.convert(llama, tmp_path / "bundle", context=32)
    assert tree(tmp_path) == []


def test_the_function_keeps_its_name_when_the_module_is_imported_first() -> None:
    program = (
        "from foreword.convert import convert as c; import foreword as f; print(f.convert is c)"
    )
    assert finish(start(program=program)).out == "True\n"


def test_a_fingerprint_is_that_of_what_the_source_holds(llama: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(llama.read_bytes())
    assert fingerprint(copy) == fingerprint(llama)

    def other(_: object, tensors: dict[str, FloatArray]) -> None:
        tensors["token_embd.weight"][0, 0] += 1

    changed = write_tiny_gguf(tmp_path / "changed.gguf", mutate=other).path
    assert fingerprint(changed) != fingerprint(llama)
