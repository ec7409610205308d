import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.evaluation.greedy import (
    PROMPTS,
    first_divergence,
    loops,
    loops_alone,
    median_divergence,
    prompts,
)


@pytest.mark.parametrize(
    "token_ids",
    [[7] * 48, [1, 2, 3] * 16, [*range(20), *[5, 6] * 14], [*range(3), *[*range(10, 25)] * 3]],
)
def test_a_cycle_that_fills_half_of_the_text_is_a_loop(token_ids: list[int]) -> None:
    assert loops(token_ids)


@pytest.mark.parametrize(
    "token_ids",
    [[], [1], [3, 3], [1, 1, 1], list(range(48)), [*[1] * 20, *range(28)], [*range(40), *[9] * 8]],
)
def test_what_goes_on_or_is_short_is_none(token_ids: list[int]) -> None:
    assert not loops(token_ids)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(10, 20))
def test_any_cycle_repeated_often_is_a_loop(cycle: list[int], times: int) -> None:
    assert loops(cycle * times)


def test_only_loops_that_the_reference_has_not_count_and_only_then_it_is_asked() -> None:
    asked = []

    def reference(i: int) -> list[int]:
        asked.append(i)
        return [4] * 20 if i == 1 else list(range(20))

    assert loops_alone([list(range(20)), [4] * 20, [4] * 20], reference) == 1
    assert asked == [1, 2]


def test_the_first_divergence_is_the_number_of_tokens_in_common() -> None:
    assert first_divergence([1, 2, 3], [1, 2, 4]) == 2
    assert first_divergence([1, 2], [1, 2, 4]) == 2
    assert first_divergence([], [1]) == 0
    assert median_divergence([[1], [1, 2], [5]], [[1], [1, 3], [6]]) == 1


@given(st.integers(1, 400), st.integers(2, 600), st.sampled_from([None, 99]))
def test_prompts_leave_half_of_the_context(count: int, context: int, start: int | None) -> None:
    made = prompts(list(range(count)), context, start)
    assert len(made) == PROMPTS
    for prompt in made:
        assert 1 <= len(prompt) <= max(context // 2, 2)
        assert start is None or prompt[0] == start
