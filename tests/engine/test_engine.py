from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.engine.engine import Engine
from foreword.engine.sampling import SamplingParams
from foreword.errors import EngineError, PromptError
from tiny import CONTEXT, graph_of, load_tiny, write_tiny_bundle

PROMPT = [40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))[1]


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Iterator[Engine]:
    engine = load_tiny(bundle)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def cold(bundle: Path) -> Iterator[Engine]:
    engine = load_tiny(bundle)
    yield engine
    engine.close()


def tokens(
    engine: Engine, prompt: list[int], params: SamplingParams | None = None
) -> list[int | None]:
    return [step.token_id for step in engine.stream(prompt, params) if step.token_id is not None]


def forget(engine: Engine) -> None:
    """Leave nothing in the cache to reuse."""
    engine._forward.forget()
    graph_of(engine).clear()


GREEDY = SamplingParams(max_new_tokens=6, ignore_eos=True)


def test_a_warm_prompt_computes_only_what_changed(engine: Engine) -> None:
    list(engine.stream(PROMPT, SamplingParams(max_new_tokens=1)))
    list(engine.stream([*PROMPT[:-1], 99], SamplingParams(max_new_tokens=1)))
    assert engine.stats.computed_tokens <= 2
    assert engine.stats.reused_tokens == len(PROMPT) - 1


def test_the_same_prompt_again_computes_one_token(engine: Engine) -> None:
    first = tokens(engine, PROMPT, GREEDY)
    again = tokens(engine, PROMPT, GREEDY)
    assert again == first
    assert engine.stats.reused_tokens == len(PROMPT) - 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 30), st.lists(st.integers(3, 250), min_size=1, max_size=12)),
        min_size=1,
        max_size=5,
    )
)
def test_warm_equals_cold_for_any_sequence_of_edits(
    engine: Engine, cold: Engine, edits: list[tuple[int, list[int]]]
) -> None:
    prompt: list[int] = []
    for keep, typed in edits:
        prompt = [*prompt[:keep], *typed][: CONTEXT - 8]
        warm = tokens(engine, prompt, GREEDY)
        forget(cold)
        assert warm == tokens(cold, prompt, GREEDY)


def test_greedy_streams_follow_the_decode_signature_alone(engine: Engine, cold: Engine) -> None:
    streamed = tokens(engine, PROMPT, GREEDY)
    graph, sequence = graph_of(cold), list(PROMPT)
    forget(cold)
    for position, token in enumerate(PROMPT):
        logits = graph.run("decode", [token], position)
    for position in range(len(PROMPT), len(PROMPT) + 6):
        assert logits is not None
        sequence.append(int(logits[-1].argmax()))
        logits = graph.run("decode", sequence[-1:], position)
    forget(cold)
    assert streamed == sequence[len(PROMPT) :]


def test_cancel_stops_within_one_step(engine: Engine) -> None:
    cancel = threading.Event()
    stream = engine.stream(PROMPT, SamplingParams(max_new_tokens=30, ignore_eos=True), cancel)
    next(stream)
    cancel.set()
    rest = list(stream)
    assert [step.finish_reason for step in rest] == ["cancelled"]
    assert tokens(engine, PROMPT, GREEDY) == tokens(engine, PROMPT, GREEDY)


def test_cancelled_before_it_starts_computes_nothing(engine: Engine) -> None:
    cancel = threading.Event()
    cancel.set()
    steps = list(engine.stream([200, 201], cancel=cancel))
    assert [step.finish_reason for step in steps] == ["cancelled"]
    assert engine.stats.computed_tokens == 0


def test_a_new_stream_ends_the_one_before(engine: Engine) -> None:
    old = engine.stream(PROMPT, GREEDY)
    next(old)
    new = tokens(engine, [60, 61, 62], GREEDY)
    assert [step.finish_reason for step in old] == ["cancelled"]
    assert tokens(engine, [60, 61, 62], GREEDY) == new


def test_a_full_context_ends_with_length(engine: Engine) -> None:
    steps = list(engine.stream(PROMPT, SamplingParams(max_new_tokens=500, ignore_eos=True)))
    assert steps[-1].finish_reason == "length"
    assert len(PROMPT) + len(steps) == CONTEXT + 1  # the last token needs no slot


def test_a_prompt_that_fills_the_context_gets_one_token(engine: Engine) -> None:
    steps = list(engine.stream([7] * CONTEXT, GREEDY))
    assert [step.finish_reason for step in steps] == ["length"]


