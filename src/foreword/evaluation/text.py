"""The texts that models are scored on."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from foreword.errors import UsageError

BUILT_IN = "built-in text"
_BYTES_A_TOKEN = 64  # no more of a file is read than any tokenizer could need


@dataclass(frozen=True)
class Text:
    """A text to score: its name, the SHA-256 of its UTF-8 bytes, and what it says."""

    name: str
    sha256: str
    content: str

    @classmethod
    def of(cls, name: str, content: str) -> Text:
        """Name a text, and hash it."""
        return cls(name, hashlib.sha256(content.encode()).hexdigest(), content)


def built_in() -> Text:
    """Return the text that comes with Foreword: 1,300 words of English, written for it.

    Letters, a story, a recipe, notes and news; in the public domain (CC0-1.0). It is in no
    model's training data that is older than Foreword, and calibration must not use it.
    """
    place = resources.files("foreword.evaluation") / "check.txt"
    return Text.of(BUILT_IN, place.read_text(encoding="utf-8"))


def read(path: Path | None, tokens: int, parameter: str = "text") -> Text:
    """Return the text in a file, as far as `tokens` tokens can reach; None: the built-in one.

    Raises UsageError, which names the parameter, for what is no file, not UTF-8 or empty.
    """
    if path is None:
        return built_in()
    if not path.is_file():
        found = "a directory or a device" if path.exists() else "no such file"
        raise UsageError(f"{parameter}: expected a text file, found {found}: {str(path)!r:.100}")
    limit = _BYTES_A_TOKEN * tokens
    with path.open("rb") as file:
        raw = file.read(limit)
    try:
        # What was cut off in the middle of a character is no error.
        decoder = codecs.getincrementaldecoder("utf-8")()
        content = decoder.decode(raw, final=len(raw) < limit).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{parameter}: {str(path)!r:.100} is not UTF-8: byte 0x{raw[error.start]:02x} at "
            f"position {error.start}; convert it first"
        ) from None
    if not content.strip():
        raise UsageError(f"{parameter}: {str(path)!r:.100} is empty: expected some text")
    name = "".join(c if c.isprintable() else "?" for c in path.name)[:255]
    return Text.of(name, content)
