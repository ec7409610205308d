"""A terminal that a test types into and reads: a real pseudo-terminal, drawn by pyte."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

from command import PROGRAM, SOURCES

COLUMNS, LINES = 100, 14
TAB, ESC, ENTER = "\t", "\x1b", "\r"
CTRL_RIGHT, ALT_BRACKET = "\x1b[1;5C", "\x1b]"
_PATIENCE_S = 30


def ctrl(letter: str) -> str:
    """Return what a terminal sends for Ctrl and a letter."""
    return chr(ord(letter.upper()) - ord("@"))


def pasted(text: str) -> str:
    """Return what a terminal sends for a text that is pasted, which is one change."""
    return f"\x1b[200~{text}\x1b[201~"


class Terminal:
    """A command in a pseudo-terminal."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.raw = ""
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.Stream(self._screen)
        self._child = pexpect.spawn(
            sys.executable,
            ["-c", PROGRAM, *arguments],
            env=os.environ | {"PYTHONPATH": str(SOURCES), "TERM": "xterm-256color"} | environment,
            dimensions=(LINES, COLUMNS),
            encoding="utf-8",
        )
        self._child.delaybeforesend = None

    @property
    def rows(self) -> list[str]:
        """What is on the screen, without spaces at the ends of lines."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        """The first line of the text, with its ghost."""
        return self.rows[0]

    @property
    def status(self) -> str:
        """The status line."""
        return self.rows[-2].strip()

    @property
    def typed(self) -> str:
        """The first line as far as the cursor."""
        return self._screen.display[0][: self._screen.cursor.x]

    def type(self, *keys: str) -> None:
        """Send keys."""
        self._child.send("".join(keys))

    def until(self, holds: Callable[[], bool]) -> None:
        """Read what the command draws until something holds."""
        while not holds():
            try:
                drawn = self._child.read_nonblocking(1 << 16, timeout=_PATIENCE_S)
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                raise AssertionError("\n".join([type(error).__name__, *self.rows])) from None
            self.raw += drawn
            self._stream.feed(drawn)

    def says(self, words: str) -> None:
        """Wait for words in the two lowest lines."""
        self.until(lambda: words in " ".join(self.rows[-2:]))

    def end(self, signal_number: int) -> None:
        """Send a signal to the command."""
        self._child.kill(signal_number)

    def ends(self) -> int:
        """Wait until the command is over and return its exit status."""
        self._child.expect(pexpect.EOF, timeout=_PATIENCE_S)
        self._child.close()
        status = self._child.exitstatus
        assert status is not None, f"ended by signal {self._child.signalstatus}"
        return status

    def stop(self) -> None:
        """End the command, if it still runs."""
        self._child.close(force=True)


@contextmanager
def terminal(*arguments: str | Path, **environment: str) -> Iterator[Terminal]:
    """Run `foreword` with these arguments in a terminal."""
    opened = Terminal(tuple(map(str, arguments)), environment)
    try:
        yield opened
    finally:
        opened.stop()