def test_max_new_tokens_is_kept(engine: Engine) -> None:
    steps = list(engine.stream(PROMPT, GREEDY))
    assert len(steps) == 6
    assert steps[-1].finish_reason == "length"


def test_an_end_token_stops_unless_ignored(engine: Engine) -> None:
    generated = tokens(engine, PROMPT, GREEDY)
    stopping = Ending(engine, generated[2])
    steps = list(stopping.stream(PROMPT, SamplingParams(max_new_tokens=6)))
    assert [step.token_id for step in steps] == [*generated[:2], None]
    assert steps[-1].finish_reason == "stop"


class Ending(Engine):
    """An engine over the same graph with another end token."""

    def __init__(self, engine: Engine, end: int | None) -> None:
        import dataclasses

        assert end is not None
        special = dataclasses.replace(engine.manifest.special_tokens, end=(end,))
        manifest = dataclasses.replace(engine.manifest, special_tokens=special)
        super().__init__(graph_of(engine), engine.tokenizer, manifest)


def test_a_stop_string_ends_the_text_before_it(engine: Engine) -> None:
    text = "".join(step.text for step in engine.stream(PROMPT, GREEDY))
    stop = text[2:4]
    steps = list(engine.stream(PROMPT, SamplingParams(max_new_tokens=6, stop=(stop,))))
    assert "".join(step.text for step in steps) == text[: text.index(stop)]
    assert steps[-1].finish_reason == "stop"


def test_streamed_text_is_valid_utf8_and_equals_the_decoded_tokens(engine: Engine) -> None:
    for seed in range(20):
        params = SamplingParams(temperature=3.0, seed=seed, max_new_tokens=24, ignore_eos=True)
        steps = list(engine.stream(PROMPT, params))
        for step in steps:
            step.text.encode()
        ids = [step.token_id for step in steps if step.token_id is not None]
        streamed = "".join(step.text for step in steps)
        assert engine.decode(ids).rstrip("\ufffd") == streamed.rstrip("\ufffd")


def test_seeded_sampling_repeats(engine: Engine) -> None:
    params = SamplingParams(temperature=1.0, seed=7, max_new_tokens=12)
    assert tokens(engine, PROMPT, params) == tokens(engine, PROMPT, params)


def test_logprobs_come_when_asked_for(engine: Engine) -> None:
    with_them = list(engine.stream(PROMPT, SamplingParams(max_new_tokens=2, logprobs=True)))
    without = list(engine.stream(PROMPT, SamplingParams(max_new_tokens=2)))
    assert all(step.logprob is not None and step.logprob <= 0 for step in with_them)
    assert all(step.logprob is None for step in without)


def test_an_empty_prompt_starts_from_the_start_token(engine: Engine) -> None:
    start = engine.manifest.special_tokens.start
    assert start is not None
    assert tokens(engine, [], GREEDY) == tokens(engine, [start], GREEDY)


@pytest.mark.parametrize("prompt", [[-1], [10**6], [5] * (CONTEXT + 1)])
def test_prompts_it_cannot_take_are_refused_at_once(engine: Engine, prompt: list[int]) -> None:
    with pytest.raises(PromptError):
        engine.stream(prompt)


def test_output_that_is_not_finite_is_an_error_and_the_next_stream_is_clean(
    engine: Engine,
) -> None:
    expected = tokens(engine, PROMPT, GREEDY)
    forget(engine)
    list(engine.stream(PROMPT[:4], SamplingParams(max_new_tokens=1)))
    graph_of(engine)._cache.keys[:] = np.nan
    with pytest.raises(EngineError, match="not a finite number"):
        list(engine.stream(PROMPT, GREEDY))
    assert tokens(engine, PROMPT, GREEDY) == expected


def test_text_in_place_of_tokens_is_told_how_to_become_tokens(engine: Engine) -> None:
    with pytest.raises(PromptError, match="encode"):
        engine.stream("hello")  # type: ignore[arg-type]


def test_the_likeliest_tokens_come_when_asked_for(engine: Engine) -> None:
    params = SamplingParams(max_new_tokens=2, ignore_eos=True, logprobs=True, top_logprobs=3)
    for step in engine.stream(PROMPT, params):
        ids, logprobs = zip(*step.top_logprobs, strict=True)
        assert ids[0] == step.token_id
        assert logprobs[0] == pytest.approx(step.logprob)
        assert list(logprobs) == sorted(logprobs, reverse=True)
        assert len(ids) == 3
