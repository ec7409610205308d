"""Hugging Face checkpoint folders for tests: any config, any tensors, a tiny tokenizer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from foreword.sources.gguf_tokenizer import tokenizer_from_gguf
from tiny_tokenizer import gguf_tokenizer_metadata

FloatArray = NDArray[np.float32]
DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "F64": np.float64}

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_DIM, FFN = 2, 64, 4, 2, 16, 96
VOCABULARY = 299
BOS, EOS = 1, 2


def tiny_tokenizer() -> dict[str, Any]:
    """A tokenizer.json: byte-level BPE of 299 tokens, the first three of them control tokens."""
    document: dict[str, Any] = json.loads(tokenizer_from_gguf(gguf_tokenizer_metadata()).json)
    return document


def write_checkpoint(
    folder: Path,
    config: Mapping[str, object],
    arrays: Mapping[str, FloatArray],
    tokenizer: Mapping[str, object] | None = None,
    dtype: str = "F32",
    shards: int = 1,
) -> Path:
    """Write a folder as save_pretrained does; `tokenizer` None leaves tokenizer.json out."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    if tokenizer is not None:
        write_json(folder / "tokenizer.json", tokenizer)
    stored = {name: np.asarray(array, DTYPES[dtype]) for name, array in arrays.items()}
    if shards == 1:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    weight_map = {}
    for k in range(shards):
        file = f"model-{k + 1:05}-of-{shards:05}.safetensors"
        part = dict(list(stored.items())[k::shards])
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)
    return folder


def write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def llama_config(**changes: object) -> dict[str, object]:
    """The config.json of a tiny llama; a change to None takes a key away."""
    config: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "vocab_size": VOCABULARY,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "torch_dtype": "float32",
    }
    return {key: value for key, value in (config | changes).items() if value is not None}


def llama_arrays(rows: int = VOCABULARY, seed: int = 0) -> dict[str, FloatArray]:
    """Random weights of a tiny untied llama, named and shaped as transformers does."""
    attention, mlp = "self_attn.{}_proj.weight", "mlp.{}_proj.weight"
    layer: dict[str, Sequence[int]] = {
        "input_layernorm.weight": (WIDTH,),
        attention.format("q"): (HEADS * HEAD_DIM, WIDTH),
        attention.format("k"): (KV_HEADS * HEAD_DIM, WIDTH),
        attention.format("v"): (KV_HEADS * HEAD_DIM, WIDTH),
        attention.format("o"): (WIDTH, HEADS * HEAD_DIM),
        "post_attention_layernorm.weight": (WIDTH,),
        mlp.format("gate"): (FFN, WIDTH),
        mlp.format("up"): (FFN, WIDTH),
        mlp.format("down"): (WIDTH, FFN),
    }
    shapes: dict[str, Sequence[int]] = {"model.embed_tokens.weight": (rows, WIDTH)}
    for i in range(LAYERS):
        shapes |= {f"model.layers.{i}.{name}": shape for name, shape in layer.items()}
    shapes |= {"model.norm.weight": (WIDTH,), "lm_head.weight": (rows, WIDTH)}
    random = np.random.default_rng(seed)
    return {name: _weights(random, shape) for name, shape in shapes.items()}


def _weights(random: np.random.Generator, shape: Sequence[int]) -> FloatArray:
    """Scaled so that the layers keep their size and the logits spread over a few units."""
    values = random.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return 1 + np.float32(0.1) * values
    return values * np.float32(1.5 / math.sqrt(shape[-1]))
