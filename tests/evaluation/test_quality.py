"""Statistics against closed forms, over models that are written down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from foreword.engine.cache import FloatArray
from foreword.errors import EngineError
from foreword.evaluation.quality import (
    Scores,
    Subject,
    divergence,
    log_probabilities,
    perplexity,
    score,
    unigram_perplexity,
    windows,
)

VOCABULARY = 16
Answer = Callable[[int, int], Sequence[float]]


class Written:
    """A `TokenGraph` whose logits are a function of the token and its position."""

    context = 8

    def __init__(self, answer: Answer, verify: tuple[int, ...] = ()) -> None:
        self.widths: Mapping[str, tuple[int, ...]] = {"decode": (1,), "verify": verify}
        self.calls: list[tuple[str, int, int]] = []
        self.cleared = 0
        self._answer = answer

    def run(self, signature: str, token_ids: Sequence[int], position: int) -> FloatArray | None:
        self.calls.append((signature, position, len(token_ids)))
        rows = [self._answer(token, position + i) for i, token in enumerate(token_ids)]
        return np.array(rows, np.float32)

    def clear(self) -> None:
        self.cleared += 1

    def close(self) -> None:
        pass


def uniform(token: int, position: int) -> list[float]:
    return [0.25] * VOCABULARY


def knowing(token: int, position: int) -> list[float]:
    """Certain that each token is followed by the next number."""
    return [100.0 if i == token + 1 else 0.0 for i in range(VOCABULARY)]


def of(answer: Answer, verify: tuple[int, ...] = (), start: int | None = None) -> Subject:
    return Subject(Written(answer, verify), bool(verify), start)


def test_a_uniform_model_has_its_vocabulary_as_perplexity_and_no_doubt() -> None:
    figures = score(of(uniform), list(range(12)), 8).figures()
    assert figures["perplexity"] == pytest.approx(VOCABULARY)
    assert figures["perplexity_stderr"] == pytest.approx(0, abs=1e-12)


def test_a_model_that_knows_the_text_has_perplexity_one() -> None:
    assert score(of(knowing), list(range(12)), 8).figures()["perplexity"] == pytest.approx(1)


def test_the_standard_error_is_that_of_the_delta_method() -> None:
    loss = [1.0, 2.0, 3.0, 6.0]
    figures = Scores(loss=loss, positions=[0, 1, 2, 3]).figures()
    assert figures["perplexity"] == pytest.approx(math.exp(3))
    assert figures["perplexity_stderr"] == pytest.approx(math.exp(3) * math.sqrt(14 / 3 / 4))


def test_a_model_beside_itself_differs_in_nothing() -> None:
    answer = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY))
    model = lambda token, position: answer[token].tolist()  # noqa: E731
    figures = score(of(model), list(range(12)), 8, of(model)).figures()
    assert figures["perplexity_ratio"] == 1
    assert figures["perplexity_ratio_stderr"] == 0
    assert figures["kl_mean"] == figures["kl_p99"] == figures["kl_max"] == 0
    assert figures["top1_agreement"] == figures["top5_agreement"] == 1


def test_the_divergence_is_the_known_one_and_not_symmetric() -> None:
    p, q = np.log([0.5, 0.25, 0.25]), np.log([0.25, 0.25, 0.5])
    assert divergence(p, q) == pytest.approx(0.25 * math.log(2))
    r = np.log([0.8, 0.1, 0.1])
    assert divergence(p, r) == pytest.approx(0.5 * math.log(5 / 8) + 0.5 * math.log(2.5))
    assert divergence(r, p) != pytest.approx(divergence(p, r))


def test_a_certain_reference_against_a_uniform_model_costs_the_log_of_the_vocabulary() -> None:
    figures = score(of(uniform), list(range(12)), 8, of(knowing)).figures()
    assert figures["kl_mean"] == pytest.approx(math.log(VOCABULARY))
    assert figures["perplexity_ratio"] == pytest.approx(VOCABULARY)


def test_agreement_asks_where_the_references_best_stands() -> None:
    def ranked(*order: int) -> Answer:
        return lambda token, position: [-float(order.index(i)) for i in range(VOCABULARY)]

    reference = of(ranked(*range(VOCABULARY)))
    fifth = ranked(1, 2, 3, 4, 0, *range(5, VOCABULARY))
    sixth = ranked(1, 2, 3, 4, 5, 0, *range(6, VOCABULARY))
    for answer, top5 in ((fifth, 1.0), (sixth, 0.0)):
        figures = score(of(answer), [3, 4, 5], 8, reference).figures()
        assert (figures["top1_agreement"], figures["top5_agreement"]) == (0, top5)


def test_windows_start_anew_and_every_token_but_the_first_is_scored_once() -> None:
    text = list(range(20))
    cut = list(windows(text, 8, None))
    assert [len(inputs) for inputs, _ in cut] == [8, 8, 3]
    assert [t for _, targets in cut for t in targets] == text[1:]
    assert all(t == i + 1 for inputs, targets in cut for i, t in zip(inputs, targets, strict=True))


def test_a_start_token_begins_every_window_and_the_first_token_is_scored_too() -> None:
    text = list(range(10))
    cut = list(windows(text, 4, 15))
    assert [list(inputs) for inputs, _ in cut] == [[15, 0, 1, 2], [15, 4, 5, 6], [15, 8]]
    assert [t for _, targets in cut for t in targets] == text


@pytest.mark.parametrize("count", [2, 8, 9, 17])
def test_an_exact_model_is_run_in_chunks_and_another_token_by_token(count: int) -> None:
    exact, other = of(knowing, verify=(4,)), of(knowing)
    text = list(range(min(count, VOCABULARY))) * 2
    text = text[:count]
    one, two = score(exact, text, 8), score(other, text, 8)
    assert one.loss == two.loss
    assert isinstance(exact.graph, Written)
    assert isinstance(other.graph, Written)
    assert {signature for signature, _, _ in exact.graph.calls} == {"verify_4"}
    assert {(s, n) for s, _, n in other.graph.calls} == {("decode", 1)}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scoring_ends_where_the_output_is_not_finite(value: float) -> None:
    def answer(token: int, position: int) -> list[float]:
        return [value if token == 5 else 0.0, *uniform(token, position)[1:]]

    subject = of(answer)
    scores = score(subject, list(range(12)), 8)
    assert scores.nonfinite_at == 5
    assert scores.figures() == {}
    assert isinstance(subject.graph, Written)
    assert subject.graph.cleared == 1  # a NaN in a cache would spread


def test_a_reference_that_is_not_finite_is_an_error() -> None:
    broken = of(lambda token, position: [math.nan] * VOCABULARY)
    with pytest.raises(EngineError, match="the reference's output is not a finite number"):
        score(of(uniform), list(range(12)), 8, broken)


def test_a_ruined_model_has_a_perplexity_that_can_be_written() -> None:
    assert perplexity([1e6, 1e6]) == pytest.approx(1e18)
    assert math.isfinite(Scores(loss=[1e6, 2e6], positions=[0, 1]).figures()["perplexity_stderr"])


def test_logits_of_any_size_give_probabilities_that_sum_to_one() -> None:
    logits = np.array([1e30, 0, -1e30, 1e30], np.float32)
    assert np.exp(log_probabilities(logits)).sum() == pytest.approx(1)


def test_the_unigram_guess_is_the_exponent_of_the_entropy() -> None:
    assert unigram_perplexity([1, 2, 3, 4] * 5) == pytest.approx(4)
    assert unigram_perplexity([7] * 9) == pytest.approx(1)


def test_the_divergence_is_averaged_over_stretches_of_the_window() -> None:
    scores = Scores(positions=[0, 1, 2, 3, 0, 1], kl=[4, 2, 1, 1, 2, 4])
    assert scores.kl_by_position(bins=2) == [(0, 3.0), (2, 1.0)]
    assert Scores().kl_by_position() == []


def test_progress_rises_to_the_end() -> None:
    seen: list[tuple[str, int, int]] = []
    score(of(uniform), list(range(12)), 8, progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1] == ("quality", 12, 12)
