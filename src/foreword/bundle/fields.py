"""Reading JSON that nobody has checked: every getter returns a sound value or refuses the file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from foreword.errors import BundleError

MAX_MANIFEST_BYTES = 1 << 20
MAX_ENTRIES = 256
MAX_TEXT = 255

_SHA256 = re.compile(r"[0-9a-f]{64}")


def shown(path: Path) -> str:
    """Return a path as one line that cannot upset a terminal: as it is, or with escapes."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


@dataclass(frozen=True)
class Fields:
    """A JSON object under examination: each getter returns a sound value or refuses the file."""

    path: Path
    values: Mapping[str, object]
    prefix: str = ""

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise the BundleError that names a key, what it should be, and what was found."""
        found = describe(self.values[key]) if key in self.values else "nothing"
        raise BundleError(
            f"{shown(self.path)}: '{self.prefix}{key}' should be {expected}, found {found}; "
            "the bundle is damaged: convert the model again"
        )

    def is_null(self, key: str) -> bool:
        """Return whether the key is there, with null."""
        return key in self.values and self.values[key] is None

    def integer(self, key: str, low: int, high: int) -> int:
        """Return a whole number between two bounds, both allowed."""
        value = self.values.get(key)
        # bool is an int to isinstance, and never one to us.
        if type(value) is not int or not low <= value <= high:
            self.refuse(key, f"a whole number from {low} to {high}")
        return value

    def is_absent(self, key: str) -> bool:
        """Return whether the key is missing or null."""
        return self.values.get(key) is None

    def number(self, key: str, low: float, high: float) -> float:
        """Return a number between two bounds, both allowed."""
        value = self.values.get(key)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            self.refuse(key, f"a number from {low:g} to {high:g}")
        return value

    def boolean(self, key: str) -> bool:
        """Return true or false."""
        value = self.values.get(key)
        if not isinstance(value, bool):
            self.refuse(key, "true or false")
        return value

    def text(self, key: str, least: int = 1) -> str:
        """Return one printable line of `least` to `MAX_TEXT` characters."""
        value = self.values.get(key)
        # Printable only: these strings reach terminals, where an escape sequence is a command.
        if not isinstance(value, str) or not value.isprintable():
            self.refuse(key, "one line of printable text")
        if not least <= len(value) <= MAX_TEXT:
            self.refuse(key, f"a text of {least} to {MAX_TEXT} characters")
        return value

    def sha256(self, key: str) -> str:
        """Return a SHA-256 in lower-case hexadecimal."""
        value = self.values.get(key)
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            self.refuse(key, "a SHA-256 of 64 lower-case hexadecimal digits")
        return value

    def array(self, key: str) -> Fields:
        """Return an array as an object whose keys are the indices."""
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            self.refuse(key, f"a list of at most {MAX_ENTRIES} entries")
        items = {str(index): item for index, item in enumerate(value)}
        return Fields(self.path, items, f"{self.prefix}{key}.")

    def object(self, key: str) -> Fields:
        """Return the object under a key."""
        value = self.values.get(key)
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            self.refuse(key, f"an object of at most {MAX_ENTRIES} entries")
        return Fields(self.path, value, f"{self.prefix}{key}.")


def parse_object(text: str, path: Path) -> dict[str, object]:
    """Return the JSON object that is the text of the file at `path`; BundleError for others."""
    if len(text) > MAX_MANIFEST_BYTES:
        raise BundleError(
            f"{shown(path)}: expected at most {MAX_MANIFEST_BYTES} bytes, found more: "
            "this is not a bundle's manifest, convert the model again"
        )
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        problem = "nesting too deep to read"
    except ValueError as error:
        problem = str(error)
    else:
        if isinstance(document, dict):
            return document
        problem = describe(document)
    raise BundleError(
        f"{shown(path)}: expected a JSON object, found {problem}; "
        "the bundle is damaged: convert the model again"
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Two readers may choose differently between two values of one key.
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key given twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not JSON")


def describe(value: object) -> str:
    """Show a hostile value in a few safe ASCII characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    shown = ascii(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
