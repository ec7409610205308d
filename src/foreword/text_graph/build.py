"""The child that makes a text graph: KerasHub's model traced, TensorFlow's converter run.

What is traced is the work of `CausalLM.generate` step by step, as that function itself leaves
the graph for NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from foreword.engine.child import Message, Report, serve
from foreword.engine.memory import peak_rss_bytes
from foreword.text_graph.integer import check_agreement, keep_probabilities, quantized
from foreword.text_graph.interpret import Interpreter
from foreword.text_graph.options import Sampling, TextOptions
from foreword.text_graph.sampling import ContrastiveSampler

# Kernels of TensorFlow Text that the converter does not know as Select TF operators.
_USER_OPERATORS = ("UnsortedSegmentJoin", "UpperBound")


class _Tracked(tf.Module):  # type: ignore[misc]
    """What the converter has to find: the values of weights and seeds, and the tokenizer's tables.

    Handed the Keras model itself, it loses the weights.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.weights = [variable.value for variable in model.variables]
        self.seeds = [variable.value for variable in model.sampler.variables]
        held = vars(model.preprocessor.tokenizer).values()
        self.tables = [v for v in held if isinstance(v, tf.Module | tf.lookup.StaticHashTable)]


def _load(path: Path) -> Any:
    if path.is_dir():
        return keras_hub.models.CausalLM.from_preset(str(path), dtype="float32")
    return keras.saving.load_model(path, compile=False)


def _sampler(sampling: Sampling) -> Any:
    """Return KerasHub's sampler, or ours where the converter cannot take its."""
    given = {"temperature": sampling.temperature}
    seeded = {**given, "seed": sampling.seed}
    match sampling.kind:
        case "top-k":
            return keras_hub.samplers.TopKSampler(k=sampling.k, **seeded)
        case "top-p":
            return keras_hub.samplers.TopPSampler(p=sampling.p, **seeded)
        case "random":
            return keras_hub.samplers.RandomSampler(**seeded)
        case "contrastive":
            return ContrastiveSampler(k=sampling.k, alpha=sampling.alpha, **given)
        case _:
            return keras_hub.samplers.GreedySampler(**given)


def _stop_tokens(tokenizer: Any) -> list[int]:
    names = ("end_token_id", "end_token2_id")
    found = [getattr(tokenizer, name, None) for name in names]
    return [token for token in found if token is not None]


def _traced(model: Any, options: TextOptions) -> Any:
    """Return the concrete function: `prompt`, a scalar string, to `text`, the same."""
    preprocessor, tokenizer = model.preprocessor, model.preprocessor.tokenizer
    stop = _stop_tokens(tokenizer) if options.stop_at_end else None
    special = sorted(set(getattr(tokenizer, "special_token_ids", [])))

    @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
    def generate(prompt: Any) -> dict[str, Any]:
        given = preprocessor.generate_preprocess(
            prompt[tf.newaxis], sequence_length=options.max_length
        )
        made = model.generate_step(given, stop_token_ids=stop)
        token_ids = made["token_ids"]
        kept = tf.cast(made["padding_mask"], tf.bool)
        for token in special:
            kept = kept & (token_ids != token)
        return {"text": tokenizer.detokenize(tf.ragged.boolean_mask(token_ids, kept))[0]}

    return generate.get_concrete_function(tf.TensorSpec([], tf.string, name="prompt"))


def _converter(function: Any, tracked: tf.Module, recipe: str) -> Any:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tracked)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    converter.allow_custom_ops = True
    converter.target_spec.experimental_select_user_tf_ops = list(_USER_OPERATORS)
    converter._experimental_guarantee_all_funcs_one_use = True
    if recipe != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter


def build(request: Message, report: Report) -> Message:
    """Make the file `output` of the model at `source`; returns what it took."""
    options = TextOptions.from_json(request["options"])
    report("load", 0, 1)
    model = _load(Path(request["source"]))
    model.compile(sampler=_sampler(options.sampling), jit_compile=False)
    integer = options.recipe == "int8-full"
    if integer:
        keep_probabilities(model.sampler)
    report("trace", 0, 1)
    function, tracked = _traced(model, options), _Tracked(model)
    report("lower", 0, 1)
    converter = _converter(function, tracked, options.recipe)
    texts = request["texts"]
    output = Path(request["output"])
    output.write_bytes(quantized(converter, texts) if integer else converter.convert())
    if integer and options.sampling.kind == "greedy":
        run = Interpreter(str(output)).complete
        theirs = [
            function(tf.constant(text))["text"].numpy().decode("utf-8", "ignore") for text in texts
        ]
        check_agreement([run(text) for text in texts], theirs, texts)
    return {"peak_rss_bytes": peak_rss_bytes()}


if __name__ == "__main__":
    serve(build)
