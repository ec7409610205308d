"""Hugging Face checkpoint folders: config.json, safetensors and a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.find import find_family
from foreword.sources.huggingface_tokenizer import read_tokenizer
from foreword.sources.model import SourceModel
from foreword.sources.safetensors import SafetensorsCheckpoint
from foreword.sources.strict_json import read_bytes, read_object

CONFIG = "config.json"
_CONFIG_BYTES = 4 << 20
_README_BYTES = 16 << 20
_DECODERS = ("ForCausalLM", "LMHeadModel")


def open_hugging_face(path: Path) -> SourceModel:
    """Open a checkpoint folder; its tensors are read only when the decoder asks for them.

    The model is named after the folder; its licence is what config.json or the front matter
    of README.md says, else "unknown". Raises SourceError, the path first, for missing,
    damaged or changed files and vocabularies that do not match, and UnsupportedModelError
    for an architecture or tokenizer without code here, quantized weights and pickles.
    """
    try:
        config = _config(path)
        family, read = find_family("hugging_face", _model_type(config))
        _refuse_variants(config)
        decoder = read(SafetensorsCheckpoint(path, config))
        tokenizer = read_tokenizer(path, config, decoder.spec.embedding.vocabulary)
        licence = _licence(path, config)
    except SourceError as error:
        # Names out of the files go to terminals: one line, no control characters.
        message = (c if c.isprintable() else ascii(c)[1:-1] for c in f"{path}: {error}")
        raise type(error)("".join(message)) from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    name = path.name if path.name.strip(".") else path.resolve().name
    return SourceModel(family, decoder, tokenizer, name, licence, sha256=None, keras_path=path)


def _config(path: Path) -> dict[str, object]:
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing of that name"
        raise SourceError(f"expected a Hugging Face checkpoint folder, found {found}")
    config = read_object(path / CONFIG, _CONFIG_BYTES)
    if config is None:
        raise SourceError(
            f"expected a Hugging Face checkpoint folder, found no {CONFIG} in it; give the folder "
            "that save_pretrained wrote"
        )
    return config


def _model_type(config: Mapping[str, object]) -> str:
    name = config.get("model_type")
    if not isinstance(name, str):
        raise SourceError(
            f"{CONFIG}: 'model_type': expected the name of an architecture, found {name!r:.60}; "
            "the file is damaged or incomplete, get it again"
        )
    return name


def _refuse_variants(config: Mapping[str, object]) -> None:
    """Refuse what shares a supported architecture's name and is something else."""
    quantization = config.get("quantization_config")
    if quantization:
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise UnsupportedModelError(
            f"{CONFIG}: this checkpoint is quantized ({method or 'unnamed'!s:.40}), expected plain "
            "float weights; take the unquantized checkpoint, Foreword quantizes by itself"
        )
    if config.get("is_encoder_decoder") is True:
        raise UnsupportedModelError(
            f"{CONFIG}: this model is an encoder and a decoder ('is_encoder_decoder'), expected "
            "a decoder alone; take a causal language model"
        )
    # A model of images and text is named after the whole; its family knows of its text part.
    named = config.get("architectures")
    if not isinstance(named, list) or not named or isinstance(config.get("text_config"), dict):
        return
    if not any(isinstance(name, str) and name.endswith(_DECODERS) for name in named):
        raise UnsupportedModelError(
            f"{CONFIG}: 'architectures' names {', '.join(map(str, named))!r:.80}, expected a "
            "causal language model (…ForCausalLM or …LMHeadModel); take the checkpoint of one"
        )


def _licence(path: Path, config: Mapping[str, object]) -> str:
    """Return the licence as one short printable line, for it goes to terminals and manifests."""
    found = config.get("license")
    text = " ".join(found.split()) if isinstance(found, str) else _readme_licence(path)
    return text[:100] if text.isprintable() and text else "unknown"


def _readme_licence(path: Path) -> str:
    """Return the plain `license:` line of a model card's front matter, empty if there is none."""
    try:
        lines = (read_bytes(path / "README.md", _README_BYTES) or b"").decode().splitlines()
    except (SourceError, UnicodeDecodeError):
        return ""
    if not lines or lines[0].rstrip() != "---":
        return ""
    for line in lines[1:]:
        if line.rstrip() == "---":
            break
        if match := re.match(r"license:\s*([\w.+-]+|'[^']*'|\"[^\"]*\")\s*(#.*)?$", line):
            return match[1].strip("'\"")
    return ""
