"""`foreword complete`: continue a text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreword.cli.console import (
    JsonOption,
    QuietOption,
    dimmed,
    guarded,
    harmless,
    is_terminal,
    note,
    print_json,
)
from foreword.cli.models import opened
from foreword.cli.suggestions import (
    ConfidenceOption,
    ContextTokensOption,
    ContextWordsOption,
    MaxWordsOption,
    ModelOption,
    SafetyOption,
    json_refusal,
    policy_of,
    print_suggestions,
)
from foreword.errors import PromptError, RefusedError, UsageError

if TYPE_CHECKING:
    from foreword.completion.completer import Completer
    from foreword.completion.window import Window
    from foreword.engine.sampling import SamplingParams

_ALL = 1 << 20  # tokens; more than any context


@guarded
def complete(
    text: Annotated[
        str | None,
        typer.Argument(help="The text to continue; - reads standard input, as a pipe does."),
    ] = None,
    model: ModelOption = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Tokens to add, at most: 32; all that a text graph gives.")
    ] = None,
    context_tokens: ContextTokensOption = None,
    context_words: ContextWordsOption = None,
    alternatives: Annotated[
        int | None, typer.Option(help="Give so many suggestions of a few whole words.")
    ] = None,
    max_words: MaxWordsOption = None,
    confidence: ConfidenceOption = None,
    safety: SafetyOption = "default",
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
    top_k: Annotated[int, typer.Option(help="Sample from the k likeliest; 0: all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Sample from this share of probability.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Drop tokens below this share of the best.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="1 is none.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Makes sampling repeatable.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; chosen by default.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Continue TEXT, streaming. The first use fetches and converts the default model.

    On a terminal the text is shown before its continuation; on a pipe only what is new.
    """
    from foreword.cli.models import is_text_graph
    from foreword.completion.completer import Completer
    from foreword.completion.safety import load_filter
    from foreword.engine.load import check_threads
    from foreword.engine.sampling import SamplingParams

    if max_new_tokens is None:
        max_new_tokens = _ALL if model is not None and is_text_graph(model) else 32
    params = SamplingParams(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        max_new_tokens=max_new_tokens,
        stop=tuple(stop or ()),
    )
    suggesting = (alternatives, max_words, confidence) != (None, None, None)
    policy = policy_of(context_tokens, context_words, alternatives, max_words, confidence)
    check_threads(threads)
    words = load_filter(safety)
    prompt = _prompt(text)
    loaded, name = opened(model, threads, quiet)
    try:
        completer = Completer(loaded, words)
        if suggesting:
            print_suggestions(completer.suggest(prompt, policy), as_json, quiet, name)
            return
        window = completer.window(prompt, context_tokens, context_words)
        if window.dropped and not quiet:
            note(
                f"the text has {len(window.token_ids) + window.dropped} tokens: its last "
                f"{len(window.token_ids)} are used (--context-tokens)"
            )
        if as_json:
            with json_refusal():
                print_json(_as_json(completer, window, params, name))
        else:
            _stream(completer, window, params, prompt)
        stats = loaded.stats
        if stats.prompt_tokens + stats.generated_tokens > loaded.context and not quiet:
            note(f"the context of {loaded.context} tokens is full: nothing more fits")
    finally:
        loaded.close()


def _prompt(text: str | None) -> str:
    """Return the text to continue; the newline that ends piped text is not part of it."""
    if text is None:
        if is_terminal(sys.stdin):
            raise UsageError("TEXT is missing: give the text to continue, or - and type it")
        text = "-"
    if text != "-":
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PromptError(
                "the text has bytes that are no letters in this locale: expected UTF-8"
            ) from None
        return text
    raw = sys.stdin.buffer.read()
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise PromptError(
            f"standard input is not valid UTF-8: byte 0x{raw[error.start]:02x} at position "
            f"{error.start}; convert it to UTF-8 first"
        ) from None


def _stream(completer: Completer, window: Window, params: SamplingParams, prompt: str) -> None:
    shown = harmless if is_terminal(sys.stdout) else str
    steps = completer.stream(window, params)
    if is_terminal(sys.stdout):
        print(dimmed(shown(prompt)), end="", flush=True)
    try:
        for step in steps:
            print(shown(step.text), end="", flush=True)
    finally:
        print(flush=True)
    if step.finish_reason == "refused":
        raise RefusedError("output")


def _as_json(
    completer: Completer, window: Window, params: SamplingParams, name: str
) -> dict[str, Any]:
    steps = list(completer.stream(window, params))
    if steps[-1].finish_reason == "refused":
        raise RefusedError("output")
    model = completer.model
    stats = model.stats
    return {
        "text": "".join(step.text for step in steps),
        "token_ids": [step.token_id for step in steps if step.token_id is not None],
        "finish_reason": steps[-1].finish_reason,
        "prompt_tokens": stats.prompt_tokens,
        "dropped_tokens": window.dropped,
        "reused_tokens": stats.reused_tokens,
        "ttft_ms": _rounded(stats.ttft_ms),
        "decode_tokens_per_s": _rounded(stats.decode_tokens_per_s),
        "load_ms": _rounded(model.load_ms),
        "model": name,
        "recipe": model.recipe,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
