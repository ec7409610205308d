"""The weights of a KerasHub backbone, read tensor by tensor out of the HDF5 files Keras writes.

The layout is that of `keras/src/saving/saving_lib.py`: a group for every layer, in it a group
"vars" with one dataset for each variable. Keras itself is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from foreword.errors import SourceError, UnsupportedModelError
from foreword.families.checkpoint import check_finite
from foreword.graph.spec import FloatArray

# Rows of a tensor are read by about this many bytes.
_CHUNK_BYTES = 4 << 20
# Far above any model; what goes beyond is damage, or groups that hold each other.
_ENTRIES = 1 << 17
_DEPTH = 32

_GET_AGAIN = "the file is damaged or incomplete, get it again"
# Keras 2.13 and earlier wrote this for "layers".
_OLD_LAYERS = "_layer_checkpoint_dependencies"

_Identity = tuple[int, ...]


@dataclass(frozen=True)
class _Entry:
    file: Path
    path: str
    shape: tuple[int, ...]
    bfloat16: bool


class KerasWeights:
    """A backbone's tensors as a family sees them (`families.checkpoint.Checkpoint`).

    A tensor is named by its place below the backbone, without the outermost "layers/" and
    without "vars/": "llama_transformer_decoder_1/_self_attention_layer/_query_dense/0".
    Files are opened anew for every tensor, so nothing is left to close.
    """

    def __init__(
        self, files: Sequence[Path], config: Mapping[str, object], *, in_task: bool = False
    ) -> None:
        """Read the tables of all `files`, which together hold the weights.

        `in_task` says that they are a whole task's, with the backbone as one of its layers
        (a `.keras` file). Raises SourceError for damaged files and a tensor found twice, and
        UnsupportedModelError for integers in place of weights.
        """
        self._config = config
        self._identities: dict[Path, _Identity] = {}
        entries: dict[str, _Entry] = {}
        for file in files:
            with _opened(file) as root:
                self._identities[file] = _identity(file)
                for entry in _entries(file, root):
                    name = _name(entry.path)
                    if name in entries:
                        raise SourceError(f"tensor '{name:.100}' is there twice: {_GET_AGAIN}")
                    entries[name] = entry
        self._entries = _of_backbone(entries) if in_task else _without_layers(entries)
        self._shapes = {name: entry.shape for name, entry in self._entries.items()}

    @property
    def metadata(self) -> Mapping[str, object]:
        """The backbone's configuration, as its constructor takes it."""
        return self._config

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, outermost dimension first."""
        return self._shapes

    def load(self, name: str) -> FloatArray:
        """Return one tensor as C-contiguous float32; peak memory is about that array.

        Raises SourceError where the tensor is missing, the file cannot be read or has
        changed since it was opened, or a value is not finite.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise SourceError(f"tensor '{name:.100}' is missing: {_GET_AGAIN}")
        try:
            values = np.empty(entry.shape, dtype=np.float32)
            with _opened(entry.file) as root:
                if _identity(entry.file) != self._identities[entry.file]:
                    raise SourceError(
                        f"{entry.file.name}: the file changed while it was being read: start again"
                    )
                _fill(values, _dataset(root, entry), bfloat16=entry.bfloat16)
        except MemoryError:
            raise SourceError(
                f"tensor '{name}' of shape {list(entry.shape)} does not fit in memory; "
                "take a smaller model"
            ) from None
        check_finite(name, values)
        return values


def _fill(values: FloatArray, dataset: h5py.Dataset, *, bfloat16: bool) -> None:
    if not values.ndim:
        values[()] = dataset[()]
        return
    row_bytes = max(1, values[:1].nbytes)
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, len(values), step):
        part = dataset[start : start + step]
        if bfloat16:
            # The upper half of a float32; NumPy has no type for it.
            part = (part.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):
            values[start : start + step] = part


def _entries(file: Path, root: h5py.File) -> Iterator[_Entry]:
    """Yield every variable of a file, by a walk that trusts no link and no size."""
    size_bytes = file.stat().st_size
    waiting: list[tuple[str, h5py.Group, int]] = [("", root, 0)]
    seen = 0
    while waiting:
        prefix, group, depth = waiting.pop()
        for key in group:
            seen += 1
            path = f"{prefix}{key}"
            if seen > _ENTRIES or depth > _DEPTH:
                raise SourceError(f"more groups than any model has, at '{path:.60}': {_GET_AGAIN}")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise SourceError(
                    f"'{path:.60}' is a link, expected the data itself: Foreword reads nothing "
                    "outside the file, save the model again"
                )
            item = group[key]
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                # States of random generators and optimizers are no weights.
                if not {"seed_generator", "optimizer"}.intersection(path.split("/")):
                    yield _entry(file, path, item, size_bytes)
            else:
                raise SourceError(f"'{path:.60}' is neither group nor dataset: {_GET_AGAIN}")


