"""Tiny KerasHub models as files, written without Keras, and with it where a test needs it live."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from tiny_gguf import FloatArray

ROWS, WIDTH, LAYERS, HEADS, INNER, POSITIONS = 272, 16, 2, 2, 32, 64
END = "<|endoftext|>"
MERGES = ("h e", "Ġ t", "Ġt he")

Config = dict[str, Any]


def vocabulary() -> dict[str, int]:
    """256 bytes, three merges and the end token: 260 tokens, fewer than the rows."""
    tokens = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in MERGES), END]
    return {token: i for i, token in enumerate(tokens)}


def serialized(class_name: str, config: Config) -> Config:
    return {
        "class_name": class_name,
        "config": config,
        "registered_name": f"keras_hub>{class_name}",
    }


def backbone_config() -> Config:
    return serialized(
        "GPT2Backbone",
        {
            "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}},
            "vocabulary_size": ROWS,
            "num_layers": LAYERS,
            "num_heads": HEADS,
            "hidden_dim": WIDTH,
            "intermediate_dim": INNER,
            "max_sequence_length": POSITIONS,
        },
    )


def tokenizer_config() -> Config:
    return serialized("GPT2Tokenizer", {"add_prefix_space": False, "unsplittable_tokens": [END]})


def preprocessor_config() -> Config:
    config = {"tokenizer": tokenizer_config(), "add_start_token": True}
    return serialized("GPT2CausalLMPreprocessor", config)


def weights(seed: int = 0) -> dict[str, FloatArray]:
    """The weights of a GPT-2 by their places in the file, below "layers/"."""
    head = WIDTH // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "reversible_embedding/vars/0": (ROWS, WIDTH),
        "position_embedding/vars/0": (POSITIONS, WIDTH),
        "layer_normalization/vars/0": (WIDTH,),
        "layer_normalization/vars/1": (WIDTH,),
    }
    for i in range(LAYERS):
        layer = "transformer_decoder" + (f"_{i}" if i else "")
        parts: dict[str, tuple[tuple[int, ...], ...]] = {
            "_self_attention_layer/output_dense": ((HEADS, head, WIDTH), (WIDTH,)),
            "_self_attention_layer_norm": ((WIDTH,), (WIDTH,)),
            "_feedforward_layer_norm": ((WIDTH,), (WIDTH,)),
            "_feedforward_intermediate_dense": ((WIDTH, INNER), (INNER,)),
            "_feedforward_output_dense": ((INNER, WIDTH), (WIDTH,)),
        }
        for role in ("query", "key", "value"):
            parts[f"_self_attention_layer/{role}_dense"] = ((WIDTH, HEADS, head), (HEADS, head))
        for part, pair in parts.items():
            for index, shape in enumerate(pair):
                shapes[f"{layer}/{part}/vars/{index}"] = shape
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def write_h5(path: Path, tensors: Mapping[str, Any], prefix: str = "layers/") -> Path:
    with h5py.File(path, "w") as file:
        for name, values in tensors.items():
            file[prefix + name] = values
    return path


def write_preset(directory: Path, tensors: Mapping[str, Any] | None = None) -> Path:
    """Write a preset directory as `save_to_preset` does."""
    assets = directory / "assets" / "tokenizer"
    assets.mkdir(parents=True)
    write_json(directory / "config.json", backbone_config())
    write_json(directory / "tokenizer.json", tokenizer_config())
    write_json(directory / "preprocessor.json", preprocessor_config())
    write_json(assets / "vocabulary.json", vocabulary())
    (assets / "merges.txt").write_text("\n".join(MERGES) + "\n", encoding="utf-8")
    write_h5(directory / "model.weights.h5", weights() if tensors is None else tensors)
    return directory


def write_keras(path: Path, scratch: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    """Write the same model as `CausalLM.save` does, with an optimizer's state beside it."""
    inner = write_h5(scratch / "inner.h5", weights(), "layers/gpt2_backbone/layers/")
    with h5py.File(inner, "a") as file:
        file["optimizer/vars/0"] = np.int64(3)
        file["layers/gpt2_backbone/layers/dropout/seed_generator/vars/0"] = np.uint32([1, 2])
    task = serialized(
        "GPT2CausalLM", {"backbone": backbone_config(), "preprocessor": preprocessor_config()}
    )
    assets = "assets/preprocessor/tokenizer"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(task))
        archive.write(inner, "model.weights.h5")
        archive.writestr(f"{assets}/vocabulary.json", json.dumps(vocabulary()))
        archive.writestr(f"{assets}/merges.txt", "\n".join(MERGES))
    inner.unlink()
    return path


def write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file, those of its "config" where it has one; None removes a key."""
    document = json.loads(path.read_text(encoding="utf-8"))
    inner = document.get("config", document)
    inner.update(changes)
    for key in [key for key, value in changes.items() if value is None]:
        del inner[key]
    write_json(path, document)
