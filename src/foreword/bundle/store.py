"""Bundles on disk: opened with distrust, written all at once or not at all."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from foreword.bundle.fields import MAX_MANIFEST_BYTES, shown
from foreword.bundle.home import bundles_dir
from foreword.bundle.manifest import MODEL_NAME, TOKENIZER_NAME, FileEntry, Manifest
from foreword.errors import BundleError, OutputError

MANIFEST_NAME = "bundle.json"

_CONTENT = (MODEL_NAME, TOKENIZER_NAME)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LEAVE = {errno.EACCES, errno.EPERM, errno.EROFS}
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}

_REPAIR = "the bundle is damaged, convert the model again"
_BY_HAND = "see what it is, and move or delete that by hand"
_HOW_TO_GET = "`foreword list` shows what is stored, `foreword convert` makes a bundle"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: its directory, and a manifest that has been checked against it."""

    path: Path
    manifest: Manifest

    @property
    def size_bytes(self) -> int:
        """Bytes of the model and the tokenizer."""
        return sum(entry.size_bytes for entry in self.manifest.files.values())

    @property
    def model_path(self) -> Path:
        """The LiteRT model."""
        return self.path / MODEL_NAME

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer, in Hugging Face format."""
        return self.path / TOKENIZER_NAME


@dataclass(frozen=True)
class Listed:
    """A directory among bundles: what was found there, or why it cannot be used."""

    path: Path
    found: Bundle | BundleError


def open_bundle(path: Path, verify: bool = False) -> Bundle:
    """Open the bundle at `path`; `verify` also hashes every file, which reads all of them.

    Raises BundleError when it is missing, damaged, of another format version, or holds
    anything but regular files under the names it should have.
    """
    with _reading(path, "a bundle's directory"):
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    if not is_directory:
        raise BundleError(
            f"{shown(path)}: expected a bundle's directory, found a file: {_HOW_TO_GET}"
        )
    manifest_path = path / MANIFEST_NAME
    _regular_size(manifest_path)
    with _reading(manifest_path), manifest_path.open("rb") as file:
        # One byte more than allowed, so that the manifest itself can tell.
        text = file.read(MAX_MANIFEST_BYTES + 1).decode("utf-8")
    manifest = Manifest.from_json(text, manifest_path)
    for name, entry in manifest.files.items():
        file_path = path / name
        size = _regular_size(file_path)
        if size != entry.size_bytes:
            raise BundleError(
                f"{shown(file_path)}: expected {entry.size_bytes} bytes, found {size}: {_REPAIR}"
            )
        if verify:
            with _reading(file_path):
                found = sha256_of(file_path)
            if found != entry.sha256:
                raise BundleError(
                    f"{shown(file_path)}: expected SHA-256 {entry.sha256}, found {found}: {_REPAIR}"
                )
    return Bundle(path, manifest)


def write_bundle(
    destination: Path, fill: Callable[[Path], Manifest], replace: bool = False
) -> Bundle:
    """Write a bundle to `destination`, whole or not at all, and return it opened.

    `fill` is given an empty directory, writes `model.tflite` and `tokenizer.json` into it
    and returns a manifest without `files`. Everything appears under `destination` in one
    rename; whatever is raised before that, an interrupt included, leaves nothing behind.
    An existing `destination` is only touched with `replace`, and only when it is a bundle
    or an empty directory.

    Raises OutputError when something is in the way or cannot be written, BundleError when
    the manifest would not open again; what `fill` raises passes through, OSError apart.
    """
    with _writing(destination):
        # Absolute before `fill` runs, which may change directory; "." has no name otherwise.
        target = Path(os.path.abspath(destination))  # noqa: PTH100  (resolve() follows links)
        _check_free(target, replace)
        missing = [parent for parent in target.parents if not parent.exists()]
    partial = target.with_name(f".{target.name[:32]}.partial-{secrets.token_hex(6)}")
    retired = partial.with_name(f"{partial.name}-old")
    try:
        with _writing(destination):
            partial.mkdir(parents=True)
            manifest = _seal(partial, fill(partial))
            if replace:
                # Again: another writer may have come by while the files were being made.
                _check_free(target, replace)
                with suppress(FileNotFoundError):
                    target.rename(retired)
            partial.rename(target)
        _sync_directory(target.parent)
        _discard(retired)
    except BaseException:
        # An interrupt may come between any two steps. What is at `target` now stays; when
        # nothing is, the old bundle returns, and while it cannot, it is not deleted.
        with suppress(OSError):
            if not os.path.lexists(target):
                retired.rename(target)
        if os.path.lexists(target):
            _discard(retired)
        _discard(partial)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise
    return Bundle(destination, manifest)


def rewrite_manifest(bundle: Bundle, manifest: Manifest) -> Bundle:
    """Put another manifest in the place of a bundle's own, at once or not at all.

    For what is learnt of a bundle later; its files stay as they are. Raises OutputError when
    it cannot be written, BundleError when it would not open again.
    """
    path = bundle.path / MANIFEST_NAME
    text = manifest.to_json()
    Manifest.from_json(text, path)
    with _writing(path):
        # Beside the bundle: a file left inside it by a killed process would be a stranger there.
        home = bundle.path.resolve()
        partial = home.with_name(f".{home.name[:32]}.partial-{secrets.token_hex(6)}-manifest")
        try:
            partial.write_text(text, encoding="utf-8", newline="\n")
            _sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _sync_directory(home)
    return Bundle(bundle.path, manifest)


def list_bundles(directory: Path) -> list[Listed]:
    """Open every bundle directly inside `directory`, in order of name; none when it is missing.

    Hidden entries (unfinished bundles among them) and plain files are passed over. Raises
    BundleError when `directory` itself cannot be read.
    """
    with _reading(directory, "a directory of bundles"):
        try:
            entries = sorted(directory.iterdir())
        except FileNotFoundError:
            return []
        paths = [entry for entry in entries if entry.name[0] != "." and entry.is_dir()]
    listed = []
    for path in paths:
        try:
            listed.append(Listed(path, open_bundle(path)))
        except BundleError as error:
            listed.append(Listed(path, error))
    return listed


def find_bundle(name_or_path: str | Path) -> Path:
    """Return the path of a bundle: the stored one of that name, else an existing path.

    A name never means what happens to lie in the current directory: `./name` does.

    What is there is not opened. Raises BundleError, with the names there are, for neither.
    """
    text = str(name_or_path)
    stored = bundles_dir()
    # A name is one plain component, so that it cannot lead out of the store.
    is_name = text == Path(text).name and text[:1] not in ("", ".")
    if is_name and os.path.lexists(stored / text):
        return stored / text
    if text and os.path.lexists(text):
        return Path(text)
    listed = list_bundles(stored)
    names = [shown(Path(item.path.name)) for item in listed if isinstance(item.found, Bundle)]
    known = f"the name of one ({', '.join(names)})" if names else "a name (none is stored yet)"
    raise BundleError(f"expected a bundle's path or {known}, found {text!r}: {_HOW_TO_GET}")


def remove_bundle(path: Path) -> int:
    """Delete the bundle at `path`, damaged or not, and return the bytes freed.

    Raises BundleError when `path` is not a bundle's own directory or holds anything else,
    OutputError when a file cannot be deleted.
    """
    with _reading(path, "a bundle's directory"):
        files = _own_files(path)
    if not files:
        raise BundleError(f"{shown(path)}: expected a bundle, found an empty directory: {_BY_HAND}")
    freed = 0
    with _writing(path, "removed"):
        # The manifest goes last: a removal cut short can be taken up again.
        for file in sorted(files, key=lambda file: file.name == MANIFEST_NAME):
            freed += file.lstat().st_size
            file.unlink()
        path.absolute().rmdir()  # no system removes "."
    return freed


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in lower-case hexadecimal; raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(directory: Path, manifest: Manifest) -> Manifest:
    """Record the files in the manifest, write it last, and see it all on the disk."""
    entries = {}
    for name in _CONTENT:
        path = directory / name
        entries[name] = FileEntry(_regular_size(path), sha256_of(path))
        _sync(path)
    text = dataclasses.replace(manifest, files=entries).to_json()
    manifest_path = directory / MANIFEST_NAME
    # What would not open again is not written.
    sealed = Manifest.from_json(text, manifest_path)
    manifest_path.write_text(text, encoding="utf-8", newline="\n")
    _sync(manifest_path)
    _own_files(directory)
    _sync_directory(directory)
    return sealed


def _discard(directory: Path) -> None:
    try:
        shutil.rmtree(directory, ignore_errors=True)
    except OSError:
        # An interrupt inside rmtree may surface as an OSError of its own making.
        shutil.rmtree(directory, ignore_errors=True)


def _check_free(target: Path, replace: bool) -> None:
    """Raise OutputError unless a bundle may be put at `target`."""
    try:
        found = target.lstat()
    except FileNotFoundError:
        return
    except ValueError as error:
        raise OutputError(
            f"{shown(target)}: found {_reason(error)}: choose another output"
        ) from None
    if not replace:
        raise OutputError(
            f"{shown(target)}: expected a free path, found something there: "
            "choose another output, or replace it (--replace)"
        )
    if os.path.samestat(found, os.stat(os.curdir)):  # noqa: PTH116  (works when it was deleted)
        raise OutputError(
            f"{shown(target)}: expected a free path, found the current directory: "
            "run the command from outside it"
        )
    try:
        _own_files(target)
    except BundleError as error:
        raise OutputError(f"{error}, or choose another output") from None


def _own_files(directory: Path) -> list[Path]:
    """Return the files of a bundle, none for an empty directory; BundleError for anything else."""
    if not stat.S_ISDIR(directory.lstat().st_mode):
        raise BundleError(
            f"{shown(directory)}: expected a directory, found a file or a link: {_BY_HAND}"
        )
    files = sorted(directory.iterdir())
    for file in files:
        if file.name not in (*_CONTENT, MANIFEST_NAME) or stat.S_ISDIR(file.lstat().st_mode):
            raise BundleError(
                f"{shown(directory)}: expected only a bundle's files, "
                f"found {file.name!r}: {_BY_HAND}"
            )
    if files and directory / MANIFEST_NAME not in files:
        raise BundleError(
            f"{shown(directory)}: expected a bundle, found no {MANIFEST_NAME}: {_BY_HAND}"
        )
    return files


def _regular_size(path: Path) -> int:
    with _reading(path):
        info = path.lstat()
    # A link could lead out of the bundle, and reading a pipe would never end.
    if not stat.S_ISREG(info.st_mode):
        raise BundleError(f"{shown(path)}: expected a regular file, found another kind: {_REPAIR}")
    return info.st_size


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    # Not every system and file system can; the files themselves are safe by now.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _reading(path: Path, expected: str = "a bundle's file") -> Iterator[None]:
    """Turn whatever a file system can answer into a BundleError about `path`."""
    try:
        yield
    except UnicodeDecodeError:
        raise BundleError(
            f"{shown(path)}: expected UTF-8 text, found other bytes: {_REPAIR}"
        ) from None
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{shown(path)}: expected {expected}, found {_reason(error)}: {_HOW_TO_GET}"
        ) from None


@contextmanager
def _writing(path: Path, done: str = "written") -> Iterator[None]:
    """Turn an OSError into an OutputError about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            advice = "free some space or choose another disk"
        elif error.errno in _NO_LEAVE:
            advice = "choose a place you may write to"
        elif error.errno in _TAKEN:
            advice = "another program wrote there meanwhile, look before you try again"
        else:
            advice = "choose another place"
        raise OutputError(
            f"{shown(path)}: could not be {done}, {_reason(error)}: {advice}"
        ) from error


def _reason(error: Exception) -> str:
    """One line on why a path cannot be used; ValueError comes from NUL or lone surrogates."""
    if isinstance(error, ValueError):
        return "a name no file can have"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(text.lower().split())
