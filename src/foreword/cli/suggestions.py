"""Suggestions and refusals, as commands ask for them and print them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.console import note, print_json
from foreword.errors import RefusedError

if TYPE_CHECKING:
    from foreword.completion.suggestion import Policy, Suggestions

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A bundle's path or its name, or a text graph's file."),
]
ContextTokensOption = Annotated[
    int | None,
    typer.Option(help="Tokens of the text the model is given; half its context by default."),
]
ContextWordsOption = Annotated[
    int | None, typer.Option(help="Words of the text the model is given, at most.")
]
MaxWordsOption = Annotated[int | None, typer.Option(help="Words of a suggestion: 4 by default.")]
ConfidenceOption = Annotated[
    float | None, typer.Option(help="Suggest only words this sure (0 to 1), or nothing.")
]
SafetyOption = Annotated[
    str, typer.Option(help="Keep bad words out: off, default or strict.", metavar="LEVEL")
]


def policy_of(
    context_tokens: int | None,
    context_words: int | None,
    alternatives: int | None,
    max_words: int | None,
    confidence: float | None,
) -> Policy:
    """Return the policy of options, those not given as they are by default."""
    from foreword.completion.suggestion import Policy

    policy = Policy(context_tokens, context_words)
    if alternatives is not None:
        policy = replace(policy, alternatives=alternatives)
    if max_words is not None:
        policy = replace(policy, max_words=max_words)
        policy = replace(policy, max_tokens=max(policy.max_tokens, min(4 * max_words, 256)))
    return policy if confidence is None else replace(policy, confidence=confidence)


def print_suggestions(found: Suggestions, as_json: bool, quiet: bool, model: str) -> None:
    """Print suggestions, the best first; raises RefusedError for a refusal, after any JSON."""
    if as_json:
        items = [
            {"text": item.text, "confidence": item.confidence, "logprob": item.logprob}
            for item in found.items
        ]
        print_json(
            {
                "items": items,
                "refused": found.refused,
                "context_tokens": found.context_tokens,
                "dropped_tokens": found.dropped_tokens,
                "computed_tokens": found.computed_tokens,
                "latency_ms": round(found.latency_ms, 2),
                "model": model,
            }
        )
    else:
        for item in found.items:
            print(item.text)
    if found.refused:
        raise RefusedError(found.refused)
    if not found.items and not quiet:
        note("nothing is sure enough to be suggested (--confidence)")


@contextmanager
def json_refusal() -> Iterator[None]:
    """Print a refusal as JSON, too: of the input, or of what was made of it."""
    try:
        yield
    except RefusedError as error:
        print_json({"text": "", "refused": error.refused})
        raise
