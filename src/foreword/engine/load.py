"""From a bundle on disk to a running engine, with packed weights kept for the next start."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from foreword.bundle.home import weight_cache_dir
from foreword.bundle.store import Bundle, find_bundle, open_bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.engine.engine import Engine
from foreword.engine.litert_graph import LiteRtGraph
from foreword.engine.runtime import IN_MEMORY, RUNTIME_VERSION, load_runtime, trim_memory
from foreword.engine.threads import Threads, default_threads
from foreword.errors import EngineError, ForewordError, UsageError

_MOST_THREADS = 1024
_PARTIAL = ".partial-"
_STALE_SECONDS = 3600  # nothing is still being packed after an hour

# LiteRT believes a damaged file, or one of another model: it computes wrong numbers from it, or
# crashes. So the last thing done to a whole one is to date it by its name and size, some time from
# 2000 to 2008; whoever writes to it dates it anew.
_FIRST_SEAL = 946_684_800


def load(name_or_path: str | Path, threads: int | None = None) -> Engine:
    """Open a bundle by path or by its name in `foreword list`, and load it.

    Without `threads` there is one for each core that others leave free, at most four, whenever the
    model runs. Raises BundleError for a bundle that is missing or damaged, EngineError when the
    runtime refuses it, UsageError for `threads` that `check_threads` refuses.
    """
    started = time.perf_counter()
    check_threads(threads)
    bundle = open_bundle(find_bundle(str(name_or_path)))
    manifest = bundle.manifest

    def compile_with(cache: Path | None) -> LiteRtGraph:
        return LiteRtGraph(
            bundle.model_path,
            manifest.shape,
            manifest.signatures,
            threads or Threads(default_threads()),
            cache,
        )

    load_runtime()
    # LiteRT lets go of the interpreter, which reading a tokenizer does not: so it comes second.
    with ThreadPoolExecutor(1, "compile") as pool:
        compiling = pool.submit(_with_weight_cache, bundle, compile_with)
        try:
            tokenizer = _tokenizer(bundle)
        except ForewordError:
            with suppress(ForewordError):
                compiling.result().close()
            raise
        graph = compiling.result()
    trim_memory()  # what a thread that has ended leaves free is used by nobody
    return Engine(graph, tokenizer, manifest, (time.perf_counter() - started) * 1e3)


def _tokenizer(bundle: Bundle) -> Tokenizer:
    tokenizer, shape = Tokenizer.from_file(bundle.tokenizer_path), bundle.manifest.shape
    if tokenizer.vocabulary_size > shape.vocabulary:
        raise EngineError(
            f"the tokenizer has {tokenizer.vocabulary_size} tokens, the model {shape.vocabulary}: "
            "they do not belong together, convert the model again"
        )
    return tokenizer


def check_threads(threads: int | None) -> None:
    """Raise UsageError unless `threads` is None or a number that LiteRT survives."""
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise UsageError(f"threads: expected from 1 to {_MOST_THREADS}, found {threads}")


def drop_weight_cache(bundle: Bundle) -> int:
    """Delete every packed form of a bundle's model, and return the bytes freed."""
    return _drop(weight_cache_dir(), bundle)


def weight_cache_key(bundle: Bundle) -> str:
    """Name under which a bundle's packed weights are kept: model, file and runtime."""
    stat = bundle.model_path.stat()
    return f"{_digest(bundle)}-{stat.st_size:x}-{stat.st_mtime_ns:x}-{RUNTIME_VERSION}"


def _with_weight_cache(
    bundle: Bundle, compile_with: Callable[[Path | None], LiteRtGraph]
) -> LiteRtGraph:
    """Compile over the kept weights; the first time, check the model's hash and keep them.

    They are packed into a file of this call's own, and renamed when complete: whoever
    starts meanwhile packs another, and never reads half a file.
    """
    directory = weight_cache_dir()
    kept = directory / weight_cache_key(bundle)
    if _is_sealed(kept):
        with suppress(EngineError):
            return compile_with(kept)
    open_bundle(bundle.path, verify=True)
    try:
        _reserve(directory, bundle.model_path.stat().st_size)
    except OSError as error:
        # A limit on the size of files holds for those in memory too.
        return compile_with(None if error.errno == errno.EFBIG else IN_MEMORY)
    partial = directory / f"{_PARTIAL}{secrets.token_hex(6)}-{kept.name}"
    try:
        graph = compile_with(partial)
        with suppress(OSError):
            _seal(partial, kept.name)
            partial.replace(kept)
            graph.weight_cache = kept
            _drop(directory, bundle, but=kept)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return graph


def _reserve(directory: Path, model_bytes: int) -> None:
    """Raise OSError unless `directory` can take the packed weights of a model.

    LiteRT aborts the process when a disk fills up under it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob(f"{_PARTIAL}*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _STALE_SECONDS:
                path.unlink()
    with tempfile.TemporaryFile(dir=directory) as file:
        # float16 weights are packed as float32.
        os.posix_fallocate(file.fileno(), 0, 2 * model_bytes + (16 << 20))


def _seal(path: Path, name: str) -> None:
    """Make a file one that `_is_sealed` under its name to come."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.chmod(0o444)  # what LiteRT finds unfit it packs anew in place, under other readers
    seal = _seal_of(name, path.stat().st_size)
    os.utime(path, (seal, seal))


def _is_sealed(path: Path) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    return stat.st_mtime == _seal_of(path.name, stat.st_size)


def _seal_of(name: str, size: int) -> int:
    # Even: there are file systems that count in steps of two seconds.
    return _FIRST_SEAL + 2 * (zlib.crc32(f"{name} {size}".encode()) % (1 << 27))


def _drop(directory: Path, bundle: Bundle, but: Path | None = None) -> int:
    freed = 0
    for path in directory.glob(f"{_digest(bundle)}-*"):
        if path != but:
            with suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
    return freed


def _digest(bundle: Bundle) -> str:
    return bundle.manifest.files["model.tflite"].sha256[:24]
