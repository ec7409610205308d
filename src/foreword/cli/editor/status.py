"""The words of the two lines under the text; knows no terminal."""

from __future__ import annotations

from foreword.cli.editor.state import State

KEYS = "Tab accept  Ctrl-→ word  Alt-] next  Esc dismiss  ^Z undo  ^S save  ^O open  ^Q quit"

_REFUSED = {
    "input": "mind your language: no suggestions after such a word (--safety off allows it)",
    "output": "only rude words came to mind: no suggestion",
}


def status_line(state: State, name: str, modified: bool) -> str:
    """Return what is known of the file, the model and its last suggestion."""
    file = f"{name} (changed)" if modified else name
    return " | ".join([file, state.model, *_of_model(state)])


def _of_model(state: State) -> list[str]:
    if state.error:
        return [f"no suggestions: {state.error}"]
    if state.loading:
        return ["loading"]
    found = state.found
    if found is None:
        return ["ready"]
    if found.refused is not None:
        return [_REFUSED[found.refused]]
    known = "typed through" if state.typed_through else "foreseen"
    work = f"{found.computed_tokens} computed" if found.computed_tokens else known
    parts = [
        f"{found.latency_ms:.0f} ms",
        f"context {found.context_tokens} of {state.limit_tokens}, {work}",
    ]
    suggestion = state.suggestion
    if suggestion is not None and suggestion.confidence is not None:
        parts.append(f"{suggestion.confidence:.0%} sure")
    elif not found.items:
        parts.append("not sure enough")
    return parts
