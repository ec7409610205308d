"""The layerwise forward pass against the plain one, whatever the spec."""

from __future__ import annotations

import numpy as np
import pytest

import spec_reference
from foreword.quantize.forward import ForwardPass, float_project
from quantize_specs import SPECS, TOKENS


@pytest.mark.parametrize("name", SPECS)
def test_every_spec_gives_the_logits_of_the_reference(name: str) -> None:
    decoder = spec_reference.random_decoder(SPECS[name])
    tokens = np.array([TOKENS, TOKENS[::-1]])
    forward = ForwardPass(decoder, tokens)
    for i in range(len(decoder.spec.layers)):
        forward.layer(i, float_project(decoder))
    table = decoder.load("embedding" if decoder.spec.output.tied else "output.weight")
    logits = forward.last() @ table.T
    cap = decoder.spec.output.soft_cap
    if cap is not None:
        logits = cap * np.tanh(logits / cap)
    expected = [spec_reference.logits(decoder, [int(t) for t in row]) for row in tokens]
    assert logits == pytest.approx(np.concatenate(expected), abs=2e-4 * np.abs(expected).max())
