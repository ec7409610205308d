"""Figures of one contender: what is computed for each, and what is left in memory before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from foreword.bundle.store import open_bundle
from foreword.completion.completer import Completer
from foreword.completion.session import Session
from foreword.completion.suggestion import Policy
from foreword.engine.engine import Cancel, Engine
from foreword.engine.generation import Step
from foreword.engine.sampling import SamplingParams
from foreword.evaluation.benchmark import contender
from foreword.evaluation.typing import Stretch
from tiny import load_tiny, write_tiny_bundle


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    _, path = write_tiny_bundle(tmp_path_factory.mktemp("bundle"))
    with load_tiny(path) as engine:
        yield engine


class Watched:
    """An engine whose prompts and computed tokens are noted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked: list[tuple[list[int], SamplingParams, int]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def stream(
        self,
        token_ids: Sequence[int],
        params: SamplingParams | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Step]:
        assert params is not None
        yield from self._engine.stream(token_ids, params, cancel)
        self.asked.append((list(token_ids), params, self._engine.stats.computed_tokens))


def test_a_cold_prompt_is_computed_whole_whatever_ran_before(engine: Engine) -> None:
    watched, prompt = Watched(engine), list(range(20, 40))
    for _ in range(2):
        assert contender.first_token_ms(watched, prompt) > 0  # type: ignore[arg-type]
        assert [computed for *_, computed in watched.asked[-1:]] == [20]


def test_a_warm_prompt_is_computed_from_where_it_differs(engine: Engine) -> None:
    watched, prompt = Watched(engine), list(range(20, 40))
    contender.first_token_ms(watched, [*prompt[:-1], 7], prompt)  # type: ignore[arg-type]
    assert watched.asked[-1][2] == 1
    contender.first_token_ms(watched, [*prompt, 7, 8], prompt)  # type: ignore[arg-type]
    assert watched.asked[-1][2] == 2


def test_decoding_takes_so_many_steps_after_the_first_token(engine: Engine) -> None:
    watched = Watched(engine)
    assert contender.decode_tokens_per_s(watched, [20, 21, 22], 6) > 0  # type: ignore[arg-type]
    prompt, params, computed = watched.asked[-1]
    assert (prompt, params.max_new_tokens, computed) == ([20, 21, 22], 7, 3 + 6)


def test_an_engine_that_guesses_ahead_is_told_not_to_when_single_steps_are_measured(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Guessing(SamplingParams):
        speculate: bool | None = None

    monkeypatch.setattr(contender, "SamplingParams", Guessing)
    watched = Watched(engine)
    contender.decode_tokens_per_s(watched, [20, 21], 2)  # type: ignore[arg-type]
    contender.continue_tokens_per_s(watched, "the cat", 2)  # type: ignore[arg-type]
    told = [params.speculate for _, params, _ in watched.asked if isinstance(params, Guessing)]
    assert [told[1], told[3]] == [False, None]


def test_a_text_is_continued_from_the_end_that_fills_half_the_context(engine: Engine) -> None:
    watched, text = Watched(engine), "the cat sat on the mat. " * 40
    contender.continue_tokens_per_s(watched, text, 5)  # type: ignore[arg-type]
    prompt = watched.asked[-1][0]
    assert prompt == engine.encode(text)[-engine.context // 2 :]


def test_keystrokes_are_those_after_the_first_that_called_the_model(engine: Engine) -> None:
    session = Session(Completer(engine), Policy(confidence=0.0))
    found = contender.typed(session, Stretch("The cat ", "sat on the mat"))
    assert 1 <= len(found["latency_ms"]) < found["keystrokes"] <= 14
    assert min(found["latency_ms"]) > 0


def test_an_entry_counts_the_weights_that_a_token_reads(tmp_path: Path) -> None:
    tied = open_bundle(write_tiny_bundle(tmp_path, tied=True)[1])
    untied = open_bundle(write_tiny_bundle(tmp_path, tied=False)[1])
    entries = [contender.entry_of(bundle) for bundle in (tied, untied)]
    assert entries[0].weight_bytes == tied.model_path.stat().st_size
    # The output projection is as large as the embedding, which is not read.
    assert entries[1].weight_bytes == pytest.approx(entries[0].weight_bytes, rel=0.02)
    assert untied.size_bytes > 1.1 * entries[1].weight_bytes
    assert entries[0].runtime == "Foreword"
