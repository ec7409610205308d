"""Model folders, fetched from Kaggle or Hugging Face with the libraries of their own.

What they and TensorFlow, which comes with KerasHub, print and keep in memory stays in a
process of its own: `python -m foreword.sources.hub FILES HANDLE`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from foreword.errors import DownloadError, SourceError
from foreword.families.find import find_family
from foreword.sources.keras import preset_handle
from foreword.sources.keras_archive import (
    CONFIG,
    PREPROCESSOR,
    SHARDS,
    TOKENIZER,
    WEIGHTS,
    shard_names,
)
from foreword.sources.keras_tokenizer import CLASSES, MERGES, PROTO, VOCABULARY
from foreword.sources.pip import Progress
from foreword.sources.strict_json import parse_object, read_object

KAGGLE, HUGGING_FACE = "kaggle://", "hf://"

# Covers the import of KerasHub and the answer of a slow server; downloads themselves may take
# as long as data comes: both libraries give up where none does for some seconds.
_CONFIG_SECONDS = 120
_JSON_BYTES = 16 << 20
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KAGGLEHUB_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore",
}
_KERAS_FILES = ("*.json", "model*.weights.h5", "assets/*")
_TRANSFORMERS_FILES = ("*.json", "*.safetensors", "README.md")


def fetch(source: str, handle: str, progress: Progress | None = None) -> Path:
    """Bring a model's folder to this machine and return where it is, in its library's cache.

    `handle` is the name of a KerasHub preset, `kaggle://…` or `hf://ORG/NAME`; `source` is
    what messages call it. The folder's config comes first, so that nothing large is fetched
    of a model that cannot be converted. Raises DownloadError, in one line, where a library,
    the network or the model is missing, and UnsupportedModelError for an architecture without
    code here.
    """
    report = progress or (lambda stage, done, total: None)
    package, install = _needed(handle)
    if find_spec(package) is None:
        raise DownloadError(
            f"{source:.100}: needs the package {package}, found none: pip install {install}; or "
            "download the model's folder and give its path"
        )
    report("download", 0, 1)
    found = _run(source, "config", handle, _CONFIG_SECONDS)
    config = read_object(Path(found["directory"]) / CONFIG, _JSON_BYTES) or {}
    name = config.get("class_name")
    if isinstance(name, str):
        find_family("keras", name)
    elif isinstance(name := config.get("model_type"), str):
        find_family("hugging_face", name)
    directory = Path(_run(source, "all", found["handle"], None)["directory"])
    report("download", 1, 1)
    return directory


def _needed(handle: str) -> tuple[str, str]:
    """Return the package a handle needs, and what to install for it."""
    if handle.startswith(HUGGING_FACE):
        return "huggingface_hub", "huggingface_hub"
    return "kagglehub" if handle.startswith(KAGGLE) else "keras_hub", "'foreword[keras]'"


def _run(source: str, files: str, handle: str, seconds: int | None) -> dict[str, str]:
    """Run this module as a process and return what it found."""
    # -P: a kagglehub.py in the current directory is not kagglehub.
    command = [sys.executable, "-P", "-m", "foreword.sources.hub", files, handle]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | _QUIET,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(source, f"no answer within {seconds} seconds") from None
    except OSError as error:
        raise _failed(source, error.strerror or str(error)) from None
    lines = done.stdout.splitlines()
    try:
        found = parse_object(lines[-1] if lines else b"", "answer")
    except SourceError:
        said = done.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "nothing")
        raise _failed(source, f"the download ended with {done.returncode}: {last:.120}") from None
    if "refusal" in found:
        raise DownloadError(f"{source:.100}: {found['refusal']!s:.300}")
    if "error" in found:
        raise _failed(source, str(found["error"]))
    return {key: str(value) for key, value in found.items()}


def _failed(source: str, why: str) -> DownloadError:
    line = "".join(c if c.isprintable() else " " for c in " ".join(why.split()))
    return DownloadError(
        f"{source:.100}: could not be fetched ({line:.200}); check name and network; without a "
        "network, copy the model's folder from a machine that has it and give its path, or take a "
        "GGUF file"
    )


@dataclass(frozen=True)
class _Hub:
    """How one model's files are got: each by its path in the folder, or all that are needed."""

    file: Callable[[str], Path]
    all: Callable[[Path], None]


def _kaggle(handle: str) -> _Hub:
    import kagglehub
    from kagglehub.exceptions import KaggleApiHTTPError

    name = handle.removeprefix(KAGGLE)

    def file(path: str) -> Path:
        return Path(kagglehub.model_download(name, path))

    def has(path: str) -> bool:
        try:
            file(path)
        except KaggleApiHTTPError as error:
            if "404 Client Error" in str(error):
                return False
            raise
        return True

    def everything(directory: Path) -> None:
        # File by file, as KerasHub does it: what its cache has is not fetched again.
        has(PREPROCESSOR)
        tokenizer = read_object(file(TOKENIZER), _JSON_BYTES) or {}
        kind = CLASSES.get(str(tokenizer.get("class_name")))
        spm = kind is not None and kind.split is None
        for asset in [PROTO] if spm else [VOCABULARY, MERGES]:
            file(f"assets/tokenizer/{asset}")
        if not has(WEIGHTS):
            for shard in shard_names(read_object(file(SHARDS), _JSON_BYTES) or {}):
                file(shard)

    return _Hub(file, everything)


def _hugging_face(handle: str) -> _Hub:
    from huggingface_hub import snapshot_download

    name = handle.removeprefix(HUGGING_FACE)

    def file(path: str) -> Path:
        # Asks once and gives up at once, which hf_hub_download does not.
        return Path(snapshot_download(name, allow_patterns=[path])) / path

    def everything(directory: Path) -> None:
        config = read_object(directory / CONFIG, _JSON_BYTES) or {}
        patterns = _KERAS_FILES if "registered_name" in config else _TRANSFORMERS_FILES
        snapshot_download(name, allow_patterns=list(patterns))

    return _Hub(file, everything)


def _answer(files: str, handle: str) -> dict[str, str]:
    if "://" not in handle:
        handle = preset_handle(handle)
    if handle.startswith(KAGGLE):
        hub = _kaggle(handle)
    elif handle.startswith(HUGGING_FACE):
        hub = _hugging_face(handle)
    else:
        raise DownloadError("expected the name of a KerasHub preset, kaggle://… or hf://ORG/NAME")
    directory = hub.file(CONFIG).parent
    if files == "all":
        hub.all(directory)
    return {"handle": handle, "directory": str(directory)}


def main(files: str, handle: str) -> None:
    """Fetch "config" or "all" of a model's files; write what was found as one line of JSON."""
    try:
        answer = _answer(files, handle)
    except SourceError as error:
        answer = {"refusal": str(error)}
    # The libraries raise all kinds, most of them around the error that says what is wrong.
    except Exception as error:
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        answer = {"error": f"{type(error).__name__}: {cause}"}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
