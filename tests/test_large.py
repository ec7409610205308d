"""Models of 1.5 billion parameters: bounded memory from a checkpoint on disk to a completion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "large.py"
MODELS = ("gpt2-xl", "qwen2.5-1.5b", "gpt2-xl-keras")

pytestmark = [pytest.mark.large, pytest.mark.timeout(1800)]

Row = dict[str, Any]


@pytest.fixture(scope="module", params=MODELS)
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """What benchmarks/large.py measured of one model, by recipe; every step had its own process."""
    output = tmp_path_factory.mktemp("large") / "large.json"
    command = [sys.executable, SCRIPT, "--model", request.param, "--output", output]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print("", *done.stdout.splitlines()[:-1], sep="\n")
    results = json.loads(output.read_text(encoding="utf-8"))
    assert results == json.loads(done.stdout.splitlines()[-1])
    return list(results["rows"])


def row_of(rows: list[Row], recipe: str) -> Row:
    (row,) = (row for row in rows if row["recipe"] == recipe)
    return row


@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_it_converts_in_the_memory_of_its_largest_part_and_its_file(
    rows: list[Row], recipe: str
) -> None:
    row = row_of(rows, recipe)
    assert row["convert_peak_bytes"] <= row["bound_bytes"] < 12e9
    assert len(row["left"]) == 4  # the bundle's directory and its three files


@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_it_completes_within_twelve_gigabytes(rows: list[Row], recipe: str) -> None:
    row = row_of(rows, recipe)
    assert row["complete_peak_bytes"] < 12e9
    assert row["tokens"] == 16
    assert row["logits_deviation"] > 0


def test_int4_is_smaller_than_int8(rows: list[Row]) -> None:
    # Embedding and values stay int8, and every 32 columns have a scale.
    assert row_of(rows, "int4")["file_bytes"] < 0.66 * row_of(rows, "int8")["file_bytes"]


@pytest.mark.parametrize("recipe", ["float16", "float32"])
def test_what_passes_two_gib_is_refused_before_weights_are_read_and_leaves_nothing(
    rows: list[Row], recipe: str
) -> None:
    row = row_of(rows, recipe)
    assert "a .tflite file holds 2 GiB" in row["refused"]
    assert "choose a smaller recipe" in row["refused"]
    assert row["convert_peak_bytes"] < 500e6  # the embedding would not fit beside the rest
    assert row["left"] == []
