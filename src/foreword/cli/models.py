"""Which bundle a command runs, making the default one on first use."""

from __future__ import annotations

from pathlib import Path

from foreword.cli.console import note, progress
from foreword.errors import BundleError, OutputError


def ready(model: str | None, quiet: bool) -> Path:
    """Return the bundle to run: by name, by path, or the default model's.

    A known model that is not there yet is fetched and converted. Raises BundleError and
    whatever fetching and converting raise.
    """
    from foreword.bundle.home import bundles_dir
    from foreword.bundle.store import find_bundle
    from foreword.sources.known import DEFAULT, KNOWN

    name = DEFAULT if model is None else model
    if name not in KNOWN:
        try:
            return find_bundle(name)
        except BundleError as error:
            raise BundleError(f"{error}; made on first use: {', '.join(KNOWN)}") from None
    path = bundles_dir() / name
    return path if path.exists() else _make(name, path, quiet)


def _make(name: str, path: Path, quiet: bool) -> Path:
    from foreword.convert import convert

    if not quiet:
        note(f"first use of {name}: fetching and converting it, once")
    try:
        with progress(quiet) as report:
            # Unchecked: its hash is that of the model whose figures are in docs/LOG.md.
            convert(name, path, check=False, progress=report)
    except OutputError:
        if not path.exists():  # another process was quicker
            raise
    return path
