"""What a contender is asked for: every figure by its name, and a request for every round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.text import Text
from foreword.evaluation.typing import Stretch, stretches

Request = Mapping[str, Any]

_PREFILL_TOKENS = (5, 32, 128, 256)
_DECODE_AFTER_TOKENS = (90, 220, 470)
_DECODED_TOKENS, _CONTINUED_TOKENS = 32, 64
_USUAL_PROMPT_TOKENS = 128
_TRIED_CHARACTERS = 12
_BUSY_ROUNDS, _BUSY_TOKENS = 3, 8  # a warm-up among them

POLICIES: Mapping[str, Mapping[str, float]] = {
    "keystrokes": {"confidence": 0.0},
    "default_keystrokes": {},
}
"""Figures of keystrokes, and the policy of each: never silent, and the one people have."""


def questions(
    entries: Sequence[Entry], texts: Sequence[Text], rounds: int, keystrokes: int
) -> dict[str, list[Request]]:
    """Return the requests of every figure, of which the first is a warm-up.

    There are as many others as `rounds`; of `keystrokes`, which are of each text, as many as
    there are stretches. Lengths are those that fit the shortest context.
    """
    context = min(entry.context for entry in entries)
    vocabulary = min(entry.vocabulary for entry in entries)
    tokens = [(20 + i) % vocabulary for i in range(context)]
    found: dict[str, list[Request]] = {}

    def ask(name: str, figure: str, **arguments: object) -> None:
        found[name] = [{"figure": figure, **arguments}] * (rounds + 1)

    for length in [n for n in _PREFILL_TOKENS if n < context] or [context - 1]:
        ask(f"first_token_ms_{length}", "first_token_ms", prompt=tokens[:length])
    prompt = tokens[: min(_USUAL_PROMPT_TOKENS, context - 1)]
    another = (prompt[-1] + 1) % vocabulary
    for name, changed in (("changed", [*prompt[:-1], another]), ("longer", [*prompt, another])):
        ask(f"first_token_ms_{name}", "first_token_ms", prompt=changed, cached=prompt)
    fitting = [n for n in _DECODE_AFTER_TOKENS if n + _DECODED_TOKENS < context]
    for length in fitting or [context // 2]:
        count = min(_DECODED_TOKENS, context - length - 1)
        name = f"decode_tokens_per_s_after_{length}"
        ask(name, "decode_tokens_per_s", prompt=tokens[:length], count=count)
    count = min(_CONTINUED_TOKENS, context - context // 2 - 1)
    found["continue_tokens_per_s"] = [
        {"figure": "continue_tokens_per_s", "text": text, "count": count}
        for text in _places(texts, rounds + 1, 8 * max(entry.context for entry in entries))
    ]
    chosen = [stretch for text in texts for stretch in stretches(text.content, keystrokes)]
    tried = Stretch(chosen[0].before, chosen[0].text[:_TRIED_CHARACTERS])
    for name, policy in POLICIES.items():
        found[name] = [
            {"figure": "keystrokes", "stretch": asdict(stretch), "policy": policy}
            for stretch in (tried, *chosen)
        ]
    return found


def few(asked: Mapping[str, list[Request]]) -> dict[str, list[Request]]:
    """Return what is asked beside other work: to decode a little, and to type a little.

    A runtime that waits for a busy core may take seconds for a token.
    """
    decode = decode_figure(asked)
    found = {name: asked[name][:1] * 2 for name in POLICIES}
    steps: list[Request] = [
        {**request, "count": _BUSY_TOKENS} for request in asked[decode][:_BUSY_ROUNDS]
    ]
    return {decode: steps, **found}


def decode_figure(names: Mapping[str, object]) -> str:
    """Return the name of the figure that stands for decoding."""
    return next(name for name in names if name.startswith("decode_"))


def prefill_figure(names: Mapping[str, object]) -> tuple[str, int]:
    """Return the name of the figure that stands for prefill, and the tokens of its prompt."""
    lengths = [
        int(name.rpartition("_")[2])
        for name in names
        if name.startswith("first_token_ms_") and name[-1].isdigit()
    ]
    usual = [n for n in lengths if n <= _USUAL_PROMPT_TOKENS] or lengths
    return f"first_token_ms_{max(usual)}", max(usual)


def _places(texts: Sequence[Text], count: int, characters: int) -> list[str]:
    """Return what stands before so many places, up to so many characters, of all texts in turn."""
    each = -(-count // len(texts))
    found = []
    for place in range(count):
        content = texts[place % len(texts)].content
        end = len(content) * (place // len(texts) + 1) // (each + 1)
        found.append(content[max(0, end - characters) : end])
    return found
