"""A plan is every combination once, and a trial's key holds all that its figures depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foreword.errors import UsageError
from foreword.quantize.recipes import RECIPES, Recipe
from foreword.tune import Plan, Trial, plan
from foreword.tune.trials import Origin

ORIGIN = Origin("a" * 64, {"foreword": "1"})
TRIAL = Trial(RECIPES["int8"], 32, (8,))


def test_a_plan_is_every_combination_once() -> None:
    made = plan(["int8", "int4", "int8"], [32, 48], [(8,), (8, 16), (8,)])
    assert len(made.trials) == len(set(made.trials)) == 8


def test_an_embedding_varies_each_recipe_and_leaves_what_has_it_already() -> None:
    made = plan(["int8", "int4"], [32], [(8,)], ["int8", "float16"])
    recipes = [trial.recipe for trial in made.trials]
    assert [recipe.name for recipe in recipes] == [
        "int8",
        "int8-embedding-float16",
        "int4",
        "int4-embedding-float16",
    ]
    assert recipes[2] is RECIPES["int4"]
    assert recipes[3] == replace(RECIPES["int4"], name=recipes[3].name, vocabulary="float16")


def test_a_varied_recipe_has_a_name_that_is_one() -> None:
    long = Recipe("a" * 64, "int8", "int8")
    [trial] = plan([long], [32], [(8,)], ["float16"]).trials
    assert trial.recipe.name == "a" * 46 + "-embedding-float16"


@pytest.mark.parametrize(
    ("recipes", "embeddings", "message"),
    [
        (["int3"], [], "unknown recipe 'int3'"),
        ([], [], "at least one recipe"),
        (["int8"], ["int4"], "found 'int4': LiteRT cannot look int4 up"),
        (["int8"], ["int3"], "embedding: expected some of float32, float16, int8, found 'int3'"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    recipes: list[str], embeddings: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan(recipes, [32], [(8,)], embeddings)


@pytest.mark.parametrize(
    ("made", "trial", "origin"),
    [
        (Plan([], 100, 2), TRIAL, ORIGIN),
        (Plan([], 101, 1), TRIAL, ORIGIN),
        (Plan([], 100, 1), replace(TRIAL, context=48), ORIGIN),
        # A recipe of the same name that says something else.
        (Plan([], 100, 1), replace(TRIAL, recipe=replace(TRIAL.recipe, rotate=False)), ORIGIN),
        (Plan([], 100, 1), TRIAL, replace(ORIGIN, source_sha256="b" * 64)),
        (Plan([], 100, 1), TRIAL, replace(ORIGIN, versions={"foreword": "2"})),
    ],
)
def test_what_gives_other_figures_has_another_key(made: Plan, trial: Trial, origin: Origin) -> None:
    key = Plan([], 100, 1).key(TRIAL, ORIGIN)
    assert made.key(trial, origin) != key
    assert Plan([TRIAL], 100, 1).key(replace(TRIAL), replace(ORIGIN)) == key
