"""What makes a first suggestion as fast as the others: all that it needs is run before."""

from __future__ import annotations

import threading

from foreword.bundle.manifest import split_signature
from foreword.completion.completer import Completer
from foreword.completion.suggestion import Policy
from foreword.engine.engine import Cancel, Engine


def warm(completer: Completer, cancel: Cancel | None = None) -> None:
    """Make a suggestion, then run once each signature that others need, for half the context.

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
    graph = model.graph
    calls = sorted(split_signature(name, model.context) for name in model.manifest.signatures)
    lengths = sorted({slots for slots, _ in calls})
    shorter = dict(zip(lengths, [0, *lengths], strict=False))
    for slots, chunk in calls:
        if cancel.is_set() or shorter[slots] >= model.context // 2:
            break
        width = int(chunk.partition("_")[2] or 1)
        # Where a text outgrows the next shorter cache.
        graph.run(chunk, [0] * width, min(shorter[slots], slots - width))
    graph.clear()
