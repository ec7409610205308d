"""The OPT family: GPT-2's layers with ReLU, and a table of positions that starts late."""

from __future__ import annotations

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    flag,
    head_size,
    integer,
    layer_count,
    rows,
    spread,
)
from foreword.families.find import Readers
from foreword.families.gpt2 import hugging_face_activation, keras_templates
from foreword.graph.spec import (
    Activation,
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    Layer,
    Learned,
    Norm,
    Output,
)

# Rows before the first position in a table of transformers (OPTLearnedPositionalEmbedding).
_OFFSET = 2
_LAYER_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.out_proj",
    "up": "fc1",
    "down": "fc2",
}


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `opt` (transformers, modeling_opt.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here, OPT 350M and Galactica among them.
    """
    width = integer(checkpoint, "hidden_size")
    _refuse_variants(checkpoint, width)
    # An OPTForCausalLM keeps its decoder under a prefix, an OPTModel does not.
    prefix = "decoder." if "decoder.embed_tokens.weight" in checkpoint.shapes else "model.decoder."
    table = f"{prefix}embed_positions.weight"
    limit = rows(checkpoint, table) - _OFFSET
    if limit < 1:
        raise SourceError(
            f"tensor '{table}': expected over {_OFFSET} rows, found {limit + _OFFSET}; "
            "the file is damaged, get it again"
        )
    tied = flag(checkpoint, "tie_word_embeddings", True)
    spec = _spec(
        checkpoint,
        width=width,
        heads=integer(checkpoint, "num_attention_heads"),
        layers=layer_count(checkpoint, "num_hidden_layers"),
        inner=integer(checkpoint, "ffn_dim"),
        vocabulary=rows(checkpoint, f"{prefix}embed_tokens.weight"),
        limit=limit,
        bias=flag(checkpoint, "enable_bias", True),
        tied=tied,
        activation=hugging_face_activation(checkpoint, "activation_function", "relu"),
    )
    block = f"{prefix}layers.{{i}}"
    templates = {
        "embedding": Tensor(f"{prefix}embed_tokens.weight"),
        "positions": Tensor(table, (limit + _OFFSET, width), lambda values: values[_OFFSET:]),
        "output.weight": Tensor("lm_head.weight"),
    }
    for part in ("weight", "bias"):
        for role, name in _LAYER_NAMES.items():
            templates[f"{role}.{part}"] = Tensor(f"{block}.{name}.{part}")
        ours = "scale" if part == "weight" else part
        templates[f"final_norm.{ours}"] = Tensor(f"{prefix}final_layer_norm.{part}")
        templates[f"attention_norm.{ours}"] = Tensor(f"{block}.self_attn_layer_norm.{part}")
        templates[f"feed_forward_norm.{ours}"] = Tensor(f"{block}.final_layer_norm.{part}")
    return bind(spec, checkpoint, spread(spec, templates), ("lm_head.weight",) if tied else ())


def _refuse_variants(checkpoint: Checkpoint, width: int) -> None:
    if not flag(checkpoint, "do_layer_norm_before", True):
        raise UnsupportedModelError(
            "this OPT normalises after its layers (do_layer_norm_before is false, as in OPT "
            "350M): only those that normalise before are supported, take another size"
        )
    projected = integer(checkpoint, "word_embed_proj_dim", width)
    if projected != width:
        raise UnsupportedModelError(
            f"this OPT projects embeddings of {projected} to a width of {width} "
            "(word_embed_proj_dim): only embeddings of the model's width are supported"
        )
    if flag(checkpoint, "_remove_final_layer_norm", False):
        raise UnsupportedModelError(
            "this OPT has no final normalisation (_remove_final_layer_norm): only those that "
            "have one are supported"
        )
    if not flag(checkpoint, "layer_norm_elementwise_affine", True):
        raise UnsupportedModelError(
            "this OPT normalises without learned scales (layer_norm_elementwise_affine is "
            "false, as in Galactica): only those with scales are supported"
        )


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub OPTBackbone (keras_hub/src/models/opt); its positions start at once."""
    tables = "token_and_position_embedding"
    spec = _spec(
        checkpoint,
        width=integer(checkpoint, "hidden_dim"),
        heads=integer(checkpoint, "num_heads"),
        layers=layer_count(checkpoint, "num_layers"),
        inner=integer(checkpoint, "intermediate_dim"),
        vocabulary=rows(checkpoint, f"{tables}/token_embedding/0"),
        limit=rows(checkpoint, f"{tables}/position_embedding/0"),
    )
    templates = keras_templates(spec) | {
        "embedding": Tensor(f"{tables}/token_embedding/0"),
        "positions": Tensor(f"{tables}/position_embedding/0"),
    }
    return bind(spec, checkpoint, spread(spec, templates))


def _spec(
    checkpoint: Checkpoint,
    *,
    width: int,
    heads: int,
    layers: int,
    inner: int,
    vocabulary: int,
    limit: int,
    bias: bool = True,
    tied: bool = True,
    activation: Activation = "relu",
) -> DecoderSpec:
    return DecoderSpec(
        width=width,
        embedding=Embedding(vocabulary),
        positions=Learned(limit),
        layers=(Layer(),) * layers,
        norm=Norm("layer", 1e-5),  # fixed in both libraries
        attention=Attention(
            heads, heads, head_size(width, heads, heads), qkv_bias=bias, output_bias=bias
        ),
        feed_forward=FeedForward(inner, activation, gated=False, bias=bias),
        output=Output(tied),
        max_positions=limit,
    )


READERS: Readers = {
    ("hugging_face", "opt"): read_hugging_face,
    ("keras", "OPTBackbone"): read_keras,
}
