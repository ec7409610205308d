"""What llama.cpp is given beside a bundle: a GGUF checkpoint in another of GGUF's own types.

Files of any model and any type are read, as llama.cpp reads more of them than there is code for
here.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from foreword.errors import SourceError
from foreword.sources.gguf_tokenizer import tokenizer_from_gguf
from foreword.sources.model import TokenizerSource

_DAMAGED = (OSError, ValueError, LookupError, OverflowError, MemoryError)


def requantize(source: Path, target: Path, kind: str = "Q8_0") -> None:
    """Write a GGUF checkpoint anew from its own dequantized weights.

    Layers are stored as `kind`, of blocks of 32 ("Q4_0", "Q8_0"), embedding and output as
    llama.cpp's tool does for a width that is no multiple of 256: as Q8_0. Raises SourceError for
    what is no GGUF file.
    """
    reader = _open(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
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


def tokenizer_of(source: Path) -> TokenizerSource:
    """Return the tokenizer in a GGUF file.

    Raises SourceError for what is no GGUF file, UnsupportedModelError for a tokenizer that there
    is no code for.
    """
    fields = _open(source).fields
    try:
        metadata = {name: field.contents() for name, field in fields.items()}
    except _DAMAGED:
        raise _no_gguf(source, "one whose metadata cannot be read") from None
    return tokenizer_from_gguf(metadata)


def _open(source: Path) -> gguf.GGUFReader:
    if not source.is_file():
        raise _no_gguf(source, "no such file")
    try:
        return gguf.GGUFReader(source)
    except _DAMAGED:
        raise _no_gguf(source, "another kind of file, or a damaged one") from None


def _no_gguf(source: Path, found: str) -> SourceError:
    return SourceError(f"{str(source)!r:.200}: expected a GGUF file, found {found}")
