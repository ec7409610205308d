"""Small Gemmas of KerasHub with random weights; needs the extra [keras]."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_parity import randomize

SIZES = {
    "vocabulary_size": 64,
    "num_layers": 3,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 48,
    "head_dim": 8,
}
BOTH_NORMS = {"use_post_attention_norm": True, "use_post_ffw_norm": True}
WINDOW = {"use_sliding_window_attention": True, "sliding_window_size": 8}


def gemma_backbone(**changes: Any) -> Any:
    """A GemmaBackbone, by default without what Gemma 2 added."""
    from keras_hub.models import GemmaBackbone

    return _randomized(GemmaBackbone(**{**SIZES, **changes}))


def gemma3_backbone(**changes: Any) -> Any:
    """A Gemma3Backbone with seven layers, of which the sixth has no window."""
    from keras_hub.models import Gemma3Backbone

    sizes = {"image_size": 16, "num_layers": 7, "intermediate_dim": 24}
    return _randomized(Gemma3Backbone(**{**SIZES, **BOTH_NORMS, **WINDOW, **sizes, **changes}))


def _randomized(backbone: Any) -> Any:
    randomize(backbone)
    # The output is the embedding: with a final scale of either sign, a model does not
    # repeat the token it has just seen for ever.
    scale = backbone.layer_norm.scale
    scale.assign(np.random.default_rng(0).normal(-1, 1, scale.shape))
    return backbone
