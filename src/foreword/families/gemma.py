"""The Gemma family: llama's layers with a scaled embedding, norms kept less one, and GeGLU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from foreword.errors import UnsupportedModelError
from foreword.families import llama
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
    optional_number,
    rows,
    shifted,
    spread,
    with_defaults,
)
from foreword.families.find import Readers
from foreword.families.rotary import hugging_face_rotary
from foreword.graph.spec import (
    Attention,
    Decoder,
    DecoderSpec,
    Embedding,
    FeedForward,
    Layer,
    Norm,
    Output,
)

HUGGING_FACE: Mapping[str, Tensor] = {
    **llama.HUGGING_FACE,
    "final_norm.scale": shifted("model.norm.weight"),
    "attention_norm.scale": shifted("model.layers.{i}.input_layernorm.weight"),
    "feed_forward_norm.scale": shifted("model.layers.{i}.post_attention_layernorm.weight"),
}

DEFAULTS: Mapping[str, object] = {
    "head_dim": 256,
    "hidden_activation": None,
    "max_position_embeddings": 8192,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
}
"""What transformers takes for granted of a gemma, as a config.json need not say it."""

_TANH = "gelu_pytorch_tanh"
# Fixed in KerasHub's blocks, whatever the configuration says.
_KERAS_EPSILON = 1e-6


def read_hugging_face(checkpoint: Checkpoint) -> Decoder:
    """Read a checkpoint of model_type `gemma` (transformers, modeling_gemma.py).

    Raises SourceError for missing or inconsistent parts, UnsupportedModelError for
    variants without a place here.
    """
    config = with_defaults(checkpoint, DEFAULTS)
    # Old files say `gelu` here and mean its approximation: the weights were trained with it.
    stated = config.metadata.get("hidden_act", _TANH)
    if stated not in ("gelu", _TANH):
        raise UnsupportedModelError(f"hidden_act {stated!r:.40}: expected {_TANH}")
    rotary = hugging_face_rotary(config, integer(config, "head_dim"))
    layers = (Layer(rotary),) * layer_count(config, "num_hidden_layers")
    return llama.bind_hugging_face(hugging_face_spec(config, layers), config, HUGGING_FACE)


def hugging_face_spec(
    checkpoint: Checkpoint, layers: tuple[Layer, ...], embedding: str = "model.embed_tokens.weight"
) -> DecoderSpec:
    """Return the spec of a gemma by its config.json; later generations replace some of it."""
    metadata = checkpoint.metadata
    if metadata.get("use_bidirectional_attention"):
        raise UnsupportedModelError(
            "this model's tokens see those after them (use_bidirectional_attention): it embeds "
            "texts and cannot continue one; take a causal language model"
        )
    activation = metadata.get("hidden_activation")
    if activation not in (None, _TANH):
        raise UnsupportedModelError(f"hidden_activation {activation!r:.40}: expected {_TANH}")
    width = integer(checkpoint, "hidden_size")
    heads = integer(checkpoint, "num_attention_heads")
    kv_heads = integer(checkpoint, "num_key_value_heads")
    size = head_size(width, heads, kv_heads, integer(checkpoint, "head_dim"))
    bias = flag(checkpoint, "attention_bias", False)
    return DecoderSpec(
        width=width,
        embedding=Embedding(rows(checkpoint, embedding), scale=math.sqrt(width)),
        positions=None,
        layers=layers,
        norm=Norm("rms", number(checkpoint, "rms_norm_eps", 1e-6)),
        attention=Attention(heads, kv_heads, size, qkv_bias=bias, output_bias=bias),
        feed_forward=FeedForward(integer(checkpoint, "intermediate_size"), "gelu_tanh", gated=True),
        output=Output(tied=flag(checkpoint, "tie_word_embeddings", True)),
        max_positions=integer(checkpoint, "max_position_embeddings"),
    )


def read_keras(checkpoint: Checkpoint) -> Decoder:
    """Read a KerasHub GemmaBackbone, which is Gemma or Gemma 2 (keras_hub/src/models/gemma).

    KerasHub mixes a turned head's dimensions, alike for queries and keys: scores stay.
    """
    spec = keras_spec(checkpoint, integer(checkpoint, "intermediate_dim") // 2)
    window = keras_window(checkpoint)
    # The window is on every other layer, the first included.
    layers = tuple(
        replace(layer, window=None if i % 2 else window) for i, layer in enumerate(spec.layers)
    )
    spec = replace(spec, layers=layers)
    return bind(spec, checkpoint, spread(spec, keras_templates(spec, "gemma_decoder_block{n}")))


def keras_window(checkpoint: Checkpoint) -> int | None:
    """Return the size of a KerasHub backbone's windows, None where it has none."""
    windowed = flag(checkpoint, "use_sliding_window_attention", False)
    return integer(checkpoint, "sliding_window_size") if windowed else None


