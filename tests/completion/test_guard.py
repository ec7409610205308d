"""A guarded stream: the same text where nothing is bad, and nothing bad shown where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book_model import BookModel, StreamModel
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.guard import guarded
from foreword.completion.safety import load_filter
from foreword.engine.generation import Step
from foreword.engine.sampling import SamplingParams
from foreword.errors import RefusedError

FILTER = load_filter()


def steps_of(model: BookModel, prompt: str, params: SamplingParams | None = None) -> list[Step]:
    params = params or SamplingParams()
    return list(guarded(model, model.encode(prompt), params, FILTER))


def text_of(steps: list[Step]) -> str:
    return "".join(step.text for step in steps)


@pytest.mark.parametrize("kind", [BookModel, StreamModel])
def test_a_clean_text_passes_whole(tiny: Tokenizer, kind: type[BookModel]) -> None:
    steps = steps_of(kind(tiny, {"the cat sat on an assistant": 1.0}), "the cat")
    assert text_of(steps) == " sat on an assistant"
    assert steps[-1].finish_reason == "stop"


def test_a_bad_word_is_avoided_by_another(tiny: Tokenizer) -> None:
    book = {"the cat has shit on it": 1.0, "the cat has shirts on it": 0.1}
    steps = steps_of(BookModel(tiny, book), "the cat has")
    assert text_of(steps) == " shirts on it"


def test_where_no_other_word_is_known_the_text_ends_before_it(tiny: Tokenizer) -> None:
    model = StreamModel(tiny, {"the cat is shit at that": 1.0})
    steps = steps_of(model, "the cat")
    assert text_of(steps).rstrip() == " is"
    assert steps[-1].finish_reason == "refused"


@pytest.mark.parametrize("kind", [BookModel, StreamModel])
def test_a_prompt_with_a_bad_word_is_refused_before_any_text(
    tiny: Tokenizer, kind: type[BookModel]
) -> None:
    with pytest.raises(RefusedError, match="mind your language"):
        steps_of(kind(tiny, {"a shit day": 1.0}), "a shit day")


@given(st.lists(st.sampled_from([" shit", " ass", "istant", " on", " s", "h", "it"]), max_size=6))
def test_nothing_bad_is_ever_shown(tiny: Tokenizer, words: list[str]) -> None:
    model = BookModel(tiny, {"the cat" + "".join(words) + " end": 1.0})
    shown = ""
    for step in guarded(model, model.encode("the cat"), SamplingParams(max_new_tokens=40), FILTER):
        shown += step.text
        assert FILTER.scan().feed("the cat" + shown) is None


def test_stop_strings_and_figures_are_those_of_a_stream(tiny: Tokenizer) -> None:
    model = BookModel(tiny, {"the cat sat on the mat": 1.0})
    steps = steps_of(model, "the cat", SamplingParams(stop=(" the",), logprobs=True))
    assert text_of(steps) == " sat on"
    assert steps[-1].finish_reason == "stop"
    assert all(step.logprob is not None for step in steps if step.token_id is not None)
    assert model.stats.generated_tokens == len([s for s in steps if s.token_id is not None])
    assert model.stats.ttft_ms is not None


def test_what_is_begun_later_calls_it_off(tiny: Tokenizer) -> None:
    model = BookModel(tiny, {"the cat sat on the mat": 1.0})
    first, second = (
        guarded(model, model.encode("the cat"), SamplingParams(), FILTER) for _ in range(2)
    )
    next(first)
    next(second)
    assert [step.finish_reason for step in first] == ["cancelled"]
    assert list(second)[-1].finish_reason == "stop"
