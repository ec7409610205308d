"""Recipes: how a model's matrices are stored, by name or from a TOML file."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from foreword.errors import UsageError
from foreword.graph.weights import DType

Stored = Literal["float32", "float16", "int8", "int4"]

_MOST_BYTES = 1 << 16
_MOST_TOKENS = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACE = re.compile(r"-?[0-9]{1,4}|(?:-?[0-9]{1,4}\.)?(?:q|k|v|o|gate|up|down)")
_BLOCKS = (0, 32, 64, 128)  # XNNPACK takes multiples of 32
_FLOATS = ("float32", "float16")


@dataclass(frozen=True)
class Recipe:
    """How a model's matrices are stored, and by what means the loss is kept small.

    `matrices` are those of the layers, `vocabulary` the embedding and the output projection;
    vectors stay float32. `block` is how many columns of int4 share a scale; 0, or a matrix
    whose columns it does not divide: all of a row. `int8` names matrices that are int8 all the
    same: by kind ("v"), by layer ("0", from the end "-1") or by both ("-1.down"). `rotate`
    turns the stream and the values (`quantize.rotate`), exactly. `rounding` is to the nearest
    step, or by GPTQ over `calibration_tokens` of the built-in text. `activations` of int8
    products have a range of their own in every step (dynamic), or one found by calibration.
    With `keep_blocks` a checkpoint that has been in 4 bits keeps its steps (`quantize.kept`),
    and what else the recipe says counts for others.
    """

    name: str
    matrices: Stored
    vocabulary: Stored
    block: int = 0
    int8: tuple[str, ...] = ()
    rotate: bool = False
    rounding: Literal["nearest", "gptq"] = "nearest"
    activations: Literal["dynamic", "static"] = "dynamic"
    calibration_tokens: int = 0
    keep_blocks: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for values that do not go together."""
        problem = _problem(self)
        if problem:
            raise UsageError(f"recipe '{ascii(self.name)[1:-1][:64]}': {problem}")

    def dtype(self, name: str, columns: int, layers: int) -> DType:
        """Return how the matrix `name` of so many columns is stored in a model of `layers`."""
        if name == "output_mix.weight":
            return "float32"  # a square beside a vocabulary: small, and in every logit
        quantized = self.matrices not in _FLOATS
        if name == "positions":
            # A position is added to every token, so its rounding would be in every score.
            return "float32" if quantized else self.matrices
        if name in ("embedding", "output.weight"):
            return self.vocabulary
        # XNNPACK takes whole bytes a row of int4.
        if self.matrices == "int4" and (columns % 2 or self._int8(name, layers)):
            return "int8"
        return self.matrices

    def _int8(self, name: str, layers: int) -> bool:
        _, layer, kind, _ = name.split(".")
        places = {kind, layer, f"{int(layer) - layers}"}
        places |= {f"{layer}.{kind}", f"{int(layer) - layers}.{kind}"}
        return not places.isdisjoint(self.int8)


def _problem(recipe: Recipe) -> str | None:
    if not _NAME.fullmatch(recipe.name):
        return "name: expected up to 64 letters, digits, '.', '_' and '-'"
    if recipe.vocabulary == "int4":
        return "vocabulary: expected float32, float16 or int8, found int4: LiteRT cannot look it up"
    if recipe.block not in _BLOCKS:
        return f"block: expected {', '.join(map(str, _BLOCKS))}, found {recipe.block}"
    if recipe.block and recipe.matrices != "int4":
        return f"block: expected 0 beside matrices = '{recipe.matrices}'"
    for place in recipe.int8:
        if not _PLACE.fullmatch(place):
            return f"int8: expected such as 'v', '0' or '-1.down', found {ascii(place)[:40]}"
    if recipe.keep_blocks and recipe.matrices != "int4":
        return f"keep_blocks: expected false beside matrices = '{recipe.matrices}'"
    if recipe.int8 and recipe.matrices != "int4":
        return f"int8: expected nothing beside matrices = '{recipe.matrices}'"
    calibrated = recipe.rounding == "gptq" or recipe.activations == "static"
    if calibrated and recipe.matrices in _FLOATS:
        return f"matrices: expected int8 or int4 to calibrate, found {recipe.matrices}"
    if recipe.activations == "static" and recipe.matrices != "int8":
        return f"matrices: expected int8 for static activations, found {recipe.matrices}"
    least, most = (64, _MOST_TOKENS) if calibrated else (0, 0)
    if not least <= recipe.calibration_tokens <= most:
        found = recipe.calibration_tokens
        return f"calibration_tokens: expected {least} to {most} for this recipe, found {found}"
    return None


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", "float32", "float32"),
        Recipe("float16", "float16", "float16"),
        Recipe("int8", "int8", "int8", rotate=True),
        Recipe(
            "int4",
            "int4",
            "int8",
            block=32,
            int8=("v",),
            rotate=True,
            rounding="gptq",
            calibration_tokens=4096,
            keep_blocks=True,
        ),
        Recipe(
            "int8-full",
            "int8",
            "int8",
            rotate=True,
            activations="static",
            calibration_tokens=2048,
        ),
    )
}


def find_recipe(recipe: str | Recipe) -> Recipe:
    """Return the recipe of a name, or of the path of a TOML file, which ends in .toml.

    Raises UsageError for an unknown name and for a file with anything else in it than the
    fields of `Recipe`.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe in RECIPES:
        return RECIPES[recipe]
    if recipe.endswith(".toml"):
        return _read(Path(recipe))
    raise UsageError(
        f"unknown recipe '{recipe}': expected one of {', '.join(RECIPES)}, or a .toml file"
    )


def to_toml(recipe: Recipe) -> str:
    """Return the text of a file that `find_recipe` reads as this recipe."""
    # What JSON writes of these types is TOML.
    fields = dataclasses.asdict(recipe)
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


def _read(path: Path) -> Recipe:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise UsageError(f"{path}: expected a recipe of at most {_MOST_BYTES} bytes")
        document = tomllib.loads(text.decode())
    except OSError as error:
        raise UsageError(f"{path}: expected a recipe, found {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        found = " ".join(str(error).split())[:120]
        raise UsageError(f"{path}: expected TOML, found {found}") from None
    hints, fields = get_type_hints(Recipe), {f.name: f for f in dataclasses.fields(Recipe)}
    for key, value in document.items():
        if key not in fields:
            known = ", ".join(fields)
            raise UsageError(f"{path}: expected the keys {known}, found {ascii(key)[:60]}")
        document[key] = _checked(path, key, hints[key], value)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in document:
            raise UsageError(f"{path}: expected the key {name}, found nothing")
    if document["name"] in RECIPES:
        raise UsageError(f"{path}: expected a name of its own, found that of a built-in recipe")
    return Recipe(**document)


def _checked(path: Path, key: str, hint: Any, value: Any) -> Any:
    choices = get_args(hint)
    if hint in (str, bool, int):
        sound, expected = type(value) is hint, {str: "a text", bool: "true or false"}.get(hint)
        expected = expected or "a whole number"
    elif key == "int8":
        sound = isinstance(value, list) and all(isinstance(place, str) for place in value)
        value, expected = tuple(value) if sound else value, "a list of texts"
    else:
        sound, expected = value in choices, " or ".join(choices)
    if not sound:
        raise UsageError(f"{path}: {key}: expected {expected}, found {ascii(value)[:60]}")
    return value
