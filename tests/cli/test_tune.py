"""`foreword tune`: what it prints and writes, and that its choice can be made again."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from pathlib import Path

import pytest

from command import refusal, run, tree
from foreword.bundle.store import open_bundle
from foreword.cli.tune import tune
from foreword.graph.builder import Array
from foreword.quantize import prepare
from foreword.quantize.prepare import Encoder
from tiny_gguf import FloatArray
from tune_models import write_bigram

QUICK = ("--context", "32", "--prefill", "8", "--tokens", "64", "--threads", "1")


class Ruinous(Encoder):
    """Turns the output layer's rows upside down, but in float32."""

    def encode(self, name: str, values: FloatArray, out: Array) -> FloatArray | None:
        ruined = name == "output.weight" and self.recipe.name != "float32"
        return super().encode(name, -values if ruined else values, out)


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bigram(tmp_path_factory.mktemp("bigram"))


def test_the_table_is_printed_and_the_choice_and_the_plot_are_written(
    bigram: Path, tmp_path: Path
) -> None:
    paths = {name: tmp_path / name for name in ("choice.json", "t.jsonl", "plot.html")}
    found = run(
        *("tune", bigram, *QUICK, "--recipe", "int8,float16", "--journal", paths["t.jsonl"]),
        *("-o", paths["choice.json"], "--plot", paths["plot.html"]),
    )
    assert (found.status, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].split()[:2] == ["recipe", "context"]
    assert "perplexity by size" in found.out
    choice = json.loads(paths["choice.json"].read_text())
    assert choice["command"] == lines[-1]
    assert choice["recipe"]["matrices"] in ("int8", "float16")
    assert choice["versions"].keys() >= {"foreword", "ai-edge-litert"}
    assert len(choice["source_sha256"]) == len(choice["model_sha256"]) == 64
    assert "<svg" in paths["plot.html"].read_text()
    assert tree(tmp_path) == sorted(paths)


@pytest.mark.parametrize("ruined", [False, True], ids=["sound", "degraded"])
@pytest.mark.parametrize("embedding", ["int8", "float16"], ids=["named", "varied"])
def test_the_command_run_as_printed_makes_the_trials_model(
    bigram: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    embedding: str,
    ruined: bool,
) -> None:
    if ruined:
        monkeypatch.setattr(prepare, "Encoder", Ruinous)
    options = ("--recipe", "int8", "--embedding", embedding, "--journal", tmp_path / "a b.jsonl")
    found = run("tune", bigram, *QUICK, *options, "--json", "--quiet")
    choice = json.loads(found.out)["choice"]
    assert choice["verdict"] == ("degraded" if ruined else "passed")
    assert ("--allow-degraded" in choice["command"]) == ruined
    assert (tmp_path / "a b.recipe.toml").exists() == (embedding == "float16")
    words = shlex.split(choice["command"])
    made = run(*words[1:], "-o", tmp_path / "bundle", "--quiet")
    assert (made.status, made.err) == (0, "")
    files = open_bundle(tmp_path / "bundle").manifest.files
    assert files["model.tflite"].sha256 == choice["model_sha256"]


def test_limits_that_nothing_keeps_are_told(bigram: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    arguments = ("tune", bigram, *QUICK, "--journal", tmp_path / "t.jsonl", "--max-size", "0.001")
    result = run(*arguments, "--plot", plot)
    assert result.status == 1
    assert "no bundle stays within the limits" in result.err
    assert plot.read_text().startswith("<svg")


def test_trials_that_all_fail_end_with_the_reason_of_the_first(
    bigram: Path, tmp_path: Path
) -> None:
    arguments = ("tune", bigram, *QUICK, "--tokens", "1", "--journal", tmp_path / "t.jsonl")
    message = refusal(run(*arguments))
    assert "no trial could be run; the first, int8, 32, 8: tokens: expected from 32" in message


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--recipe", "int3", "unknown recipe"),
        ("--embedding", "int4", "--embedding: expected some of float32, float16, int8"),
        ("--context", "many", "--context: expected numbers"),
        ("--prefill", "8;x", "--prefill: expected numbers"),
        ("--max-size", "nan", "--max-size: expected a number above 0"),
        ("--max-memory", "inf", "--max-memory: expected a number above 0"),
        ("--min-decode-tps", "-1", "--min-decode-tps: expected a number above 0"),
        ("--plot", "plot.png", "--plot: expected a name that ends in .html or .svg"),
        ("--scheduler", "localhost", "--scheduler: expected such as tcp://host:8786"),
    ],
)
def test_settings_that_are_none_are_refused(
    bigram: Path, tmp_path: Path, option: str, value: str, message: str
) -> None:
    arguments = ("tune", bigram, option, value, "--journal", tmp_path / "t.jsonl")
    assert message in refusal(run(*arguments), status=2)
    assert tree(tmp_path) == []


@pytest.mark.parametrize("option", ["--plot", "-o"])
def test_a_place_that_is_not_there_is_refused_before_the_work(
    bigram: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "x.svg").mkdir()
    for place in (tmp_path / "none" / "x.svg", tmp_path / "x.svg"):
        arguments = ("tune", bigram, option, place, "--journal", tmp_path / "t.jsonl")
        assert "expected a file in a directory that exists" in refusal(run(*arguments))
    assert tree(tmp_path) == ["x.svg"]


def test_the_guide_has_every_option_and_no_other() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "tune.md"
    rows = [line for line in guide.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    told = {name for row in rows for name in re.findall(r"`(--[a-z-]+)", row.split("|")[1])}
    options = inspect.signature(tune).parameters.keys() - {"source", "as_json", "quiet"}
    assert told == {f"--{name.replace('_', '-')}" for name in options}
