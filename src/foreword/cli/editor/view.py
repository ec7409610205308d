"""What the screen shows: the text with its ghost, the status line, and keys or a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import (
    BeforeInput,
    Processor,
    TabsProcessor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.styles import Style

from foreword.cli.editor.status import KEYS

if TYPE_CHECKING:
    from foreword.cli.editor.app import Editor

# Attributes without colours: they stay when NO_COLOR is set, and tell a ghost from a text.
STYLE = Style.from_dict({"ghost": "dim", "status": "reverse", "keys": "dim"})


class _Ghost(Processor):
    """Shows the suggestion behind the cursor, which is at the end of a line then."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Add the suggestion to the cursor's line."""
        given = transformation_input
        fragments = given.fragments
        if given.lineno == given.document.cursor_position_row:
            ghost = self._editor.state.ghost.replace("\n", "↵")
            fragments = [*fragments, ("class:ghost", ghost)]
        return Transformation(fragments)


class View:
    """The layout of an editor, and where its keys go."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        tabs = TabsProcessor(char1=" ", char2=" ")
        self._text = Window(
            BufferControl(editor.text, input_processors=[_Ghost(editor), tabs]), wrap_lines=True
        )
        self._line = Window(
            BufferControl(editor.line, input_processors=[BeforeInput(self._question)]), height=1
        )
        # It has the focus while a key is asked for, so that no other reaches the text.
        self._key = Window(
            FormattedTextControl(self._question, focusable=True, show_cursor=False), height=1
        )
        status = FormattedTextControl(lambda: f" {editor.status}")
        keys = FormattedTextControl(f" {KEYS}")
        writing = Condition(lambda: editor.question is None)
        asks_key = Condition(lambda: editor.asks_key)
        self.layout = Layout(
            HSplit(
                [
                    self._text,
                    Window(status, height=1, style="class:status"),
                    ConditionalContainer(Window(keys, height=1, style="class:keys"), writing),
                    ConditionalContainer(self._line, ~writing & ~asks_key),
                    ConditionalContainer(self._key, asks_key),
                ]
            ),
            focused_element=self._text,
        )

    def focus(self) -> None:
        """Give the keys to the text, or to the question that is asked."""
        question = self._editor.question
        asks = self._key if self._editor.asks_key else self._line
        self.layout.focus(self._text if question is None else asks)

    def _question(self) -> str:
        question = self._editor.question
        return "" if question is None else question.text
