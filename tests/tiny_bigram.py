"""A tiny model that makes some sense of the built-in text: its bigrams, in 64 dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foreword.evaluation.text import built_in
from tiny_gguf import WIDTH, FloatArray, write_tiny_gguf


def write_bigram_gguf(path: Path, token_ids: list[int]) -> Path:
    """Write a `llama` whose layers add nothing and whose next token follows the counts."""

    def teach(metadata: Mapping[str, object], tensors: dict[str, FloatArray]) -> None:
        vocabulary = len(tensors["token_embd.weight"])
        counts = np.full((vocabulary, vocabulary), 0.02)
        np.add.at(counts, (token_ids[:-1], token_ids[1:]), 1)
        scores = np.log(counts / counts.sum(axis=1, keepdims=True))
        scores -= scores.mean(axis=1, keepdims=True)
        left, sizes, right = np.linalg.svd(scores)
        rows = left[:, :WIDTH] * sizes[:WIDTH]
        length = np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6
        # The norm before the output makes all rows equally long.
        scale = np.median(length[np.unique(token_ids)]) / np.sqrt(WIDTH)
        tensors["token_embd.weight"] = (rows / length).astype(np.float32)
        tensors["output.weight"] = (scale * right[:WIDTH].T).astype(np.float32)
        for name, values in tensors.items():
            if name.endswith("norm.weight"):
                values[:] = 1
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                values[:] = 0

    return write_tiny_gguf(path, tied=False, mutate=teach).path


def built_in_tokens(bundle: Path) -> list[int]:
    """Return the built-in text's tokens in the tiny models' vocabulary."""
    from foreword.bundle.tokenizer import Tokenizer

    return Tokenizer.from_file(bundle / "tokenizer.json").encode(built_in().content)
