"""What a text graph is made with: its length, how it chooses tokens, how weights are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foreword.errors import UsageError

SAMPLERS = ("greedy", "top-k", "top-p", "random", "contrastive")
RECIPES = ("float32", "float16", "int8", "int8-full")

_SHORTEST, _LONGEST = 2, 8192  # tokens


@dataclass(frozen=True)
class Sampling:
    """How every token is chosen; it becomes part of the file.

    `kind` is one of SAMPLERS. `k` counts the candidates of top-k and contrastive, `p` is the
    share of probability of top-p, `alpha` the weight of contrastive's penalty (Su et al. 2022).
    The random numbers of `seed` begin anew whenever the file is loaded. Raises UsageError for
    values outside their range.
    """

    kind: str = "greedy"
    k: int = 5
    p: float = 0.9
    temperature: float = 1.0
    alpha: float = 0.6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in SAMPLERS:
            raise UsageError(
                f"sampler: expected one of {', '.join(SAMPLERS)}, found '{self.kind:.40}'"
            )
        for name, low, high in (
            ("k", 1, 1000),
            ("p", 0.01, 1.0),
            ("temperature", 0.01, 100.0),
            ("alpha", 0.0, 1.0),
            ("seed", 0, 2**31 - 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                shown = {"k": "top_k", "p": "top_p"}.get(name, name)
                raise UsageError(f"{shown}: expected from {low:g} to {high:g}, found {value!r}")


@dataclass(frozen=True)
class TextOptions:
    """What a text graph is made with.

    `max_length` is the length of what comes out in tokens, the prompt among them.
    `stop_at_end` ends generation at the model's end token. Raises UsageError for a recipe or
    a length that there is none of.
    """

    max_length: int = 100
    recipe: str = "int8"
    sampling: Sampling = Sampling()
    stop_at_end: bool = True

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise UsageError(
                f"recipe: a text graph is made as {', '.join(RECIPES)}, found "
                f"'{self.recipe:.40}'; the token model has others"
            )
        if not _SHORTEST <= self.max_length <= _LONGEST:
            raise UsageError(
                f"max_length: expected from {_SHORTEST} to {_LONGEST} tokens, found "
                f"{self.max_length}"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the options as a JSON object, which `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TextOptions:
        """Return what `as_json` gave."""
        return cls(**{**document, "sampling": Sampling(**document["sampling"])})
