from __future__ import annotations

import pytest

from foreword.errors import ForewordError, SourceError, UnsupportedModelError
from golden_families import golden_config, read_golden


def test_the_spec_is_what_the_configuration_says() -> None:
    spec = read_golden("gemma2", golden_config("gemma2")).spec
    assert spec.residual == "sandwich"
    assert spec.attention.scale == pytest.approx(9**-0.5)
    assert (spec.attention.soft_cap, spec.output.soft_cap) == (1.5, 3.0)
    assert spec.embedding.scale == pytest.approx(4.0)
    assert [layer.window for layer in spec.layers] == [8, None]


def test_keys_that_are_missing_have_the_values_of_transformers() -> None:
    config = golden_config("gemma2")
    missing = ("attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar")
    for key in (*missing, "sliding_window"):
        del config[key]
    spec = read_golden("gemma2", config).spec
    assert (spec.attention.soft_cap, spec.output.soft_cap) == (50.0, 30.0)
    assert spec.attention.scale == pytest.approx(1 / 16)
    assert [layer.window for layer in spec.layers] == [4096, None]


def test_a_cap_of_null_is_none() -> None:
    caps = {"attn_logit_softcapping": None, "final_logit_softcapping": None}
    spec = read_golden("gemma2", {**golden_config("gemma2"), **caps}).spec
    assert (spec.attention.soft_cap, spec.output.soft_cap) == (None, None)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"attn_logit_softcapping": 0}, SourceError, "attn_logit_softcapping"),
        ({"query_pre_attn_scalar": -1}, SourceError, "query_pre_attn_scalar"),
        ({"sliding_window": None}, SourceError, "sliding_window"),
        ({"layer_types": ["full_attention"]}, SourceError, "layer_types"),
        ({"layer_types": ["chunked_attention"] * 2}, UnsupportedModelError, "chunked_attention"),
        ({"hidden_activation": "relu"}, UnsupportedModelError, "hidden_activation"),
        ({"use_bidirectional_attention": True}, UnsupportedModelError, "cannot continue"),
    ],
)
def test_what_the_family_cannot_say_is_refused(
    changes: dict[str, object], error: type[ForewordError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        read_golden("gemma2", {**golden_config("gemma2"), **changes})
    assert "\n" not in str(caught.value)
