"""What is suggested at the cursor, and what the status line says; knows no terminal."""

from __future__ import annotations

from typing import Literal, Protocol

from foreword.cli.editor.worker import Answer, Failed, Message, Ready
from foreword.completion.session import first_word
from foreword.completion.suggestion import Suggestion, Suggestions


class Asked(Protocol):
    """What the state needs of a `Worker`."""

    def ask(self, text: str, another: bool = False) -> None:
        """Ask what follows a text."""
        ...

    def cancel(self) -> None:
        """Take back what was asked."""
        ...

    def dismiss(self) -> None:
        """Take back what was asked, and suggest no more what was suggested last."""
        ...


class State:
    """The suggestion at the cursor of one text.

    One rule covers an answer that comes late and letters typed since: of what was suggested for
    a text, the first that agrees with the letters typed after that text is shown, without them.
    """

    def __init__(self, worker: Asked, model: str) -> None:
        self.model = model
        self.loading = True
        self.limit_tokens = 0
        self.error = ""
        self.found: Suggestions | None = None
        self.typed_through = False
        self._worker = worker
        self._before = ""
        self._found_for = ""
        self._silent = True
        self._dismissed = False

    @property
    def suggestion(self) -> Suggestion | None:
        """What is suggested, with the letters typed since it was found still in its text."""
        if self._silent or self._dismissed:
            return None
        return _agreeing(self.found, self._found_for, self._before)

    @property
    def ghost(self) -> str:
        """The suggestion's text after the cursor; empty where there is none."""
        suggestion = self.suggestion
        typed = len(self._before) - len(self._found_for)
        return "" if suggestion is None else suggestion.text[typed:]

    def moved(self, before: str, after: str) -> None:
        """Take what is before and after the cursor now; ask for a suggestion at a line's end.

        Inside a line there is none: the model does not see what follows.
        """
        silent = not before.strip() or (after != "" and after[0] != "\n")
        if (before, silent) == (self._before, self._silent):
            return
        self._before, self._silent, self._dismissed = before, silent, False
        self.typed_through = self.suggestion is not None
        if silent:
            self._worker.cancel()
        else:
            self._worker.ask(before)

    def receive(self, message: Message) -> None:
        """Take what the worker tells."""
        match message:
            case Ready(limit_tokens):
                self.loading = False
                self.limit_tokens = limit_tokens
            case Failed(reason, final):
                self.error = reason
                self.loading = self.loading and not final
            case Answer(text, found):
                self.error = ""
                if text == self._before or _agreeing(found, text, self._before) is not None:
                    self.found, self._found_for = found, text

    def accept(self, part: Literal["all", "word"] = "all") -> str:
        """Return what to insert at the cursor: the suggestion, or its next word."""
        ghost = self.ghost
        if part == "all":
            return ghost
        return first_word(ghost)

    def dismiss(self) -> None:
        """Suggest nothing until the text or the cursor changes, and then not the same."""
        self.found = None
        self._dismissed = True
        self._worker.dismiss()

    def another(self) -> None:
        """Ask for another suggestion in place of the one shown."""
        if self.ghost:
            self._worker.ask(self._before, another=True)


def _agreeing(found: Suggestions | None, found_for: str, before: str) -> Suggestion | None:
    """Return the first suggestion that goes on after what was typed since, if any."""
    if found is None or not before.startswith(found_for):
        return None
    typed = before[len(found_for) :]
    return next(
        (i for i in found.items if i.text.startswith(typed) and len(i.text) > len(typed)), None
    )
