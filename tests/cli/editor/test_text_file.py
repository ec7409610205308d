"""Files of the editor: whatever is in one comes back, and nothing is lost on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command import tree
from foreword.cli.editor.text_file import LIMIT_BYTES, TextFile, read, write
from foreword.errors import OutputError, UsageError


@given(st.text(st.one_of(st.sampled_from("\r\n\ufeffa"), st.characters(codec="utf-8"))))
def test_what_is_read_and_saved_is_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("text") / "letter.txt"
    path.write_bytes(text.encode())
    file = read(path)
    write(file, file.text)
    assert path.read_bytes() == text.encode()


@pytest.mark.parametrize(
    ("stored", "text", "longer"),
    [
        (b"a\nb\n", "a\nb\n", b"a\nb\nc\n"),
        (b"a\r\nb\r\n", "a\nb\n", b"a\r\nb\r\nc\r\n"),
        (b"\xef\xbb\xbfa\r\n", "a\n", b"\xef\xbb\xbfa\r\nc\r\n"),
        (b"a\r\nb\n", "a\r\nb\n", b"a\r\nb\nc\n"),
        (b"a\rb\r", "a\rb\r", b"a\rb\rc\n"),
    ],
)
def test_new_lines_end_as_the_file_s_lines_do(
    tmp_path: Path, stored: bytes, text: str, longer: bytes
) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(stored)
    file = read(path)
    assert file.text == text
    write(file, text + "c\n")
    assert path.read_bytes() == longer


def test_a_file_that_does_not_exist_is_an_empty_text(tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    file = read(path)
    assert (file.text, file.stamp, file.is_in_the_way()) == ("", None, False)
    file = write(file, "something")
    assert path.read_text() == file.text == "something"
    assert tree(tmp_path) == ["new.txt"]


def test_saving_keeps_permissions_and_links(tmp_path: Path) -> None:
    path, link = tmp_path / "letter.txt", tmp_path / "link.txt"
    path.write_text("a")
    path.chmod(0o640)
    link.symlink_to(path)
    write(read(link), "b")
    assert link.is_symlink()
    assert path.read_text() == "b"
    assert path.stat().st_mode & 0o777 == 0o640
    assert tree(tmp_path) == ["letter.txt", "link.txt"]


def test_a_file_changed_by_another_program_is_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("a")
    file = read(path)
    assert not file.is_in_the_way()
    path.write_text("longer")
    assert file.is_in_the_way()
    assert not read(path).is_in_the_way()
    assert TextFile(text="b").at(path).is_in_the_way()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"caf\xe9", "is not UTF-8: byte 0xe9 at position 3"),
        (b"a" * (LIMIT_BYTES + 1), "expected at most 1 MiB, found 1 MiB or more"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=said):
        read(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in {
        tmp_path: "found a directory",
        tmp_path / "pipe": "found a device or a pipe",
        tmp_path / "none" / "letter.txt": "expected a directory that exists",
        tmp_path / "a\0b": "could not be opened",
        tmp_path / ("a" * 5000): "could not be opened",
    }.items():
        with pytest.raises(UsageError, match=said):
            read(path)


def test_what_cannot_be_saved_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("a")
    path.chmod(0o444)
    with pytest.raises(OutputError, match="is read-only"):
        write(read(path), "b")
    assert path.read_text() == "a"
    path.chmod(0o644)
    with pytest.raises(OutputError, match="could not be saved"):
        write(read(path), "\ud800")
    assert path.read_text() == "a"
    for strange in (tmp_path, tmp_path / "none" / "letter.txt", tmp_path / "a\0b"):
        with pytest.raises(OutputError):
            write(TextFile().at(strange), "b")
    assert tree(tmp_path) == ["letter.txt"]
