"""llama.cpp as a model and as a suggester, with a stand-in for its package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.suggestion import Policy
from foreword.completion.words import parts_of
from foreword.engine.sampling import SamplingParams
from foreword.errors import UsageError
from foreword.evaluation.benchmark import llama
from foreword.evaluation.benchmark.llama import LlamaCpp
from tiny import write_tiny_bundle

FAKE = Path(__file__).parents[2] / "fake_llama"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    tiny, bundle = write_tiny_bundle(tmp_path_factory.mktemp("bundle"))
    return tiny.path, bundle / "tokenizer.json"


@pytest.fixture
def model(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[LlamaCpp]:
    monkeypatch.syspath_prepend(str(FAKE))
    gguf, tokenizer = places
    yield LlamaCpp(gguf, Tokenizer.from_file(tokenizer), None, 48, 1)
    del sys.modules["llama_cpp"]


def under(model: LlamaCpp) -> Any:
    return model._llama


def test_a_stream_is_greedy_and_as_long_as_it_is_asked_to_be(model: LlamaCpp) -> None:
    steps = list(model.stream([20, 21, 22], SamplingParams(max_new_tokens=4)))
    assert [step.finish_reason for step in steps] == [None, None, None, "length"]
    again = list(model.stream([20, 21, 22], SamplingParams(max_new_tokens=4)))
    assert [step.token_id for step in again] == [step.token_id for step in steps]
    first = steps[0].token_id
    assert first is not None
    followed = next(model.stream([20, 21, 22, first], SamplingParams(max_new_tokens=1)))
    assert followed.token_id == steps[1].token_id


def test_what_a_prompt_shares_with_the_last_one_is_not_run_again(model: LlamaCpp) -> None:
    one = SamplingParams(max_new_tokens=1)
    for prompt, computed in (
        ([20, 21, 22, 23], 4),
        ([20, 21, 22, 7], 1),
        ([20, 21, 22, 7, 8, 9], 2),
        ([20, 21, 22, 7, 8, 9], 1),
        ([5], 1),
        ([20, 21], 2),
    ):
        before = under(model).evaluated
        list(model.stream(prompt, one))
        assert under(model).evaluated - before == computed, prompt


def test_a_suggestion_has_as_many_whole_words_as_the_policy_wants(model: LlamaCpp) -> None:
    suggester = model.suggester(Policy(max_words=2))
    counts = set()
    for end in range(8, 40):
        answer = suggester.suggest("The cat sat on the mat and looked at the rain"[:end])
        for item in answer.items:
            counts.add(sum(part.is_word for part in parts_of(item.text)))
        assert answer.computed_tokens > 0
    assert counts
    assert max(counts) <= 2


def test_closing_frees_the_model(model: LlamaCpp) -> None:
    model.close()
    assert under(model).closed


def test_a_missing_package_is_one_line_that_says_where_it_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"scripts/bench.*pip install llama-cpp-python") as caught:
        llama.check_installed()
    assert "\n" not in str(caught.value)
