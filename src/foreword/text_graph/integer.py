"""Full-integer quantization of a text graph, loop and all; imported by the child that makes one.

The converter calibrates and quantizes loop bodies as well. Quantized as a whole the graph says
nothing but token 0: a softmax gets the fixed step 1/256, in which a vocabulary's probabilities
vanish, and Keras masks attention with -2.4e38, which leaves the scores' scale no digits. So
dense layers and the embedding become integers, weights and activations, and attention, norms
and sampling stay float.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import convert as tflite
from tensorflow.lite.python import schema_py_generated as schema

from foreword.errors import ConversionError

_QUANTIZED = ("FULLY_CONNECTED", "GATHER")


def keep_probabilities(sampler: Any) -> None:
    """Have a sampler's probabilities computed in float64, which the quantizer leaves alone.

    No list of what not to quantize spares a float32 softmax its fixed output scale.
    """

    def probabilities(logits: Any) -> Any:
        wide = tf.nn.softmax(tf.cast(logits, tf.float64) / sampler.temperature)
        return tf.cast(wide, tf.float32)

    sampler.compute_probabilities = probabilities


def quantized(converter: Any, texts: Sequence[str]) -> bytes:
    """Calibrate a converter's model on texts and return it with integer dense layers."""

    def representative() -> Iterator[dict[str, Any]]:
        for text in texts:
            yield {"prompt": np.array(text)}

    converter.representative_dataset = representative
    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
    others = [name for name in vars(schema.BuiltinOperator) if name[0] != "_"]
    model: bytes = tflite.mlir_quantize(
        calibrated, denylisted_ops=[name for name in others if name not in _QUANTIZED]
    )
    return model


def check_agreement(ours: Sequence[str], theirs: Sequence[str], prompts: Sequence[str]) -> None:
    """Raise ConversionError unless the quantized model begins some text as the float one does."""
    same = sum(
        bool(a[len(p) :]) and a[len(p) : len(p) + 3] == b[len(p) : len(p) + 3]
        for a, b, p in zip(ours, theirs, prompts, strict=True)
    )
    if not same:
        raise ConversionError(
            "int8-full: expected the quantized model to continue some of its calibration texts as "
            f"the float model does, found none of {len(prompts)}; take the recipe int8"
        )
