"""What every key does; keys without an entry do what they do in any Emacs-like line editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

if TYPE_CHECKING:
    from foreword.cli.editor.app import Editor


def bindings(editor: Editor) -> KeyBindings:
    """Return the key bindings of an editor."""
    keys = KeyBindings()
    writing = Condition(lambda: editor.question is None)
    asks_key = Condition(lambda: editor.asks_key)
    ghost = Condition(lambda: editor.question is None and editor.state.ghost != "")

    @keys.add("tab", filter=writing)
    def _(_: KeyPressEvent) -> None:
        if editor.state.ghost:
            editor.insert(editor.state.accept())
        elif not editor.text.document.current_line_before_cursor.strip():
            editor.insert("\t")

    @keys.add("c-right", filter=ghost)
    def _(_: KeyPressEvent) -> None:
        editor.insert(editor.state.accept("word"))

    @keys.add("escape", "]", filter=writing)
    def _(_: KeyPressEvent) -> None:
        editor.state.another()

    @keys.add("escape", filter=writing)
    def _(_: KeyPressEvent) -> None:
        editor.state.dismiss()

    # A key without a binding puts letters; a word of them is one change to undo.
    @keys.add("<any>", filter=writing, save_before=lambda e: not (e.is_repeat and e.data.isalnum()))
    def _(event: KeyPressEvent) -> None:
        editor.text.insert_text(event.data)

    @keys.add("c-z", filter=writing, save_before=_nothing)
    def _(_: KeyPressEvent) -> None:
        editor.text.undo()

    @keys.add("c-y", filter=writing, save_before=_nothing)
    def _(_: KeyPressEvent) -> None:
        editor.text.redo()

    @keys.add("c-s", filter=writing)
    def _(_: KeyPressEvent) -> None:
        editor.save()

    @keys.add("c-o", filter=writing)
    def _(_: KeyPressEvent) -> None:
        editor.open()

    @keys.add("c-q", filter=writing)
    @keys.add("<sigint>", filter=writing)
    @keys.add("c-c", filter=writing)
    def _(_: KeyPressEvent) -> None:
        editor.quit()

    @keys.add("escape", filter=~writing)
    @keys.add("c-c", filter=~writing)
    @keys.add("c-q", filter=~writing)
    def _(_: KeyPressEvent) -> None:
        editor.ask(None)

    @keys.add("<any>", filter=asks_key)
    def _(event: KeyPressEvent) -> None:
        key = event.data.lower()
        if editor.question is not None and key and key in editor.question.keys:
            editor.answer(key)

    return keys


def _nothing(_: KeyPressEvent) -> bool:
    return False
