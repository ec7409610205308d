"""The editor: one text, one file, one model, and the questions it asks a person."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from foreword.cli.console import note
from foreword.cli.editor import text_file
from foreword.cli.editor.keys import bindings
from foreword.cli.editor.state import State
from foreword.cli.editor.status import status_line
from foreword.cli.editor.text_file import TextFile
from foreword.cli.editor.view import STYLE, View
from foreword.cli.editor.worker import Message, Opened, Worker
from foreword.errors import ForewordError, OutputError

_ESCAPE_S = 0.1  # after which an Esc is no longer the beginning of Alt and a key

Then = Callable[[], None]


@dataclass(frozen=True)
class Question:
    """What is asked under the text: one of some keys, or a line where `keys` is empty."""

    text: str
    answered: Callable[[str], None]
    keys: str = ""


class Editor:
    """A full-screen editor of one text; `run` returns when the person leaves it."""

    def __init__(self, file: TextFile, model: str, open_model: Callable[[], Opened]) -> None:
        self.file = file
        self.message = ""
        self.question: Question | None = None
        self.worker = Worker(open_model, self._deliver)
        self.state = State(self.worker, model)
        self.text = Buffer(
            document=Document(file.text, len(file.text)), on_text_changed=lambda _: self._changed()
        )
        self.line = Buffer(multiline=False, accept_handler=self._line_given)
        self.view = View(self)
        self.app: Application[None] = Application(
            layout=self.view.layout,
            key_bindings=bindings(self),
            style=STYLE,
            full_screen=True,
            before_render=lambda _: self._look(),
        )
        self.app.timeoutlen = self.app.ttimeoutlen = _ESCAPE_S

    @property
    def modified(self) -> bool:
        """Whether there is something to save."""
        return self.text.text != self.file.text

    @property
    def asks_key(self) -> bool:
        """Whether a question waits for one key."""
        return self.question is not None and self.question.keys != ""

    @property
    def status(self) -> str:
        """What the status line says."""
        return self.message or status_line(self.state, self.file.name, self.modified)

    def run(self) -> None:
        """Edit until the person leaves; the model is loaded meanwhile.

        However else it ends, what was not saved is put in a file beside the text's. Raises
        OutputError when the terminal is closed.
        """
        rescued = ""
        try:
            self.app.run(pre_run=self.worker.start)
        except EOFError:
            rescued = self._rescue()
            raise OutputError("the terminal was closed: expected it to stay") from None
        except BaseException:
            rescued = self._rescue()
            raise
        finally:
            self.worker.close()
            if rescued:  # told now, as a model that is loading keeps stderr quiet
                note(rescued)

    # What keys do

    def insert(self, text: str) -> None:
        """Put text at the cursor."""
        self.text.insert_text(text)

    def save(self, then: Then | None = None) -> None:
        """Save the text, asking what has to be asked, and do what comes `then`."""
        if self.file.path is None:
            self._ask_name(then)
        else:
            self._save(self.file, then)

    def open(self) -> None:
        """Ask for a file, and edit it in place of this one."""
        self._when_saved(lambda: self.ask(Question("Open: ", self._open)))

    def quit(self) -> None:
        """Leave, once there is nothing to save or the person says so."""
        self._when_saved(self.app.exit)

    def ask(self, question: Question | None) -> None:
        """Ask in the last line; None: go on with the text."""
        self.question = question
        self.line.reset()
        self.view.focus()

    def answer(self, given: str) -> None:
        """Take the answer to the question."""
        question = self.question
        self.ask(None)
        if question is not None:
            question.answered(given)

    # How it is done

    def _when_saved(self, then: Then) -> None:
        def answered(key: str) -> None:
            if key == "y":
                self.save(then)
            else:
                then()

        if self.modified:
            text = "Save the changes first? y: yes  n: no, lose them  Esc: stay"
            self.ask(Question(text, answered, "yn"))
        else:
            then()

    def _ask_name(self, then: Then | None) -> None:
        def answered(name: str) -> None:
            if name.strip():
                self._save(self.file.at(_path(name)), then)

        self.ask(Question("Save as: ", answered))

    def _save(self, file: TextFile, then: Then | None) -> None:
        if file.is_in_the_way():
            known = "was changed by another program" if file.stamp else "exists"
            text = f"{file.name} {known}. Replace it? y: yes  n: choose another name  Esc: stay"

            def answered(key: str) -> None:
                if key == "y":
                    self._write(file, then)
                else:
                    self._ask_name(then)

            self.ask(Question(text, answered, "yn"))
        else:
            self._write(file, then)

    def _write(self, file: TextFile, then: Then | None) -> None:
        try:
            self.file = text_file.write(file, self.text.text)
        except OutputError as error:
            self.message = str(error)
            self._ask_name(then)
            return
        self.message = f"saved {self.file.name}"
        if then is not None:
            then()

    def _open(self, name: str) -> None:
        if not name.strip():
            return
        try:
            self.file = text_file.read(_path(name))
        except ForewordError as error:
            self.message = str(error)
            return
        self.text.reset(Document(self.file.text, len(self.file.text)))
        self.message = f"opened {self.file.name}" if self.file.stamp else f"{self.file.name} is new"

    def _rescue(self) -> str:
        if not self.modified:
            return ""
        beside = self.file.path or Path(self.file.name)
        names = (beside.with_name(f"{beside.name}.rescued{n or ''}") for n in itertools.count())
        path = next(path for path in names if not path.exists())
        try:
            text_file.write(self.file.at(path), self.text.text)
        except OutputError as error:
            return str(error)
        return f"what was not saved is in {path}"

    def _line_given(self, line: Buffer) -> bool:
        self.answer(line.text)
        return False

    def _changed(self) -> None:
        self.message = ""
        text = self.text.text
        # Bytes that were typed or pasted and are no letters cannot be saved.
        harmless = text.encode(errors="surrogateescape").decode(errors="replace")
        if harmless != text:
            self.text.document = Document(harmless, min(self.text.cursor_position, len(harmless)))

    def _look(self) -> None:
        document = self.text.document
        self.state.moved(document.text_before_cursor, document.text_after_cursor)

    def _deliver(self, message: Message) -> None:
        """Called in the model's thread."""

        def receive() -> None:
            self.state.receive(message)
            self.app.invalidate()

        loop = self.app.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the editor was left
                loop.call_soon_threadsafe(receive)


def _path(name: str) -> Path:
    path = Path(name.strip())
    with contextlib.suppress(RuntimeError):  # no such user
        path = path.expanduser()
    return path
