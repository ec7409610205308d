"""llama.cpp on the same weights: what benchmarks compare with. Needs llama-cpp-python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
from numpy.typing import NDArray


def requantize(source: Path, target: Path, kind: str = "Q8_0") -> None:
    """Write a GGUF checkpoint anew from its own dequantized weights.

    Layers are stored as `kind`, of blocks of 32 ("Q4_0", "Q8_0"), embedding and output as
    llama.cpp's tool does for a width that is no multiple of 256: as Q8_0.
    """
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        type_ = field.types[0]
        part = field.types[-1] if type_ == gguf.GGUFValueType.ARRAY else None
        value = field.contents()
        if field.name == "general.file_type":
            value = int(gguf.LlamaFileType[f"MOSTLY_{kind}"])
        writer.add_key_value(field.name, value, type_, sub_type=part)
    for tensor in reader.tensors:
        shape = [int(extent) for extent in reversed(tensor.shape)]
        values = np.float32(gguf.dequantize(tensor.data, tensor.tensor_type)).reshape(shape)
        if values.ndim == 2:
            layers = tensor.name.startswith("blk.")
            stored = gguf.GGMLQuantizationType[kind if layers else "Q8_0"]
            writer.add_tensor(tensor.name, gguf.quantize(values, stored), raw_dtype=stored)
        else:
            writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Scorer:
    """llama.cpp giving the logits of every token of a text."""

    def __init__(self, model: Path, context: int, threads: int) -> None:
        self.size_bytes = model.stat().st_size
        self._model = llama_cpp.Llama(
            str(model),
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=True,
            verbose=False,
        )

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Return the logits after each of up to `context` tokens of a new text, [n, V]."""
        self._model.reset()
        self._model.eval(list(tokens))
        return self._model.scores[: len(tokens)].copy()
