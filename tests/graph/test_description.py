"""What a model file says of its decoder reads back exactly, or is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.graph.description import GraphShape, describe, read_description
from golden_families import golden_config, golden_names, read_golden
from quantize_specs import SPECS

SHAPE = GraphShape(48, prefill=(4, 16), verify=(8,))


@pytest.mark.parametrize("name", SPECS)
def test_every_spec_reads_back(name: str) -> None:
    assert read_description(describe(SPECS[name], SHAPE)) == (SPECS[name], SHAPE)


@pytest.mark.parametrize("golden", golden_names())
def test_the_spec_of_every_family_reads_back(golden: str) -> None:
    name, config = golden.split("/")
    spec = read_golden(name, golden_config(name, config)).spec
    assert read_description(describe(spec, SHAPE)) == (spec, SHAPE)
    settled = spec.within(64)
    assert read_description(describe(settled, SHAPE)) == (settled, SHAPE)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"spec": 1, "shape": 2}', '{"spec": {}, "shape": {}}']
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_description(text)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.data())
def test_any_value_of_any_key_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(describe(SPECS["learned"], SHAPE))
    place = document["spec"]
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES | st.lists(VALUES, max_size=3))
    try:
        read_description(json.dumps(document))
    except ValueError as error:
        assert str(error)  # noqa: PT017
