"""What a forward pass derives from the positions of its tokens: rotations and biases.

Shapes: T tokens, S cache slots, K key/value heads, G query heads per key/value head, H the
head size. Rows of scores are ordered by query head, then by token: G*T of them.
"""

from __future__ import annotations

import numpy as np

from foreword.graph import ops
from foreword.graph.builder import SubgraphBuilder, Tensor
from foreword.graph.spec import Alibi, DecoderSpec, FloatArray, Rotary

# Larger values overflow float16 and ruin int8 scales; exp(-1e4) is already 0.
HIDDEN = -1e4


class Positions:
    """Rotations and score biases of one signature, each built once for all its layers."""

    def __init__(
        self, g: SubgraphBuilder, spec: DecoderSpec, positions: Tensor, mask: Tensor
    ) -> None:
        """`positions` is int32 [T], `mask` float32 [1, 1, 1, S] with the whole context as S."""
        self.g, self.mask, self.index = g, mask, positions
        self.tokens, self.context = positions.shape[0], mask.shape[-1]
        self.kv_heads = spec.attention.kv_heads
        self.groups = spec.attention.heads // spec.attention.kv_heads
        self.head_dim = spec.attention.head_dim
        self.slopes = _slopes(spec)
        self._rotations: dict[Rotary, tuple[Tensor, Tensor]] = {}
        self._cached: dict[int | None, Tensor] = {}
        self._slots: Tensor | None = None

    def rotation(self, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of the tokens' positions, each [1, T, 1, H]."""
        if rotary not in self._rotations:
            cosines, sines = (self._rows(table) for table in rotary_tables(rotary, self.context))
            self._rotations[rotary] = cosines, sines
        return self._rotations[rotary]

    def _rows(self, table: FloatArray) -> Tensor:
        rows = ops.gather(self.g, self.g.constant(table), self.index)
        return ops.reshape(self.g, rows, (1, self.tokens, 1, self.head_dim))

    def cached_bias(self, window: int | None) -> Tensor:
        """Return what is added to the scores of the cache: [1, 1 or K, 1 or G*T, S]."""
        if window is not None and window >= self.context:
            window = None
        if window not in self._cached:
            bias = self.mask
            if self.slopes is not None:
                bias = ops.add(self.g, bias, self._falling(self.slopes))
            if window is not None:
                bias = ops.add(self.g, bias, self._outside(window))
            self._cached[window] = bias
        return self._cached[window]

    def chunk_bias(self, window: int | None) -> Tensor | None:
        """Return what is added to the scores of the chunk itself: [1, 1 or K, G*T, T].

        A token sees itself and those before it. None for a single token.
        """
        if self.tokens == 1:
            return None
        distance = np.subtract.outer(np.arange(self.tokens), np.arange(self.tokens))
        hidden = distance < 0
        if window is not None:
            hidden |= distance >= window
        slopes = np.zeros(1, np.float32) if self.slopes is None else self.slopes
        heads = (-1, 1 if self.slopes is None else self.groups, 1, 1)
        bias = np.where(hidden, HIDDEN, -slopes.reshape(heads) * distance)
        bias = np.broadcast_to(bias, (len(bias), self.groups, self.tokens, self.tokens))
        rows = (1, len(bias), self.groups * self.tokens, self.tokens)
        return self.g.constant(bias.astype(np.float32).reshape(rows))

    def _offset(self, ahead: int = 0) -> Tensor:
        """Slot + `ahead` - position, [1, 1, 1 or G*T, S]: negative for what lies behind."""
        g = self.g
        rows = ops.reshape(g, ops.cast_float(g, self.index), (1, 1, 1, self.tokens))
        if self.tokens > 1:
            rows = ops.concatenate(g, [rows] * self.groups) if self.groups > 1 else rows
            rows = ops.reshape(g, rows, (1, 1, self.groups * self.tokens, 1))
        if self._slots is None:
            self._slots = ops.count_last(g, self.mask)
        slots = ops.add(g, self._slots, ops.constant(g, ahead)) if ahead else self._slots
        return ops.subtract(g, slots, rows)

    def _falling(self, slopes: FloatArray) -> Tensor:
        """ALiBi's bias, [1, K, G or G*T, S]; 0 for slots ahead, which the mask hides."""
        g = self.g
        by_row = np.repeat(slopes.reshape(self.kv_heads, self.groups), self.tokens, axis=1)
        behind = ops.minimum(g, self._offset(), ops.constant(g, 0.0))
        return ops.multiply(g, behind, g.constant(by_row[None, :, :, None]))

    def _outside(self, window: int) -> Tensor:
        """HIDDEN for slots a window does not reach, else 0: [1, 1, 1 or G*T, S]."""
        g = self.g
        beyond = ops.minimum(g, self._offset(window - 1), ops.constant(g, 0.0))
        beyond = ops.multiply(g, beyond, ops.constant(g, -HIDDEN))
        return ops.maximum(g, beyond, ops.constant(g, HIDDEN))


def _slopes(spec: DecoderSpec) -> FloatArray | None:
    if not isinstance(spec.positions, Alibi):
        return None
    return np.asarray(spec.positions.slopes, np.float32)


def rotary_tables(rotary: Rotary, slots: int) -> tuple[FloatArray, FloatArray]:
    """Return cosines and sines of every slot, [S, H]; the first half of the sines is negated.

    With halves a, b of a head: rotated = (a, b) * cos + (b, a) * sin.
    """
    turning = np.asarray(rotary.inverse_frequencies, np.float64)
    angles = np.outer(np.arange(slots), turning)
    magnitude = np.where(turning == 0, 1.0, rotary.magnitude)
    cosine, sine = np.cos(angles) * magnitude, np.sin(angles) * magnitude
    cosines, sines = np.hstack([cosine, cosine]), np.hstack([-sine, sine])
    return cosines.astype(np.float32), sines.astype(np.float32)
