"""What the tests of a search share: outcomes that were never run, and a model that tells."""

from __future__ import annotations

from pathlib import Path

from foreword.quantize.recipes import Recipe
from foreword.tune import Outcome, Trial
from foreword.tune.outcomes import FIGURES
from tiny import write_tiny_bundle
from tiny_bigram import built_in_tokens, write_bigram_gguf


def write_bigram(directory: Path) -> Path:
    """Write a tiny model that makes some sense of the built-in text."""
    _, bundle = write_tiny_bundle(directory)
    return write_bigram_gguf(directory / "bigram.gguf", built_in_tokens(bundle))


def outcome(name: str, size: float, perplexity: float, speed: float) -> Outcome:
    """Make an outcome with these figures, memory twice its size, and ones for the rest."""
    figures = dict.fromkeys(FIGURES, 1.0) | {
        "size_bytes": size,
        "perplexity": perplexity,
        "decode_tokens_per_s": speed,
        "peak_rss_bytes": 2 * size,
    }
    trial = Trial(Recipe(name, "int8", "int8"), 32, (8,))
    return Outcome(trial, figures, model_sha256="5" * 64, verdict="passed")


LARGE, MIDDLE = outcome("large", 4e8, 10, 5), outcome("middle", 1e8, 11, 9)
SMALL, WORSE = outcome("small", 5e7, 15, 9), outcome("worse", 1.2e8, 12, 8)
FAILED = Outcome(Trial(Recipe("failed", "int8", "int8"), 32, (8,)), failure="it broke")
ALL = [WORSE, SMALL, FAILED, LARGE, MIDDLE]
