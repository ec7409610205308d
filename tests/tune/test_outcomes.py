"""The best within limits, and what nothing beats."""

from __future__ import annotations

import pytest

from foreword.tune import Limits, Outcome, best, pareto
from tune_models import ALL, LARGE, MIDDLE, SMALL


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), LARGE),
        (Limits(max_size_bytes=399_999_999), MIDDLE),
        (Limits(max_memory_bytes=199_999_999), SMALL),
        (Limits(min_decode_tokens_per_s=6), MIDDLE),
        (Limits(max_size_bytes=49_999_999), None),
        (Limits(min_decode_tokens_per_s=10), None),
    ],
)
def test_the_best_quality_within_the_limits_is_chosen(
    limits: Limits, expected: Outcome | None
) -> None:
    assert best(ALL, limits) is expected


def test_what_another_beats_in_everything_is_not_on_the_front() -> None:
    assert pareto(ALL) == [SMALL, MIDDLE, LARGE]
