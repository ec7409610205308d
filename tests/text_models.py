"""A tiny KerasHub CausalLM with a tokenizer for every family; needs the extra [keras]."""

from __future__ import annotations

import io
import json
from typing import Any

from gpt2_files import gpt2_files
from keras_parity import randomize
from tiny_keras import END, MERGES, vocabulary

SIZES = {"num_layers": 2, "hidden_dim": 16, "intermediate_dim": 32}
GROUPED = {"num_query_heads": 4, "num_key_value_heads": 2}
HEADS = {"num_heads": 2}

LLAMA3_HEADERS = ("start_header_id", "end_header_id")

# Class prefix, special tokens of its vocabulary, what its backbone takes besides SIZES.
BYTE_LEVEL: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "gpt2": ("GPT2", [END], {**HEADS, "max_sequence_length": 64}),
    "opt": ("OPT", ["<s>", "</s>", "<pad>"], {**HEADS, "max_sequence_length": 64}),
    "gpt_neox": ("GPTNeoX", [END], HEADS),
    "bloom": ("Bloom", ["<s>", "</s>", "<pad>"], HEADS),
    "falcon": ("Falcon", [END], {"num_attention_heads": 2}),
    "llama3": (
        "Llama3",
        [f"<|{n}|>" for n in ("begin_of_text", "end_of_text", "eot_id", *LLAMA3_HEADERS)],
        GROUPED,
    ),
    "qwen2": ("Qwen", [END, "<|im_end|>", "<|im_start|>"], GROUPED),
    "smollm3": (
        "SmolLM3",
        ["<|begin_of_text|>", "<|end_of_text|>", "<think>", "</think>"],
        {
            **{"num_attention_heads": 4, "num_key_value_heads": 2, "attention_dropout": 0.0},
            **{"layer_types": ["attention"] * 2, "rope_layer_enabled_list": [True, False]},
            **{"layer_norm_epsilon": 1e-5, "max_position_embeddings": 512},
            **{"rope_theta": 1000.0, "partial_rotary_factor": 1.0},
            **{"attention_bias": False, "mlp_bias": False},
        },
    ),
    "qwen3": ("Qwen3", [END, "<|im_end|>", "<|im_start|>"], {**GROUPED, "head_dim": 8}),
}
GEMMA_IDS = {
    **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3},
    **{"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>"},
}
# Class prefix, options of its SentencePiece model, what its backbone takes besides SIZES.
SENTENCEPIECE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llama": ("Llama", {}, GROUPED),
    "mistral": ("Mistral", {}, {**GROUPED, "sliding_window": 8}),
    "gemma": ("Gemma", GEMMA_IDS, {**GROUPED, "head_dim": 8}),
    "gemma2": (
        "Gemma",
        GEMMA_IDS,
        {
            **{**GROUPED, "head_dim": 8, "attention_logit_soft_cap": 2.0},
            **{"use_sliding_window_attention": True, "sliding_window_size": 8},
            **{"use_post_ffw_norm": True, "use_post_attention_norm": True},
        },
    ),
    "gemma3": (
        "Gemma3",
        {**GEMMA_IDS, "control_symbols": ["<img>", "<start_of_image>", "<end_of_image>"]},
        {
            **{**GROUPED, "head_dim": 8, "image_size": 16, "use_post_ffw_norm": True},
            **{"use_post_attention_norm": True, "use_query_key_norm": True},
            **{"use_sliding_window_attention": True, "sliding_window_size": 8},
        },
    ),
    "phi3": ("Phi3", {"control_symbols": [END]}, GROUPED),
}


def tiny_causal_lm(family: str) -> Any:
    """A CausalLM of a family with random weights, greedy, whose text differs by prompt."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(3)
    models = keras_hub.models
    if family in BYTE_LEVEL:
        prefix, special, options = BYTE_LEVEL[family]
        tokens = {token: i for token, i in vocabulary().items() if token != END}
        for token in special:
            tokens[token] = len(tokens)
        tokenizer = getattr(models, f"{prefix}Tokenizer")(vocabulary=tokens, merges=list(MERGES))
    else:
        prefix, pieces, options = SENTENCEPIECE[family]
        tokenizer = getattr(models, f"{prefix}Tokenizer")(proto=trained_proto(**pieces))
    backbone = getattr(models, f"{prefix}Backbone")(
        vocabulary_size=tokenizer.vocabulary_size(), **SIZES, **options
    )
    randomize(backbone)
    return assembled(prefix, backbone, tokenizer)


def gpt2_causal_lm(layers: int = 2, heads: int = 2, width: int = 64, positions: int = 128) -> Any:
    """A GPT-2 with its real vocabulary and random weights."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(4)
    encoder, merges = gpt2_files()
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary=json.loads(encoder.read_text(encoding="utf-8")),
        merges=merges.read_text(encoding="utf-8").splitlines()[1:],
    )
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=layers,
        num_heads=heads,
        hidden_dim=width,
        intermediate_dim=4 * width,
        max_sequence_length=positions,
        dropout=0.0,
    )
    randomize(backbone, spread=0.1)
    return assembled("GPT2", backbone, tokenizer)


def assembled(prefix: str, backbone: Any, tokenizer: Any) -> Any:
    import keras_hub

    models = keras_hub.models
    preprocessor = getattr(models, f"{prefix}CausalLMPreprocessor")(tokenizer, sequence_length=32)
    lm = getattr(models, f"{prefix}CausalLM")(backbone=backbone, preprocessor=preprocessor)
    # The graph's own tokenization, which training uses too; the eager one cuts text otherwise.
    preprocessor._allow_python_workflow = tokenizer._allow_python_workflow = False
    lm.compile(sampler="greedy", jit_compile=False)
    return lm


def trained_proto(**options: Any) -> bytes:
    """A SentencePiece BPE model with byte fallback."""
    import sentencepiece

    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox don't a b hello"] * 9),
        model_writer=proto,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
        vocab_size=320,
        **options,
    )
    return proto.getvalue()
