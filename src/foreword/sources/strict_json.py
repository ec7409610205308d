"""JSON out of files that nobody has checked: one object, read whole, or a SourceError."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

from foreword.errors import SourceError


def read_object(path: Path, ceiling_bytes: int) -> dict[str, object] | None:
    """Read a JSON file of at most `ceiling_bytes`; None where there is no such file.

    Raises SourceError, the file's name first, for anything but one JSON object.
    """
    data = read_bytes(path, ceiling_bytes)
    return None if data is None else parse_object(data, path.name)


def read_bytes(path: Path, ceiling_bytes: int) -> bytes | None:
    """Read a small file; None where there is none, SourceError where it cannot be read."""
    try:
        # Looked at before it is opened: opening a pipe would wait for its writer.
        if not path.is_file():
            if path.exists():
                raise SourceError(f"{path.name}: expected a file, found a directory or a device")
            return None
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(ceiling_bytes + 1)
    except OSError as error:
        raise SourceError(f"{path.name}: cannot be read: {error.strerror or error}") from None
    if len(data) > ceiling_bytes:
        raise SourceError(
            f"{path.name}: expected at most {ceiling_bytes} bytes, found {max(size, len(data))}; "
            "this is not the file its name says, get it again"
        )
    return data


def parse_object(data: bytes, what: str) -> dict[str, object]:
    """Return the JSON object in `data`; raises SourceError, which begins with `what`.

    Stricter than `json`: a key given twice, which two readers may take differently, and
    the constants NaN and Infinity are refused.
    """
    try:
        document = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        problem = "nesting too deep to read"
    except ValueError as error:
        problem = f"{error!s:.120}"
    else:
        if isinstance(document, dict):
            return document
        problem = f"a {type(document).__name__}"
    raise SourceError(
        f"{what}: expected a JSON object, found {problem}; the file is damaged, get it again"
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key given twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not JSON")
