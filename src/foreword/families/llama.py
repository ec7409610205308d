"""The llama family: RMSNorm, rotary positions, grouped-query attention, SwiGLU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import (
    Checkpoint,
    Tensor,
    bind,
    damaged,
    flag,
    head_size,
    integer,
    kernel,
    layer_count,
    number,
    optional_integer,
    rows,
    spread,
)
from foreword.families.find import Readers
from foreword.families.rotary import (
    frequencies,
    hugging_face_rotary,
    in_halves,
    llama3_scaled,
    unpaired,
)
from foreword.graph.spec import (
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    Layer,
    Norm,
    Output,
    Rotary,
)

HUGGING_FACE: Mapping[str, Tensor] = {
    "embedding": Tensor("model.embed_tokens.weight"),
    "final_norm.scale": Tensor("model.norm.weight"),
    "output.weight": Tensor("lm_head.weight"),
    "attention_norm.scale": Tensor("model.layers.{i}.input_layernorm.weight"),
    "feed_forward_norm.scale": Tensor("model.layers.{i}.post_attention_layernorm.weight"),
    **{
        f"{role}.{part}": Tensor(f"model.layers.{{i}}.self_attn.{role}_proj.{part}")
        for role in "qkvo"
        for part in ("weight", "bias")
    },
    **{
        f"{role}.{part}": Tensor(f"model.layers.{{i}}.mlp.{role}_proj.{part}")
        for role in ("gate", "up", "down")
        for part in ("weight", "bias")
    },
}
"""Where checkpoints of this layout keep their weights; many families' do, with a few more."""

HUGGING_FACE_UNUSED = ("*.rotary_emb.inv_freq",)
"""Tensors such checkpoints hold that are computed anew; a tied lm_head may be one more."""

GGUF: Mapping[str, Tensor] = {
    "embedding": Tensor("token_embd.weight"),
    "final_norm.scale": Tensor("output_norm.weight"),
    "output.weight": Tensor("output.weight"),
    "attention_norm.scale": Tensor("blk.{i}.attn_norm.weight"),
    "feed_forward_norm.scale": Tensor("blk.{i}.ffn_norm.weight"),
    **{
        f"{role}.{part}": Tensor(f"blk.{{i}}.attn_{name}.{part}")
        for role, name in {"q": "q", "k": "k", "v": "v", "o": "output"}.items()
        for part in ("weight", "bias")
    },
    **{f"{role}.weight": Tensor(f"blk.{{i}}.ffn_{role}.weight") for role in ("gate", "up", "down")},
}
"""Where GGUF files of this layout keep their weights, heads in halves."""

_ROPE_FACTORS = "rope_freqs.weight"


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `llama` (transformers, modeling_llama.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    return bind_hugging_face(hugging_face_spec(checkpoint), checkpoint)


def hugging_face_spec(checkpoint: Checkpoint, share: float = 1.0) -> DecoderSpec:
    """Read the config.json of a family whose keys are llama's.

    Layers are all alike, and `share` of each head turns, its first part. A family replaces
    what it does otherwise. Raises SourceError and UnsupportedModelError.
    """
    width = integer(checkpoint, "hidden_size")
    heads = integer(checkpoint, "num_attention_heads")
    kv_heads = integer(checkpoint, "num_key_value_heads", heads)
    size = head_size(width, heads, kv_heads, optional_integer(checkpoint, "head_dim"))
    activation = checkpoint.metadata.get("hidden_act", "silu")
    if activation != "silu":
        raise UnsupportedModelError(f"activation {activation!r:.40}: expected silu")
    bias = flag(checkpoint, "attention_bias", False)
    layer = Layer(hugging_face_rotary(checkpoint, size, dimensions=int(size * share)))
    return DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, HUGGING_FACE["embedding"].name)),
        positions=None,
        layers=(layer,) * layer_count(checkpoint, "num_hidden_layers"),
        norm=Norm("rms", number(checkpoint, "rms_norm_eps", 1e-6)),
        attention=Attention(heads, kv_heads, size, qkv_bias=bias, output_bias=bias),
        feed_forward=FeedForward(
            integer(checkpoint, "intermediate_size"),
            "silu",
            gated=True,
            bias=flag(checkpoint, "mlp_bias", False),
        ),
        output=Output(tied=flag(checkpoint, "tie_word_embeddings", False)),
        max_positions=integer(checkpoint, "max_position_embeddings", 2048),
    )


