"""`foreword type`: write in the terminal, with suggestions."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import guarded, is_terminal
from foreword.cli.suggestions import (
    ConfidenceOption,
    ContextTokensOption,
    ContextWordsOption,
    MaxWordsOption,
    ModelOption,
    SafetyOption,
    policy_of,
)
from foreword.errors import UsageError

if TYPE_CHECKING:
    from foreword.cli.editor.worker import Opened
    from foreword.completion.suggestion import Policy


@guarded
def type_(
    file: Annotated[
        Path | None, typer.Argument(help="The text file to edit; made when it is saved.")
    ] = None,
    model: ModelOption = None,
    context_tokens: ContextTokensOption = None,
    context_words: ContextWordsOption = None,
    max_words: MaxWordsOption = None,
    alternatives: Annotated[
        int | None, typer.Option(help="Suggestions found at once: 1; Alt-] finds more.")
    ] = None,
    confidence: ConfidenceOption = None,
    safety: SafetyOption = "default",
    threads: Annotated[int | None, typer.Option(help="Threads; chosen by default.")] = None,
) -> None:
    """Edit FILE, with what may come next shown dimly behind the cursor.

    Tab takes all of it, Ctrl-Right a word; Alt-] shows another, Esc none.
    Ctrl-S saves, Ctrl-O opens another file, Ctrl-Z undoes, Ctrl-Q leaves.

    Nothing waits for the model, and nothing typed leaves the machine.
    """
    from foreword.bundle.store import open_bundle
    from foreword.cli.editor.text_file import TextFile, read
    from foreword.cli.models import is_text_graph, ready
    from foreword.completion.safety import check_level
    from foreword.engine.load import check_threads

    policy = policy_of(context_tokens, context_words, alternatives, max_words, confidence)
    check_threads(threads)
    check_level(safety)
    if not is_terminal(sys.stdin) or not is_terminal(sys.stdout):
        raise UsageError(
            "expected a terminal to edit in, found a pipe or a file: "
            "'foreword complete' continues a text from a pipe"
        )
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("expected a terminal that can move its cursor, found TERM=dumb: set TERM")
    text = TextFile() if file is None else read(file)
    # Fetching and converting happens once, and is watched; loading goes on behind the editor.
    if model is None or not is_text_graph(model):
        model = str(open_bundle(ready(model, quiet=False)).path)
    name = Path(model).absolute().name

    from foreword.cli.editor.app import Editor

    def open_model() -> Opened:
        return _opened(model, threads, policy, safety)

    # A terminal that is closed ends a command as SIGTERM does.
    signal.signal(signal.SIGHUP, lambda number, _: sys.exit(128 + number))
    Editor(text, name, open_model).run()


def _opened(model: str, threads: int | None, policy: Policy, safety: str) -> Opened:
    """Load a model and the filter."""
    from foreword.cli.editor.worker import Opened
    from foreword.cli.models import opened
    from foreword.completion.completer import Completer
    from foreword.completion.safety import load_filter
    from foreword.completion.session import Session
    from foreword.completion.warm import warm

    loaded, _ = opened(model, threads, quiet=True)
    completer = Completer(loaded, load_filter(safety))
    completer.window("The", policy.context_tokens)  # refuses more than the model holds
    limit = loaded.context // 2 if policy.context_tokens is None else policy.context_tokens
    return Opened(Session(completer, policy), limit, partial(warm, completer), loaded.close)
