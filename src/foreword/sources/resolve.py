"""From what a person types as SOURCE to the model it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from foreword.errors import DownloadError, SourceError, UnsupportedModelError
from foreword.sources.gguf import open_gguf
from foreword.sources.gguf_header import MAGIC
from foreword.sources.known import KNOWN, KnownModel, check_sha256, pull
from foreword.sources.model import SourceModel
from foreword.sources.pip import Progress

_LATER = ("keras:", "hf:")


def open_source(
    source: str | Path,
    downloads: Path,
    progress: Progress | None = None,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
) -> SourceModel:
    """Open the model that `source` names: a known name, else the path of a GGUF file.

    A known model is pulled into `downloads` where it is not there yet, and its digest is
    checked, so that the one recorded is true. Raises what `pull` and `open_gguf` raise,
    UnsupportedModelError for kinds of source this version does not read, and SourceError
    for anything else.
    """
    if isinstance(source, str) and source in known:
        return _open_known(known[source], downloads, progress, known)
    accepted = f"a known name ({', '.join(sorted(known))}) or the path of a GGUF file"
    if isinstance(source, str) and source.startswith(_LATER):
        raise UnsupportedModelError(f"source {source!r:.100}: this version reads only {accepted}")
    path = Path(source)
    found = _found(path) if str(source) else "an empty name"
    if found == "GGUF" or path.suffix.lower() == ".gguf":
        return open_gguf(path)
    if found == "a directory" or path.suffix.lower() == ".keras":
        raise UnsupportedModelError(f"source {str(source)!r}: this version reads only {accepted}")
    raise SourceError(f"source {str(source)!r:.100}: expected {accepted}, found {found}")


def _open_known(
    model: KnownModel, downloads: Path, progress: Progress | None, known: Mapping[str, KnownModel]
) -> SourceModel:
    path = pull(model.name, downloads, progress, known=known)
    try:
        check_sha256(path, model.file_sha256, progress or (lambda stage, done, total: None))
    except DownloadError:
        raise SourceError(
            f"{path}: has been changed since it was downloaded; remove it and pull it again"
        ) from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    return replace(
        open_gguf(path), name=model.name, license=model.license, sha256=model.file_sha256
    )


def _found(path: Path) -> str:
    try:
        if path.is_dir():
            return "a directory"
        if not path.is_file():
            return "a special file" if path.exists() else "no such file"
        with path.open("rb") as stream:
            return "GGUF" if stream.read(len(MAGIC)) == MAGIC else "another kind of file"
    except OSError as error:
        return f"what cannot be read ({error.strerror or error})"
