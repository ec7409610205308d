"""The search: every trial once, the best within limits, a journal that survives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import refusal, run, tree
from foreword.errors import UsageError
from foreword.tune import Limits, Outcome, Trial, best, pareto, plan, read_journal, search
from tiny import write_tiny_bundle
from tiny_bigram import built_in_tokens, write_bigram_gguf

QUICK = ("--context", "32", "--prefill", "8", "--tokens", "64", "--threads", "1")


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bigram")
    _, bundle = write_tiny_bundle(directory)
    return write_bigram_gguf(directory / "bigram.gguf", built_in_tokens(bundle))


def outcome(recipe: str, size: float, perplexity: float, speed: float) -> Outcome:
    figures = {"size_bytes": size, "perplexity": perplexity, "decode_tokens_per_s": speed}
    return Outcome(Trial(recipe, 32, (8,)), {**figures, "peak_rss_bytes": 2 * size})


LARGE, MIDDLE, SMALL = outcome("a", 400, 10, 5), outcome("b", 100, 11, 9), outcome("c", 50, 15, 9)
WORSE = outcome("d", 120, 12, 8)
FAILED = Outcome(Trial("e", 32, (8,)), {}, "broke")
ALL = [WORSE, SMALL, FAILED, LARGE, MIDDLE]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), LARGE),
        (Limits(max_size_bytes=399), MIDDLE),
        (Limits(max_memory_bytes=199), SMALL),
        (Limits(min_decode_tokens_per_s=6), MIDDLE),
        (Limits(max_size_bytes=49), None),
        (Limits(min_decode_tokens_per_s=10), None),
    ],
)
def test_the_best_quality_within_the_limits_is_chosen(
    limits: Limits, expected: Outcome | None
) -> None:
    assert best(ALL, limits) is expected


def test_what_another_beats_in_everything_is_not_on_the_front() -> None:
    assert pareto(ALL) == [SMALL, MIDDLE, LARGE]


def test_a_plan_is_every_combination_once() -> None:
    made = plan(["int8", "int4", "int8"], [32, 48], [(8,), (8, 16)])
    assert len(made.trials) == len(set(made.trials)) == 8
    with pytest.raises(UsageError, match="unknown recipe 'int3'"):
        plan(["int3"], [32], [(8,)])


def test_a_second_search_runs_only_what_is_new(
    bigram: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal.jsonl"
    first = search(bigram, plan(["int8"], [32], [(8,)], 64, 1), journal)
    # As a search leaves it that was killed while writing.
    with journal.open("a") as file:
        file.write('{"key": "12')
    second = search(bigram, plan(["int8", "float16"], [32], [(8,)], 64, 1), journal)
    assert second[0] == first[0]
    assert len(read_journal(journal)) == 2

    def never(*_: object) -> None:
        raise AssertionError("a trial was run again")

    monkeypatch.setattr("foreword.tune.make_report", never)
    assert search(bigram, plan(["float16"], [32], [(8,)], 64, 1), journal) == second[1:]
    assert tree(tmp_path) == ["journal.jsonl"]


def test_other_weights_are_other_trials() -> None:
    trial = Trial("int8", 32, (8,))
    assert trial.key("a" * 64, 100, 1) != trial.key("b" * 64, 100, 1)
    assert trial.key("a" * 64, 100, 1) != trial.key("a" * 64, 100, 2)
    assert trial.key("a" * 64, 100, 1) == Trial("int8", 32, (8,)).key("a" * 64, 100, 1)


def test_the_command_writes_a_choice_that_can_be_made_again(bigram: Path, tmp_path: Path) -> None:
    choice, journal = tmp_path / "choice.json", tmp_path / "t.jsonl"
    found = run("tune", bigram, *QUICK, "--journal", journal, "-o", choice)
    assert (found.status, found.err) == (0, "")
    made = json.loads(choice.read_text())
    assert made["command"] == found.out.splitlines()[-1]
    command = made["command"].split()[1:]
    assert run(*command, "-o", tmp_path / "bundle").status == 0
    assert found.out.splitlines()[0].split()[:2] == ["recipe", "context"]


def test_limits_that_nothing_keeps_are_told(bigram: Path, tmp_path: Path) -> None:
    arguments = ("tune", bigram, *QUICK, "--journal", tmp_path / "t.jsonl", "--max-size", "0.001")
    result = run(*map(str, arguments))
    assert result.status == 1
    assert "no bundle stays within the limits" in result.err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--recipe", "int3", "unknown recipe"),
        ("--context", "many", "--context: expected numbers"),
        ("--prefill", "8;x", "--prefill: expected numbers"),
    ],
)
def test_settings_that_are_none_are_refused(
    bigram: Path, tmp_path: Path, option: str, value: str, message: str
) -> None:
    arguments = ("tune", bigram, option, value, "--journal", tmp_path / "t.jsonl")
    assert message in refusal(run(*map(str, arguments)), status=2)
    assert tree(tmp_path) == []