def keras_spec(checkpoint: Checkpoint, inner: int) -> DecoderSpec:
    """Read the configuration of a KerasHub backbone of any Gemma; layers are all alike.

    `inner` is the width of the feed-forward. `query_head_dim_normalize` is not looked at, as
    KerasHub's blocks do not look at it: scores are divided by the root of head_dim in any case.
    """
    epsilon = number(checkpoint, "layer_norm_epsilon", _KERAS_EPSILON)
    if epsilon != _KERAS_EPSILON:
        raise UnsupportedModelError(
            f"layer_norm_epsilon {epsilon}: expected {_KERAS_EPSILON}, which KerasHub's Gemma has "
            "in every norm but the last"
        )
    both = flag(checkpoint, "use_post_attention_norm", False)
    if both != flag(checkpoint, "use_post_ffw_norm", False):
        raise UnsupportedModelError(
            "a norm after only one of attention and feed-forward is not supported: expected "
            "use_post_attention_norm and use_post_ffw_norm to agree"
        )
    spec = llama.keras_spec(checkpoint)
    attention_cap = optional_number(checkpoint, "attention_logit_soft_cap")
    return replace(
        spec,
        embedding=replace(spec.embedding, scale=math.sqrt(spec.width)),
        attention=replace(spec.attention, soft_cap=attention_cap),
        feed_forward=FeedForward(inner, "gelu_tanh", gated=True),
        output=Output(tied=True, soft_cap=optional_number(checkpoint, "final_logit_soft_cap")),
        residual="sandwich" if both else "sequential",
    )


def keras_templates(spec: DecoderSpec, block: str) -> dict[str, Tensor]:
    """Where KerasHub keeps the weights of every Gemma, by the name of its block."""
    attention, width, inner = spec.attention, spec.width, spec.feed_forward.width
    own = f"{block}/attention"
    return {
        "embedding": Tensor("reversible_embedding/0"),
        "final_norm.scale": shifted("rms_normalization/0"),
        "attention_norm.scale": shifted(f"{block}/pre_attention_norm/0"),
        "attention_post_norm.scale": shifted(f"{block}/post_attention_norm/0"),
        "feed_forward_norm.scale": shifted(f"{block}/pre_ffw_norm/0"),
        "feed_forward_post_norm.scale": shifted(f"{block}/post_ffw_norm/0"),
        "q.weight": _by_head(f"{own}/query_dense/0", attention.heads, spec),
        "k.weight": _by_head(f"{own}/key_dense/0", attention.kv_heads, spec),
        "v.weight": _by_head(f"{own}/value_dense/0", attention.kv_heads, spec),
        "q_norm.scale": shifted(f"{own}/query_norm/0"),
        "k_norm.scale": shifted(f"{own}/key_norm/0"),
        "o.weight": kernel(
            f"{own}/output_dense/0", (attention.heads, attention.head_dim, width), inputs=2
        ),
        "gate.weight": kernel(f"{block}/gating_ffw/0", (width, inner)),
        "up.weight": kernel(f"{block}/gating_ffw_2/0", (width, inner)),
        "down.weight": kernel(f"{block}/ffw_linear/0", (inner, width)),
    }


def _by_head(name: str, heads: int, spec: DecoderSpec) -> Tensor:
    """Return the tensor of a kernel that is kept head by head, [heads, in, out of a head]."""
    return Tensor(
        name,
        (heads, spec.width, spec.attention.head_dim),
        lambda values: values.swapaxes(1, 2).reshape(-1, spec.width),
    )


READERS: Readers = {
    ("hugging_face", "gemma"): read_hugging_face,
    ("keras", "GemmaBackbone"): read_keras,
}
