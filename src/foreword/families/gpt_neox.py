"""The GPT-NeoX family (Pythia): LayerNorm, partly rotary positions, parallel residual, GELU."""

from __future__ import annotations

from collections.abc import Callable

from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    flag,
    head_size,
    integer,
    kernel,
    layer_count,
    number,
    rows,
    spread,
)
from foreword.families.find import Readers
from foreword.families.gpt2 import hugging_face_activation
from foreword.families.rotary import (
    frequencies,
    halves,
    hugging_face_rotary,
    in_halves,
    partial_rotary_factor,
)
from foreword.graph.spec import (
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    FloatArray,
    Layer,
    Norm,
    Output,
)

Take = Callable[[FloatArray], FloatArray]

_SHARE = 0.25
_BASE = 10000.0
_UNUSED = ("*.attention.bias", "*.attention.masked_bias", "*.rotary_emb.inv_freq")


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `gpt_neox` (transformers, modeling_gpt_neox.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    activations and rope scalings without a place here.
    """
    # A GPTNeoXForCausalLM keeps its backbone under a prefix, a GPTNeoXModel does not.
    prefix = "" if "embed_in.weight" in checkpoint.shapes else "gpt_neox."
    width = integer(checkpoint, "hidden_size")
    heads = integer(checkpoint, "num_attention_heads")
    size = head_size(width, heads, heads)
    turns = int(size * partial_rotary_factor(checkpoint, "rotary_pct", _SHARE))
    base = number(checkpoint, "rotary_emb_base", _BASE)
    rotary = hugging_face_rotary(checkpoint, size, base, turns)
    bias = flag(checkpoint, "attention_bias", True)
    tied = flag(checkpoint, "tie_word_embeddings", False)
    spec = DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, f"{prefix}embed_in.weight")),
        positions=None,
        layers=(Layer(rotary),) * layer_count(checkpoint, "num_hidden_layers"),
        norm=Norm("layer", number(checkpoint, "layer_norm_eps", 1e-5)),
        attention=Attention(heads, heads, size, qkv_bias=bias, output_bias=bias),
        feed_forward=FeedForward(
            integer(checkpoint, "intermediate_size"),
            hugging_face_activation(checkpoint, "hidden_act", "gelu"),
            gated=False,
            bias=True,
        ),
        output=Output(tied),
        max_positions=integer(checkpoint, "max_position_embeddings", 2048),
        residual="parallel" if flag(checkpoint, "use_parallel_residual", True) else "sequential",
    )
    templates = hugging_face_templates(
        spec, f"{prefix}layers.{{i}}", "attention", f"{prefix}final_layer_norm", turns
    ) | {
        "embedding": Tensor(f"{prefix}embed_in.weight"),
        "output.weight": Tensor("embed_out.weight"),
    }
    unused = (*_UNUSED, "embed_out.weight") if tied else _UNUSED
    return bind(spec, checkpoint, spread(spec, templates), unused)


def hugging_face_templates(
    spec: DecoderSpec, block: str, attention: str, final_norm: str, turns: int | None = None
) -> dict[str, Tensor]:
    """Where GPT-NeoX, and BLOOM and Falcon after it, keep the weights of their layers.

    `block` and `attention` are the prefixes of a layer and, in it, of its attention;
    `turns` is that of `fused_rows`.
    """
    own = f"{block}.{attention}"
    fused = (spec.attention.heads + 2 * spec.attention.kv_heads) * spec.attention.head_dim
    templates = {}
    for part, shape in (("weight", (fused, spec.width)), ("bias", (fused,))):
        for role in "qkv":
            templates[f"{role}.{part}"] = Tensor(
                f"{own}.query_key_value.{part}", shape, fused_rows(role, spec.attention, turns)
            )
        templates[f"o.{part}"] = Tensor(f"{own}.dense.{part}")
        templates[f"up.{part}"] = Tensor(f"{block}.mlp.dense_h_to_4h.{part}")
        templates[f"down.{part}"] = Tensor(f"{block}.mlp.dense_4h_to_h.{part}")
        ours = "scale" if part == "weight" else part
        templates[f"final_norm.{ours}"] = Tensor(f"{final_norm}.{part}")
        templates[f"attention_norm.{ours}"] = Tensor(f"{block}.input_layernorm.{part}")
        templates[f"feed_forward_norm.{ours}"] = Tensor(f"{block}.post_attention_layernorm.{part}")
    return templates


def fused_rows(role: str, attention: Attention, turns: int | None = None) -> Take:
    """Return what takes queries, keys or values ("q", "k", "v") out of a fused projection.

    Its rows are, for each key/value head, those of its queries, of its key and of its
    value: [kv_heads, heads / kv_heads + 2, head_dim]. Where only the first `turns` rows
    of a head turn, queries and keys are laid out by `halves`.
    """
    groups = attention.heads // attention.kv_heads
    part = {"q": slice(groups), "k": slice(groups, groups + 1), "v": slice(groups + 1, None)}[role]
    heads = attention.heads if role == "q" else attention.kv_heads

    def take(values: FloatArray) -> FloatArray:
        tail = values.shape[1:]
        by_head = values.reshape(attention.kv_heads, groups + 2, attention.head_dim, *tail)
        taken = by_head[:, part].reshape(-1, *tail)
        return taken if turns is None or role == "v" else halves(taken, heads, turns)

    return take


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub GPTNeoXBackbone (keras_hub/src/models/gpt_neo_x).

    Its forward pass is followed. Its `generate` is another model: with a cache it turns
    every query as if it stood at position 0.
    """
    width, heads = integer(checkpoint, "hidden_dim"), integer(checkpoint, "num_heads")
    size = head_size(width, heads, heads)
    turns = int(size * partial_rotary_factor(checkpoint, "rotary_percentage", _SHARE))
    plain = frequencies(number(checkpoint, "rotary_max_wavelength", _BASE), turns)
    spec = DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, "reversible_embedding/0")),
        positions=None,
        layers=(Layer(in_halves(plain, size)),) * layer_count(checkpoint, "num_layers"),
        norm=Norm("layer", number(checkpoint, "layer_norm_epsilon", 1e-5)),
        attention=Attention(heads, heads, size, qkv_bias=True, output_bias=True),
        feed_forward=FeedForward(
            integer(checkpoint, "intermediate_dim"), "gelu_tanh", gated=False, bias=True
        ),
        output=Output(tied=True),
        max_positions=integer(checkpoint, "max_sequence_length", 512),
        residual="parallel",
    )
    return bind(spec, checkpoint, spread(spec, _keras_templates(spec, turns)))


