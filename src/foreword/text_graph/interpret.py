"""The child that runs a text graph, over the one interpreter that can."""

from __future__ import annotations

import numpy as np
import tensorflow_text
from tensorflow.lite.python.interpreter import InterpreterWithCustomOps

from foreword.engine.child import Message, Report, serve
from foreword.engine.memory import peak_rss_bytes
from foreword.errors import EngineError

_SIGNATURE, _INPUT, _OUTPUT = "serving_default", "prompt", "text"


class Interpreter:
    """A text graph loaded from its file.

    Raises EngineError for a file that has not the signature of one.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        interpreter = InterpreterWithCustomOps(
            model_path=path,
            num_threads=threads,
            custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
        )
        found = interpreter.get_signature_list()
        if found.get(_SIGNATURE) != {"inputs": [_INPUT], "outputs": [_OUTPUT]}:
            names = ", ".join(sorted(found)) or "none"
            raise EngineError(
                f"{path}: expected a text graph, with the signature {_SIGNATURE} from '{_INPUT}' "
                f"to '{_OUTPUT}'; found the signatures {names:.120}; a token model runs from its "
                "bundle"
            )
        self._run = interpreter.get_signature_runner(_SIGNATURE)

    def complete(self, prompt: str) -> str:
        """Return the prompt continued; bytes that are no letter are left out, as Keras does."""
        # A 0-d array of letters would be cut to one of them.
        output = self._run(**{_INPUT: np.array([prompt])})[_OUTPUT]
        text: str = output.item().decode("utf-8", "ignore")
        return text


class _Handler:
    """Loads the file of the first request, then answers prompts."""

    def __init__(self) -> None:
        self._model: Interpreter | None = None

    def __call__(self, request: Message, report: Report) -> Message:
        if self._model is None:
            self._model = Interpreter(request["model"], request["threads"])
            return {}
        text = self._model.complete(request["prompt"])
        return {"text": text, "peak_rss_bytes": peak_rss_bytes()}


if __name__ == "__main__":
    serve(_Handler())
