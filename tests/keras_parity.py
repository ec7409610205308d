"""One proof for every family: a KerasHub model and what is made of it say the same.

Needs the extra [keras]; tests that use it carry the marker `keras`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from foreword.engine.litert_graph import LiteRtGraph
from foreword.families.find import find_family
from foreword.graph.decoder import build
from foreword.graph.description import GraphShape
from foreword.graph.spec import Decoder, FloatArray
from foreword.quantize.prepare import encoder
from tiny import graph_of_spec

PROMPT, STEPS, CONTEXT = 25, 64, 96
TOLERANCE = 1e-3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldCheckpoint:
    """The weights of a live backbone, as its saved file names them."""

    metadata: Mapping[str, object]
    arrays: Mapping[str, FloatArray]

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.arrays.items()}

    def load(self, name: str) -> FloatArray:
        return self.arrays[name]


def checkpoint_of(backbone: Any, directory: Path) -> HeldCheckpoint:
    """Save a backbone's weights and read them back under their names in the file."""
    path = directory / "backbone.weights.h5"
    backbone.save_weights(path)
    arrays: dict[str, FloatArray] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            short = name.removeprefix("layers/").replace("vars/", "")
            arrays[short] = np.asarray(item, np.float32)

    with h5py.File(path) as file:
        file.visititems(take)
    return HeldCheckpoint(backbone.get_config(), arrays)


def randomize(backbone: Any, seed: int = 0, spread: float = 0.3) -> None:
    """Give every weight a size at which each part of the model shows in the logits."""
    rng = np.random.default_rng(seed)
    for variable in backbone.weights:
        # Norms start as ones (or zeros, where the scale is its difference from one).
        start = np.asarray(variable)
        constant = start if start.size and np.ptp(start) == 0 else np.zeros_like(start)
        variable.assign(constant + rng.normal(0, spread, start.shape))


def read(backbone: Any, directory: Path) -> tuple[str, Decoder]:
    """Read a live backbone through its family; return the family's name and the decoder."""
    checkpoint = checkpoint_of(backbone, directory)
    family, reader = find_family("keras", type(backbone).__name__)
    return family, reader(checkpoint)


def compiled(decoder: Decoder, directory: Path, context: int = CONTEXT) -> LiteRtGraph:
    """Build a decoder in float32 and load it."""
    shape = GraphShape(context, prefill=(4, 32), verify=(8,))
    path = directory / "model.tflite"
    with path.open("wb") as file:
        build(decoder, shape, encoder("float32")).write(file)
    return graph_of_spec(path, decoder.spec, shape)


def forward(lm: Any, tokens: list[int]) -> Array:
    """Logits [T, V] of KerasHub's own forward pass, without a cache."""
    inputs = {
        "token_ids": np.array([tokens], "int32"),
        "padding_mask": np.ones((1, len(tokens)), "int32"),
    }
    return np.asarray(lm(inputs))[0].astype(np.float64)


def generated(lm: Any, prompt: list[int], steps: int, eagerly: bool = False) -> list[int]:
    """The greedy continuation by KerasHub's `generate`, over its cache; prompt included."""
    lm.compile(sampler="greedy", jit_compile=False, run_eagerly=eagerly)
    total = len(prompt) + steps
    inputs = {
        "token_ids": np.array([prompt + [0] * steps], "int32"),
        "padding_mask": np.array([[1] * len(prompt) + [0] * steps], "int32"),
    }
    # What `generate` calls; without a preprocessor Gemma 3 fails after it, on an output of None.
    output = lm.make_generate_function()(inputs, stop_token_ids=None)["token_ids"]
    return [int(i) for i in np.asarray(output).reshape(-1)[:total]]


def continued(lm: Any, prompt: list[int], steps: int) -> list[int]:
    """The greedy continuation by forward passes alone; prompt included."""
    tokens = list(prompt)
    for _ in range(steps):
        tokens.append(int(forward(lm, tokens)[-1].argmax()))
    return tokens


def assert_parity(
    lm: Any,
    directory: Path,
    *,
    context: int = CONTEXT,
    cached_generate: bool = True,
    eagerly: bool = False,
) -> Decoder:
    """Check logits of prefill, chunked prefill and 64 decode steps, and greedy tokens.

    Logits are those of random tokens, as what a random model chooses may be one token over
    and over, to which attention gives the same whatever it looks at. `lm` is a KerasHub
    CausalLM without a preprocessor. With `cached_generate` False the greedy tokens are those
    of KerasHub's forward pass, and its `generate` is asserted to give others: the family's
    cached path is known to be wrong, and a test tells when it is mended. `eagerly` runs
    `generate` step by step, for one that no graph can be made of.
    Returns the decoder, for what else a test looks at.
    """
    _, decoder = read(lm.backbone, directory)
    vocabulary = decoder.spec.embedding.vocabulary
    tokens = np.random.default_rng(7).integers(0, vocabulary, PROMPT + STEPS).tolist()
    greedy = generated(lm, tokens[:PROMPT], STEPS, eagerly)
    if not cached_generate:
        followed = continued(lm, tokens[:PROMPT], STEPS)
        assert followed != greedy, "KerasHub's cached path is mended: use it"
        greedy = followed
    expected = forward(lm, tokens)
    assert np.abs(np.diff(expected, axis=0)).max(axis=1).min() > 100 * TOLERANCE
    graph = compiled(decoder, directory, context)
    try:
        _assert_prefill(graph, tokens, expected, [32])
        _assert_prefill(graph, tokens, expected, [4, 3, 4, 32])
        _assert_decode(graph, tokens, expected)
        assert _assert_decode(graph, greedy, forward(lm, greedy)) == greedy[PROMPT:]
    finally:
        graph.close()
    return decoder


def _assert_prefill(
    graph: LiteRtGraph, tokens: list[int], expected: Array, chunks: list[int]
) -> None:
    """Prefill in chunks, then score the rest eight tokens at a time."""
    position = 0
    for count in chunks:
        graph.run(
            "prefill_32" if count > 4 else "prefill_4",
            tokens[position : position + count],
            position,
        )
        position += count
    while position < len(tokens):
        found = graph.run("verify_8", tokens[position : position + 8], position)
        assert found is not None
        _assert_close(
            found, expected[position : position + len(found)], f"{chunks}, verify at {position}"
        )
        position += len(found)


def _assert_decode(graph: LiteRtGraph, tokens: list[int], expected: Array) -> list[int]:
    """Prefill the prompt, then decode every step; return the tokens it would choose."""
    graph.run("prefill_32", tokens[: PROMPT - 1], 0)
    chosen = []
    for position in range(PROMPT - 1, PROMPT + STEPS - 1):
        found = graph.run("decode", [tokens[position]], position)
        assert found is not None
        _assert_close(found[-1], expected[position], f"decode at {position}")
        chosen.append(int(found[-1].argmax()))
    return chosen


def _assert_close(found: FloatArray, expected: Array, where: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE, err_msg=where)
