"""A complete random GGUF model of two layers, written in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

from tiny_tokenizer import gguf_tokenizer_metadata

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_DIM = 2, 64, 4, 2, 16
LLAMA_FFN, GPT2_FFN = 96, 256
LLAMA_CONTEXT, GPT2_POSITIONS = 256, 128
ROPE_BASE = 10000.0
EPSILON = 1e-5

FloatArray = NDArray[np.float32]
Mutate = Callable[[dict[str, object], dict[str, FloatArray]], None]


@dataclass(frozen=True)
class TinyGguf:
    """Where the file is, its metadata, and its tensors as the file gives them back (float32)."""

    path: Path
    metadata: Mapping[str, object]
    arrays: Mapping[str, FloatArray]


def write_tiny_gguf(
    path: Path,
    architecture: str = "llama",
    tied: bool = True,
    quant: str = "F32",
    seed: int = 0,
    mutate: Mutate | None = None,
) -> TinyGguf:
    """Write a random `llama` or `gpt2` model; matrices are stored as `quant`, the rest as F32.

    `mutate` may change the metadata and the tensors before they are written.
    """
    metadata = _metadata(architecture)
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    shapes = _shapes(architecture, len(tokens), tied)
    random = np.random.default_rng(seed)
    tensors = {name: _weights(random, name, shape) for name, shape in shapes.items()}
    if mutate is not None:
        mutate(metadata, tensors)
    arrays = write_gguf(path, metadata, tensors, quant)
    return TinyGguf(path, metadata, arrays)


def write_gguf(
    path: Path,
    metadata: Mapping[str, object],
    tensors: Mapping[str, FloatArray],
    quant: str = "F32",
) -> dict[str, FloatArray]:
    """Write a GGUF file and return its tensors as they read back."""
    writer = GGUFWriter(path, str(metadata["general.architecture"]))
    for key, value in metadata.items():
        if key != "general.architecture":
            _add(writer, key, value)
    arrays = {}
    for name, values in tensors.items():
        kind = GGMLQuantizationType[quant if values.ndim > 1 else "F32"]
        stored = quantize(values, kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        arrays[name] = dequantize(stored, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return arrays


def _add(writer: GGUFWriter, key: str, value: object) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)
        case _:
            raise TypeError(f"{key}: {value!r}")


def _metadata(architecture: str) -> dict[str, object]:
    tokenizer = gguf_tokenizer_metadata()
    tokens = tokenizer["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    common: dict[str, object] = {
        "general.architecture": architecture,
        "general.name": "Tiny",
        "general.license": "cc0-1.0",
        f"{architecture}.block_count": LAYERS,
        f"{architecture}.embedding_length": WIDTH,
        f"{architecture}.attention.head_count": HEADS,
        f"{architecture}.vocab_size": len(tokens),
    }
    if architecture == "gpt2":
        own: dict[str, object] = {
            "gpt2.context_length": GPT2_POSITIONS,
            "gpt2.feed_forward_length": GPT2_FFN,
            "gpt2.attention.layer_norm_epsilon": EPSILON,
        }
    else:
        own = {
            f"{architecture}.context_length": LLAMA_CONTEXT,
            f"{architecture}.feed_forward_length": LLAMA_FFN,
            f"{architecture}.attention.head_count_kv": KV_HEADS,
            f"{architecture}.attention.layer_norm_rms_epsilon": EPSILON,
            f"{architecture}.rope.freq_base": ROPE_BASE,
            f"{architecture}.rope.dimension_count": HEAD_DIM,
        }
    return common | own | tokenizer


def _shapes(architecture: str, vocabulary: int, tied: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, WIDTH)}
    layer: dict[str, tuple[int, ...]]
    if architecture == "gpt2":
        shapes["position_embd.weight"] = (GPT2_POSITIONS, WIDTH)
        final, layer = (
            {"output_norm": (WIDTH,)},
            {
                "attn_norm": (WIDTH,),
                "attn_qkv": (3 * WIDTH, WIDTH),
                "attn_output": (WIDTH, WIDTH),
                "ffn_norm": (WIDTH,),
                "ffn_up": (GPT2_FFN, WIDTH),
                "ffn_down": (WIDTH, GPT2_FFN),
            },
        )
    else:
        final, layer = (
            {"output_norm": (WIDTH,)},
            {
                "attn_norm": (WIDTH,),
                "attn_q": (HEADS * HEAD_DIM, WIDTH),
                "attn_k": (KV_HEADS * HEAD_DIM, WIDTH),
                "attn_v": (KV_HEADS * HEAD_DIM, WIDTH),
                "attn_output": (WIDTH, HEADS * HEAD_DIM),
                "ffn_norm": (WIDTH,),
                "ffn_gate": (LLAMA_FFN, WIDTH),
                "ffn_up": (LLAMA_FFN, WIDTH),
                "ffn_down": (WIDTH, LLAMA_FFN),
            },
        )
    blocks = {f"blk.{i}.{part}": shape for i in range(LAYERS) for part, shape in layer.items()}
    for part, shape in (blocks | final).items():
        shapes[f"{part}.weight"] = shape
        if architecture == "gpt2":
            shapes[f"{part}.bias"] = shape[:1]
    if not tied:
        shapes["output.weight"] = (vocabulary, WIDTH)
    return shapes


def _weights(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> FloatArray:
    """Scaled so that the layers keep their size and the logits spread over a few units."""
    values = random.standard_normal(shape, dtype=np.float32)
    if name.endswith("norm.weight"):
        return 1 + np.float32(0.1) * values
    if len(shape) == 1:
        return np.float32(0.1) * values
    if name.endswith("embd.weight"):
        return np.float32(0.25) * values
    return values * np.float32(1.5 / math.sqrt(shape[-1]))
