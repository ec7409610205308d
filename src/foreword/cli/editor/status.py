"""The words of the two lines under the text; knows no terminal."""

from __future__ import annotations

from foreword.cli.editor.state import State

KEYS = "Tab all  Ctrl-→ word  Alt-] next  Esc none  ^Z undo  ^S save  ^O open  ^Q quit"

_REFUSED = {
    "input": "mind your language: no suggestions after such a word (--safety)",
    "output": "only rude words came to mind: no suggestion",
}


def status_line(state: State, name: str, modified: bool) -> str:
    """Return what is known of the file, the model and its last suggestion."""
    file = f"{name}*" if modified else name
    refused = None if state.found is None else state.found.refused
    if state.error:
        parts = [f"no suggestions: {state.error}"]
    elif refused is not None:
        parts = [_REFUSED[refused]]
    else:
        parts = [state.model, *_of_model(state)]
    return " | ".join([file, *parts])


def _of_model(state: State) -> list[str]:
    found = state.found
    if found is None:
        return ["loading" if state.loading else "ready"]
    parts = [f"{found.latency_ms:.0f} ms"]
    suggestion = state.suggestion
    if suggestion is not None and suggestion.confidence is not None:
        parts.append(f"{suggestion.confidence:.0%} sure")
    elif not found.items:
        parts.append("not sure enough")
    known = "typed through" if state.typed_through else "known already"
    work = f"{found.computed_tokens} computed" if found.computed_tokens else known
    return [*parts, f"context {found.context_tokens}/{state.limit_tokens}, {work}"]
