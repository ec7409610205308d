"""Checkpoints of 1.5 billion random numbers, written tensor by tensor in a few megabytes.

Shapes and names are those of GPT-2 XL and Qwen2.5-1.5B; the weights are normal with a
deviation of 0.02, as such models begin. They say nothing, and cost what real ones cost.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tokenizers
from numpy.typing import NDArray

SHARD_BYTES = 1 << 30
BLOCK_VALUES = (1 << 22) + 17  # odd, so that no row of a matrix is another one's copy
END = "<|endoftext|>"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Geometry:
    """A model's shape: what a bound on memory is computed from, and how to write it.

    `layer_values` and `embedding_values` count the numbers of one layer and of the embedding.
    """

    name: str
    layer_values: int
    embedding_values: int
    write: Callable[[Path], None]


def gpt2_xl_shapes(layers: int = 48, width: int = 1600, vocabulary: int = 50257) -> Shapes:
    """Tensors of GPT-2 XL as transformers names them; kernels are [in, out]."""
    shapes = {"wte.weight": (vocabulary, width), "wpe.weight": (1024, width)}
    kernels = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
    kernels |= {"mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
    for i in range(layers):
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{norm}.weight": (width,), f"h.{i}.{norm}.bias": (width,)}
        for name, kernel in kernels.items():
            shapes |= {f"h.{i}.{name}.weight": kernel, f"h.{i}.{name}.bias": kernel[1:]}
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def qwen_shapes(
    layers: int = 28, width: int = 1536, inner: int = 8960, vocabulary: int = 151936
) -> Shapes:
    """Tensors of Qwen2.5-1.5B as transformers names them: 12 heads of 128, 2 for keys."""
    outs = {"q": width, "k": 256, "v": 256}
    shapes = {"model.embed_tokens.weight": (vocabulary, width), "model.norm.weight": (width,)}
    for i in range(layers):
        layer = f"model.layers.{i}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}.{norm}.weight"] = (width,)
        for role, out in outs.items():
            shapes[f"{layer}.self_attn.{role}_proj.weight"] = (out, width)
            shapes[f"{layer}.self_attn.{role}_proj.bias"] = (out,)
        shapes[f"{layer}.self_attn.o_proj.weight"] = (width, width)
        for role in ("gate", "up"):
            shapes[f"{layer}.mlp.{role}_proj.weight"] = (inner, width)
        shapes[f"{layer}.mlp.down_proj.weight"] = (width, inner)
    return shapes


def write_gpt2_xl(folder: Path) -> None:
    """Write a Hugging Face folder of GPT-2 XL in float16."""
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **{"n_layer": 48, "n_embd": 1600, "n_head": 25, "n_positions": 1024, "n_ctx": 1024},
        **{"vocab_size": 50257, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"},
        **{"bos_token_id": 256, "eos_token_id": 256},
    }
    _write_folder(folder, config, gpt2_xl_shapes(), "F16")


def write_qwen(folder: Path) -> None:
    """Write a Hugging Face folder of Qwen2.5-1.5B in bfloat16."""
    config = {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        **{"num_hidden_layers": 28, "hidden_size": 1536, "intermediate_size": 8960},
        **{"num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936},
        **{"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1e6},
        **{"max_position_embeddings": 131072, "use_sliding_window": False},
        **{"tie_word_embeddings": True, "bos_token_id": 256, "eos_token_id": 256},
    }
    _write_folder(folder, config, qwen_shapes(), "BF16")


def write_gpt2_xl_preset(folder: Path) -> None:
    """Write GPT-2 XL in float16 as KerasHub's `save_to_preset` lays it out."""
    width, heads = 1600, 25
    config = {
        **{"vocabulary_size": 50257, "num_layers": 48, "num_heads": heads, "hidden_dim": width},
        **{"intermediate_dim": 4 * width, "dropout": 0.0, "max_sequence_length": 1024},
    }
    assets = folder / "assets" / "tokenizer"
    assets.mkdir(parents=True)
    _write_json(folder / "config.json", {"class_name": "GPT2Backbone", "config": config})
    _write_json(folder / "tokenizer.json", {"class_name": "GPT2Tokenizer", "config": {}})
    _write_json(assets / "vocabulary.json", _vocabulary())
    (assets / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    norm = ((width,), (width,))
    variables: dict[str, tuple[tuple[int, ...], ...]] = {
        "reversible_embedding": ((50257, width),),
        "position_embedding": ((1024, width),),
        "layer_normalization": norm,
    }
    for i in range(48):
        layer = "transformer_decoder" + (f"_{i}" if i else "")
        own = f"{layer}/_self_attention_layer"
        for name in ("query", "key", "value"):
            variables[f"{own}/{name}_dense"] = ((width, heads, 64), (heads, 64))
        variables[f"{own}/output_dense"] = ((heads, 64, width), (width,))
        variables[f"{own}_norm"] = variables[f"{layer}/_feedforward_layer_norm"] = norm
        inner = 4 * width
        variables[f"{layer}/_feedforward_intermediate_dense"] = ((width, inner), (inner,))
        variables[f"{layer}/_feedforward_output_dense"] = ((inner, width), (width,))
    block = _block("F16")
    with h5py.File(folder / "model.weights.h5", "w") as file:
        for path, shapes in variables.items():
            for index, shape in enumerate(shapes):
                item = file.create_dataset(f"layers/{path}/vars/{index}", shape, "f2")
                _fill(item, block, scale="norm" in path and index == 0)


def _fill(item: Any, block: NDArray[Any], scale: bool) -> None:
    if len(item.shape) == 1:
        item[...] = 1 if scale else 0
        return
    step = max(1, block.size // (item.size // len(item)))
    for start in range(0, len(item), step):
        rows = min(step, len(item) - start)
        item[start : start + rows] = np.resize(np.roll(block, start), (rows, *item.shape[1:]))


GEOMETRIES = {
    "gpt2-xl": Geometry("gpt2-xl", 12 * 1600**2, 50257 * 1600, write_gpt2_xl),
    "qwen2.5-1.5b": Geometry(
        "qwen2.5-1.5b", 2 * 1536 * (1536 + 256) + 3 * 1536 * 8960, 151936 * 1536, write_qwen
    ),
    "gpt2-xl-keras": Geometry("gpt2-xl-keras", 12 * 1600**2, 50257 * 1600, write_gpt2_xl_preset),
}


def _write_folder(folder: Path, config: Mapping[str, Any], shapes: Shapes, dtype: str) -> None:
    folder.mkdir(parents=True)
    _write_json(folder / "config.json", config)
    _tokenizer().save(str(folder / "tokenizer.json"))
    block = _block(dtype)
    shards = list(_shards(shapes))
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_shard(folder / name, shard, dtype, block)
        weight_map |= dict.fromkeys(shard, name)
    total = 2 * sum(int(np.prod(shape)) for shape in shapes.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    _write_json(folder / "model.safetensors.index.json", index)


def _shards(shapes: Shapes) -> Iterator[dict[str, tuple[int, ...]]]:
    shard: dict[str, tuple[int, ...]] = {}
    size = 0
    for name, shape in shapes.items():
        if size > SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = shape
        size += 2 * int(np.prod(shape))
    yield shard


def _write_shard(path: Path, shapes: Shapes, dtype: str, block: NDArray[Any]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    one = np.uint16(0x3C00 if dtype == "F16" else 0x3F80)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for number, (name, shape) in enumerate(shapes.items()):
            count = int(np.prod(shape))
            if len(shape) == 1:
                is_scale = name.endswith("weight")
                file.write(np.full(count, one if is_scale else 0, np.uint16).data)
                continue
            own = np.roll(block, 7919 * number)
            for start in range(0, count, block.size):
                file.write(own[: count - start].data)


def _block(dtype: str) -> NDArray[Any]:
    """Random numbers, as they are stored; matrices repeat them."""
    random = np.random.default_rng(0)
    values = random.standard_normal(BLOCK_VALUES, dtype=np.float32) * np.float32(0.02)
    if dtype == "F16":
        return values.astype(np.float16)
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def _vocabulary() -> dict[str, int]:
    symbols = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    return {symbol: i for i, symbol in enumerate([*symbols, END])}


def _tokenizer() -> tokenizers.Tokenizer:
    """Byte-level, without merges: a token a byte."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(_vocabulary(), []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    return tokenizer


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")
