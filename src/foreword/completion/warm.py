"""What makes a first suggestion as fast as the others: all that it needs is run before."""

from __future__ import annotations

import threading

from foreword.completion.completer import Completer
from foreword.completion.suggestion import Policy
from foreword.engine.engine import Cancel, Engine
from foreword.engine.graph import signature_name


def warm(completer: Completer, cancel: Cancel | None = None) -> None:
    """Make a suggestion, then run each signature once, in a text that grows as a long one does.

    It goes in steps of a run of the model, and ends at the first one before which `cancel` is
    set. The model forgets its text; nothing else that is left changes an answer. Raises what
    `Completer.suggest` raises.
    """
    cancel = cancel or threading.Event()
    if cancel.is_set():
        return
    model = completer.model
    # A completer beside remembers by itself what is said; the table of tokens they share.
    completer.beside(model).suggest("The", Policy(max_words=1, confidence=0), cancel)
    if not isinstance(model, Engine):
        return
    graph, position = model.graph, 0
    for kind, width in [(kind, width) for kind, widths in graph.widths.items() for width in widths]:
        if cancel.is_set():
            break
        if position + width > graph.context:
            position = 0
        graph.run(signature_name(kind, width), [0] * width, position)
        position += width
    graph.clear()
