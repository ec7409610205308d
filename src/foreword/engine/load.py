"""From a bundle on disk to a running engine, with packed weights kept for the next start."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from foreword.bundle.home import weight_cache_dir
from foreword.bundle.store import Bundle, find_bundle, open_bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.engine.engine import Engine
from foreword.engine.runtime import RUNTIME_VERSION, LiteRtGraph
from foreword.errors import EngineError, UsageError

_MOST_THREADS = 4  # decoding waits for memory: more threads than this only contend
_PARTIAL = ".partial-"


def load(name_or_path: str | Path, threads: int | None = None) -> Engine:
    """Open a bundle by path or by its name in `foreword list`, and load it.

    Raises BundleError for a bundle that is missing or damaged, EngineError when the
    runtime refuses it, UsageError for `threads` below 1.
    """
    started = time.perf_counter()
    if threads is not None and threads < 1:
        raise UsageError(f"threads: expected 1 or more, found {threads}")
    bundle = open_bundle(find_bundle(str(name_or_path)))
    manifest = bundle.manifest
    tokenizer = Tokenizer.from_file(bundle.tokenizer_path)
    if tokenizer.vocabulary_size > manifest.shape.vocabulary:
        raise EngineError(
            f"the tokenizer has {tokenizer.vocabulary_size} tokens, the model "
            f"{manifest.shape.vocabulary}: they do not belong together, convert the model again"
        )

    def compile_with(cache: Path | None) -> LiteRtGraph:
        return LiteRtGraph(
            bundle.model_path,
            manifest.shape,
            manifest.signatures,
            threads or default_threads(),
            cache,
        )

    graph = _with_weight_cache(bundle, compile_with)
    return Engine(graph, tokenizer, manifest, (time.perf_counter() - started) * 1e3)


def default_threads() -> int:
    """Return the number of processors this process may use, at most four."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        available = os.cpu_count() or 1
    return min(available, _MOST_THREADS)


def weight_cache_key(bundle: Bundle) -> str:
    """Name under which a bundle's packed weights are kept: model, file and runtime."""
    stat = bundle.model_path.stat()
    digest = bundle.manifest.files["model.tflite"].sha256[:24]
    return f"{digest}-{stat.st_size:x}-{stat.st_mtime_ns:x}-{RUNTIME_VERSION}"


def drop_weight_cache(bundle: Bundle) -> int:
    """Delete every packed form of a bundle's model, and return the bytes freed."""
    digest = bundle.manifest.files["model.tflite"].sha256[:24]
    freed = 0
    for path in weight_cache_dir().glob(f"*{digest}-*"):
        freed += path.stat().st_size
        path.unlink(missing_ok=True)
    return freed


def _with_weight_cache(
    bundle: Bundle, compile_with: Callable[[Path | None], LiteRtGraph]
) -> LiteRtGraph:
    """Compile over the kept weights; the first time, check the model's hash and keep them.

    They are packed into a file of this process and renamed when complete: a second
    process that starts meanwhile packs its own, and never reads half a file.
    """
    directory = weight_cache_dir()
    kept = directory / weight_cache_key(bundle)
    if kept.is_file():
        return compile_with(kept)
    open_bundle(bundle.path, verify=True)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory, bundle)
    except OSError:
        return compile_with(None)
    partial = directory / f"{_PARTIAL}{os.getpid()}-{kept.name}"
    try:
        graph = compile_with(partial)
        if partial.is_file():
            partial.replace(kept)
    finally:
        partial.unlink(missing_ok=True)
    return graph


def _sweep(directory: Path, bundle: Bundle) -> None:
    """Remove older packings of this model and what dead processes left half-packed."""
    drop_weight_cache(bundle)
    for path in directory.glob(f"{_PARTIAL}*"):
        process = path.name.removeprefix(_PARTIAL).partition("-")[0]
        if not (process.isdigit() and Path(f"/proc/{process}").exists()):
            path.unlink(missing_ok=True)
