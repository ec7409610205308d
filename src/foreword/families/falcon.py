"""The Falcon family in its three kinds: RefinedWeb (ALiBi), 7B, and the one of 40B and 11B."""

from __future__ import annotations

from foreword.errors import UnsupportedModelError
from foreword.families.bloom import alibi_slopes, width_of
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
from foreword.families.gpt2 import hugging_face_activation
from foreword.families.gpt_neox import hugging_face_templates
from foreword.families.rotary import hugging_face_rotary
from foreword.graph.spec import (
    Alibi,
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    Layer,
    Norm,
    Output,
    Residual,
)

_EPSILON = 1e-5
_UNUSED = ("*.rotary.inv_freq", "*.rotary_emb.inv_freq")


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `falcon` (transformers, modeling_falcon.py).

    ALiBi is taken as it is meant: transformers rounds every bias to bfloat16. Raises
    SourceError for missing or inconsistent parts, UnsupportedModelError for layers,
    activations and rope scalings without a place here.
    """
    # A FalconForCausalLM keeps its backbone under a prefix, a FalconModel does not.
    prefix = "" if "word_embeddings.weight" in checkpoint.shapes else "transformer."
    width = width_of(checkpoint)
    attention = _attention(checkpoint, width)
    alibi = flag(checkpoint, "alibi", False)
    rotary = None if alibi else hugging_face_rotary(checkpoint, attention.head_dim)
    spec = DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, f"{prefix}word_embeddings.weight")),
        positions=_scaled_alibi(attention) if alibi else None,
        layers=(Layer(rotary),) * layer_count(checkpoint, "num_hidden_layers"),
        norm=Norm("layer", number(checkpoint, "layer_norm_epsilon", _EPSILON)),
        attention=attention,
        feed_forward=FeedForward(
            integer(checkpoint, "ffn_hidden_size", 4 * width),
            hugging_face_activation(checkpoint, "activation", "gelu"),
            gated=False,
            bias=attention.qkv_bias,
        ),
        output=Output(tied=flag(checkpoint, "tie_word_embeddings", True)),
        max_positions=integer(checkpoint, "max_position_embeddings", 2048),
        residual=_residual(checkpoint),
    )
    block = f"{prefix}h.{{i}}"
    templates = hugging_face_templates(spec, block, "self_attention", f"{prefix}ln_f") | {
        "embedding": Tensor(f"{prefix}word_embeddings.weight"),
        "output.weight": Tensor("lm_head.weight"),
    }
    if spec.residual == "parallel":
        for theirs, ours in (("weight", "scale"), ("bias", "bias")):
            templates[f"attention_norm.{ours}"] = Tensor(f"{block}.ln_attn.{theirs}")
            templates[f"feed_forward_norm.{ours}"] = Tensor(f"{block}.ln_mlp.{theirs}")
    unused = (*_UNUSED, "lm_head.weight") if spec.output.tied else _UNUSED
    return bind(spec, checkpoint, spread(spec, templates), unused)


def _attention(checkpoint: Checkpoint, width: int) -> Attention:
    heads = integer(checkpoint, "num_attention_heads")
    if flag(checkpoint, "new_decoder_architecture", False):
        kv_heads = integer(checkpoint, "num_kv_heads", heads)
    else:
        kv_heads = 1 if flag(checkpoint, "multi_query", True) else heads
    bias = flag(checkpoint, "bias", False)
    size = head_size(width, heads, kv_heads)
    return Attention(heads, kv_heads, size, qkv_bias=bias, output_bias=bias)


def _residual(checkpoint: Checkpoint) -> Residual:
    new = flag(checkpoint, "new_decoder_architecture", False)
    parallel = flag(checkpoint, "parallel_attn", True)
    norms = integer(checkpoint, "num_ln_in_parallel_attn", 2 if new else 1)
    if not parallel and not new:
        return "sequential"
    if parallel and norms == 1:
        return "shared"
    if parallel and norms == 2 and new:
        return "parallel"
    raise UnsupportedModelError(
        f"Falcon layers with new_decoder_architecture {new}, parallel_attn {parallel} and "
        f"num_ln_in_parallel_attn {norms}: transformers does not compute this combination "
        "either; set them as in a published Falcon"
    )


def _scaled_alibi(attention: Attention) -> Alibi:
    """Return ALiBi as Falcon has it: added before scores are scaled, so scaled with them."""
    scale = attention.head_dim**-0.5
    return Alibi(tuple(slope * scale for slope in alibi_slopes(attention.heads)))


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub FalconBackbone (keras_hub/src/models/falcon), the RefinedWeb kind.

    Its forward pass is followed. Its `generate` is another model: with a cache it leaves
    ALiBi out of every step. Raises UnsupportedModelError for epsilons that differ.
    """
    epsilon = number(checkpoint, "layer_norm_epsilon", _EPSILON)
    if epsilon != _EPSILON:
        raise UnsupportedModelError(
            f"layer_norm_epsilon {epsilon}: KerasHub uses it for the last norm and {_EPSILON} "
            f"for all others; only {_EPSILON} for all is supported"
        )
    width, heads = integer(checkpoint, "hidden_dim"), integer(checkpoint, "num_attention_heads")
    size = head_size(width, heads, heads)
    attention = Attention(heads, heads, size, qkv_bias=True, output_bias=True)
    spec = DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, "reversible_embedding/0")),
        positions=_scaled_alibi(attention),
        layers=(Layer(),) * layer_count(checkpoint, "num_layers"),
        norm=Norm("layer", epsilon),
        attention=attention,
        feed_forward=FeedForward(
            integer(checkpoint, "intermediate_dim"), "gelu", gated=False, bias=True
        ),
        output=Output(tied=True),
        max_positions=None,  # the configuration does not say
    )
    return bind(spec, checkpoint, spread(spec, _keras_templates(spec)))


def _keras_templates(spec: DecoderSpec) -> dict[str, Tensor]:
    width, inner, attention = spec.width, spec.feed_forward.width, spec.attention
    block = "falcon_transformer_decoder{n}"
    own = f"{block}/attention_layer"
    by_head = (attention.heads, attention.head_dim)
    templates = {
        "embedding": Tensor("reversible_embedding/0"),
        "o.weight": kernel(f"{own}/output_dense/0", (width, width)),
        "o.bias": Tensor(f"{own}/output_dense/1"),
        "up.weight": kernel(f"{block}/dense_h_to_4h/0", (width, inner)),
        "up.bias": Tensor(f"{block}/dense_h_to_4h/1"),
        "down.weight": kernel(f"{block}/dense_4h_to_h/0", (inner, width)),
        "down.bias": Tensor(f"{block}/dense_4h_to_h/1"),
    }
    for role, name in (("q", "query"), ("k", "key"), ("v", "value")):
        templates[f"{role}.weight"] = kernel(f"{own}/{name}_dense/0", (width, *by_head))
        templates[f"{role}.bias"] = flat(f"{own}/{name}_dense/1", by_head)
    for index, part in enumerate(("scale", "bias")):
        templates[f"final_norm.{part}"] = Tensor(f"layer_normalization/{index}")
        templates[f"attention_norm.{part}"] = Tensor(f"{block}/input_layernorm/{index}")
        templates[f"feed_forward_norm.{part}"] = Tensor(f"{block}/post_attention_layernorm/{index}")
    return templates


READERS: Readers = {
    ("hugging_face", "falcon"): read_hugging_face,
    ("keras", "FalconBackbone"): read_keras,
}