def bind_hugging_face(
    spec: DecoderSpec, checkpoint: Checkpoint, templates: Mapping[str, Tensor] = HUGGING_FACE
) -> Decoder:
    """Bind tensors that are named by `templates`; a tied output may be stored once more."""
    again = ("lm_head.weight",) if spec.output.tied else ()
    return bind(spec, checkpoint, spread(spec, templates), (*HUGGING_FACE_UNUSED, *again))


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub LlamaBackbone or Llama3Backbone (keras_hub/src/models/llama).

    `rope_position_scaling_factor` is not applied, as KerasHub does not apply it either.
    """
    spec = keras_spec(checkpoint)
    if checkpoint.metadata.get("rope_low_freq_factor") is not None:
        spec = _keras_scaled(spec, checkpoint)
    templates = keras_templates(spec, "llama_transformer_decoder", "llama_layer_norm")
    return bind(spec, checkpoint, spread(spec, templates))


def keras_spec(checkpoint: Checkpoint) -> DecoderSpec:
    """Read the configuration of a KerasHub backbone whose keys are llama's.

    Layers are all alike; a family replaces what it does otherwise. Raises SourceError.
    """
    width = integer(checkpoint, "hidden_dim")
    heads = integer(checkpoint, "num_query_heads")
    kv_heads = integer(checkpoint, "num_key_value_heads", heads)
    size = head_size(width, heads, kv_heads, optional_integer(checkpoint, "head_dim"))
    plain = frequencies(number(checkpoint, "rope_max_wavelength", 10000.0), size)
    plain /= number(checkpoint, "rope_scaling_factor", 1.0)
    return DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, "reversible_embedding/0")),
        positions=None,
        layers=(Layer(in_halves(plain, size)),) * layer_count(checkpoint, "num_layers"),
        norm=Norm("rms", number(checkpoint, "layer_norm_epsilon", 1e-6)),
        attention=Attention(heads, kv_heads, size),
        feed_forward=FeedForward(integer(checkpoint, "intermediate_dim"), "silu", gated=True),
        # The configuration does not always say; the weights do.
        output=Output(tied="reversible_embedding/1" not in checkpoint.shapes),
        max_positions=None,
    )


def _keras_scaled(spec: DecoderSpec, checkpoint: Checkpoint) -> DecoderSpec:
    """Return the spec with the scaling of Llama 3.1."""
    size = spec.attention.head_dim
    plain = frequencies(number(checkpoint, "rope_max_wavelength", 10000.0), size)
    original = integer(checkpoint, "rope_pretraining_sequence_length")
    factor = number(checkpoint, "rope_frequency_adjustment_factor")
    low = number(checkpoint, "rope_low_freq_factor")
    high = number(checkpoint, "rope_high_freq_factor")
    if high <= low:
        raise damaged("rope_high_freq_factor", f"a number above {low}", high)
    rotary = in_halves(llama3_scaled(plain, factor, low, high, original), size)
    return replace(
        spec, layers=(Layer(rotary),) * len(spec.layers), max_positions=int(original * factor)
    )


def keras_templates(spec: DecoderSpec, decoder: str, final_norm: str) -> dict[str, Tensor]:
    """Where KerasHub keeps the weights of llama-like decoders, by the names of two layers."""
    attention, width, inner = spec.attention, spec.width, spec.feed_forward.width
    block, own = f"{decoder}{{n}}", f"{decoder}{{n}}/_self_attention_layer"
    by_head = (width, attention.heads, attention.head_dim)
    by_kv_head = (width, attention.kv_heads, attention.head_dim)
    return {
        "embedding": Tensor("reversible_embedding/0"),
        "output.weight": kernel("reversible_embedding/1", (width, spec.embedding.vocabulary)),
        "final_norm.scale": Tensor(f"{final_norm}/0"),
        "attention_norm.scale": Tensor(f"{block}/_self_attention_layernorm/0"),
        "feed_forward_norm.scale": Tensor(f"{block}/_feedforward_layernorm/0"),
        "q.weight": kernel(f"{own}/_query_dense/0", by_head),
        "k.weight": kernel(f"{own}/_key_dense/0", by_kv_head),
        "v.weight": kernel(f"{own}/_value_dense/0", by_kv_head),
        "o.weight": kernel(f"{own}/_output_dense/0", (*by_head[1:], width), inputs=2),
        "gate.weight": kernel(f"{block}/_feedforward_gate_dense/0", (width, inner)),
        "up.weight": kernel(f"{block}/_feedforward_intermediate_dense/0", (width, inner)),
        "down.weight": kernel(f"{block}/_feedforward_output_dense/0", (inner, width)),
    }


def read_gguf(checkpoint: Checkpoint) -> Decoder:
    """Read a GGUF checkpoint of architecture `llama` (Touvron et al. 2023).

    Tensor and metadata names are those of the GGUF specification. Raises SourceError
    for missing or inconsistent parts, UnsupportedModelError for mixtures of experts and
    scalings without a place here.
    """
    if checkpoint.metadata.get("llama.expert_count"):
        raise UnsupportedModelError(
            "this llama checkpoint is a mixture of experts (Mixtral); dense models are supported"
        )
    spec = gguf_spec(checkpoint, "llama")
    # llama.cpp turns neighbours with each other, in this architecture and few others.
    turned = {
        f"{role}.{part}": replace(GGUF[f"{role}.{part}"], take=partial(unpaired, heads=heads))
        for role, heads in (("q", spec.attention.heads), ("k", spec.attention.kv_heads))
        for part in ("weight", "bias")
    }
    return bind_gguf(spec, checkpoint, {**GGUF, **turned})


def gguf_spec(checkpoint: Checkpoint, name: str) -> DecoderSpec:
    """Read the metadata of a GGUF architecture whose keys are llama's but for its `name`.

    Layers are all alike; a family replaces what it does otherwise. Raises SourceError
    and UnsupportedModelError.
    """
    attention = _gguf_attention(checkpoint, name)
    layer = Layer(_gguf_rotary(checkpoint, name, attention.head_dim))
    return DecoderSpec(
        width=integer(checkpoint, f"{name}.embedding_length"),
        embedding=Embedding(rows(checkpoint, "token_embd.weight")),
        positions=None,
        layers=(layer,) * layer_count(checkpoint, f"{name}.block_count"),
        norm=Norm("rms", number(checkpoint, f"{name}.attention.layer_norm_rms_epsilon")),
        attention=attention,
        feed_forward=FeedForward(
            integer(checkpoint, f"{name}.feed_forward_length"), "silu", gated=True
        ),
        output=Output(tied="output.weight" not in checkpoint.shapes),
        max_positions=integer(checkpoint, f"{name}.context_length"),
    )


def bind_gguf(
    spec: DecoderSpec, checkpoint: Checkpoint, templates: Mapping[str, Tensor]
) -> Decoder:
    """Bind tensors that are named by `templates`; factors of frequencies are in the spec."""
    return bind(spec, checkpoint, spread(spec, templates), unused=(_ROPE_FACTORS,))


def _gguf_attention(checkpoint: Checkpoint, name: str) -> Attention:
    width = integer(checkpoint, f"{name}.embedding_length")
    heads = integer(checkpoint, f"{name}.attention.head_count")
    kv_heads = integer(checkpoint, f"{name}.attention.head_count_kv", heads)
    size = integer(checkpoint, f"{name}.attention.key_length", max(width // heads, 1))
    if heads % kv_heads or size % 2:
        raise SourceError(
            f"{heads} heads of size {size} over {kv_heads} key/value heads: expected heads "
            "to be a multiple of key/value heads and their size even; the file is damaged"
        )
    return Attention(
        heads,
        kv_heads,
        size,
        qkv_bias="blk.0.attn_q.bias" in checkpoint.shapes,
        output_bias="blk.0.attn_output.bias" in checkpoint.shapes,
    )


def _gguf_rotary(checkpoint: Checkpoint, name: str, head_dim: int) -> Rotary:
    """Inverse frequencies, with linear scaling or the per-frequency factors of Llama 3."""
    dimensions = integer(checkpoint, f"{name}.rope.dimension_count", head_dim)
    if dimensions != head_dim:
        raise UnsupportedModelError(
            f"rotary positions on {dimensions} of {head_dim} dimensions are not supported"
        )
    plain = frequencies(number(checkpoint, f"{name}.rope.freq_base", 10000.0), head_dim)
    scaling = checkpoint.metadata.get(f"{name}.rope.scaling.type", "none")
    if scaling == "linear":
        plain /= number(checkpoint, f"{name}.rope.scaling.factor")
    elif scaling != "none":
        raise UnsupportedModelError(
            f"rope scaling {scaling!r:.40} is not supported: none, linear are"
        )
    if _ROPE_FACTORS in checkpoint.shapes:
        factors = checkpoint.load(_ROPE_FACTORS)
        if factors.shape != plain.shape or not (factors > 0).all():
            raise SourceError(
                f"tensor '{_ROPE_FACTORS}': expected {plain.size} positive factors, "
                f"found shape {list(factors.shape)}; the file is damaged, get it again"
            )
        plain /= factors
    return in_halves(plain, head_dim)


READERS: Readers = {
    ("gguf", "llama"): read_gguf,
    ("hugging_face", "llama"): read_hugging_face,
    ("keras", "LlamaBackbone"): read_keras,
    ("keras", "Llama3Backbone"): read_keras,
}
