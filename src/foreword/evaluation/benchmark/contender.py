"""Who is measured, and what one figure of it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreword.bundle.store import Bundle
from foreword.engine.engine import LanguageModel
from foreword.engine.sampling import SamplingParams
from foreword.evaluation.parts import size_by_part
from foreword.evaluation.typing import Stretch, Suggester, type_stretch

LLAMA_CPP = "llama.cpp"
_ELSEWHERE = "Quite another text"


@dataclass(frozen=True)
class Entry:
    """A bundle that Foreword runs, or a GGUF file that llama.cpp runs.

    The latter has a `tokenizer`, the path of a tokenizer.json with the tokens of its model, and
    the `first_token` of its prompts. `weight_bytes` are read for every token that is decoded.
    """

    name: str
    path: Path
    context: int
    vocabulary: int
    weight_bytes: int
    recipe: str
    tokenizer: Path | None = None
    first_token: int | None = None

    @property
    def runtime(self) -> str:
        """What runs it."""
        return "Foreword" if self.tokenizer is None else LLAMA_CPP


def entry_of(bundle: Bundle) -> Entry:
    """Return the entry of a bundle; raises BundleError where its model cannot be read."""
    parts = size_by_part(bundle)
    weights = sum(parts.values()) - parts["tokenizer"]
    if "output" in parts:  # one row of the embedding is looked up, and no more of it read
        weights -= parts["embedding"]
    shape = bundle.manifest.shape
    return Entry(
        bundle.path.resolve().name,
        bundle.path.resolve(),
        shape.context,
        shape.vocabulary,
        weights,
        bundle.manifest.recipe,
    )


def first_token_ms(
    model: LanguageModel, prompt: Sequence[int], cached: Sequence[int] | None = None
) -> float:
    """Return the time from a prompt to its first token.

    Nothing of the prompt is in the cache but what it shares with `cached`.
    """
    one = SamplingParams(max_new_tokens=1, ignore_eos=True)
    _forget(model, prompt[0])
    if cached is not None:
        list(model.stream(cached, one))
    started = time.perf_counter()
    list(model.stream(prompt, one))
    return (time.perf_counter() - started) * 1e3


def decode_tokens_per_s(model: LanguageModel, prompt: Sequence[int], count: int) -> float:
    """Return the speed of `count` single steps, after a prompt and a first token."""
    params = SamplingParams(max_new_tokens=count + 1, ignore_eos=True, speculate=False)
    return _speed(model, prompt, params)


def continue_tokens_per_s(model: LanguageModel, text: str, count: int) -> float:
    """Return the speed of continuing a real text by `count` tokens after the first, greedily.

    The model is given as much of the text's end as fills half its context.
    """
    tokens = model.encode(text)[-max(model.context // 2, 1) :]
    return _speed(model, tokens, SamplingParams(max_new_tokens=count + 1, ignore_eos=True))


def typed(suggester: Suggester, stretch: Stretch) -> dict[str, Any]:
    """Return `keystrokes`, and `latency_ms` of those after the first that called the model."""
    suggester.suggest(_ELSEWHERE)  # nothing of the stretch is in any cache after it
    keys = list(type_stretch(stretch, suggester))
    waits = [key.latency_ms for key in keys[1:] if key.computed_tokens]
    return {"keystrokes": len(keys), "latency_ms": waits}


def _speed(model: LanguageModel, prompt: Sequence[int], params: SamplingParams) -> float:
    _forget(model, prompt[0])
    times = [
        time.perf_counter() for step in model.stream(prompt, params) if step.token_id is not None
    ]
    return (len(times) - 1) / (times[-1] - times[0])


def _forget(model: LanguageModel, first: int) -> None:
    """Run a prompt that shares nothing with one that begins with `first`."""
    other = 0 if first else 1
    list(model.stream([other], SamplingParams(max_new_tokens=1, ignore_eos=True)))
