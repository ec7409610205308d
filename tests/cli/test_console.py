from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.cli.console import dimmed, harmless, progress, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
def test_harmless_text_keeps_letters_and_loses_control_characters(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


def test_joined_emoji_and_marks_are_left_alone() -> None:
    text = "👩‍👩‍👧 नमस्ते é\tשלום\n"
    assert harmless(text) == text


def test_an_escape_sequence_does_not_reach_the_terminal() -> None:
    assert harmless("a\x1b[2Jb") == "a\ufffd[2Jb"


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (141_625_859, "142 MB"), (3 * 10**9, "3.0 GB")],
)
def test_sizes_are_decimal(size_bytes: int, expected: str) -> None:
    assert size(size_bytes) == expected


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert dimmed("a") == "a"  # captured: not a terminal
    monkeypatch.setattr("sys.stdout", Terminal())
    assert dimmed("a") == "\x1b[2ma\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert dimmed("a") == "a"


def test_progress_is_drawn_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, terminal, hushed = io.StringIO(), Terminal(), Terminal()
    for stream, quiet in ((pipe, False), (terminal, False), (hushed, True)):
        monkeypatch.setattr("sys.stderr", stream)
        with progress(quiet) as report:
            report("convert", 1, 2)
            report("convert", 2, 2)
    assert "Converting the model" in terminal.getvalue()
    assert pipe.getvalue() == hushed.getvalue() == ""
