"""A bundle in the form that another runtime wants: LiteRT.js in a browser, LiteRT on a phone.

There every signature packs the weights for itself, so these forms have `decode` and one prefill
chunk. Each is a bundle like any other.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from foreword.bundle.home import device_dir
from foreword.bundle.manifest import MODEL_NAME, TOKENIZER_NAME, Manifest
from foreword.bundle.store import Bundle, open_bundle, write_bundle
from foreword.errors import BundleError, OutputError, UnsupportedModelError
from foreword.graph.subset import write_subset

# Measured in Chromium: a token in wider chunks is hardly faster, and a chunk cannot be called
# off while it runs.
_WIDEST_CHUNK = 8
# The file itself and its weights packed twice have to fit.
_LARGEST_MODEL_BYTES = 500_000_000
# On a phone every step copies the cache, and the app looks back 50 words at most.
_PHONE_SLOTS = 128
# Part of the names of kept forms: one made by older rules is made anew.
_FORM = "browser2"


def obstacle(manifest: Manifest) -> str | None:
    """Return why a browser cannot run a bundle, None when it can."""
    if manifest.shape.cache_dtype != "float32":
        return f"a {manifest.shape.cache_dtype} cache, which LiteRT.js does not take"
    if manifest.recipe.startswith("int4"):
        return "4-bit weights, with which LiteRT.js is slow and wrong"
    size_bytes = manifest.files[MODEL_NAME].size_bytes
    if size_bytes > _LARGEST_MODEL_BYTES:
        return f"{size_bytes / 1e6:.0f} MB of weights, more than a browser has memory for"
    return None


def export_browser(
    source: Bundle, destination: Path, decode_only: bool = False, replace: bool = False
) -> Bundle:
    """Write `source` as a bundle for a browser: `decode`, one prefill chunk, the whole context.

    `decode_only` leaves the chunk out, for devices with little memory: a prompt then takes
    several times as long. Raises UnsupportedModelError for a bundle no browser can run,
    BundleError for a damaged one, OutputError when `destination` cannot be written.
    """
    found = obstacle(source.manifest)
    if found is not None:
        raise UnsupportedModelError(
            f"{source.path.name}: expected a bundle that a browser can run, found {found}: "
            "convert it with --recipe int8, or a smaller model"
        )
    prefill = () if decode_only else _chunk(source.manifest, source.manifest.shape.context)
    return _export(source, destination, prefill, source.manifest.shape.context, replace)


def export_phone(source: Bundle, destination: Path, replace: bool = False) -> Bundle:
    """Write `source` as a bundle for the app: `decode`, one prefill chunk, a short context.

    Raises BundleError for a damaged bundle, OutputError when `destination` cannot be written.
    """
    shape = source.manifest.shape
    slots = min(_PHONE_SLOTS, shape.context) if shape.resizable else shape.context
    return _export(source, destination, _chunk(source.manifest, slots), slots, replace)


def _export(
    source: Bundle, destination: Path, prefill: Sequence[int], slots: int, replace: bool
) -> Bundle:
    open_bundle(source.path, verify=True)

    def fill(directory: Path) -> Manifest:
        with (directory / MODEL_NAME).open("wb") as file:
            written = write_subset(source.model_path, file, prefill, slots)
        shutil.copyfile(source.tokenizer_path, directory / TOKENIZER_NAME)
        names = tuple(signature.name for signature in written.signatures)
        shape = dataclasses.replace(source.manifest.shape, context=slots)
        # Speed and memory in the report are the other form's.
        return dataclasses.replace(
            source.manifest, shape=shape, signatures=names, files={}, report=None
        )

    return write_bundle(destination, fill, replace)


def device_bundle(path: Path) -> Path:
    """Return where the browser's form of the bundle at `path` is, making it the first time.

    It is kept under the hashes of what it is made of, until `drop_device_bundle`. Raises what
    `export_browser` raises.
    """
    source = open_bundle(path)
    kept = device_dir() / _key(source)
    with suppress(BundleError):
        return open_bundle(kept).path
    try:
        return export_browser(source, kept, replace=True).path
    except OutputError:
        # Another process may have made it meanwhile.
        with suppress(BundleError):
            return open_bundle(kept).path
        raise


def drop_device_bundle(source: Bundle) -> int:
    """Delete the kept form of a bundle for browsers, and return the bytes freed."""
    freed = 0
    for path in device_dir().glob(f"{_key(source).partition('.')[0]}.*"):
        freed += sum(file.lstat().st_size for file in path.iterdir())
        shutil.rmtree(path, ignore_errors=True)
    return freed


def _key(source: Bundle) -> str:
    files = source.manifest.files
    return f"{files[MODEL_NAME].sha256[:24]}.{files[TOKENIZER_NAME].sha256[:8]}.{_FORM}"


def _chunk(manifest: Manifest, slots: int) -> Sequence[int]:
    """The width of the prefill chunk to keep: the widest that is not too wide; none if none is."""
    widths = []
    for name in manifest.signatures:
        kind, _, width = name.partition("_")
        if kind == "prefill" and int(width) <= slots:
            widths.append(int(width))
    fitting = [width for width in widths if width <= _WIDEST_CHUNK]
    return (max(fitting),) if fitting else tuple(sorted(widths)[:1])
