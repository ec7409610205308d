"""What a text graph says of itself: an archive behind the model, which LiteRT does not read.

A `.tflite` file may carry files as a zip archive appended to it, as TFLite's own metadata does.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreword.errors import BundleError, UsageError
from foreword.text_graph.options import TextOptions

_ABOUT, _TOKENIZER = "foreword.json", "tokenizer.json"
_FORMAT_VERSION = 1
_ABOUT_BYTES, _TOKENIZER_BYTES = 1 << 20, 128 << 20
_MAGIC_AT, _MAGIC = 4, b"TFL3"


@dataclass(frozen=True)
class About:
    """What is known of a text graph.

    `document` has `family`, `parameters`, `start_token`, `end_tokens`, `source`, `license`,
    `notes` (what its user should know) and `versions`; `tokenizer` is a Hugging Face
    tokenizer.json.
    """

    document: Mapping[str, Any]
    options: TextOptions
    tokenizer: str


def append(path: Path, about: About) -> None:
    """Append what is known of a text graph to its file."""
    options = about.options.as_json()
    document = {"format_version": _FORMAT_VERSION, **about.document, "options": options}
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (
            (_ABOUT, json.dumps(document, indent=1)),
            (_TOKENIZER, about.tokenizer),
        ):
            # Without a date: the same model gives the same file.
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)


def read(path: Path) -> About:
    """Read what a text graph says of itself.

    Raises BundleError, in one line, for a file that is missing, no `.tflite` at all, or not
    made by Foreword.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MAGIC_AT + len(_MAGIC))
        if head[_MAGIC_AT:] != _MAGIC:
            raise BundleError(
                f"{path}: expected a .tflite model, found another kind of file; "
                "'foreword convert SOURCE --form text' makes one"
            )
        with zipfile.ZipFile(path) as archive:
            document = _checked(json.loads(_member(archive, _ABOUT, _ABOUT_BYTES)))
            tokenizer = _member(archive, _TOKENIZER, _TOKENIZER_BYTES).decode()
        return About(document, TextOptions.from_json(document["options"]), tokenizer)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from None
    # zipfile and zlib raise all kinds for damaged archives; UsageError: options there are none of.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        NotImplementedError,
        UsageError,
    ):
        raise BundleError(
            f"{path}: found a .tflite model without what 'foreword convert --form text' adds to "
            "it, or a damaged one; convert the model again (a token model runs from its bundle)"
        ) from None


def _member(archive: zipfile.ZipFile, name: str, ceiling_bytes: int) -> bytes:
    if archive.getinfo(name).file_size > ceiling_bytes:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def _checked(document: Any) -> dict[str, Any]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "family": str,
        "parameters": int,
        "options": dict,
        "start_token": (int, type(None)),
        "end_tokens": list,
        "source": str,
        "license": str,
        "notes": list,
        "versions": dict,
    }
    if not isinstance(document, dict) or document.get("format_version") != _FORMAT_VERSION:
        raise ValueError("another format version")
    if any(not isinstance(document.get(key, ...), kind) for key, kind in kinds.items()):
        raise ValueError("a key is missing or of another kind")
    return document
