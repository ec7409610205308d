"""Make testdata/golden/families: tiny checkpoints of transformers, and the logits it gives.

    pip install "transformers==4.57.6" torch safetensors     # in an environment of its own
    python scripts/make_family_golden.py [NAME …]            # writes the folders
    pip install "transformers>=5"
    python scripts/make_family_golden.py [NAME …]            # adds config-v5.json to each

A folder holds what `save_pretrained` writes of a model without a tokenizer, config.json and
model.safetensors, and golden.json: tokens and the logits after each of them, in float32.
Weights are random numbers of the seed below: nobody else's work is in them. Release 5 of
transformers writes other keys (`rope_parameters`), so under it the script loads each folder,
checks its logits and saves its configuration beside the first.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers

OUTPUT = Path(__file__).parent.parent / "testdata/golden/families"
VOCABULARY, TOKENS, SEED = 64, 40, 0
DECIMALS = 5
TOLERANCE = 1e-4  # between releases of transformers; both compute in float32
# What became `rope_parameters`: configurations read from older files still hold it.
RELEASE_4 = (
    *("rope_theta", "rope_scaling", "rope_local_base_freq"),
    *("rotary_emb_base", "rotary_pct", "partial_rotary_factor", "_sliding_window_pattern"),
)

SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 48,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GROUPED = {"num_key_value_heads": 2}
TWO_HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
LONG_ROPE = {
    "vocab_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
    "original_max_position_embeddings": 44,
}


@dataclass(frozen=True)
class Case:
    """A model: its classes in transformers, what its configuration adds to SMALL.

    `base` saves it without its head. `longer` is the length of a second sequence, whose logits
    go to golden-long.json. `attention` is the implementation that is right: mostly the plain one.
    """

    name: str
    config: str
    model: str
    values: Mapping[str, Any] = field(default_factory=dict)
    base: bool = False
    longer: int | None = None
    attention: str = "eager"


def _case(name: str, prefix: str, **values: Any) -> Case:
    return Case(name, f"{prefix}Config", f"{prefix}ForCausalLM", values)


def _falcon(name: str, **values: Any) -> Case:
    # Four heads: transformers rounds Falcon's biases to bfloat16, which holds theirs exactly.
    sizes = {"ffn_hidden_size": 24, "rope_theta": 1000.0}
    # Its eager attention adds ALiBi twice, to the mask and to the scores; the default does not.
    return Case(name, "FalconConfig", "FalconForCausalLM", sizes | values, attention="sdpa")


def _gpt2(name: str, base: bool = False) -> Case:
    return Case(name, "GPT2Config", "GPT2LMHeadModel", {"n_inner": 24}, base)


def _bloom(name: str, base: bool = False) -> Case:
    # Of three heads' slopes two are those of two heads, the third one of four heads.
    sizes = {"hidden_size": 12, "num_attention_heads": 3}
    return Case(name, "BloomConfig", "BloomForCausalLM", sizes, base)


def _phi3(name: str, longer: int | None = None, **values: Any) -> Case:
    return Case(name, "Phi3Config", "Phi3ForCausalLM", values, longer=longer)


def _long_rope(pairs: int) -> dict[str, Any]:
    return {
        "type": "longrope",
        "short_factor": [1.0 + 0.15 * i for i in range(pairs)],
        "long_factor": [1.5 + 0.7 * i for i in range(pairs)],
    }


CASES = (
    _gpt2("gpt2"),
    _gpt2("gpt2-base", base=True),
    _case(
        "gpt_neox",
        "GPTNeoX",
        vocab_size=32,
        hidden_size=32,
        num_attention_heads=2,
        rotary_pct=0.25,
        rotary_emb_base=500,
    ),
    _case("gpt_neox-sequential", "GPTNeoX", use_parallel_residual=False, rotary_pct=1.0),
    _bloom("bloom"),
    _bloom("bloom-base", base=True),
    _falcon("falcon-rw", alibi=True, multi_query=False, parallel_attn=False, bias=True),
    _falcon("falcon-7b", alibi=False, multi_query=True, parallel_attn=True, bias=False),
    _falcon(
        "falcon-new",
        new_decoder_architecture=True,
        num_kv_heads=2,
        bias=False,
        tie_word_embeddings=False,
    ),
    _case("mistral", "Mistral", sliding_window=8, **TWO_HEADS),
    _case("qwen2", "Qwen2", tie_word_embeddings=True, rope_theta=1000.0, **GROUPED),
    _case(
        "qwen2-window",
        "Qwen2",
        use_sliding_window=True,
        sliding_window=8,
        max_window_layers=1,
        **GROUPED,
    ),
    _case("qwen3", "Qwen3", tie_word_embeddings=True, **TWO_HEADS),
    _case("gemma", "Gemma", **TWO_HEADS),
    _case(
        "gemma2",
        "Gemma2",
        attn_logit_softcapping=1.5,
        final_logit_softcapping=3.0,
        sliding_window=8,
        query_pre_attn_scalar=9,
        **TWO_HEADS,
    ),
    Case(
        "gemma3",
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        {
            **{"num_hidden_layers": 7, "intermediate_size": 12, "vocab_size": 48},
            **{"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8},
            **{"sliding_window": 8, "query_pre_attn_scalar": 5},
            **{"rope_theta": 10000.0, "rope_local_base_freq": 100.0},
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
    ),
    _case("llama", "Llama", **GROUPED),
    _case(
        "llama3",
        "Llama",
        tie_word_embeddings=True,
        rope_scaling={
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        **TWO_HEADS | {"max_position_embeddings": 512},
    ),
    _case(
        "llama-linear",
        "Llama",
        attention_bias=True,
        mlp_bias=True,
        rope_scaling={"rope_type": "linear", "factor": 4.0},
        **GROUPED,
    ),
    _case(
        "smollm3",
        "SmolLM3",
        num_hidden_layers=3,
        no_rope_layers=[1, 0, 1],
        tie_word_embeddings=True,
        rope_theta=1000.0,
        **GROUPED,
    ),
    _case("opt", "OPT", ffn_dim=24, word_embed_proj_dim=16, do_layer_norm_before=True),
    _phi3("phi3", **GROUPED),
    _phi3("phi3-long", longer=52, rope_scaling=_long_rope(4), **LONG_ROPE),
    _phi3("phi3-window", sliding_window=8, **GROUPED),
    _phi3(
        "phi4-mini",
        longer=52,
        rope_scaling=_long_rope(3),
        partial_rotary_factor=0.75,
        tie_word_embeddings=True,
        **LONG_ROPE,
    ),
    _phi3(
        "phi4-mini-plain",
        partial_rotary_factor=0.75,
        tie_word_embeddings=True,
        **{"num_attention_heads": 2, "num_key_value_heads": 1},
    ),
)


def make(case: Case, folder: Path) -> None:
    """Write a case's folder with release 4."""
    config_class = getattr(transformers, case.config)
    # Names a configuration does not know would stay in its file and mislead a reader.
    known = set(config_class().to_dict()) | set(config_class.attribute_map)
    small = {key: value for key, value in SMALL.items() if key in known}
    config = config_class(**{**small, **case.values})
    config._attn_implementation = case.attention
    model = getattr(transformers, case.model)(config).float().eval()
    randomize(model)
    if folder.exists():
        shutil.rmtree(folder)
    with TemporaryDirectory() as scratch:
        saved = model.base_model if case.base else model
        saved.save_pretrained(scratch, safe_serialization=True)
        folder.mkdir(parents=True)
        for file in ("model.safetensors", "config.json"):
            shutil.copyfile(Path(scratch) / file, folder / file)
    write_golden(folder / "golden.json", model, TOKENS)
    if case.longer is not None:
        write_golden(folder / "golden-long.json", model, case.longer)


