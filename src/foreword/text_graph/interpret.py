"""The child that runs a text graph, over the one interpreter that can."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_text
from tensorflow.lite.python.interpreter import InterpreterWithCustomOps

from foreword.errors import EngineError
from foreword.text_graph.child import Message, Report, peak_rss_bytes, serve

_SIGNATURE, _INPUT, _OUTPUT = "serving_default", "prompt", "text"


class _Interpreter:
    """Loads the file of the first request, then answers prompts."""

    def __init__(self) -> None:
        self._run: Any = None

    def __call__(self, request: Message, report: Report) -> Message:
        if "model" in request:
            self._run = _load(request["model"], request["threads"])
            return {}
        # A 0-d array of letters would be cut to one of them.
        output = self._run(**{_INPUT: np.array([request["prompt"]])})[_OUTPUT]
        # As KerasHub's `generate` does: bytes that are no letter are left out.
        text = output.item().decode("utf-8", "ignore")
        return {"text": text, "peak_rss_bytes": peak_rss_bytes()}


def _load(path: str, threads: int) -> Any:
    interpreter = InterpreterWithCustomOps(
        model_path=path,
        num_threads=threads,
        custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
    )
    found = interpreter.get_signature_list()
    wanted = {"inputs": [_INPUT], "outputs": [_OUTPUT]}
    if found.get(_SIGNATURE) != wanted:
        names = ", ".join(sorted(found)) or "none"
        raise EngineError(
            f"{path}: expected a text graph, with the signature {_SIGNATURE} from '{_INPUT}' to "
            f"'{_OUTPUT}'; found the signatures {names:.120}; a token model runs from its bundle"
        )
    return interpreter.get_signature_runner(_SIGNATURE)


if __name__ == "__main__":
    serve(_Interpreter())
