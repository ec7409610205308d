"""Packed weights are believed only where they are whole, and of this model and this runtime."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import foreword
from foreword.engine import load as loading
from foreword.engine.graph import TokenGraph
from foreword.engine.load import weight_cache_key
from tiny import CONTEXT, PREFILL
from tiny_gguf import write_tiny_gguf
from weight_files import answer, loader, only, rewrite


@pytest.fixture(scope="module")
def sibling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle like `tiny` in all but its weights, which are others."""
    directory = tmp_path_factory.mktemp("sibling")
    gguf = write_tiny_gguf(directory / "sibling.gguf", seed=1)
    return foreword.convert(
        gguf.path,
        directory / "sibling",
        recipe="int8",
        context=CONTEXT,
        prefill=PREFILL,
        check=False,
    ).path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of packed weights that a model was loaded over, those that were made for it too."""
    files: list[Path] = []

    compiled = loading.LiteRtGraph

    def noted(*arguments: Any) -> TokenGraph:
        files.append(arguments[-1])
        return compiled(*arguments)

    monkeypatch.setattr(loading, "LiteRtGraph", noted)
    return files


KILLED = """
import os, signal, sys
from foreword.engine import load as loading
pack, seal = loading.LiteRtGraph, loading._seal

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half_packed(*arguments):
    pack(*arguments)
    os.truncate(arguments[-1], os.path.getsize(arguments[-1]) // 2)
    die()

def sealed(*arguments):
    seal(*arguments)
    die()

{patch}
loading.load(sys.argv[1], threads=1)
"""
PATCHES = {
    "before it is packed": "loading.LiteRtGraph = die",
    "half packed": "loading.LiteRtGraph = half_packed",
    "before it is sealed": "loading._seal = die",
    "before it has its name": "loading._seal = sealed",
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_what_a_killed_process_leaves_is_not_believed(
    bundle: Path, weights: Path, read: list[Path], patch: str
) -> None:
    killed = loader(bundle, KILLED.format(patch=patch))
    assert killed.communicate(timeout=60) == ("", "")
    assert killed.returncode == -signal.SIGKILL
    left = set(weights.iterdir())
    assert all(path.name.startswith(".partial-") for path in left)
    expected = answer(bundle)
    (kept,) = set(weights.iterdir()) - left
    assert answer(bundle) == expected
    packed, again = read
    assert packed not in left
    assert again == kept


def dated(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    """Change a file, and give it the date it had."""

    def put(kept: Path, _: Path) -> None:
        found = kept.stat()
        rewrite(kept, change(kept.read_bytes()))
        os.utime(kept, ns=(found.st_atime_ns, found.st_mtime_ns))

    return put


def linked(kept: Path, other: Path) -> None:
    kept.unlink()
    kept.symlink_to(other)


STRANGERS: dict[str, Callable[[Path, Path], None]] = {
    "text": lambda kept, _: rewrite(kept, b"not packed weights\n"),
    "another model's, copied": lambda kept, other: rewrite(kept, other.read_bytes()),
    "another model's, moved": lambda kept, other: other.replace(kept) and None,
    "another model's, linked": linked,
    "emptied and dated back": dated(lambda data: b""),
    "cut and dated back": dated(lambda data: data[:-100]),
    "extended and dated back": dated(lambda data: data + data),
}


@pytest.mark.parametrize("put", STRANGERS.values(), ids=STRANGERS)
def test_a_file_that_was_not_sealed_under_its_name_is_packed_anew(
    bundle: Path,
    sibling: Path,
    weights: Path,
    read: list[Path],
    put: Callable[[Path, Path], None],
) -> None:
    expected = answer(bundle)
    kept = only(weights)
    whole = kept.read_bytes()
    assert answer(sibling) != expected
    (other,) = set(weights.iterdir()) - {kept}
    assert len(other.read_bytes()) == len(whole)
    put(kept, other)
    read.clear()
    assert answer(bundle) == expected
    assert kept not in read
    assert not kept.is_symlink()
    assert kept.read_bytes() == whole


def test_another_runtime_packs_its_own(
    bundle: Path, weights: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answer(bundle)
    old = only(weights)
    monkeypatch.setattr(loading, "RUNTIME_VERSION", "0.0.0")
    assert answer(bundle) == expected
    new = only(weights)
    assert old not in read
    # Nor is it believed where it is moved to the name of the new.
    monkeypatch.undo()
    new.replace(old)
    assert not loading._is_sealed(old)


def test_another_model_in_a_bundles_place_packs_its_own(
    bundle: Path, sibling: Path, weights: Path
) -> None:
    first = answer(bundle)
    before = (bundle / "model.tflite").stat()
    expected = answer(sibling)
    shutil.rmtree(weights)
    assert answer(bundle) == first
    shutil.rmtree(bundle)
    shutil.copytree(sibling, bundle)
    # The same name, size and date: what tells them apart is the hash in the manifest.
    os.utime(bundle / "model.tflite", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (bundle / "model.tflite").stat().st_size == before.st_size
    assert answer(bundle) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_may_not_be_written_is_read(
    bundle: Path, weights: Path, read: list[Path]
) -> None:
    expected = answer(bundle)
    kept = only(weights)
    weights.chmod(0o555)
    try:
        read.clear()
        assert answer(bundle) == expected
        assert read == [kept]
        os.utime(bundle / "model.tflite", (1, 1))
        assert answer(bundle) == expected
        assert read == [kept, loading.IN_MEMORY]
        assert only(weights) == kept
    finally:
        weights.chmod(0o755)


def test_the_name_says_which_model_file_and_runtime(bundle: Path) -> None:
    opened = loading.open_bundle(bundle)
    names = {weight_cache_key(opened)}
    os.utime(bundle / "model.tflite", (1, 1))
    names.add(weight_cache_key(opened))
    with (bundle / "model.tflite").open("ab") as file:
        file.write(b"x")
    os.utime(bundle / "model.tflite", (1, 1))
    names.add(weight_cache_key(opened))
    assert len(names) == 3
