"""The llama family: RMSNorm, rotary positions, grouped-query attention, SwiGLU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import Checkpoint, Tensor, bind, integer, number, rows
from foreword.graph.spec import (
    Attention,
    Decoder,
    DecoderSpec,
    FeedForward,
    FloatArray,
    Norm,
    Rotary,
)

_ROPE_FACTORS = "rope_freqs.weight"


def read(checkpoint: Checkpoint) -> Decoder:
    """Read a GGUF checkpoint of architecture `llama` (Touvron et al. 2023).

    Tensor and metadata names are those of the GGUF specification. Raises SourceError
    for missing or inconsistent parts, UnsupportedModelError for mixtures of experts and
    scalings without a place here.
    """
    if checkpoint.metadata.get("llama.expert_count"):
        raise UnsupportedModelError(
            "this llama checkpoint is a mixture of experts (Mixtral); dense models are supported"
        )
    attention = _attention(checkpoint)
    spec = DecoderSpec(
        layers=integer(checkpoint, "llama.block_count"),
        width=integer(checkpoint, "llama.embedding_length"),
        vocabulary=rows(checkpoint, "token_embd.weight"),
        attention=attention,
        feed_forward=FeedForward(
            width=integer(checkpoint, "llama.feed_forward_length"), activation="silu", gated=True
        ),
        norm=Norm("rms", number(checkpoint, "llama.attention.layer_norm_rms_epsilon")),
        positions=_rotary(checkpoint, attention.head_dim),
        tied="output.weight" not in checkpoint.shapes,
        max_positions=integer(checkpoint, "llama.context_length"),
    )
    return bind(spec, checkpoint, _tensors(spec), unused=(_ROPE_FACTORS,))


def _attention(checkpoint: Checkpoint) -> Attention:
    width = integer(checkpoint, "llama.embedding_length")
    heads = integer(checkpoint, "llama.attention.head_count")
    kv_heads = integer(checkpoint, "llama.attention.head_count_kv", heads)
    head_dim = integer(checkpoint, "llama.attention.key_length", max(width // heads, 1))
    if heads % kv_heads or head_dim % 2:
        raise SourceError(
            f"{heads} heads of size {head_dim} over {kv_heads} key/value heads: expected heads "
            "to be a multiple of key/value heads and their size even; the file is damaged"
        )
    return Attention(
        heads,
        kv_heads,
        head_dim,
        qkv_bias="blk.0.attn_q.bias" in checkpoint.shapes,
        output_bias="blk.0.attn_output.bias" in checkpoint.shapes,
    )


def _rotary(checkpoint: Checkpoint, head_dim: int) -> Rotary:
    """Inverse frequencies, with linear scaling or the per-frequency factors of Llama 3."""
    dimensions = integer(checkpoint, "llama.rope.dimension_count", head_dim)
    if dimensions != head_dim:
        raise UnsupportedModelError(
            f"rotary positions on {dimensions} of {head_dim} dimensions are not supported"
        )
    base = number(checkpoint, "llama.rope.freq_base", 10000.0)
    frequencies = base ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    scaling = checkpoint.metadata.get("llama.rope.scaling.type", "none")
    if scaling == "linear":
        frequencies /= number(checkpoint, "llama.rope.scaling.factor")
    elif scaling != "none":
        raise UnsupportedModelError(
            f"rope scaling {scaling!r:.40} is not supported: none, linear are"
        )
    if _ROPE_FACTORS in checkpoint.shapes:
        factors = checkpoint.load(_ROPE_FACTORS)
        if factors.shape != frequencies.shape or not (factors > 0).all():
            raise SourceError(
                f"tensor '{_ROPE_FACTORS}': expected {frequencies.size} positive factors, "
                f"found shape {list(factors.shape)}; the file is damaged, get it again"
            )
        frequencies /= factors
    return Rotary(tuple(frequencies.tolist()))


def _rotate_half(heads: int) -> Callable[[FloatArray], FloatArray]:
    """Undo GGUF's interleaving of each head's rows: pairs (2i, 2i+1) become (i, i + half)."""

    def take(values: FloatArray) -> FloatArray:
        tail = values.shape[1:]
        pairs = values.reshape(heads, -1, 2, *tail).swapaxes(1, 2)
        return np.ascontiguousarray(pairs.reshape(values.shape))

    return take


def _tensors(spec: DecoderSpec) -> dict[str, Tensor]:
    attention = spec.attention
    tensors = {
        "embedding": Tensor("token_embd.weight"),
        "final_norm.scale": Tensor("output_norm.weight"),
        "output.weight": Tensor("output.weight"),
    }
    for i in range(spec.layers):
        layer, block = f"layers.{i}", f"blk.{i}"
        tensors[f"{layer}.attention_norm.scale"] = Tensor(f"{block}.attn_norm.weight")
        tensors[f"{layer}.feed_forward_norm.scale"] = Tensor(f"{block}.ffn_norm.weight")
        for part in ("weight", "bias"):
            tensors[f"{layer}.q.{part}"] = Tensor(
                f"{block}.attn_q.{part}", take=_rotate_half(attention.heads)
            )
            tensors[f"{layer}.k.{part}"] = Tensor(
                f"{block}.attn_k.{part}", take=_rotate_half(attention.kv_heads)
            )
            tensors[f"{layer}.v.{part}"] = Tensor(f"{block}.attn_v.{part}")
            tensors[f"{layer}.o.{part}"] = Tensor(f"{block}.attn_output.{part}")
        for role in ("gate", "up", "down"):
            tensors[f"{layer}.{role}.weight"] = Tensor(f"{block}.ffn_{role}.weight")
    return tensors
