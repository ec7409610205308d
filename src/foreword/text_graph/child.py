"""Where TensorFlow runs: in a child process, and quietly."""

from __future__ import annotations

from foreword.engine.child import Child
from foreword.errors import ForewordError

_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # its results depend on the processor
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "PYTHONWARNINGS": "ignore",
}


def tensorflow_child(
    module: str, what: str, failure: type[ForewordError], memory_limit_bytes: int
) -> Child:
    """Start a child that imports TensorFlow; see `engine.child.Child`."""
    return Child(module, what, failure, memory_limit_bytes, _QUIET)