def _keras_templates(spec: DecoderSpec, turns: int) -> dict[str, Tensor]:
    width, inner, attention = spec.width, spec.feed_forward.width, spec.attention
    block = "gpt_neo_x_decoder{n}"
    own = f"{block}/_self_attention_layer"
    fused = (attention.heads, 3 * attention.head_dim)
    templates = {
        "embedding": Tensor("reversible_embedding/0"),
        "o.weight": kernel(f"{own}/_output_dense/0", (width, width)),
        "o.bias": Tensor(f"{own}/_output_dense/1"),
        "up.weight": kernel(f"{block}/_feedforward_intermediate_dense/0", (width, inner)),
        "up.bias": Tensor(f"{block}/_feedforward_intermediate_dense/1"),
        "down.weight": kernel(f"{block}/_feedforward_output_dense/0", (inner, width)),
        "down.bias": Tensor(f"{block}/_feedforward_output_dense/1"),
    }
    for role in "qkv":
        take = fused_rows(role, attention, turns)
        templates[f"{role}.weight"] = Tensor(
            f"{own}/_qkv_dense/0", (width, *fused), _of_kernel(take)
        )
        templates[f"{role}.bias"] = Tensor(f"{own}/_qkv_dense/1", fused, _of_bias(take))
    for index, part in enumerate(("scale", "bias")):
        templates[f"final_norm.{part}"] = Tensor(f"layer_normalization/{index}")
        templates[f"attention_norm.{part}"] = Tensor(f"{block}/_self_attention_layer_norm/{index}")
        templates[f"feed_forward_norm.{part}"] = Tensor(f"{block}/_feedforward_layer_norm/{index}")
    return templates


def _of_kernel(take: Take) -> Take:
    """Take from a Keras kernel, [in, heads, rows of a head], as from its transpose."""
    return lambda values: take(values.reshape(len(values), -1).T)


def _of_bias(take: Take) -> Take:
    return lambda values: take(values.reshape(-1))


READERS: Readers = {
    ("hugging_face", "gpt_neox"): read_hugging_face,
    ("keras", "GPTNeoXBackbone"): read_keras,
}
