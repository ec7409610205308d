"""The GPT-2 family: LayerNorm, learned positions, fused query/key/value, GELU."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from foreword.errors import UnsupportedModelError
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    flag,
    flat,
    head_size,
    integer,
    kernel,
    layer_count,
    number,
    rows,
    spread,
)
from foreword.families.find import Readers
from foreword.graph.spec import (
    Activation,
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    FloatArray,
    Layer,
    Learned,
    Norm,
    Output,
)

_NORMS = (("weight", "scale"), ("bias", "bias"))

# Names of transformers (activations.py); several are the same function.
_ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `gpt2` (transformers, modeling_gpt2.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants of attention without a place here.
    """
    if flag(checkpoint, "scale_attn_by_inverse_layer_idx", False) or not flag(
        checkpoint, "scale_attn_weights", True
    ):
        raise UnsupportedModelError(
            "this GPT-2 scales its attention in another way (scale_attn_by_inverse_layer_idx, "
            "scale_attn_weights): only the usual scale is supported"
        )
    # A GPT2LMHeadModel keeps its backbone under a prefix, a GPT2Model does not.
    prefix = "" if "wte.weight" in checkpoint.shapes else "transformer."
    width = integer(checkpoint, "n_embd")
    tied = flag(checkpoint, "tie_word_embeddings", True)
    spec = _spec(
        checkpoint,
        width=width,
        heads=integer(checkpoint, "n_head"),
        layers=layer_count(checkpoint, "n_layer"),
        inner=integer(checkpoint, "n_inner", 4 * width),
        epsilon=number(checkpoint, "layer_norm_epsilon", 1e-5),
        tables=(f"{prefix}wte.weight", f"{prefix}wpe.weight"),
        tied=tied,
        activation=hugging_face_activation(checkpoint, "activation_function", "gelu_new"),
    )
    inner = spec.feed_forward.width
    block = f"{prefix}h.{{i}}"
    templates = {
        "embedding": Tensor(f"{prefix}wte.weight"),
        "positions": Tensor(f"{prefix}wpe.weight"),
        "output.weight": Tensor("lm_head.weight"),
        # Kernels are [in, out] here (Conv1D), queries, keys and values side by side.
        "o.weight": kernel(f"{block}.attn.c_proj.weight", (width, width)),
        "o.bias": Tensor(f"{block}.attn.c_proj.bias"),
        "up.weight": kernel(f"{block}.mlp.c_fc.weight", (width, inner)),
        "up.bias": Tensor(f"{block}.mlp.c_fc.bias"),
        "down.weight": kernel(f"{block}.mlp.c_proj.weight", (inner, width)),
        "down.bias": Tensor(f"{block}.mlp.c_proj.bias"),
    }
    for index, role in enumerate("qkv"):
        fused = f"{block}.attn.c_attn"
        templates[f"{role}.weight"] = Tensor(
            f"{fused}.weight", (width, 3 * width), _third_column(index)
        )
        templates[f"{role}.bias"] = Tensor(f"{fused}.bias", (3 * width,), _third(index))
    for theirs, ours in _NORMS:
        templates[f"final_norm.{ours}"] = Tensor(f"{prefix}ln_f.{theirs}")
        templates[f"attention_norm.{ours}"] = Tensor(f"{block}.ln_1.{theirs}")
        templates[f"feed_forward_norm.{ours}"] = Tensor(f"{block}.ln_2.{theirs}")
    unused = ("*.attn.bias", "*.attn.masked_bias", *(("lm_head.weight",) if tied else ()))
    return bind(spec, checkpoint, spread(spec, templates), unused)


def hugging_face_activation(checkpoint: Checkpoint, key: str, default: str) -> Activation:
    """Return the activation a config.json names; raises UnsupportedModelError for others.

    `default` stands for a key that is missing.
    """
    name = checkpoint.metadata.get(key, default)
    activation = _ACTIVATIONS.get(name) if isinstance(name, str) else None
    if activation is None:
        known = ", ".join(_ACTIVATIONS)
        raise UnsupportedModelError(f"{key} {name!r:.40} is not supported: {known} are")
    return activation


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub GPT2Backbone (keras_hub/src/models/gpt2)."""
    spec = _spec(
        checkpoint,
        width=integer(checkpoint, "hidden_dim"),
        heads=integer(checkpoint, "num_heads"),
        layers=layer_count(checkpoint, "num_layers"),
        inner=integer(checkpoint, "intermediate_dim"),
        epsilon=1e-5,  # fixed in the backbone
        tables=("reversible_embedding/0", "position_embedding/0"),
        tied=True,
    )
    templates = keras_templates(spec) | {
        "embedding": Tensor("reversible_embedding/0"),
        "positions": Tensor("position_embedding/0"),
    }
    return bind(spec, checkpoint, spread(spec, templates))


def keras_templates(spec: DecoderSpec) -> dict[str, Tensor]:
    """Where KerasHub's TransformerDecoder and what follows it keep their weights."""
    width, inner, attention = spec.width, spec.feed_forward.width, spec.attention
    block = "transformer_decoder{n}"
    own = f"{block}/_self_attention_layer"
    by_head = (attention.heads, attention.head_dim)
    templates = {
        "o.weight": kernel(f"{own}/output_dense/0", (*by_head, width), inputs=2),
        "o.bias": Tensor(f"{own}/output_dense/1"),
        "up.weight": kernel(f"{block}/_feedforward_intermediate_dense/0", (width, inner)),
        "up.bias": Tensor(f"{block}/_feedforward_intermediate_dense/1"),
        "down.weight": kernel(f"{block}/_feedforward_output_dense/0", (inner, width)),
        "down.bias": Tensor(f"{block}/_feedforward_output_dense/1"),
    }
    for role, name in (("q", "query"), ("k", "key"), ("v", "value")):
        templates[f"{role}.weight"] = kernel(f"{own}/{name}_dense/0", (width, *by_head))
        templates[f"{role}.bias"] = flat(f"{own}/{name}_dense/1", by_head)
    for index, part in enumerate(("scale", "bias")):
        templates[f"final_norm.{part}"] = Tensor(f"layer_normalization/{index}")
        templates[f"attention_norm.{part}"] = Tensor(f"{block}/_self_attention_layer_norm/{index}")
        templates[f"feed_forward_norm.{part}"] = Tensor(f"{block}/_feedforward_layer_norm/{index}")
    return templates


