"""From a source to a text graph: one file, which appears only when it has been tried."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

from foreword.bundle.home import downloads_dir
from foreword.engine.child import default_memory_limit_bytes
from foreword.errors import ConversionError, OutputError, UnsupportedModelError, UsageError
from foreword.graph.spec import DecoderSpec, weight_shapes
from foreword.sources.model import SourceModel
from foreword.sources.resolve import Source, open_source
from foreword.text_graph import archive
from foreword.text_graph.archive import About
from foreword.text_graph.calibration import TEXTS
from foreword.text_graph.child import tensorflow_child
from foreword.text_graph.model import TextGraph
from foreword.text_graph.options import TextOptions
from foreword.text_graph.versions import check_converts

Progress = Callable[[str, int, int], None]

_LARGEST_FILE_BYTES = (1 << 31) - 1
_BYTES_A_WEIGHT = {"float32": 4, "float16": 2, "int8": 1}
_PROMPT = "I'm enjoying a"
# Found against KerasHub 0.31's own forward pass; docs/LOG.md says what is wrong in each.
_WRONG = ("falcon", "gpt_neox")
_WRONG_OVER_A_CACHE = (
    "KerasHub's generate, which a text graph repeats, differs from this family's forward pass "
    "over a cache; the token model is right"
)
_PACKAGES = ("foreword", "tensorflow", "tensorflow-text", "keras", "keras-hub")


def convert(
    source: Source,
    output: str | Path,
    options: TextOptions | None = None,
    *,
    replace: bool = False,
    calibration: Sequence[str] = TEXTS,
    memory_limit_bytes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Turn a model that KerasHub can load into a text graph at `output`, a `.tflite` file.

    `source` is as for `foreword.convert`, but for GGUF files. TensorFlow runs in a process of
    its own, which int8-full calibrates on the beginnings of texts in `calibration`, and which
    may take `memory_limit_bytes`, by default four fifths of the machine's memory.
    The file is completed with once before it appears. `progress(stage, done, total)` is called
    as work goes on. Raises UsageError for libraries or options that cannot serve, SourceError
    and UnsupportedModelError for the source, ConversionError where the converter fails, and
    OutputError.
    """
    options = options or TextOptions()
    limit = memory_limit_bytes or default_memory_limit_bytes()
    path = Path(output)
    check_converts()
    _check_output(path, replace)
    with open_source(source, downloads_dir(), progress) as model:
        keras_path = _check(model, options)
        # Named before it is made: an interrupt right after must find what to remove.
        made = path.absolute().with_name(f".{path.stem[:32]}.{secrets.token_hex(6)}.tflite")
        try:
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch(mode=0o600, exist_ok=False)
            report = progress or (lambda stage, done, total: None)
            what = f"{model.name:.60} as a text graph"
            child = tensorflow_child("foreword.text_graph.build", what, ConversionError, limit)
            try:
                child.ask(
                    {
                        "source": str(keras_path.absolute()),
                        "output": str(made),
                        "options": options.as_json(),
                        "texts": list(calibration),
                    },
                    report,
                )
            finally:
                child.close()
            archive.append(made, _about(model, options))
            report("try", 0, 1)
            with TextGraph(made, memory_limit_bytes=limit, failure=ConversionError) as graph:
                graph.complete(_PROMPT)
            report("try", 1, 1)
            _appear(made, path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
        finally:
            with suppress(OSError):
                made.unlink()
    return path


def _check_output(path: Path, replace: bool) -> None:
    if path.suffix.lower() != ".tflite":
        raise UsageError(
            f"output: a text graph is one file, such as autocomplete.tflite, found '{path}'"
        )
    if path.is_dir():
        raise OutputError(f"{path}: is a directory; a text graph is a file")
    if path.exists() and not replace:
        raise OutputError(f"{path}: is there already; choose another name, or replace it")


def _check(model: SourceModel, options: TextOptions) -> Path:
    """Return what KerasHub loads, of a model that can become what `options` ask for."""
    if model.keras_path is None:
        raise UnsupportedModelError(
            f"{model.name:.60}: a text graph is made with KerasHub, which does not read this "
            "source; give a preset, a .keras file or a Hugging Face folder, or make the token "
            "model (without --form text)"
        )
    spec = model.decoder.spec
    if spec.max_positions is not None and options.max_length > spec.max_positions:
        raise UsageError(
            f"max_length: this model has {spec.max_positions} positions, {options.max_length} "
            "were asked for"
        )
    least = _least_bytes(spec, options.recipe)
    if least > _LARGEST_FILE_BYTES:
        raise UnsupportedModelError(
            f"{model.name:.60}: the weights take {least / 2**30:.1f} GiB as {options.recipe}, a "
            ".tflite file holds 2 GiB: choose a smaller recipe or model, or the token model"
        )
    return model.keras_path


def _least_bytes(spec: DecoderSpec, recipe: str) -> int:
    """Return what the weights take at least; int8 has a tied embedding twice."""
    shapes = weight_shapes(spec)
    total = sum(int(np.prod(shape)) for shape in shapes.values()) * _BYTES_A_WEIGHT.get(recipe, 1)
    twice = recipe.startswith("int8") and spec.output.tied
    return total + (int(np.prod(shapes["embedding"])) if twice else 0)


def _about(model: SourceModel, options: TextOptions) -> About:
    spec, tokenizer = model.decoder.spec, model.tokenizer
    document = {
        "family": model.family,
        "parameters": sum(int(np.prod(shape)) for shape in weight_shapes(spec).values()),
        # KerasHub begins every generation with the start token of a class that has one.
        "start_token": tokenizer.start,
        "end_tokens": list(tokenizer.end),
        "source": model.name,
        "license": model.license,
        "notes": [_WRONG_OVER_A_CACHE] if model.family in _WRONG else [],
        "versions": {name: metadata.version(name) for name in _PACKAGES},
    }
    return About(document, options, tokenizer.json)


def _appear(made: Path, path: Path) -> None:
    made.chmod(0o666 & ~_umask())
    with made.open("rb") as file:
        os.fsync(file.fileno())
    made.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
