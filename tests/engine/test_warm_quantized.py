"""With int8 the width of a run changes a little rounding; reusing the cache must not cost more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foreword.engine.engine import Engine
from foreword.engine.sampling import SamplingParams
from tiny import CONTEXT, graph_of, load_tiny, write_tiny_bundle

PROMPTS = 300


def next_token(engine: Engine, prompt: list[int]) -> int:
    (step,) = engine.stream(prompt, SamplingParams(max_new_tokens=1, ignore_eos=True))
    assert step.token_id is not None
    return step.token_id


def forget(engine: Engine) -> None:
    engine._forward.forget()
    graph_of(engine).clear()


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_int8_agrees_with_float32_as_well_warm_as_cold(tmp_path: Path, architecture: str) -> None:
    exact = load_tiny(write_tiny_bundle(tmp_path, architecture)[1])
    int8 = write_tiny_bundle(tmp_path, architecture, recipe="int8")[1]
    warm, cold = load_tiny(int8), load_tiny(int8)
    random = np.random.default_rng(0)
    prompt: list[int] = []
    agreed = {"warm": 0, "cold": 0}
    for _ in range(PROMPTS):
        keep = int(random.integers(0, len(prompt) + 1))
        typed = [int(i) for i in random.integers(3, 250, random.integers(1, 6))]
        prompt = [*prompt[:keep], *typed][: CONTEXT - 1]
        expected = next_token(exact, prompt)
        agreed["warm"] += next_token(warm, prompt) == expected
        forget(cold)
        agreed["cold"] += next_token(cold, prompt) == expected
    # Three standard deviations of the difference of two counts that mostly move together.
    slack = 3 * np.sqrt(PROMPTS * 0.02)
    assert agreed["cold"] > 0.8 * PROMPTS
    assert agreed["warm"] >= agreed["cold"] - slack
    for engine in (exact, warm, cold):
        engine.close()
