from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.errors import UsageError
from foreword.text_graph.options import RECIPES, SAMPLERS, Sampling, TextOptions

SAMPLINGS = st.builds(
    Sampling,
    st.sampled_from(SAMPLERS),
    st.integers(1, 1000),
    st.floats(0.01, 1),
    st.floats(0.01, 100),
    st.floats(0, 1),
    st.integers(0, 2**31 - 1),
)
OPTIONS = st.builds(
    TextOptions, st.integers(2, 8192), st.sampled_from(RECIPES), SAMPLINGS, st.booleans()
)


@given(OPTIONS)
def test_options_come_back_from_json(options: TextOptions) -> None:
    assert TextOptions.from_json(json.loads(json.dumps(options.as_json()))) == options


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "beam"}, "sampler: expected one of greedy, top-k, .* found 'beam'"),
        ({"k": 0}, "top_k: expected from 1 to 1000, found 0"),
        ({"p": 1.5}, "top_p: expected from 0.01 to 1, found 1.5"),
        ({"p": float("nan")}, "top_p"),
        ({"temperature": 0.0}, "temperature"),
        ({"alpha": -0.1}, "alpha"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_sampling_that_cannot_be_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Sampling(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"recipe": "int4"}, "recipe: a text graph is made as float32, .*found 'int4'"),
        ({"max_length": 1}, "max_length: expected from 2 to 8192 tokens, found 1"),
        ({"max_length": 100_000}, "max_length"),
    ],
)
def test_options_there_are_none_of_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        TextOptions(**values)  # type: ignore[arg-type]