def read_gguf(checkpoint: Checkpoint) -> Decoder:
    """Read a GGUF checkpoint of architecture `gpt2` (Radford et al. 2019).

    Raises SourceError for missing or inconsistent parts.
    """
    width = integer(checkpoint, "gpt2.embedding_length")
    spec = _spec(
        checkpoint,
        width=width,
        heads=integer(checkpoint, "gpt2.attention.head_count"),
        layers=layer_count(checkpoint, "gpt2.block_count"),
        inner=integer(checkpoint, "gpt2.feed_forward_length", 4 * width),
        epsilon=number(checkpoint, "gpt2.attention.layer_norm_epsilon", 1e-5),
        tables=("token_embd.weight", "position_embd.weight"),
        tied="output.weight" not in checkpoint.shapes,
    )
    return bind(spec, checkpoint, spread(spec, _gguf_templates(width)))


def _gguf_templates(width: int) -> dict[str, Tensor]:
    templates = {
        "embedding": Tensor("token_embd.weight"),
        "positions": Tensor("position_embd.weight"),
        "output.weight": Tensor("output.weight"),
    }
    fused_shape = {"weight": (3 * width, width), "bias": (3 * width,)}
    for theirs, ours in _NORMS:
        templates[f"final_norm.{ours}"] = Tensor(f"output_norm.{theirs}")
        templates[f"attention_norm.{ours}"] = Tensor(f"blk.{{i}}.attn_norm.{theirs}")
        templates[f"feed_forward_norm.{ours}"] = Tensor(f"blk.{{i}}.ffn_norm.{theirs}")
    for part in ("weight", "bias"):
        for index, role in enumerate("qkv"):
            templates[f"{role}.{part}"] = Tensor(
                f"blk.{{i}}.attn_qkv.{part}", fused_shape[part], _third(index)
            )
        templates[f"o.{part}"] = Tensor(f"blk.{{i}}.attn_output.{part}")
        for role in ("up", "down"):
            templates[f"{role}.{part}"] = Tensor(f"blk.{{i}}.ffn_{role}.{part}")
    return templates


def _spec(
    checkpoint: Checkpoint,
    *,
    width: int,
    heads: int,
    layers: int,
    inner: int,
    epsilon: float,
    tables: tuple[str, str],
    tied: bool,
    activation: Activation = "gelu_tanh",
) -> DecoderSpec:
    """Return the spec of a GPT-2; `tables` are the tensors of tokens and of positions."""
    positions = rows(checkpoint, tables[1])
    return DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, tables[0])),
        positions=Learned(positions),
        layers=(Layer(),) * layers,
        norm=Norm("layer", epsilon),
        attention=Attention(
            heads, heads, head_size(width, heads, heads), qkv_bias=True, output_bias=True
        ),
        feed_forward=FeedForward(inner, activation, gated=False, bias=True),
        output=Output(tied),
        max_positions=positions,
    )


def _third(index: int) -> Callable[[FloatArray], FloatArray]:
    """Take the query, key or value rows out of the fused projection."""

    def take(values: FloatArray) -> FloatArray:
        size = len(values) // 3
        return values[index * size : (index + 1) * size]

    return take


def _third_column(index: int) -> Callable[[FloatArray], FloatArray]:
    """Take the query, key or value out of a fused kernel [in, 3 * out], as [out, in]."""
    rows_of = _third(index)
    return lambda values: rows_of(values.T)


READERS: Readers = {
    ("gguf", "gpt2"): read_gguf,
    ("hugging_face", "gpt2"): read_hugging_face,
    ("keras", "GPT2Backbone"): read_keras,
}
