"""Rotary positions: the frequencies of each scaling, and the layouts they come in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import Checkpoint, damaged, positive
from foreword.graph.spec import FloatArray, Rotary

Frequencies = NDArray[np.float64]


def frequencies(base: float, size: int) -> Frequencies:
    """Return base ** (-2i / size), i below size / 2, in radians per position (Su et al. 2021)."""
    if size % 2:
        raise SourceError(f"rotary positions on {size} dimensions: expected an even number")
    return base ** (-np.arange(0, size, 2, dtype=np.float64) / size)


def llama3_scaled(
    plain: Frequencies, factor: float, low: float, high: float, original: float
) -> Frequencies:
    """Divide low frequencies by `factor` and keep high ones (Llama 3.1, llama-models/model.py).

    Wavelengths over `original` / `low` positions are low, those under `original` / `high`
    high; between them the two are mixed.
    """
    kept = np.clip((original * plain / (2 * math.pi) - low) / (high - low), 0, 1)
    return kept * plain + (1 - kept) * plain / factor


def hugging_face_rotary(
    checkpoint: Checkpoint, size: int, base: float = 10000.0, dimensions: int | None = None
) -> Rotary:
    """Read the rotary positions of a config.json for heads of `size`.

    `base` is the family's default; of each head the first `dimensions` turn, by default
    all. Scalings read are linear, llama3 and longrope. Raises SourceError for values
    without sense and UnsupportedModelError for other scalings.
    """
    scaling = _scaling(checkpoint)
    base = positive(scaling, "rope_theta", positive(checkpoint.metadata, "rope_theta", base))
    plain = frequencies(base, size if dimensions is None else dimensions)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "linear":
        plain = plain / positive(scaling, "factor")
    elif kind == "llama3":
        low, high = positive(scaling, "low_freq_factor"), positive(scaling, "high_freq_factor")
        if high <= low:
            raise damaged("rope_scaling.high_freq_factor", f"a number above {low}", high)
        original = positive(scaling, "original_max_position_embeddings")
        plain = llama3_scaled(plain, positive(scaling, "factor"), low, high, original)
    elif kind in ("longrope", "su"):
        return _hugging_face_long_rope(checkpoint, scaling, plain, size)
    elif kind != "default":
        raise UnsupportedModelError(
            f"rope scaling {kind!r:.40} is not supported: default, linear, llama3 and longrope are"
        )
    return in_halves(plain, size)


def partial_rotary_factor(
    checkpoint: Checkpoint, key: str = "partial_rotary_factor", default: float = 1.0
) -> float:
    """Return the share of every head that turns, by a family's own `key`; raises SourceError.

    Release 5 of transformers has one key for all, among its rope_parameters: it goes first.
    """
    own = positive(checkpoint.metadata, key, default)
    share = positive(_scaling(checkpoint), "partial_rotary_factor", own)
    if share > 1:
        raise damaged(key, "a number of at most 1", share)
    return share


def _scaling(checkpoint: Checkpoint) -> Mapping[str, object]:
    metadata = checkpoint.metadata
    scaling = metadata.get("rope_scaling") or metadata.get("rope_parameters") or {}
    if not isinstance(scaling, Mapping):
        raise damaged("rope_scaling", "an object", scaling)
    return scaling


def _hugging_face_long_rope(
    checkpoint: Checkpoint, scaling: Mapping[str, object], plain: Frequencies, size: int
) -> Rotary:
    longest = positive(checkpoint.metadata, "max_position_embeddings")
    key = "original_max_position_embeddings"
    original = positive(checkpoint.metadata, key, positive(scaling, key, longest))
    ratio = positive(scaling, "factor", longest / original)
    magnitude = positive(scaling, "attention_factor", long_rope_magnitude(ratio, original))
    short = rotary_factors(scaling, "short_factor", plain.size)
    long = rotary_factors(scaling, "long_factor", plain.size)
    return long_rope(plain / short, plain / long, size, int(original), magnitude)


def rotary_factors(values: Mapping[str, object], key: str, count: int) -> Frequencies:
    """Return `count` positive numbers of the metadata; raises SourceError for anything else."""
    found = values.get(key)
    if not isinstance(found, list | tuple) or len(found) != count:
        length = len(found) if isinstance(found, list | tuple) else "none"
        raise damaged(key, f"{count} numbers", length)
    return np.array([positive({key: value}, key) for value in found])


def long_rope_magnitude(ratio: float, original: float) -> float:
    """Return LongRoPE's attention factor for a context `ratio` times the `original` one."""
    if ratio <= 1:
        return 1.0
    if original < 2:
        raise damaged("original_max_position_embeddings", "an integer above 1", original)
    return math.sqrt(1 + math.log(ratio) / math.log(original))


def long_rope(
    short: Frequencies, long: Frequencies, size: int, original: int, magnitude: float
) -> Rotary:
    """Return LongRoPE's positions (Ding et al. 2024): `long` in a context above `original`.

    transformers and KerasHub choose by the length of a sequence. A cache holds keys that are
    turned already, so here the context of the whole model decides, once.
    """
    beyond = in_halves(long, size, magnitude)
    return replace(in_halves(short, size, magnitude), beyond=(original, beyond))


def in_halves(turning: Frequencies, size: int, magnitude: float = 1.0) -> Rotary:
    """Return rotary positions for heads of `size` of which only some dimensions turn.

    The heads must be laid out by `halves`. `magnitude` applies to those that turn.
    """
    still = size // 2 - turning.size
    if still < 0 or size % 2:
        raise SourceError(f"rotary positions on {2 * turning.size} of {size} dimensions")
    return Rotary((*turning.tolist(), *[0.0] * still), magnitude)


def halves(rows: FloatArray, heads: int, turning: int) -> FloatArray:
    """Lay out rows of queries or keys, [heads*H, …], so that only a head's first rows turn.

    A head whose first `turning` rows hold two halves that turn with each other, then rows
    that stay, becomes (half, some that stay; half, the others): with a frequency of 0 for
    those it is a head in the rotate-half layout. Scores do not change, as queries and keys
    are laid out alike.
    """
    size = len(rows) // heads
    order = np.arange(size)
    first, second, still = np.split(order, [turning // 2, turning])
    order = np.concatenate([first, still[: still.size // 2], second, still[still.size // 2 :]])
    return rows.reshape(heads, size, *rows.shape[1:])[:, order].reshape(rows.shape)


def unpaired(rows: FloatArray, heads: int) -> FloatArray:
    """Lay out rows whose neighbours (2i, 2i + 1) turn with each other as halves (i, i + half)."""
    tail = rows.shape[1:]
    return rows.reshape(heads, -1, 2, *tail).swapaxes(1, 2).reshape(rows.shape)
