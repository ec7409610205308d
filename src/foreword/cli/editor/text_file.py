"""A text file: opened with distrust, saved as it was stored, at once or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from foreword.errors import OutputError, UsageError

LIMIT_BYTES = 1 << 20
"""Of a file that is opened, as every key typed costs time in proportion to it."""

_MARK = "\ufeff"

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class TextFile:
    """A text as it was last read or written, and how it is stored.

    `text` has lines that end with a newline, whatever they end with in the file, unless the
    file mixes ends: then they are all kept as they are. `stamp` tells whether the file is still
    the same; it is None where there was no file. Without a `path` the text has no file yet.
    """

    path: Path | None = None
    text: str = ""
    crlf: bool = False
    mark: bool = False
    stamp: Stamp | None = None

    @property
    def name(self) -> str:
        """What to call it on the screen."""
        return "unnamed" if self.path is None else self.path.name

    def at(self, path: Path) -> TextFile:
        """Return the text with another place, where nothing is known to be yet."""
        return replace(self, path=path, stamp=None)

    def is_in_the_way(self) -> bool:
        """Return whether saving would replace something that is not what was read or written."""
        return self.path is not None and _stamp(self.path) not in (None, self.stamp)


def read(path: Path) -> TextFile:
    """Return the text in a file; empty where there is no file yet.

    Raises UsageError for what is no file, too large or not UTF-8, and where none could be made.
    """
    shown = f"{str(path)!r:.100}"
    try:
        found = path.stat()
    except FileNotFoundError:
        if not path.absolute().parent.is_dir():
            raise UsageError(f"{shown}: expected a directory that exists: make it first") from None
        return TextFile(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown}: could not be opened, {_reason(error)}") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise UsageError(f"{shown}: expected a text file, found {kind}")
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{shown}: could not be read, {_reason(error)}") from None
    if len(raw) > LIMIT_BYTES:
        raise UsageError(
            f"{shown}: expected at most {LIMIT_BYTES >> 20} MiB, found {found.st_size >> 20} MiB "
            "or more: open a part of it"
        )
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{shown} is not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start}; "
            "convert it first"
        ) from None
    mark = text.startswith(_MARK)
    text = text.removeprefix(_MARK)
    crlf = 0 < text.count("\n") == text.count("\r\n") == text.count("\r")
    if crlf:
        text = text.replace("\r\n", "\n")
    return TextFile(path, text, crlf, mark, _stamp(path))


def write(file: TextFile, text: str) -> TextFile:
    """Save a text to a file's path, at once or not at all, and return the file as it is now.

    A link stays a link, and the file keeps its permissions. Raises OutputError.
    """
    assert file.path is not None, "a path is asked for before"
    shown = f"{str(file.path)!r:.100}"
    stored = (_MARK if file.mark else "") + (text.replace("\n", "\r\n") if file.crlf else text)
    partial: Path | None = None
    try:
        path = file.path.resolve()
        old = path.stat() if path.exists() else None
        if old is not None:
            _check_replaceable(path, shown, old)
        partial = path.with_name(f".{path.name[:32]}.partial-{os.getpid()}")
        mode = 0o666 if old is None else 0o600
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as to:
            to.write(stored.encode())
            to.flush()
            os.fsync(to.fileno())
        if old is not None:
            with contextlib.suppress(OSError):
                os.chown(partial, old.st_uid, old.st_gid)
            partial.chmod(stat.S_IMODE(old.st_mode))
        partial.replace(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(f"{shown} could not be saved, {_reason(error)}") from None
    finally:
        if partial is not None:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
    return replace(file, text=text, stamp=_stamp(path))


def _check_replaceable(path: Path, shown: str, old: os.stat_result) -> None:
    if not stat.S_ISREG(old.st_mode):
        raise OutputError(f"{shown} is no text file: choose another name")
    # A rename would replace a file that may not be written.
    if not old.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise OutputError(f"{shown} is read-only: choose another name")


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
