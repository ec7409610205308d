"""KerasHub models on disk: preset directories and `.keras` files, read without Keras."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from foreword.errors import OutputError, SourceError, UnsupportedModelError
from foreword.families.find import find_family
from foreword.sources.keras_tokenizer import ASSETS, tokenizer_from_keras
from foreword.sources.keras_weights import KerasWeights
from foreword.sources.model import SourceModel
from foreword.sources.strict_json import read_object

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
PREPROCESSOR = "preprocessor.json"
WEIGHTS = "model.weights.h5"
SHARDS = "model.weights.json"

_JSON_BYTES = 16 << 20
_ASSET_BYTES = 128 << 20
_CHUNK_BYTES = 4 << 20
_SHARD = re.compile(r"model_[0-9]{5}\.weights\.h5")
_GET_AGAIN = "the file is damaged or incomplete, get it again"

_Config = Mapping[str, object]


@dataclass(frozen=True)
class _Parts:
    """What a model is made of, each part as Keras serializes it, and where its files lie."""

    backbone: _Config
    preprocessor: _Config
    tokenizer: _Config
    directory: Path
    assets: Path
    in_task: bool


def is_preset(directory: Path) -> bool:
    """Return whether a directory holds weights as KerasHub saves them."""
    return any((directory / name).exists() for name in (WEIGHTS, SHARDS))


def open_preset(directory: Path, name: str | None = None) -> SourceModel:
    """Open a directory that KerasHub's `save_to_preset` wrote, or a downloaded preset.

    Tensors are read only when the decoder asks for them. The model is named after the
    directory unless `name` is given. Raises SourceError, the path first, for missing, damaged
    or changed files and a tokenizer larger than the embedding, and UnsupportedModelError for
    an architecture or tokenizer without code here and for quantized weights.
    """
    own = directory.name if directory.name.strip(".") else directory.resolve().name
    with _naming(directory):
        return _model(_preset_parts(directory), name or own, directory)


def open_keras(path: Path, staging: Path) -> SourceModel:
    """Open a CausalLM saved as a `.keras` file, unpacking what is needed into `staging`.

    `staging` is an empty directory that the caller keeps as long as the decoder is read.
    Raises what `open_preset` raises, and OutputError where `staging` cannot be written.
    """
    with _naming(path):
        _unpack(path, staging)
        return _model(_task_parts(staging), path.stem, path)


def shard_names(index: _Config) -> list[str]:
    """Return the files that a `model.weights.json` says hold the weights, in order.

    Raises SourceError for anything but names as Keras gives them.
    """
    table = index.get("weight_map")
    values = table.values() if isinstance(table, dict) else ()
    flat = [name for value in values for name in (value if isinstance(value, list) else [value])]
    if not flat or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in flat):
        raise SourceError(
            f"{SHARDS}: 'weight_map': expected names such as model_00000.weights.h5; {_GET_AGAIN}"
        )
    return sorted(set(flat))


def _model(parts: _Parts, name: str, path: Path) -> SourceModel:
    _refuse_quantized(parts.backbone)
    family, read = find_family("keras", _class_name(parts.backbone))
    files = [parts.directory / file for file in _weight_files(parts.directory)]
    weights = KerasWeights(files, _config(parts.backbone), in_task=parts.in_task)
    decoder = read(weights)
    tokenizer = tokenizer_from_keras(
        _class_name(parts.tokenizer),
        _config(parts.tokenizer),
        parts.assets,
        add_start=_config(parts.preprocessor).get("add_start_token", True) is True,
        rows=decoder.spec.embedding.vocabulary,
    )
    # Presets carry no licence.
    return SourceModel(family, decoder, tokenizer, name, "unknown", sha256=None, keras_path=path)


def _preset_parts(directory: Path) -> _Parts:
    backbone = _document(directory, CONFIG)
    # Saved without one, and then its constructor's defaults hold.
    preprocessor = read_object(directory / PREPROCESSOR, _JSON_BYTES) or {"config": {}}
    tokenizer = read_object(directory / TOKENIZER, _JSON_BYTES)
    if tokenizer is None:
        raise SourceError(
            f"expected a {TOKENIZER} in the preset, found none; save the CausalLM with its "
            "preprocessor: causal_lm.save_to_preset(directory)"
        )
    assets = directory / "assets" / "tokenizer"
    return _Parts(backbone, preprocessor, tokenizer, directory, assets, in_task=False)


def _task_parts(directory: Path) -> _Parts:
    task = _document(directory, CONFIG)
    parts = _config(task)
    backbone, preprocessor = parts.get("backbone"), parts.get("preprocessor")
    if not isinstance(backbone, dict):
        found = task.get("class_name")
        raise UnsupportedModelError(
            f"expected a KerasHub CausalLM, found {found!r:.60}; save the CausalLM "
            "itself, with backbone and preprocessor: causal_lm.save('model.keras')"
        )
    if not isinstance(preprocessor, dict):
        raise SourceError(
            "expected a CausalLM with its preprocessor, found none in the file: text needs its "
            "tokenizer; set causal_lm.preprocessor and save it again"
        )
    tokenizer = _config(preprocessor).get("tokenizer")
    if not isinstance(tokenizer, dict):
        raise SourceError(f"{CONFIG}: expected a tokenizer in the preprocessor; {_GET_AGAIN}")
    return _Parts(backbone, preprocessor, tokenizer, directory, directory, in_task=True)


def _document(directory: Path, name: str) -> _Config:
    document = read_object(directory / name, _JSON_BYTES)
    if document is None:
        raise SourceError(f"expected a {name}, found none; {_GET_AGAIN}")
    return document


def _class_name(part: _Config) -> str:
    name = part.get("class_name")
    if not isinstance(name, str):
        raise SourceError(f"'class_name': expected a name, found {name!r:.60}; {_GET_AGAIN}")
    return name


def _config(part: _Config) -> _Config:
    config = part.get("config")
    if not isinstance(config, dict):
        raise SourceError(f"'config': expected an object, found {config!r:.60}; {_GET_AGAIN}")
    return config


def _refuse_quantized(backbone: _Config) -> None:
    policy = json.dumps(_config(backbone).get("dtype"))
    if re.search("Quantized|Int4DType|GPTQ|AWQ", policy):
        raise UnsupportedModelError(
            "the weights are quantized by Keras, expected plain floating point; take the model "
            "as it was before quantize(), Foreword quantizes by itself"
        )


def _weight_files(directory: Path) -> list[str]:
    index = read_object(directory / SHARDS, _JSON_BYTES)
    # Keras takes the whole file where both are there.
    if index is None or (directory / WEIGHTS).exists():
        return [WEIGHTS]
    return shard_names(index)


def _unpack(path: Path, staging: Path) -> None:
    """Copy what is needed out of the zip archive, each file by a name of our own."""
    if not path.is_file():
        found = "a directory or a device" if path.exists() else "nothing of that name"
        raise SourceError(f"expected a .keras file, found {found}")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise SourceError(
            f"expected a .keras file (a zip archive), found something else ({error!s:.80}); "
            "save the model again with Keras 3, Keras 2's .h5 files are not read"
        ) from None
    with archive:
        for name, member in _members(archive).items():
            _copy(archive, member, staging / name)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    wanted: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        asset = path.parts[:1] == ("assets",) and path.name in ASSETS
        top = len(path.parts) == 1 and (
            path.name in (CONFIG, WEIGHTS, SHARDS) or _SHARD.fullmatch(path.name)
        )
        if not asset and not top:
            continue
        if path.name in wanted:
            raise SourceError(f"{path.name:.60} is in the file twice: {_GET_AGAIN}")
        ceiling = _ASSET_BYTES if asset else None if path.suffix == ".h5" else _JSON_BYTES
        if ceiling is not None and member.file_size > ceiling:
            raise SourceError(
                f"{path.name}: expected at most {ceiling} bytes, found {member.file_size}; "
                f"{_GET_AGAIN}"
            )
        wanted[path.name] = member
    return wanted


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    try:
        with target.open("xb") as output:
            # Read to its end, so that the archive's checksum is checked.
            for chunk in _chunks(archive, member):
                output.write(chunk)
    except OSError as error:
        raise OutputError(
            f"{target.parent}: cannot be written: {error.strerror or error}; make room (about "
            f"{member.file_size >> 20} MiB) or choose another directory with FOREWORD_HOME"
        ) from None


def _chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(member) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise SourceError(f"{member.filename:.60}: {error!s:.80}; {_GET_AGAIN}") from None


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the path in front of what is said of the source, in one printable line."""
    try:
        yield
    except SourceError as error:
        message = (c if c.isprintable() else ascii(c)[1:-1] for c in f"{path}: {error}")
        raise type(error)("".join(message)) from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
