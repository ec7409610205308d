"""What is asked of a suggestion, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from foreword.completion.confidence import DEFAULT_CONFIDENCE
from foreword.engine.engine import Cancel
from foreword.errors import UsageError

Refused = Literal["input", "output"]

OnWords = Callable[[str], None]
"""Takes the text of the first suggestion as it grows; what it was given is never taken back."""

_MOST = {"max_words": 100, "max_tokens": 256, "alternatives": 16}


@dataclass(frozen=True)
class Policy:
    """How much of the text is looked at, how much is suggested, and when there is silence.

    The window is at most `context_tokens` long, by default half of the model's context, and
    `context_words` where given. A suggestion has up to `max_words` words, cut short at the
    end of a sentence or a line and where the next word is less sure than `confidence`; below
    that the first word is not shown either. `alternatives` are distinct, the best first.
    `temperature` 0 takes the likeliest tokens; above it they are drawn, the same for the same
    `seed`. Raises UsageError for values outside their range.
    """

    context_tokens: int | None = None
    context_words: int | None = None
    max_words: int = 4
    max_tokens: int = 16
    alternatives: int = 1
    confidence: float = DEFAULT_CONFIDENCE
    temperature: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("context_tokens", "context_words"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name}: expected 1 or more, found {value}")
        for name, most in _MOST.items():
            if not 1 <= (value := getattr(self, name)) <= most:
                raise UsageError(f"{name}: expected 1 to {most}, found {value}")
        for name, most in (("confidence", 1), ("temperature", 2)):
            if not 0 <= (value := getattr(self, name)) <= most:
                raise UsageError(f"{name}: expected 0 to {most}, found {value:g}")
        if self.seed is not None and self.seed < 0:
            raise UsageError(f"seed: expected 0 or more, found {self.seed}")


@dataclass(frozen=True)
class Request:
    """What is asked at one place of a text: `before` the cursor is what counts, `suffix` follows.

    A suggestion does not repeat the suffix. `on_words` is told its first one's text as it grows.
    """

    before: str
    suffix: str
    policy: Policy
    cancel: Cancel | None = None
    on_words: OnWords | None = None


@dataclass(frozen=True)
class Suggestion:
    """What may follow the cursor: the rest of the word that is typed, then whole words.

    `logprob` is the sum of its `tokens`' natural logarithms, those of letters typed already
    among them; `confidence` the chance that the first word is what the writer has in mind,
    and None where the model does not say. `by_part` is that of every word and run of marks
    (`words.parts_of`), given those before it.
    """

    text: str
    logprob: float | None = None
    tokens: int = 0
    confidence: float | None = None
    by_part: tuple[float, ...] = ()


@dataclass(frozen=True)
class Suggestions:
    """The answer to one text: `items`, the best first; none is silence, or a refusal.

    `context_tokens` were looked at, `dropped_tokens` lie before them, `computed_tokens` ran
    through the model: 0 where what was known sufficed.
    """

    items: tuple[Suggestion, ...] = ()
    refused: Refused | None = None
    context_tokens: int = 0
    dropped_tokens: int = 0
    computed_tokens: int = 0
    latency_ms: float = 0.0
    cancelled: bool = False
