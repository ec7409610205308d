"""The BLOOM family: LayerNorm, also after the embedding, ALiBi, fused query/key/value, GELU."""

from __future__ import annotations

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
from foreword.families.gpt_neox import hugging_face_templates
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
)

_NORMS = (("weight", "scale"), ("bias", "bias"))


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """Return ALiBi's slope of every head (Press et al. 2022, and their code for odd numbers).

    For n heads, a power of two, they are 2 ** (-8i / n), i from 1 on. For other numbers
    those of the power below come first, then every second one of twice that power.
    """
    power = 1 << (heads.bit_length() - 1)
    first = [2 ** (-8 * i / power) for i in range(1, power + 1)]
    between = [2 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)]
    return (*first, *between)


def width_of(checkpoint: Checkpoint) -> int:
    """Return the width of a config.json in which an older name, `n_embed`, goes first."""
    old = checkpoint.metadata.get("n_embed") is not None
    return integer(checkpoint, "n_embed" if old else "hidden_size")


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `bloom` (transformers, modeling_bloom.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    residuals without a place here. The pieces that `pretraining_tp` and `slow_but_exact`
    sum projections in change nothing but rounding.
    """
    if flag(checkpoint, "apply_residual_connection_post_layernorm", False):
        raise UnsupportedModelError(
            "this BLOOM adds to normalised values (apply_residual_connection_post_layernorm): "
            "only those that add to the values before are supported"
        )
    # A BloomForCausalLM keeps its backbone under a prefix, a BloomModel does not.
    prefix = "" if "word_embeddings.weight" in checkpoint.shapes else "transformer."
    width = width_of(checkpoint)
    spec = _spec(
        checkpoint,
        width=width,
        heads=integer(checkpoint, _known_as(checkpoint, "n_head", "num_attention_heads")),
        layers=layer_count(checkpoint, _known_as(checkpoint, "n_layer", "num_hidden_layers")),
        inner=4 * width,
        embedding=f"{prefix}word_embeddings.weight",
        tied=flag(checkpoint, "tie_word_embeddings", True),
    )
    templates = hugging_face_templates(
        spec, f"{prefix}h.{{i}}", "self_attention", f"{prefix}ln_f"
    ) | {
        "embedding": Tensor(f"{prefix}word_embeddings.weight"),
        "output.weight": Tensor("lm_head.weight"),
    }
    for theirs, ours in _NORMS:
        name = f"{prefix}word_embeddings_layernorm.{theirs}"
        templates[f"embedding_norm.{ours}"] = Tensor(name)
    unused = ("lm_head.weight",) if spec.output.tied else ()
    return bind(spec, checkpoint, spread(spec, templates), unused)


def _known_as(checkpoint: Checkpoint, *names: str) -> str:
    """Return the name under which the metadata have a value, by default the first."""
    return next((name for name in names if checkpoint.metadata.get(name) is not None), names[0])


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub BloomBackbone (keras_hub/src/models/bloom)."""
    spec = _spec(
        checkpoint,
        width=integer(checkpoint, "hidden_dim"),
        heads=integer(checkpoint, "num_heads"),
        layers=layer_count(checkpoint, "num_layers"),
        inner=integer(checkpoint, "intermediate_dim"),
        embedding="reversible_embedding/0",
        tied=True,
    )
    return bind(spec, checkpoint, spread(spec, _keras_templates(spec)))


def _keras_templates(spec: DecoderSpec) -> dict[str, Tensor]:
    width, inner, attention = spec.width, spec.feed_forward.width, spec.attention
    block = "bloom_decoder{n}"
    own = f"{block}/_self_attention_layer"
    by_head = (attention.heads, attention.head_dim)
    templates = {
        "embedding": Tensor("reversible_embedding/0"),
        "o.weight": kernel(f"{own}/_output_dense/0", (width, width)),
        "o.bias": Tensor(f"{own}/_output_dense/1"),
        "up.weight": kernel(f"{block}/_mlp_intermediate_dense/0", (width, inner)),
        "up.bias": Tensor(f"{block}/_mlp_intermediate_dense/1"),
        "down.weight": kernel(f"{block}/_mlp_output_dense/0", (inner, width)),
        "down.bias": Tensor(f"{block}/_mlp_output_dense/1"),
    }
    for role, name in (("q", "query"), ("k", "key"), ("v", "value")):
        templates[f"{role}.weight"] = kernel(f"{own}/_{name}_dense/0", (width, *by_head))
        templates[f"{role}.bias"] = flat(f"{own}/_{name}_dense/1", by_head)
    for index, part in enumerate(("scale", "bias")):
        # Keras numbers the two norms outside the layers in the order they are made.
        templates[f"embedding_norm.{part}"] = Tensor(f"layer_normalization/{index}")
        templates[f"final_norm.{part}"] = Tensor(f"layer_normalization_1/{index}")
        templates[f"attention_norm.{part}"] = Tensor(f"{block}/_pre_attention_layernorm/{index}")
        templates[f"feed_forward_norm.{part}"] = Tensor(
            f"{block}/_post_attention_layernorm/{index}"
        )
    return templates


def _spec(
    checkpoint: Checkpoint,
    *,
    width: int,
    heads: int,
    layers: int,
    inner: int,
    embedding: str,
    tied: bool,
) -> DecoderSpec:
    """Return the spec of a BLOOM; `embedding` is the tensor of tokens."""
    return DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, embedding), norm=True),
        positions=Alibi(alibi_slopes(heads)),
        layers=(Layer(),) * layers,
        norm=Norm("layer", number(checkpoint, "layer_norm_epsilon", 1e-5)),
        attention=Attention(
            heads, heads, head_size(width, heads, heads), qkv_bias=True, output_bias=True
        ),
        feed_forward=FeedForward(inner, "gelu_tanh", gated=False, bias=True),
        output=Output(tied),
        # Neither library's configuration says it; ALiBi has no end of its own.
        max_positions=None,
    )


READERS: Readers = {
    ("hugging_face", "bloom"): read_hugging_face,
    ("keras", "BloomBackbone"): read_keras,
}
