"""Every causal language model of the installed KerasHub is read, or refused with its reason."""

from __future__ import annotations

import pytest

from foreword.errors import UnsupportedModelError
from foreword.families.find import find_family

READ = {
    "BloomBackbone": "bloom",
    "FalconBackbone": "falcon",
    "GPT2Backbone": "gpt2",
    "GPTNeoXBackbone": "gpt_neox",
    "Gemma3Backbone": "gemma3",
    "GemmaBackbone": "gemma",
    "Llama3Backbone": "llama",
    "LlamaBackbone": "llama",
    "MistralBackbone": "mistral",
    "OPTBackbone": "opt",
    "Phi3Backbone": "phi3",
    "Qwen3Backbone": "qwen3",
    "QwenBackbone": "qwen2",
    "SmolLM3Backbone": "smollm3",
}


@pytest.mark.keras
def test_every_causal_language_model_of_keras_hub_is_read_or_refused_with_its_reason() -> None:
    import keras_hub

    exported = [getattr(keras_hub.models, name) for name in dir(keras_hub.models)]
    backbones = {
        task.backbone_cls.__name__
        for task in exported
        if isinstance(task, type) and issubclass(task, keras_hub.models.CausalLM)
        # The two base classes have none.
        if task.backbone_cls is not None
    }
    assert backbones >= READ.keys()
    unexplained = []
    for name in sorted(backbones):
        try:
            find_family("keras", name)
        except UnsupportedModelError as error:
            assert name not in READ
            if "unknown here" in str(error):
                unexplained.append(name)
    assert unexplained == []


@pytest.mark.parametrize(("name", "family"), READ.items())
def test_the_decoders_of_keras_hub_are_read(name: str, family: str) -> None:
    assert find_family("keras", name)[0] == family
