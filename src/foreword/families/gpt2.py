"""The GPT-2 family: LayerNorm, learned positions, fused query/key/value, GELU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foreword.errors import SourceError
from foreword.families.checkpoint import Checkpoint, Tensor, bind, integer, number, rows
from foreword.graph.spec import (
    Attention,
    Decoder,
    DecoderSpec,
    FeedForward,
    FloatArray,
    Learned,
    Norm,
)


def read(checkpoint: Checkpoint) -> Decoder:
    """Read a GGUF checkpoint of architecture `gpt2` (Radford et al. 2019).

    Raises SourceError for missing or inconsistent parts.
    """
    width = integer(checkpoint, "gpt2.embedding_length")
    heads = integer(checkpoint, "gpt2.attention.head_count")
    if width % heads:
        raise SourceError(
            f"width {width} over {heads} heads: expected a multiple; the file is damaged"
        )
    positions = rows(checkpoint, "position_embd.weight")
    spec = DecoderSpec(
        layers=integer(checkpoint, "gpt2.block_count"),
        width=width,
        vocabulary=rows(checkpoint, "token_embd.weight"),
        attention=Attention(heads, heads, width // heads, qkv_bias=True, output_bias=True),
        feed_forward=FeedForward(
            width=integer(checkpoint, "gpt2.feed_forward_length", 4 * width),
            activation="gelu_tanh",
            gated=False,
            bias=True,
        ),
        norm=Norm("layer", number(checkpoint, "gpt2.attention.layer_norm_epsilon", 1e-5)),
        positions=Learned(positions),
        tied="output.weight" not in checkpoint.shapes,
        max_positions=positions,
    )
    return bind(spec, checkpoint, _tensors(spec))


def _third(index: int) -> Callable[[FloatArray], FloatArray]:
    """Take the query, key or value rows out of the fused projection."""
    return lambda values: np.ascontiguousarray(np.split(values, 3)[index])


def _tensors(spec: DecoderSpec) -> dict[str, Tensor]:
    width = spec.width
    tensors = {
        "embedding": Tensor("token_embd.weight"),
        "positions": Tensor("position_embd.weight"),
        "output.weight": Tensor("output.weight"),
    }
    fused_shape = {"weight": (3 * width, width), "bias": (3 * width,)}
    for gguf_part, part in (("weight", "scale"), ("bias", "bias")):
        tensors[f"final_norm.{part}"] = Tensor(f"output_norm.{gguf_part}")
    for i in range(spec.layers):
        layer, block = f"layers.{i}", f"blk.{i}"
        for gguf_part, part in (("weight", "scale"), ("bias", "bias")):
            tensors[f"{layer}.attention_norm.{part}"] = Tensor(f"{block}.attn_norm.{gguf_part}")
            tensors[f"{layer}.feed_forward_norm.{part}"] = Tensor(f"{block}.ffn_norm.{gguf_part}")
        for part in ("weight", "bias"):
            for index, role in enumerate("qkv"):
                tensors[f"{layer}.{role}.{part}"] = Tensor(
                    f"{block}.attn_qkv.{part}", fused_shape[part], _third(index)
                )
            tensors[f"{layer}.o.{part}"] = Tensor(f"{block}.attn_output.{part}")
            for role in ("up", "down"):
                tensors[f"{layer}.{role}.{part}"] = Tensor(f"{block}.ffn_{role}.{part}")
    return tensors