def _entry(file: Path, path: str, item: h5py.Dataset, size_bytes: int) -> _Entry:
    _check_plain(path, item, size_bytes)
    bfloat16 = item.dtype.str == "|V2" and item.attrs.get("dtype") in ("bfloat16", b"bfloat16")
    if not bfloat16 and item.dtype.kind != "f":
        raise UnsupportedModelError(
            f"tensor '{_name(path):.100}' holds {item.dtype}, expected floating-point numbers: "
            "take the model as it was before it was quantized, Foreword quantizes by itself"
        )
    return _Entry(file, path, tuple(map(int, item.shape)), bfloat16)


def _check_plain(path: str, item: h5py.Dataset, size_bytes: int) -> None:
    """Refuse data that lies elsewhere, is packed, or is more than the file can hold."""
    expected = int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize
    plain = not item.is_virtual and not item.external and item.chunks is None
    if not plain or item.dtype.hasobject:
        raise SourceError(
            f"'{path:.60}' is a virtual, external, chunked or object dataset, expected plain "
            "numbers as Keras writes them; save the model again with Keras"
        )
    stored, offset = item.id.get_storage_size(), item.id.get_offset() or 0
    if stored != expected or offset + stored > size_bytes:
        raise SourceError(
            f"'{path:.60}' has {stored} bytes in the file, expected {expected}: {_GET_AGAIN}"
        )


def _dataset(root: h5py.File, entry: _Entry) -> h5py.Dataset:
    item = root[entry.path]
    if not isinstance(item, h5py.Dataset) or item.shape != entry.shape:
        raise SourceError(f"{entry.file.name}: the file changed while it was being read")
    return item


def _name(path: str) -> str:
    parts = ["layers" if part == _OLD_LAYERS else part for part in path.split("/")]
    if len(parts) > 1 and parts[-2] == "vars":
        del parts[-2]
    return "/".join(parts)


def _without_layers(entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    return {name.removeprefix("layers/"): entry for name, entry in entries.items()}


def _of_backbone(entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """Return the tensors of the one layer that has layers of its own."""
    split = {name: name.split("/") for name in entries}
    inner = {
        parts[1]: None
        for parts in split.values()
        if len(parts) > 3 and (parts[0], parts[2]) == ("layers", "layers")
    }
    if len(inner) != 1:
        raise SourceError(
            f"expected the weights of one backbone, found {len(inner)}; save the KerasHub CausalLM "
            "itself, with its own save() or save_to_preset()"
        )
    prefix = f"layers/{next(iter(inner))}/layers/"
    strange = [
        name
        for name, parts in split.items()
        if not name.startswith(prefix) and parts[0] not in ("optimizer", "preprocessor")
    ]
    if strange:
        raise UnsupportedModelError(
            f"{len(strange)} tensors lie outside the backbone, the first is {strange[0]!r:.60}: "
            "this is a model around a CausalLM, save the CausalLM itself"
        )
    return {name.removeprefix(prefix): entry for name, entry in entries.items()}


@contextmanager
def _opened(file: Path) -> Iterator[h5py.File]:
    try:
        # Not opened before it is known to be a file: opening a pipe would wait for its writer.
        if not file.is_file():
            found = "a directory or a device" if file.exists() else "nothing of that name"
            raise SourceError(f"{file.name}: expected a file of weights, found {found}")
        with h5py.File(file, "r") as root:
            yield root
    except SourceError as error:
        named = str(error).startswith((f"{file.name}:", "tensor "))
        raise type(error)(str(error) if named else f"{file.name}: {error}") from None
    except MemoryError:
        raise
    # h5py turns every error of the HDF5 library into one of many kinds, with texts over lines.
    except Exception as error:
        said = " ".join(str(error).split())
        raise SourceError(
            f"{file.name}: cannot be read as an HDF5 file ({said:.120}): {_GET_AGAIN}"
        ) from None


def _identity(file: Path) -> _Identity:
    status = file.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