def randomize(model: torch.nn.Module) -> None:
    """Give every weight a size at which each part of the model shows in the logits."""
    rng = np.random.default_rng(SEED)
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    with torch.no_grad():
        for parameter in model.parameters():
            start = parameter.numpy()
            if parameter.ndim == 1:
                # A norm's scale starts as ones, or as zeros where it is kept less one.
                values = start[:1] + rng.normal(0, 0.3, start.shape)
            else:
                spread = 0.5 if id(parameter) in tables else 1.5 / math.sqrt(min(start.shape))
                values = rng.normal(0, spread, start.shape)
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def logits(model: torch.nn.Module, tokens: list[int]) -> np.ndarray:
    """Logits [T, V] of one forward pass without a cache."""
    with torch.no_grad():
        found = model(torch.tensor([tokens]), use_cache=False).logits[0]
    return found.numpy().astype(np.float64)


def write_golden(path: Path, model: torch.nn.Module, count: int) -> None:
    """Write tokens and logits of a random sequence."""
    vocabulary = model.get_input_embeddings().num_embeddings
    tokens = np.random.default_rng(SEED + 1).integers(0, vocabulary, count).tolist()
    found = logits(model, tokens)
    name = path.parent.name
    print(f"{name:20} {count} tokens, logits of {found.std():5.2f}, up to {abs(found).max():6.2f}")
    rows = [json.dumps(np.round(row, DECIMALS).tolist(), separators=(",", ":")) for row in found]
    header = json.dumps({"versions": versions(), "tokens": tokens})
    joined = ",\n".join(rows)
    path.write_text(f'{header[:-1]},\n"logits": [\n{joined}\n]}}\n', encoding="utf-8")


def versions() -> dict[str, str]:
    """What computed the logits."""
    return {"transformers": transformers.__version__, "torch": torch.__version__}


def add_configuration(case: Case, folder: Path) -> None:
    """Write config-v5.json, without a key of release 4, and check a folder's logits with it."""
    model_class = getattr(transformers, case.model)
    config = model_class.config_class.from_pretrained(folder).to_dict()
    for key in RELEASE_4:
        config.pop(key, None)
    config = model_class.config_class.from_dict(config)
    model = model_class.from_pretrained(
        folder, config=config, attn_implementation=case.attention, dtype=torch.float32
    ).eval()
    for golden in sorted(folder.glob("golden*.json")):
        document = json.loads(golden.read_text(encoding="utf-8"))
        apart = np.abs(logits(model, document["tokens"]) - document["logits"]).max()
        print(f"{case.name:20} {golden.name:17} apart by {apart:.1e}")
        if apart > TOLERANCE:
            raise SystemExit(f"{case.name}: release {transformers.__version__} says something else")
    with TemporaryDirectory() as scratch:
        config.save_pretrained(scratch)
        shutil.copyfile(Path(scratch) / "config.json", folder / "config-v5.json")


def main() -> None:
    """Make the cases named on the command line, by default all."""
    five = int(transformers.__version__.split(".")[0]) >= 5
    step: Callable[[Case, Path], None] = add_configuration if five else make
    for case in CASES:
        if not sys.argv[1:] or case.name in sys.argv[1:]:
            step(case, OUTPUT / case.name)


if __name__ == "__main__":
    main()
