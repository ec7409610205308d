"""Which bundle a command runs, making the default one on first use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foreword.cli.console import note, progress
from foreword.errors import BundleError, OutputError

if TYPE_CHECKING:
    from foreword.engine.engine import LanguageModel


def opened(model: str | None, threads: int | None, quiet: bool) -> tuple[LanguageModel, str]:
    """Load the model a command runs and return it with its name: a bundle's, or a file's.

    Raises what `ready`, `load` and `TextGraph` raise.
    """
    if model is not None and is_text_graph(model):
        from foreword.text_graph import TextGraph

        graph = TextGraph(model, threads)
        if not quiet:
            note(f"{graph.name} answers all at once, and only Ctrl-C stops it")
            for said in graph.about["notes"]:
                note(said)
        return graph, graph.name
    from foreword.engine.load import load

    bundle = ready(model, quiet)
    engine = load(bundle, threads)
    check = engine.manifest.check
    if check is not None and check.verdict == "degraded" and not quiet:
        note(f"this model is degraded: {check.reason}")
    return engine, bundle.name


def is_text_graph(model: str) -> bool:
    """Return whether a model is given as a `.tflite` file, not as a bundle."""
    return model.lower().endswith(".tflite") and not Path(model).is_dir()


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
