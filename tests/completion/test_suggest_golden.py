"""The golden cases that other languages read: suggestions, what was told of them, sessions."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fixed_model import Bench

GOLDEN = Path(__file__).parents[2] / "testdata/golden/suggest.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def bench(golden: dict[str, Any]) -> Bench:
    return Bench(golden)


def close(value: Any) -> Any:
    """The value, with room for rounding in its numbers."""
    if isinstance(value, dict):
        return {key: close(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [close(inner) for inner in value]
    return pytest.approx(value, abs=2e-4, rel=1e-4) if isinstance(value, float) else value


def test_suggestions_are_the_committed_ones(golden: dict[str, Any], bench: Bench) -> None:
    for case in golden["cases"]:
        found = bench.asked(case)
        assert found == close({key: case[key] for key in found}), case["text"]


def test_sessions_are_the_committed_ones(golden: dict[str, Any], bench: Bench) -> None:
    for case in golden["sessions"]:
        assert bench.session(case) == close(case["answers"])


def test_the_cases_cover_what_there_is(golden: dict[str, Any]) -> None:
    seen = Counter[str]()
    for case in golden["cases"]:
        answer = case["answer"]
        seen[answer["refused"] or ("items" if answer["items"] else "silence")] += 1
        seen["alternatives"] += len(answer["items"]) > 1
        seen["grew"] += len(case.get("told", ())) > 1
        seen["dropped"] += answer["dropped_tokens"] > 0
        seen["suffix"] += bool(case.get("suffix"))
        told = [*case.get("told", ()), *(item["text"] for item in answer["items"][:1])]
        assert all(more.startswith(text) for text, more in pairwise(told))
    kinds = ("items", "silence", "input", "output", "alternatives", "grew", "dropped", "suffix")
    assert all(seen[kind] >= 3 for kind in kinds), seen
