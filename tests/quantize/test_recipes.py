"""Recipes: what they store how, and a file of one's own read strictly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.errors import UsageError
from foreword.quantize.recipes import RECIPES, Recipe, find_recipe, to_toml

MINE = """
name = "mine"
matrices = "int4"
vocabulary = "int8"
block = 32
int8 = ["v", "0", "-1.down"]
rotate = true
rounding = "gptq"
calibration_tokens = 1024
"""


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_says_what_a_recipe_says(tmp_path: Path) -> None:
    found = find_recipe(write(tmp_path / "mine.toml", MINE))
    expected = Recipe(
        "mine", "int4", "int8", 32, ("v", "0", "-1.down"), True, "gptq", "dynamic", 1024
    )
    assert found == expected


def test_places_are_kinds_layers_or_both() -> None:
    recipe = Recipe("x", "int4", "int8", int8=("v", "0", "-1.down"))
    stored = {
        name: recipe.dtype(f"layers.{name}.weight", 8, layers=4)
        for name in ("0.q", "1.q", "1.v", "3.down", "3.up", "2.down")
    }
    assert [name for name, dtype in stored.items() if dtype == "int8"] == ["0.q", "1.v", "3.down"]
    assert recipe.dtype("layers.1.q.weight", 7, layers=4) == "int8"  # whole bytes a row


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"mine"', '"int8"', "a name of its own"),
        ('"mine"', '"a/b"', "name: expected up to 64 letters"),
        ('"mine"', "7", "name: expected a text, found 7"),
        ('matrices = "int4"', 'matrices = "int3"', "matrices: expected float32 or float16 or int8"),
        ('matrices = "int4"', "", "expected the key matrices, found nothing"),
        ('matrices = "int4"', 'matrices = "float16"', "expected 0 beside matrices"),
        ('vocabulary = "int8"', 'vocabulary = "int4"', "LiteRT cannot look it up"),
        ("block = 32", "block = 48", "block: expected 0, 32, 64, 128, found 48"),
        ("block = 32", "block = 32.0", "block: expected a whole number"),
        ('"v"', '"w"', "int8: expected such as 'v', '0' or '-1.down', found 'w'"),
        ('["v"', '[["v"]', "int8: expected a list of texts"),
        ("rotate = true", 'rotate = "yes"', "rotate: expected true or false, found 'yes'"),
        ("rotate = true", "turn = true", "expected the keys name, matrices"),
        ('"gptq"', '"nearest"', "calibration_tokens: expected 0 to 0"),
        ("1024", "10", "calibration_tokens: expected 64 to 65536"),
        ("1024", "1024\nactivations = 'static'", "expected int8 for static activations"),
        ("1024", "1024\nx", "expected TOML, found"),
    ],
)
def test_what_a_recipe_cannot_say_is_refused_in_one_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = write(tmp_path / "mine.toml", MINE.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        find_recipe(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_large_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        find_recipe(str(tmp_path / "no.toml"))
    with pytest.raises(UsageError, match="at most 65536 bytes"):
        find_recipe(write(tmp_path / "large.toml", "#" * 70_000))


@given(st.text(max_size=60), st.integers(0, len(MINE)))
def test_any_text_gives_a_recipe_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, place: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes((MINE[:place] + text + MINE[place:]).encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(find_recipe(str(path)), Recipe)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_the_built_in_recipes_are_sound_and_named_as_they_are_found() -> None:
    assert list(RECIPES) == ["float32", "float16", "int8", "int4", "int8-full"]
    assert all(find_recipe(name).name == name for name in RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_written_down_is_read_as_the_same(name: str, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPES[name], name="mine")
    assert find_recipe(write(tmp_path / "mine.toml", to_toml(recipe))) == recipe
