"""What every source hands over: a decoder, its tokenizer, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foreword.graph.spec import Decoder


@dataclass(frozen=True)
class TokenizerSource:
    """A tokenizer as it goes into a bundle.

    `json` is a Hugging Face tokenizer.json. `start` is the id of the token that begins a
    text, and `prepend_start` says whether prompts were given it in training; `end` holds
    the ids, in order, after which nothing more is to be generated.
    """

    json: str
    start: int | None
    end: tuple[int, ...]
    prepend_start: bool


@dataclass(frozen=True)
class SourceModel:
    """A model as read from its source, whatever the source's format.

    `family` names the module of `foreword.families` that read it, `sha256` is the digest
    of the source file where it is one file. `keras_path` is what KerasHub can load the model
    from, None where it cannot, valid as long as the decoder is.
    """

    family: str
    decoder: Decoder
    tokenizer: TokenizerSource
    name: str
    license: str
    sha256: str | None
    keras_path: Path | None = None
