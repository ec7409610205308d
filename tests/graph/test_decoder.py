"""The graph against an independent NumPy forward pass, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
from foreword.engine.litert_graph import LiteRtGraph
from tiny import CONTEXT, graph_of, load_tiny, write_tiny_bundle

TOKENS = [int(i) for i in np.random.default_rng(5).integers(3, 250, CONTEXT)]
TOLERANCE = 1e-4


@dataclass
class Case:
    graph: LiteRtGraph
    expected: NDArray[np.float64]  # logits of TOKENS, [T, V]

    def decode(self, position: int) -> NDArray[np.float32]:
        logits = self.graph.run("decode", [TOKENS[position]], position)
        assert logits is not None
        return logits[-1]

    def check(self, found: NDArray[np.float32], position: int) -> None:
        np.testing.assert_allclose(found, self.expected[position], rtol=0, atol=TOLERANCE)


@pytest.fixture(
    scope="module",
    params=[("llama", True), ("llama", False), ("gpt2", True), ("gpt2", False)],
    ids=lambda p: f"{p[0]}-{'tied' if p[1] else 'untied'}",
)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    architecture, tied = request.param
    gguf, path = write_tiny_bundle(tmp_path_factory.mktemp("tiny"), architecture, tied)
    engine = load_tiny(path)
    yield Case(graph_of(engine), reference.logits(gguf.metadata, gguf.arrays, TOKENS))
    engine.close()


def test_the_reference_tells_positions_apart(case: Case) -> None:
    spread = np.abs(np.diff(case.expected, axis=0)).max(axis=1)
    assert spread.min() > 100 * TOLERANCE


def test_decode_from_an_empty_cache(case: Case) -> None:
    for position in range(CONTEXT):
        case.check(case.decode(position), position)


def test_prefill_then_decode(case: Case) -> None:
    case.graph.run("prefill_16", TOKENS[:16], 0)
    case.check(case.decode(16), 16)


def test_padded_prefill_then_decode(case: Case) -> None:
    case.graph.run("prefill_16", TOKENS[:11], 0)
    case.check(case.decode(11), 11)


def test_chunked_prefill_then_decode(case: Case) -> None:
    case.graph.run("prefill_16", TOKENS[:16], 0)
    case.graph.run("prefill_16", TOKENS[16:32], 16)
    case.graph.run("prefill_4", TOKENS[32:35], 32)
    case.check(case.decode(35), 35)


def test_prefill_up_to_the_last_slot(case: Case) -> None:
    for start in range(0, CONTEXT - 16, 16):
        case.graph.run("prefill_16", TOKENS[start : start + 16], start)
    case.graph.run("prefill_16", TOKENS[32:47], 32)
    case.check(case.decode(47), 47)


@pytest.mark.parametrize("count", [1, 5, 8])
def test_verify_gives_the_logits_of_every_position(case: Case, count: int) -> None:
    case.graph.run("prefill_16", TOKENS[:13], 0)
    logits = case.graph.run("verify_8", TOKENS[13 : 13 + count], 13)
    assert logits is not None
    assert len(logits) == count
    for row in range(count):
        case.check(logits[row], 13 + row)


def test_hidden_slots_do_not_matter(case: Case) -> None:
    for position in range(CONTEXT):
        case.decode(position)
    # The slots from 5 on still hold another text; a rewind only hides them.
    case.check(case.decode(5), 5)


def test_prefill_alone_gives_no_logits(case: Case) -> None:
    assert case.graph.run("prefill_4", TOKENS[:4], 0) is None
