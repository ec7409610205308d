"""Rotations: orthogonal, and of no effect on any logit."""

from __future__ import annotations

import numpy as np
import pytest

import spec_reference
from foreword.quantize.rotate import rotated, turn, turns_stream
from quantize_specs import SPECS, TOKENS

TURNED = {"llama", "untied", "qk-norm", "bias", "parallel", "learned"}


@pytest.mark.parametrize("width", [1, 2, 3, 8, 24, 40, 64, 576])
def test_a_turn_is_orthogonal_and_mixes_all_channels(width: int) -> None:
    q = turn(np.eye(width, dtype=np.float32)).astype(np.float64)
    assert q @ q.T == pytest.approx(np.eye(width), abs=1e-6)
    if width >= 8:
        assert np.abs(q).max() < 0.9


def test_an_outlier_is_spread_evenly() -> None:
    x = np.zeros((1, 576), np.float32)
    x[0, 17] = 1000
    assert np.abs(turn(x)).max() < 1000 * 2 / np.sqrt(576)


def test_rows_do_not_depend_on_each_other() -> None:
    x = np.random.default_rng(0).standard_normal((3000, 96), dtype=np.float32)
    assert (turn(x)[1234:1240] == turn(x[1234:1240])).all()


@pytest.mark.parametrize("name", SPECS)
def test_logits_stay(name: str) -> None:
    decoder = spec_reference.random_decoder(SPECS[name])
    changed = rotated(decoder.within(len(TOKENS)))
    before = spec_reference.logits(decoder, TOKENS)
    after = spec_reference.logits(changed, TOKENS)
    assert after == pytest.approx(before, abs=1e-4 * np.abs(before).max())
    assert turns_stream(decoder.spec) == (name in TURNED)
    assert changed.spec.output.mixed == (turns_stream(decoder.spec) and decoder.spec.output.tied)


@pytest.mark.parametrize("name", SPECS)
def test_settling_a_context_changes_no_logit_and_twice_is_once(name: str) -> None:
    decoder = spec_reference.random_decoder(SPECS[name])
    once = decoder.within(len(TOKENS))
    twice = once.within(len(TOKENS))
    before = spec_reference.logits(decoder, TOKENS)
    assert spec_reference.logits(once, TOKENS) == pytest.approx(before, abs=1e-5)
    assert twice.spec == once.spec
    for weight in ("layers.0.q.weight", "layers.1.k.weight", "embedding"):
        assert (twice.load(weight) == once.load(weight)).all()
