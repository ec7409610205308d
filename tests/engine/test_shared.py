from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.engine.engine import Engine
from foreword.engine.sampling import SamplingParams
from foreword.engine.shared import SharedModel, TextEngine
from tiny import load_tiny, write_tiny_bundle

ONE = SamplingParams(max_new_tokens=1, ignore_eos=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))[1]


@pytest.fixture(scope="module")
def shared(bundle: Path) -> Iterator[SharedModel]:
    model = SharedModel.of(load_tiny(bundle))
    assert model is not None
    yield model
    model.close()


@pytest.fixture(scope="module")
def alone(bundle: Path) -> Iterator[Engine]:
    engine = load_tiny(bundle)
    yield engine
    engine.close()


def greedy(engine: Engine, prompt: list[int], count: int) -> list[int | None]:
    params = SamplingParams(max_new_tokens=count, ignore_eos=True)
    return [step.token_id for step in engine.stream(prompt, params)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    turns=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 40),
            st.lists(st.integers(3, 250), min_size=1, max_size=20),
            st.integers(1, 3),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_texts_in_turn_equal_each_one_alone(
    shared: SharedModel, alone: Engine, turns: list[tuple[int, int, list[int], int]]
) -> None:
    engines = [shared.text() for _ in range(3)]
    texts: list[list[int]] = [[5], [6], [7]]
    for number, kept, added, count in turns:
        texts[number] = [*texts[number][: kept + 1], *added][:50]
        found = greedy(engines[number], texts[number], count)
        assert found == greedy(alone, texts[number], count)
    for engine in engines:
        engine.close()


def test_streams_go_on_where_they_were_when_others_ran_between(
    shared: SharedModel, alone: Engine
) -> None:
    params = SamplingParams(max_new_tokens=8, ignore_eos=True)
    prompts = [[40, 41, 42], [90, 91, 92, 93, 94, 95, 96, 97, 98], [7]]
    streams = [shared.text().stream(prompt, params) for prompt in prompts]
    rounds = zip(*streams, strict=True)
    found = [list(tokens) for tokens in zip(*rounds, strict=True)]
    for steps, prompt in zip(found, prompts, strict=True):
        assert [step.token_id for step in steps] == greedy(alone, prompt, 8)


def test_a_text_put_aside_computes_only_what_is_new(shared: SharedModel) -> None:
    mine, other = shared.text(), shared.text()
    prompt = list(range(40, 70))
    list(mine.stream(prompt, ONE))
    list(other.stream([3, 4, 5], ONE))
    assert mine.kept_bytes > 0
    list(mine.stream([*prompt, 80], ONE))
    assert mine.stats.computed_tokens == 1
    assert mine.kept_bytes == 0


def test_a_closed_text_is_not_put_aside(shared: SharedModel) -> None:
    mine, other = shared.text(), shared.text()
    list(mine.stream([40, 41], ONE))
    mine.close()
    list(other.stream([3, 4, 5], ONE))
    assert mine.kept_bytes == 0


def test_all_texts_are_those_of_one_model(shared: SharedModel) -> None:
    text = shared.text()
    assert isinstance(text, TextEngine)
    assert text.tokenizer is shared.text().tokenizer
