"""Small specs to build others from, and one of every kind a transformation must tell apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foreword.graph.spec import (
    Alibi,
    Attention,
    DecoderSpec,
    Embedding,
    FeedForward,
    Layer,
    Learned,
    Norm,
    Output,
    Rotary,
)

CONTEXT = 24
TOKENS = [int(i) for i in np.random.default_rng(3).integers(0, 50, CONTEXT)]

ROTARY = Rotary((1.0, 0.3, 0.05, 0.0))
BASE = DecoderSpec(
    width=24,
    embedding=Embedding(50),
    positions=None,
    layers=(Layer(ROTARY), Layer(ROTARY)),
    norm=Norm("rms", 1e-6),
    attention=Attention(4, 2, 8),
    feed_forward=FeedForward(40, "silu", gated=True),
    output=Output(tied=True),
    max_positions=None,
)
PLAIN = replace(
    BASE,
    layers=(Layer(), Layer()),
    norm=Norm("layer", 1e-5),
    attention=Attention(3, 3, 8, qkv_bias=True, output_bias=True),
    feed_forward=FeedForward(40, "gelu_tanh", gated=False, bias=True),
)
_LLAMA = replace(BASE, layers=(Layer(ROTARY), Layer(ROTARY, window=5)))
_GPT2 = replace(PLAIN, positions=Learned(CONTEXT + 8))
_PARALLEL = replace(_LLAMA, residual="parallel", output=Output(tied=False))

SPECS = {
    "llama": _LLAMA,
    "untied": replace(_LLAMA, output=Output(tied=False)),
    "qk-norm": replace(_LLAMA, attention=replace(_LLAMA.attention, qk_norm=Norm("rms", 1e-6))),
    "bias": replace(
        _LLAMA,
        attention=replace(_LLAMA.attention, qkv_bias=True, output_bias=True),
        feed_forward=FeedForward(40, "gelu", gated=True, bias=True),
    ),
    "learned": replace(_LLAMA, positions=Learned(CONTEXT), embedding=Embedding(50, scale=3.0)),
    "parallel": _PARALLEL,
    "sandwich": replace(
        _LLAMA,
        residual="sandwich",
        attention=replace(_LLAMA.attention, soft_cap=5.0, scale=0.4),
        output=Output(tied=True, soft_cap=8.0),
    ),
    "gpt2": _GPT2,
    "relu": replace(
        _GPT2,
        positions=Alibi((0.5, 0.25, 0.125)),
        embedding=Embedding(50, norm=True),
        feed_forward=FeedForward(40, "relu", gated=False, bias=True),
    ),
    "shared": replace(_GPT2, positions=None, residual="shared"),
}
