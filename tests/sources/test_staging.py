"""Directories for a while: gone afterwards, and so is what killed processes left."""

from pathlib import Path

import pytest

from foreword.errors import OutputError
from foreword.sources.staging import staging


def test_a_directory_is_gone_whatever_happens(tmp_path: Path) -> None:
    def interrupted() -> None:
        with staging(tmp_path / "d") as made:
            (made / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in (tmp_path / "d").iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".partial-left").mkdir()
    with staging(tmp_path) as first, staging(tmp_path) as second:
        assert first.exists()
        assert second.exists()
        assert not (tmp_path / ".partial-left").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"), staging(tmp_path / "file"):
        pass
