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
from foreword.cli.models import ready
from foreword.errors import PromptError, UsageError

if TYPE_CHECKING:
    from foreword.completion.window import Window
    from foreword.engine.engine import Engine
    from foreword.engine.sampling import SamplingParams


@guarded
def complete(
    text: Annotated[
        str | None,
        typer.Argument(help="The text to continue; - reads standard input, as a pipe does."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A bundle's path or its name.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens to add, at most.")] = 32,
    context_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens of the text the model is given; half its context by default."),
    ] = None,
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
    from foreword.engine.load import check_threads, load
    from foreword.engine.sampling import SamplingParams

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
    if context_tokens is not None and context_tokens < 1:
        raise UsageError(f"context_tokens: expected 1 or more, found {context_tokens}")
    check_threads(threads)
    prompt = _prompt(text)
    bundle = ready(model, quiet)
    engine = load(bundle, threads)
    check = engine.manifest.check
    if check is not None and check.verdict == "degraded" and not quiet:
        note(f"this model is degraded: {check.reason}")
    try:
        window = _window(engine, prompt, context_tokens)
        if window.dropped and not quiet:
            note(
                f"the text has {len(window.token_ids) + window.dropped} tokens: its last "
                f"{len(window.token_ids)} are used (--context-tokens)"
            )
        if as_json:
            print_json(_as_json(engine, window, params, bundle.name))
        else:
            _stream(engine, window, params, prompt)
        stats = engine.stats
        if stats.prompt_tokens + stats.generated_tokens > engine.context and not quiet:
            note(f"the context of {engine.context} tokens is full: nothing more fits")
    finally:
        engine.close()


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


def _window(engine: Engine, prompt: str, limit: int | None) -> Window:
    from foreword.completion.window import keep_end

    if limit is None:
        limit = engine.context // 2
    elif limit > engine.context:
        raise UsageError(f"context_tokens: this model holds {engine.context}, found {limit}")
    start = engine.manifest.special_tokens
    return keep_end(
        engine.encode(prompt), limit, engine.tokenizer, start.start if start.prepend_start else None
    )


def _stream(engine: Engine, window: Window, params: SamplingParams, prompt: str) -> None:
    shown = harmless if is_terminal(sys.stdout) else str
    if is_terminal(sys.stdout):
        print(dimmed(shown(prompt)), end="", flush=True)
    try:
        for step in engine.stream(window.token_ids, params):
            print(shown(step.text), end="", flush=True)
    finally:
        print(flush=True)


def _as_json(engine: Engine, window: Window, params: SamplingParams, name: str) -> dict[str, Any]:
    steps = list(engine.stream(window.token_ids, params))
    stats = engine.stats
    return {
        "text": "".join(step.text for step in steps),
        "token_ids": [step.token_id for step in steps if step.token_id is not None],
        "finish_reason": steps[-1].finish_reason,
        "prompt_tokens": stats.prompt_tokens,
        "dropped_tokens": window.dropped,
        "reused_tokens": stats.reused_tokens,
        "ttft_ms": _rounded(stats.ttft_ms),
        "decode_tokens_per_s": _rounded(stats.decode_tokens_per_s),
        "load_ms": _rounded(engine.load_ms),
        "model": name,
        "recipe": engine.manifest.recipe,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
