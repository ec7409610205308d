"""Every feature a spec can ask for, against a plain NumPy forward pass, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import spec_reference
from foreword.engine import cache
from foreword.engine.litert_graph import LiteRtGraph
from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import (
    Alibi,
    Attention,
    Embedding,
    FeedForward,
    Layer,
    Learned,
    Norm,
    Output,
    Rotary,
)
from foreword.quantize.prepare import encoder
from golden_families import assert_guesses_change_nothing
from quantize_specs import BASE, PLAIN, ROTARY
from tiny import graph_of_spec

CONTEXT = 40
TOKENS = [int(i) for i in np.random.default_rng(3).integers(0, 50, CONTEXT)]
TOLERANCE = 1e-4

LONG = Rotary((0.4, 0.1, 0.02, 0.0), magnitude=1.3)
GROUPED = Attention(4, 2, 8)

SPECS = {
    "llama": BASE,
    "learned": replace(PLAIN, positions=Learned(CONTEXT)),
    "relu": replace(
        PLAIN,
        positions=Learned(CONTEXT),
        feed_forward=FeedForward(40, "relu", gated=False, bias=True),
    ),
    "exact-gelu": replace(PLAIN, feed_forward=FeedForward(40, "gelu", gated=False, bias=True)),
    "no-positions-in-one-layer": replace(BASE, layers=(Layer(ROTARY), Layer())),
    "two-rotaries": replace(
        BASE, layers=(Layer(ROTARY), Layer(Rotary((0.7, 0.2, 0.1, 0.01), 1.2)))
    ),
    "rotary-beyond-a-limit": replace(
        BASE, layers=(Layer(replace(ROTARY, beyond=(CONTEXT - 1, LONG))), Layer(ROTARY))
    ),
    "rotary-within-a-limit": replace(
        BASE, layers=(Layer(replace(LONG, beyond=(CONTEXT, ROTARY))), Layer(ROTARY))
    ),
    "window": replace(BASE, layers=(Layer(ROTARY, window=5),) * 2),
    "window-of-one": replace(BASE, layers=(Layer(ROTARY, window=1), Layer(ROTARY))),
    "alternating-windows": replace(BASE, layers=(Layer(ROTARY, window=9), Layer(ROTARY))),
    "window-wider-than-a-chunk": replace(BASE, layers=(Layer(ROTARY, window=21),) * 2),
    "alibi": replace(PLAIN, positions=Alibi((0.5, 0.25, 0.0625))),
    "alibi-on-shared-heads": replace(
        BASE, layers=(Layer(),) * 2, positions=Alibi((0.9, 0.5, 0.3, 0.01))
    ),
    "alibi-in-a-window": replace(
        BASE, layers=(Layer(window=6), Layer()), positions=Alibi((0.9, 0.5, 0.3, 0.01))
    ),
    "qk-norm": replace(BASE, attention=replace(GROUPED, qk_norm=Norm("rms", 1e-6))),
    "qk-norm-with-its-own-epsilon": replace(
        BASE, attention=replace(GROUPED, qk_norm=Norm("rms", 0.5))
    ),
    "qk-norm-of-kind-layer": replace(
        BASE,
        norm=Norm("layer", 1e-5),
        attention=replace(GROUPED, qk_norm=Norm("layer", 1e-5), scale=0.2),
    ),
    "soft-caps": replace(
        BASE,
        attention=replace(GROUPED, scale=0.9, soft_cap=1.5),
        output=Output(tied=True, soft_cap=2.0),
    ),
    "sandwich": replace(BASE, residual="sandwich"),
    "parallel": replace(PLAIN, residual="parallel"),
    "shared": replace(PLAIN, residual="shared", attention=Attention(4, 1, 8)),
    "embedding-scale": replace(BASE, embedding=Embedding(50, scale=4.9)),
    "embedding-norm": replace(PLAIN, embedding=Embedding(50, norm=True)),
    "untied": replace(BASE, output=Output(tied=False, soft_cap=3.0)),
    "biased-gate": replace(BASE, feed_forward=FeedForward(40, "gelu_tanh", gated=True, bias=True)),
}


@pytest.fixture(scope="module", params=list(SPECS))
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiteRtGraph, spec_reference.Array]]:
    decoder = spec_reference.random_decoder(SPECS[request.param])
    path = tmp_path_factory.mktemp("spec") / "model.tflite"
    shape = GraphShape(CONTEXT, prefill=(4, 16), verify=(4,))
    with path.open("wb") as file:
        build(decoder, shape, encoder("float32")).write(file)
    graph = graph_of_spec(path, decoder.spec, shape)
    yield graph, spec_reference.logits(decoder, TOKENS)
    graph.close()


def test_decode_step_by_step(case: tuple[LiteRtGraph, spec_reference.Array]) -> None:
    graph, expected = case
    for position in range(CONTEXT):
        found = graph.run("decode", [TOKENS[position]], position)
        assert found is not None
        np.testing.assert_allclose(found[-1], expected[position], rtol=0, atol=TOLERANCE)


def test_one_prefill_several_prefills_and_padding_give_the_same(
    case: tuple[LiteRtGraph, spec_reference.Array],
) -> None:
    graph, expected = case
    for chunks in ([16, 16, 4], [4] * 9, [16, 3, 13], [1, 2, 15, 4, 4]):
        position = 0
        for count in chunks:
            signature = "prefill_16" if count > 4 else "prefill_4"
            graph.run(signature, TOKENS[position : position + count], position)
            position += count
        found = graph.run("verify_4", TOKENS[position : position + 4], position)
        assert found is not None
        np.testing.assert_allclose(
            found, expected[position : position + len(found)], rtol=0, atol=TOLERANCE
        )


def test_a_cache_that_grows_with_the_text_gives_the_same(
    case: tuple[LiteRtGraph, spec_reference.Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, expected = case
    monkeypatch.setattr(cache, "STEP", 4)
    graph.make_room(0, 1)
    lengths = []
    for position in range(CONTEXT):
        found = graph.run("decode", [TOKENS[position]], position)
        assert found is not None
        np.testing.assert_allclose(found[-1], expected[position], rtol=0, atol=TOLERANCE)
        lengths.append(graph.slots)
    assert lengths == [-(-end // 4) * 4 for end in range(1, CONTEXT + 1)]
    graph.make_room(4, 8)  # back to the beginning
    assert graph.slots == 8
    found = graph.run("verify_4", TOKENS[4:8], 4)
    assert found is not None
    np.testing.assert_allclose(found, expected[4:8], rtol=0, atol=TOLERANCE)


def test_guesses_change_nothing(case: tuple[LiteRtGraph, spec_reference.Array]) -> None:
    assert assert_guesses_change_nothing(case[0], TOKENS, prompts=10)


# Features that leave the weights of BASE as they are: without them the logits must be others.
FREE = (
    *("window", "alternating-windows", "window-wider-than-a-chunk", "alibi-on-shared-heads"),
    *("no-positions-in-one-layer", "two-rotaries", "soft-caps", "embedding-scale"),
    *("rotary-beyond-a-limit", "rotary-within-a-limit"),
)


@pytest.mark.parametrize("name", FREE)
def test_a_feature_shows_in_the_reference(name: str) -> None:
    with_it = spec_reference.logits(spec_reference.random_decoder(SPECS[name]), TOKENS)
    without = spec_reference.logits(spec_reference.random_decoder(BASE), TOKENS)
    assert np.abs(with_it - without)[-1].max() > 100 * TOLERANCE
