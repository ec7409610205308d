"""Recipes by name: what `--recipe` accepts."""

from __future__ import annotations

from foreword.errors import UsageError
from foreword.quantize.encode import Encoder

RECIPES = {
    "float32": Encoder("float32", "float32"),
    "float16": Encoder("float16", "float16"),
    "int8": Encoder("int8", "int8"),
    "int4": Encoder("int4", "int8"),
}


def encoder(recipe: str) -> Encoder:
    """Return the weight encoder of a recipe; raises UsageError for an unknown name."""
    try:
        return RECIPES[recipe]
    except KeyError:
        raise UsageError(
            f"unknown recipe '{recipe}': expected one of {', '.join(RECIPES)}"
        ) from None
