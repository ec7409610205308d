"""The family that reads an architecture, found by the name its checkpoints give it."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Literal

from foreword import families
from foreword.errors import UnsupportedModelError
from foreword.families.checkpoint import Checkpoint
from foreword.graph.spec import Decoder

Origin = Literal["gguf", "hugging_face", "keras"]
"""Whose names a checkpoint speaks: GGUF's architecture, the model_type of a Hugging Face
config.json, or the class of a KerasHub backbone."""

Read = Callable[[Checkpoint], Decoder]

Readers = Mapping[tuple[Origin, str], Read]
"""What a family module declares as READERS: a function for each name it reads."""

GUIDE = "docs/guides/add-a-family.md"

# Told apart by name, so that the refusal says why; anything else is merely unknown.
_WHY = {
    "a mixture of experts, which is not supported": (
        *("mixtral", "qwen2_moe", "qwen3_moe", "qwen3_5_moe", "gpt_oss", "phimoe", "olmoe"),
        *("granitemoe", "deepseek_v2", "deepseek_v3", "llama4", "llama4_text", "dbrx", "jamba"),
        *("MixtralBackbone", "QwenMoeBackbone", "Qwen3MoeBackbone", "Qwen3_5MoeBackbone"),
        *("GptOssBackbone", "gpt-oss", "qwen2moe", "qwen3moe", "deepseek2"),
    ),
    "built from parts no other decoder has, which are not supported": (
        *("gemma3n", "gemma3n_text", "gemma4", "gemma4_text", "qwen3_5", "qwen3_5_text"),
        *("Gemma3nBackbone", "Gemma4Backbone", "Qwen3_5Backbone"),
    ),
    "a recurrent model, which is not supported": (
        *("rwkv", "rwkv7", "mamba", "mamba2", "falcon_mamba", "recurrent_gemma"),
        *("RWKV7Backbone", "rwkv6", "recurrentgemma"),
    ),
    "an encoder, which cannot continue a text; take a decoder": (
        *("bert", "roberta", "xlm-roberta", "albert", "distilbert", "electra", "deberta"),
        *("deberta-v2", "deberta-v3", "esm", "roformer", "modernbert", "nomic-bert"),
        *("BertBackbone", "RobertaBackbone", "XLMRobertaBackbone", "AlbertBackbone"),
        *("DistilBertBackbone", "ElectraBackbone", "DebertaV3Backbone", "ESMBackbone"),
        *("FNetBackbone", "RoformerV2Backbone", "XLNetBackbone", "xlnet"),
    ),
    "an encoder and a decoder in one, which is not supported; take a decoder": (
        *("t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian", "whisper", "t5gemma"),
        *("t5gemma2", "T5Backbone", "BartBackbone", "WhisperBackbone", "T5GemmaBackbone"),
        *("T5Gemma2Backbone", "MoonshineBackbone", "EdRecBackbone"),
    ),
    "a model of images and text, which is not supported; take its text-only sibling": (
        *("llava", "llava_next", "mllama", "paligemma", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
        *("idefics3", "smolvlm", "phi3_v", "phi4mm", "internvl_chat", "mistral3", "blip-2"),
        *("PaliGemmaBackbone", "BLIP2Backbone", "qwen2vl", "CLIPBackbone", "SigLIPBackbone"),
        *("PARSeqBackbone",),
    ),
}


def find_family(origin: Origin, name: str) -> tuple[str, Read]:
    """Return a family's name and the function that reads checkpoints of that architecture.

    Raises UnsupportedModelError, which says why where that is known and lists what is read.
    """
    known: list[str] = []
    # Modules are listed, so that a new family is one new file.
    for module in sorted(info.name for info in pkgutil.iter_modules(families.__path__)):
        readers: Readers = getattr(import_module(f"foreword.families.{module}"), "READERS", {})
        if (origin, name) in readers:
            return module, readers[origin, name]
        known += [there for kind, there in readers if kind == origin]
    why = next((why for why, names in _WHY.items() if name in names), "unknown here")
    raise UnsupportedModelError(
        f"architecture {name!r:.60}: {why}; Foreword reads {', '.join(sorted(known))}, "
        f"and {GUIDE} shows how to add a family"
    )
