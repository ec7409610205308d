from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.engine.sampling import Sampler, SamplingParams, log_probability
from foreword.errors import UsageError

LOGITS = np.array([1.0, 3.0, 2.0, -1.0, 2.5], np.float32)


def draws(params: SamplingParams, count: int = 400, logits: np.ndarray = LOGITS) -> set[int]:
    sampler = Sampler(params)
    return {sampler.choose(logits, []) for _ in range(count)}


def test_temperature_zero_takes_the_likeliest() -> None:
    assert draws(SamplingParams()) == {1}


def test_sampling_reaches_every_token() -> None:
    assert draws(SamplingParams(temperature=5.0, seed=0)) == {0, 1, 2, 3, 4}


def test_top_k_keeps_the_k_best() -> None:
    assert draws(SamplingParams(temperature=5.0, top_k=3, seed=0)) == {1, 4, 2}


def test_top_p_keeps_the_smallest_head_that_reaches_p() -> None:
    chances = np.exp(LOGITS) / np.exp(LOGITS).sum()
    just_two = float(chances[1] + chances[4]) - 1e-3
    assert draws(SamplingParams(temperature=5.0, top_p=just_two, seed=0)) == {1, 4}


def test_min_p_drops_what_is_far_from_the_best() -> None:
    # 2.5 is exp(-0.5) = 0.61 of the best, 2.0 is 0.37
    assert draws(SamplingParams(temperature=5.0, min_p=0.5, seed=0)) == {1, 4}


def test_a_penalty_moves_the_choice_off_a_repeated_token_and_leaves_the_logits() -> None:
    before = LOGITS.copy()
    sampler = Sampler(SamplingParams(repetition_penalty=2.0))
    assert sampler.choose(LOGITS, [1, 1]) == 4
    assert np.array_equal(LOGITS, before)


@given(seed=st.integers(0, 2**32), top_k=st.integers(0, 6))
def test_the_same_seed_chooses_alike(seed: int, top_k: int) -> None:
    params = SamplingParams(temperature=1.0, top_k=top_k, seed=seed)
    one, other = Sampler(params), Sampler(params)
    assert [one.choose(LOGITS, []) for _ in range(8)] == [
        other.choose(LOGITS, []) for _ in range(8)
    ]


def test_frequencies_follow_the_probabilities() -> None:
    sampler = Sampler(SamplingParams(temperature=1.0, seed=1))
    counts = np.bincount([sampler.choose(LOGITS, []) for _ in range(4000)], minlength=5)
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum()
    assert np.abs(counts / 4000 - expected).max() < 0.03


def test_log_probabilities_sum_to_one() -> None:
    total = sum(np.exp(log_probability(LOGITS, token)) for token in range(5))
    assert total == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"repetition_penalty": 0.0},
        {"max_new_tokens": 0},
        {"seed": -1},
        {"stop": ("",)},
    ],
)
def test_values_out_of_range_are_usage_errors(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        SamplingParams(**wrong)  # type: ignore[arg-type]


def test_a_temperature_next_to_none_is_greedy() -> None:
    logits = np.array([0.5, 3.0, -1e4, 2.9], np.float32)
    assert Sampler(SamplingParams(temperature=5e-324)).choose(logits, []) == 1
