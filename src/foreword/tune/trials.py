"""What a search covers: recipes, the precision of their embedding, contexts, chunk widths."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import cast

from foreword.errors import UsageError
from foreword.quantize.recipes import Recipe, Stored, find_recipe

EMBEDDINGS = ("float32", "float16", "int8")
"""How an embedding can be stored: LiteRT looks up no int4."""

_LONGEST_NAME = 64


@dataclass(frozen=True)
class Origin:
    """What the trials of a search are made of, and by which versions of what."""

    source_sha256: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Trial:
    """Settings of one conversion."""

    recipe: Recipe
    context: int
    prefill: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What a search covers, and how each trial is judged."""

    trials: Sequence[Trial]
    tokens: int = 1000
    threads: int | None = None

    def key(self, trial: Trial, origin: Origin) -> str:
        """Return a trial's name in a journal: all that its figures depend on but the machine."""
        said = [asdict(trial), asdict(origin), self.tokens, self.threads]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def plan(
    recipes: Sequence[str | Recipe],
    contexts: Sequence[int],
    prefills: Sequence[Sequence[int]],
    embeddings: Sequence[str] = (),
    *,
    tokens: int = 1000,
    threads: int | None = None,
) -> Plan:
    """Return the search over every combination, each once.

    `embeddings` replace how recipes store the embedding and the output projection; none: as
    the recipes say. Raises UsageError for an unknown recipe or embedding.
    """
    if not (recipes and contexts and prefills):
        raise UsageError("tune: expected at least one recipe, context and set of prefill widths")
    for stored in embeddings:
        if stored not in EMBEDDINGS:
            known = ", ".join(EMBEDDINGS)
            reason = ": LiteRT cannot look int4 up" if stored == "int4" else ""
            raise UsageError(f"embedding: expected some of {known}, found {stored!r:.40}{reason}")
    found = [find_recipe(recipe) for recipe in recipes]
    if embeddings:
        found = [_varied(recipe, stored) for recipe in found for stored in embeddings]
    settings = product(
        dict.fromkeys(found), dict.fromkeys(contexts), dict.fromkeys(map(tuple, prefills))
    )
    return Plan([Trial(*setting) for setting in settings], tokens, threads)


def _varied(recipe: Recipe, stored: str) -> Recipe:
    if recipe.vocabulary == stored:
        return recipe
    suffix = f"-embedding-{stored}"
    name = recipe.name[: _LONGEST_NAME - len(suffix)] + suffix
    return replace(recipe, name=name, vocabulary=cast(Stored, stored))
