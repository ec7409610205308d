"""Guessing ahead, growing and going back: whatever was computed before, the logits are the same."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from foreword.engine.cache import STEP, FloatArray
from foreword.engine.engine import Engine
from foreword.engine.forward import Forward, StreamStats
from foreword.engine.graph import TokenGraph
from foreword.engine.sampling import SamplingParams
from foreword.errors import EngineError
from tiny import graph_of, load_tiny, write_tiny_bundle

CONTEXT = 4 * STEP
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"), context=CONTEXT)[1]


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Iterator[Engine]:
    with load_tiny(bundle) as engine:
        yield engine


@pytest.fixture(scope="module")
def cold(bundle: Path) -> Iterator[Forward]:
    with load_tiny(bundle) as engine:
        yield Forward(engine.graph)


@pytest.fixture
def warm(engine: Engine) -> Forward:
    return Forward(engine.graph)


def logits(
    forward: Forward, tokens: list[int], useful: int = 0, stats: StreamStats | None = None
) -> FloatArray:
    found = forward.logits(tokens, stats or StreamStats(0), lambda: False, useful)
    assert found is not None
    return found.copy()


def fresh(cold: Forward, tokens: list[int]) -> FloatArray:
    cold.forget()
    return logits(cold, tokens)


def continued(forward: Forward, prompt: list[int], new: int, stats: StreamStats) -> list[int]:
    text = list(prompt)
    while len(text) < len(prompt) + new:
        useful = len(prompt) + new - len(text) - 1
        text.append(int(logits(forward, text, useful, stats).argmax()))
    return text[len(prompt) :]


def test_guessed_text_is_the_greedy_text_of_hundreds_of_prompts(
    warm: Forward, cold: Forward
) -> None:
    stats, random_ = StreamStats(0), random.Random(1)
    for _ in range(300):
        prompt = [random_.randrange(3, 250) for _ in range(random_.randrange(1, 24))]
        expected = continued(Forward(cold.graph), prompt, 24, StreamStats(0))
        assert continued(warm, prompt, 24, stats) == expected
    assert 200 < stats.guessed_right < stats.guessed_tokens


def test_a_right_guess_spares_runs_and_counts_like_none(engine: Engine, warm: Forward) -> None:
    prompt, stats = [40, 41, 42], StreamStats(0)
    text = continued(warm, prompt, 20, StreamStats(0))
    warm.forget()
    runs = Counted(warm.graph)
    warm.graph = runs
    assert continued(warm, prompt, 20, stats) == text
    assert stats.computed_tokens == len(prompt) + 19
    assert len(runs.called) + stats.guessed_right == 20
    assert stats.guessed_right > 5


class Counted:
    """A graph that tells which signatures ran, and does something before each."""

    def __init__(self, graph: TokenGraph) -> None:
        self._graph, self.called = graph, list[str]()
        self.before = lambda: None

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        self.called.append(signature)
        self.before()
        return self._graph.run(signature, token_ids, position)

    def __getattr__(self, name: str) -> object:
        return getattr(self._graph, name)


def test_called_off_while_a_guess_is_verified_what_comes_next_is_right(
    engine: Engine, cold: Forward
) -> None:
    forward = Forward(engine.graph)
    text = [40, 41, 42]
    said = continued(forward, text, 30, StreamStats(0))
    forward.forget()
    counted = Counted(forward.graph)
    forward.graph = counted
    off: list[bool] = []
    counted.before = lambda: off.append(True)
    # Called off within the run that verifies: it ends, and the next request is not served.
    forward.logits([*text, *said[:10]], StreamStats(0), lambda: False, 8)
    assert counted.called[-1].startswith("verify")
    assert forward.logits([*text, *said[:11]], StreamStats(0), lambda: bool(off), 8) is None
    for other in ([*text, *said[:10], 99], [*text, *said[:4]], [7, 8], [*text, *said[:12]]):
        np.testing.assert_allclose(logits(forward, other), fresh(cold, other), atol=TOLERANCE)


@pytest.mark.parametrize("boundary", [STEP, 2 * STEP, 3 * STEP])
@pytest.mark.parametrize("at", [-2, -1, 0, 1])
def test_a_cache_that_grew_says_what_a_fresh_one_does(
    engine: Engine, cold: Forward, boundary: int, at: int
) -> None:
    text = [3 + i * 7 % 240 for i in range(boundary + at)]
    forward, graph = Forward(engine.graph), graph_of(engine)
    logits(forward, text[: STEP // 2])
    assert graph.slots <= 3 * STEP
    for end in range(len(text), len(text) + 4):
        text = [*text, 9][:end]
        np.testing.assert_allclose(logits(forward, text), fresh(cold, text), atol=TOLERANCE)
        assert graph.slots >= end
    # Over the boundary in one go, from far before it.
    forward.forget()
    logits(forward, text[:5])
    np.testing.assert_allclose(logits(forward, text), fresh(cold, text), atol=TOLERANCE)


def test_guesses_stop_at_the_end_of_the_context(warm: Forward, cold: Forward) -> None:
    text = [5, 6] * (CONTEXT // 2)
    for end in range(CONTEXT - 12, CONTEXT + 1):
        found = logits(warm, text[:end], useful=8)
        np.testing.assert_allclose(found, fresh(cold, text[:end]), atol=TOLERANCE)


def test_ten_thousand_edits_leave_the_logits_and_the_memory_as_they_were(
    warm: Forward, cold: Forward
) -> None:
    random_, text, stats = random.Random(9), list[int](), StreamStats(0)
    sizes = []
    for step in range(10_000):
        match random_.randrange(5):
            case 0:  # complete
                for _ in range(random_.randrange(1, 5)):
                    if 0 < len(text) < CONTEXT:
                        text.append(int(logits(warm, text, 8, stats).argmax()))
            case 1:  # go back
                del text[max(len(text) - random_.randrange(1, 8), 0) :]
            case 2 if step % 50 == 0:  # leave most of it, or all
                del text[random_.choice([0, len(text) // 2]) :]
            case 3:  # change something in the middle
                if text:
                    text[random_.randrange(len(text))] = random_.randrange(3, 250)
            case _:  # type
                text += [random_.randrange(3, 250) for _ in range(random_.randrange(1, 4))]
        text = text[:CONTEXT] or [3]
        found = logits(warm, text, random_.choice([0, 8]), stats)
        if step % 10 == 0:
            np.testing.assert_allclose(found, fresh(cold, text), atol=TOLERANCE)
        if step in (3_000, 9_999):
            gc.collect()
            sizes.append(resident_bytes())
    assert stats.guessed_right > 100
    assert sizes[1] - sizes[0] < 8 << 20


def resident_bytes() -> int:
    """Return the memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def test_output_that_is_not_finite_is_an_error_whether_it_was_guessed_or_not(
    engine: Engine,
) -> None:
    forward = Forward(engine.graph)
    text = [40, 41, 42]
    said = continued(forward, text, 20, StreamStats(0))
    for tokens in (text, [*text, *said[:9]]):
        graph_of(engine)._cache.keys[:] = np.nan
        with pytest.raises(EngineError, match="not a finite number"):
            logits(forward, [*tokens, 77], useful=8)
    assert continued(forward, text, 20, StreamStats(0)) == said


def test_what_is_drawn_is_not_guessed(engine: Engine) -> None:
    for params in (
        SamplingParams(temperature=0.8, seed=1, max_new_tokens=30, ignore_eos=True),
        SamplingParams(repetition_penalty=1.2, max_new_tokens=30, ignore_eos=True),
    ):
        list(engine.stream([40, 41], params))
        assert engine.stats.guessed_tokens == 0
    list(engine.stream([40, 41], SamplingParams(max_new_tokens=30, ignore_eos=True)))
    assert engine.stats.guessed_tokens > 0


def test_no_more_is_guessed_than_is_asked_for(engine: Engine) -> None:
    params = SamplingParams(max_new_tokens=20, ignore_eos=True)
    list(engine.stream([40, 41], params))
    for new in (1, 2, 3):
        list(engine.stream([40, 41], SamplingParams(max_new_tokens=new, ignore_eos=True)))
        assert engine.stats.guessed_tokens < new
