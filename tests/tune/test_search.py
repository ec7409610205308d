"""The search: every trial once, a journal that survives, a choice that can be made again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import foreword
from command import tree
from foreword.bundle.manifest import MODEL_NAME
from foreword.errors import SourceError, UsageError
from foreword.tune import plan, search
from tune_models import write_bigram

PLAN = plan(["int8"], [32], [(8,)], tokens=64, threads=1)
BOTH = plan(["int8", "float16"], [32], [(8,)], tokens=64, threads=1)


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bigram(tmp_path_factory.mktemp("bigram"))


def test_a_second_search_runs_only_what_is_new(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal.jsonl"
    seen: list[tuple[str, int, int]] = []
    first = search(bigram, PLAN, journal).outcomes
    second = search(bigram, BOTH, journal, lambda *report: seen.append(report)).outcomes
    assert second[0] == first[0]
    assert [outcome.trial for outcome in second] == BOTH.trials
    assert seen == [("trials", 1, 2), ("trials", 2, 2)]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was made again")

    monkeypatch.setattr("foreword.tune.bench.convert", never)
    assert search(bigram, BOTH, journal).outcomes == second
    assert tree(tmp_path) == ["journal.jsonl"]


def test_a_longer_context_beside_it_leaves_a_trial_as_it_is(bigram: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    first = search(bigram, PLAN, journal).outcomes
    longer = plan(["int8"], [32, 48], [(8,)], tokens=64, threads=1)
    assert search(bigram, longer, journal).outcomes[0] == first[0]
    assert len(journal.read_text().splitlines()) == 2


def test_a_trial_says_what_a_conversion_with_its_settings_gives(
    bigram: Path, tmp_path: Path
) -> None:
    varied = plan(["int4"], [32], [(8,)], ["float16"], tokens=64, threads=1)
    [found] = search(bigram, varied, tmp_path / "journal.jsonl").outcomes
    made = foreword.convert(
        bigram, tmp_path / "made", recipe=found.trial.recipe, context=32, prefill=(8,)
    )
    assert made.manifest.files[MODEL_NAME].sha256 == found.model_sha256
    assert made.manifest.check is not None
    assert made.manifest.check.verdict == found.verdict == "passed"
    assert made.size_bytes == found.figures["size_bytes"]


def test_a_trial_that_fails_is_told_and_tried_again(bigram: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    narrow = plan(["int8"], [32], [(8,), (64,)], tokens=64, threads=1)
    sound, failed = search(bigram, narrow, journal).outcomes
    assert sound.failure is None
    assert failed.failure is not None
    assert "no width fits the context" in failed.failure
    assert len(journal.read_text().splitlines()) == 1


def test_a_source_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a GGUF file"):
        search(tmp_path / "none.gguf", PLAN, tmp_path / "journal.jsonl")
    assert tree(tmp_path) == []


def test_without_dask_a_scheduler_is_refused_with_what_to_install(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "foreword.tune.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'foreword\[tune\]'"):
        search(bigram, PLAN, tmp_path / "t.jsonl", scheduler="tcp://127.0.0.1:1")
