"""From what a person gives as SOURCE to the model it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from foreword.errors import DownloadError, SourceError, UnsupportedModelError
from foreword.sources import hub
from foreword.sources.gguf import open_gguf
from foreword.sources.gguf_header import MAGIC
from foreword.sources.huggingface import open_hugging_face
from foreword.sources.keras import CausalLM, open_live
from foreword.sources.keras_archive import CONFIG, is_preset, open_keras, open_preset
from foreword.sources.known import KNOWN, KnownModel, check_sha256, pull
from foreword.sources.model import SourceModel
from foreword.sources.pip import Progress
from foreword.sources.staging import staging

Source = str | Path | CausalLM
"""A known name, `keras:PRESET`, `hf:ORG/NAME`, the path of a model, or a live KerasHub model."""

_KERAS, _HUGGING_FACE = "keras:", "hf:"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_ACCEPTED = (
    "keras:PRESET, hf:ORG/NAME, or the path of a GGUF file, a .keras file, a KerasHub preset "
    "directory or a Hugging Face checkpoint folder"
)


@contextmanager
def open_source(
    source: Source,
    downloads: Path,
    progress: Progress | None = None,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
) -> Iterator[SourceModel]:
    """Open the model that `source` names or is, as long as the context lasts.

    A known model is pulled into `downloads` where it is not there yet, and its digest is
    checked, so that the one recorded is true. A live model and the parts of a `.keras` file
    lie in `downloads` meanwhile. Raises what `pull`, `fetch` and the openers of the formats
    raise, UnsupportedModelError for pickles and other formats that are not read, and
    SourceError for anything else.
    """
    if not isinstance(source, str | Path):
        with staging(downloads) as directory:
            yield open_live(source, directory)
    elif isinstance(source, str) and source in known:
        yield _open_known(known[source], downloads, progress, known)
    elif isinstance(source, str) and source.startswith((_KERAS, _HUGGING_FACE)):
        yield _open_remote(source, progress)
    elif _is_keras_file(Path(source)):
        with staging(downloads) as directory:
            yield open_keras(Path(source), directory)
    else:
        yield _open_path(source, known)


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


def _open_remote(source: str, progress: Progress | None) -> SourceModel:
    scheme, _, name = source.partition(":")
    if scheme == "hf":
        name = hub.HUGGING_FACE + name.removeprefix("//")
    directory = hub.fetch(source, name, progress)
    model = open_preset(directory) if is_preset(directory) else open_hugging_face(directory)
    return replace(model, name=source)


def _open_path(source: str | Path, known: Mapping[str, KnownModel]) -> SourceModel:
    path = Path(source)
    found = _found(path) if str(source) else "an empty name"
    suffix = path.suffix.lower()
    if found == "GGUF" or suffix == ".gguf":
        return open_gguf(path)
    if found == "a directory":
        if is_preset(path):
            return open_preset(path)
        if (path / CONFIG).exists():
            return open_hugging_face(path)
        found = f"a directory without {CONFIG}"
    elif suffix in _PICKLES and path.exists():
        raise UnsupportedModelError(
            f"source {str(source)!r:.100}: a {suffix} file is a pickle, which can run code, so it "
            "is never read; save the model as safetensors and give its folder"
        )
    elif suffix in (".h5", ".hdf5", ".safetensors") and path.exists():
        raise UnsupportedModelError(
            f"source {str(source)!r:.100}: weights alone, without config and tokenizer; give the "
            "folder they belong to, or a .keras file of the whole CausalLM"
        )
    names = ", ".join(sorted(known))
    raise SourceError(
        f"source {str(source)!r:.100}: expected a known name ({names}), {_ACCEPTED}, found {found}"
    )


def _is_keras_file(path: Path) -> bool:
    return path.suffix.lower() == ".keras" and not path.is_dir()


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
