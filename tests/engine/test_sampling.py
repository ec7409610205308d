from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.engine.sampling import Sampler, SamplingParams, likeliest, log_probability
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


@st.composite
def scores(draw: st.DrawFn) -> np.ndarray:
    """Logits of few and of many tokens: flat, peaked, with ties, with some never to be taken."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([1, 2, 5, 255, 256, 257, 1000, 5000]))
    logits = random.standard_normal(size) * draw(st.sampled_from([0.0, 0.3, 3.0, 30.0]))
    if draw(st.booleans()):
        logits = np.round(logits * 2) / 2
    if draw(st.booleans()):
        logits[1:][random.random(size - 1) < 0.3] = draw(st.sampled_from([-np.inf, -3e38]))
    return logits.astype(np.float32)


FILTERS = st.fixed_dictionaries(
    {
        "top_k": st.sampled_from([0, 1, 3, 40, 300]),
        "top_p": st.one_of(st.just(1.0), st.floats(1e-6, 1 - 1e-6)),
        "min_p": st.one_of(st.just(0.0), st.floats(1e-6, 1)),
    }
)


def kept_by(params: SamplingParams, logits: np.ndarray) -> np.ndarray:
    """The tokens that a sampler's filters keep."""
    ids = np.arange(logits.size)
    for keep in Sampler(params)._filters:
        ids = ids[keep(logits[ids])]
    return ids


def kept_by_definition(
    logits: np.ndarray, top_k: int, top_p: float, min_p: float, slack: float = 0.0
) -> np.ndarray:
    """The same by sorting all of them, in float64; the mass of the head is `slack` more."""
    exact = logits.astype(np.float64)
    order = np.lexsort((np.arange(exact.size), -exact))[: top_k or None]
    if top_p < 1:
        chances = np.exp(exact[order] - exact[order[0]])
        mass = np.cumsum(chances / chances.sum())
        order = order[: max(int(np.count_nonzero(mass < top_p + slack)) + 1, 1)]
    if min_p > 0:
        order = order[exact[order] >= exact[order[0]] + np.log(min_p)]
    return np.sort(order)


@given(logits=scores(), filters=FILTERS)
def test_filters_keep_what_their_definitions_keep(
    logits: np.ndarray, filters: dict[str, float]
) -> None:
    kept = kept_by(SamplingParams(**filters), logits)  # type: ignore[arg-type]
    assert np.all(np.diff(kept) > 0)
    # Rounding may move the end of a head by what weighs nothing.
    least, most = (kept_by_definition(logits, **filters, slack=s) for s in (-1e-6, 1e-6))  # type: ignore[arg-type]
    assert set(least) <= set(kept) <= set(most)
    # Of equal scores the first are kept: what is left out of the rest is worse, or comes later.
    dropped = np.setdiff1d(most, kept)
    assert all(
        logits[d] < logits[kept].min() or d > kept[logits[kept] == logits[d]].max() for d in dropped
    )


@given(
    logits=scores(),
    filters=FILTERS,
    temperature=st.sampled_from([1e-4, 0.3, 0.8, 1.0, 5.0]),
    seed=st.integers(0, 2**32),
)
def test_the_random_number_picks_a_token_by_the_running_sum(
    logits: np.ndarray, filters: dict[str, float], temperature: float, seed: int
) -> None:
    params = SamplingParams(temperature=temperature, seed=seed, **filters)  # type: ignore[arg-type]
    kept = kept_by(params, logits)
    exact = logits[kept].astype(np.float64)
    chances = np.exp((exact - exact.max()) / temperature)
    ends = np.cumsum(chances) / chances.sum()
    sampler, random = Sampler(params), np.random.default_rng(seed)
    for _ in range(3):
        chosen = int(np.flatnonzero(kept == sampler.choose(logits, []))[0])
        number = random.random()
        assert (ends[chosen - 1] if chosen else 0.0) - 1e-6 <= number <= ends[chosen] + 1e-6
        assert chances[chosen] > 0


@given(logits=scores(), number=st.sampled_from([0.0, 1 - 2**-53]))
def test_the_ends_of_the_random_numbers_pick_tokens_that_have_a_chance(
    logits: np.ndarray, number: float
) -> None:
    class Ends:
        def random(self) -> float:
            return number

    sampler = Sampler(SamplingParams(temperature=1.0))
    sampler._random = Ends()  # type: ignore[assignment]
    assert np.exp(logits[sampler.choose(logits, [])] - logits.max()) > 0


@given(logits=scores(), count=st.integers(1, 100))
def test_the_likeliest_come_best_first_and_equal_ones_by_token(
    logits: np.ndarray, count: int
) -> None:
    order = np.lexsort((np.arange(logits.size), -logits))[:count]
    found = likeliest(logits, count)
    assert [token for token, _ in found] == order.tolist()
    assert [logprob for _, logprob in found] == [log_probability(logits, i) for i in order]


@pytest.mark.parametrize("size", [49152, 151936])
def test_log_probabilities_of_a_large_vocabulary_are_exact_to_a_millionth(size: int) -> None:
    logits = (np.random.default_rng(0).standard_normal(size) * 4).astype(np.float32)
    exact = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum())
    for token in (0, 1, int(logits.argmax()), int(logits.argmin())):
        assert log_probability(logits, token) == pytest.approx(exact[token], abs=1e-6)


@given(logits=scores(), seen=st.lists(st.integers(0, 4), max_size=9))
def test_a_penalty_counts_once_for_each_token_seen(logits: np.ndarray, seen: list[int]) -> None:
    seen = [token for token in seen if token < logits.size]
    expected = logits.copy()
    with np.errstate(over="ignore"):
        for token in set(seen):
            expected[token] *= 0.5 if expected[token] > 0 else 2
    sampler = Sampler(SamplingParams(repetition_penalty=2))
    assert sampler.choose(logits, seen) == expected.argmax()


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
