"""Every checkpoint of testdata/golden/families, read by its family, against transformers itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreword.errors import ForewordError
from golden_families import (
    assert_golden,
    assert_logits,
    golden_config,
    golden_names,
    read_golden,
)


@pytest.mark.parametrize("golden", golden_names())
def test_logits_are_those_of_transformers(golden: str, tmp_path: Path) -> None:
    name, config = golden.split("/")
    assert_golden(name, tmp_path, config)


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "qwen2-window", "qwen3", "smollm3"])
def test_older_configurations_without_layer_types_mean_the_same(name: str) -> None:
    config = golden_config(name)
    older = {key: value for key, value in config.items() if key != "layer_types"}
    assert "layer_types" in config
    assert read_golden(name, older).spec == read_golden(name, config).spec


@pytest.mark.parametrize("name", ["phi3-long", "phi4-mini"])
def test_longer_sequences_take_the_long_factors(name: str, tmp_path: Path) -> None:
    # transformers goes by the length of the sequence, a model here by its context.
    decoder = read_golden(name, golden_config(name))
    assert_logits(decoder, name, tmp_path, "golden-long.json")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 70)
    | st.sampled_from([10**30, 10**400])
    | st.floats()
    | st.sampled_from(["", "linear", "llama3", "longrope", "full_attention", "sliding_attention"]),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(st.sampled_from(["rope_type", "factor", "rope_theta"]), values)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("golden", golden_names())
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_value_of_any_key_gives_a_decoder_or_one_line(golden: str, data: st.DataObject) -> None:
    name, file = golden.split("/")
    config = golden_config(name, file)
    key = data.draw(st.sampled_from([key for key in config if key != "model_type"]))
    value, inner = data.draw(VALUES), config[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        value = {**inner, data.draw(st.sampled_from(sorted(inner))): value}
    said = ""
    try:
        read_golden(name, {**config, key: value})
    except ForewordError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 400
