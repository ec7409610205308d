"""The editor with keys from a pipe and no screen: typing, saving and leaving wait for no model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from foreword.cli.editor import worker
from foreword.cli.editor.app import Editor
from foreword.cli.editor.text_file import TextFile, read
from foreword.cli.editor.worker import Opened
from foreword.errors import BundleError
from terminal import ENTER, ctrl, pasted

SAVE, OPEN, QUIT, UNDO, REDO = (ctrl(letter) for letter in "soqzy")


@pytest.fixture
def keyboard() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def never() -> Opened:
    raise BundleError("there is none")


def edited(keyboard: PipeInput, *keys: str, file: TextFile | None = None) -> Editor:
    """Give keys to an editor without a model, and return it when it was left."""
    editor = Editor(file or TextFile(), "tiny", never)
    keyboard.send_text("".join(keys))
    editor.run()
    return editor


def test_a_text_is_typed_saved_and_left_while_the_model_is_loading(
    keyboard: PipeInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_PATIENCE_S", 0)
    left = threading.Event()

    def slow() -> Opened:
        assert left.wait(60)
        raise BundleError("never needed")

    path = tmp_path / "letter.txt"
    editor = Editor(TextFile(), "tiny", slow)
    keyboard.send_text(f"Dear Anna,{ENTER}hello{SAVE}{path}{ENTER}{QUIT}")
    editor.run()
    assert editor.state.loading
    assert path.read_text() == "Dear Anna,\nhello"
    left.set()


def test_pasted_lines_and_tabs_are_text(keyboard: PipeInput) -> None:
    editor = edited(keyboard, pasted("one\r\ntwo\tx"), QUIT, "n")
    assert editor.text.text == "one\ntwo\tx"


def test_bytes_that_are_no_letters_become_marks_that_can_be_saved(
    keyboard: PipeInput, tmp_path: Path
) -> None:
    keyboard.send_bytes(b"a\xff b")
    path = tmp_path / "letter.txt"
    edited(keyboard, SAVE, str(path), ENTER, QUIT)
    assert path.read_text(encoding="utf-8") == "a\ufffd b"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (["one two", UNDO], "one"),
        (["one two", UNDO, UNDO], ""),
        (["one two", UNDO, UNDO, REDO], "one"),
        ([pasted("one two"), UNDO], ""),
        (["\t", "one\t"], "\tone"),
    ],
)
def test_a_word_is_undone_at_once_and_tab_indents(
    keyboard: PipeInput, keys: list[str], text: str
) -> None:
    assert edited(keyboard, *keys, QUIT, "n").text.text == text


@pytest.mark.parametrize(
    ("keys", "stored"),
    [
        (["b", QUIT, "n"], "a"),
        (["b", QUIT, "y"], "ab"),
        (["b", QUIT, "qxz", ENTER, "\x7f", "Y"], "ab"),
        (["b", QUIT, ctrl("c"), "c", QUIT, "y"], "abc"),
        (["b", UNDO, QUIT], "a"),
        (["b", OPEN, "y", "other", ENTER, "c", QUIT, "n"], "ab"),
    ],
)
def test_changes_are_lost_only_when_the_person_says_so(
    keyboard: PipeInput, tmp_path: Path, keys: list[str], stored: str
) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("a")
    keys = [str(tmp_path / key) if key == "other" else key for key in keys]
    edited(keyboard, *keys, file=read(path))
    assert path.read_text() == stored


def test_another_file_is_replaced_only_when_the_person_says_so(
    keyboard: PipeInput, tmp_path: Path
) -> None:
    mine, other = tmp_path / "mine.txt", tmp_path / "other.txt"
    other.write_text("theirs")
    edited(keyboard, "text", SAVE, str(other), ENTER, "n", str(mine), ENTER, ctrl("q"))
    assert (mine.read_text(), other.read_text()) == ("text", "theirs")
    edited(keyboard, "text", SAVE, str(other), ENTER, "y", QUIT)
    assert other.read_text() == "text"


def test_what_another_program_wrote_is_replaced_only_when_the_person_says_so(
    keyboard: PipeInput, tmp_path: Path
) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("a")
    file = read(path)
    path.write_text("theirs")
    editor = edited(keyboard, "b", SAVE, ctrl("c"), QUIT, "n", file=file)
    assert path.read_text() == "theirs"
    assert editor.text.text == "ab"


def test_a_read_only_file_asks_for_another_name_and_stays(
    keyboard: PipeInput, tmp_path: Path
) -> None:
    path, copy = tmp_path / "letter.txt", tmp_path / "copy.txt"
    path.write_text("a")
    path.chmod(0o444)
    edited(keyboard, "b", SAVE, str(copy), ENTER, QUIT, file=read(path))
    assert (path.read_text(), copy.read_text()) == ("a", "ab")


def test_a_file_that_cannot_be_opened_leaves_the_text(keyboard: PipeInput, tmp_path: Path) -> None:
    for keys in (str(tmp_path), "/dev/zero", "~nobody-of-this-name/x", "", " "):
        editor = edited(keyboard, "text", OPEN, "n", keys, ENTER, QUIT, "n")
        assert editor.text.text == "text"
