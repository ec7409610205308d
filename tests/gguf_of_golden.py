"""A checkpoint of testdata/golden/families, written again as llama.cpp's converter writes it.

Only for architectures whose heads llama.cpp keeps as they are, which leaves out llama itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foreword.families.find import find_family
from foreword.graph.spec import Decoder
from foreword.sources.gguf import GgufCheckpoint
from foreword.sources.safetensors import SafetensorsCheckpoint
from golden_families import GOLDEN, golden_config
from tiny_gguf import write_gguf

# gguf-py, gguf/tensor_mapping.py
NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def read_as_gguf(name: str, directory: Path, **changes: object) -> Decoder:
    """Read a checkpoint after its way through GGUF; `changes` are to its metadata there."""
    config = golden_config(name)
    checkpoint = SafetensorsCheckpoint(GOLDEN / name, config)
    tensors = {_renamed(tensor): checkpoint.load(tensor) for tensor in checkpoint.shapes}
    metadata = {**_metadata(config), **changes}
    path = directory / f"{name}.gguf"
    write_gguf(path, metadata, tensors)
    _, read = find_family("gguf", str(metadata["general.architecture"]))
    return read(GgufCheckpoint(path))


def _renamed(tensor: str) -> str:
    *parts, own, kind = tensor.split(".")
    layer = f"blk.{parts[2]}." if "layers" in parts else ""
    return f"{layer}{NAMES[own]}.{kind}"


def _metadata(config: dict[str, Any]) -> dict[str, object]:
    name = config["model_type"]
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return {
        "general.architecture": name,
        f"{name}.block_count": config["num_hidden_layers"],
        f"{name}.context_length": config["max_position_embeddings"],
        f"{name}.embedding_length": config["hidden_size"],
        f"{name}.feed_forward_length": config["intermediate_size"],
        f"{name}.attention.head_count": config["num_attention_heads"],
        f"{name}.attention.head_count_kv": config["num_key_value_heads"],
        f"{name}.attention.key_length": size,
        f"{name}.attention.value_length": size,
        f"{name}.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        f"{name}.rope.freq_base": config["rope_theta"],
    }
