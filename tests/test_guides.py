"""The guides say what is so: their blocks run, in their order, in a directory of their own."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foreword.quantize.recipes import Recipe, find_recipe

GUIDES = Path(__file__).parent.parent / "docs" / "guides"
# The second begins with the model of the first.
PAGES = [GUIDES / "gpt2.md", GUIDES / "classic.md"]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPTS = re.compile(r'^foreword complete "(.+?)"', re.MULTILINE)


def fences(page: Path) -> list[tuple[str, str]]:
    text = page.read_text(encoding="utf-8")
    found = _FENCE.findall(text)
    assert text.count("```") == 2 * len(found)
    return found


def script(page: Path) -> str:
    """A page as one program: Python in one namespace, commands in between."""
    parts = ["import subprocess"]
    for language, code in fences(page):
        if language == "python":
            parts.append(code)
        elif language == "sh":
            # What comes before must stand before it in the output.
            parts.append("print(end='', flush=True)")
            parts.append(
                f"subprocess.run(['bash', '-euo', 'pipefail', '-c', {code!r}], check=True)"
            )
    return "\n".join(parts)


def promised(page: Path) -> list[tuple[str, str]]:
    """Each prompt of a page, and what a terminal shows after its command."""
    blocks = [code for language, code in fences(page) if language == "text"]
    lines = [line for code in blocks for line in code.splitlines()]
    prompts = _PROMPTS.findall(page.read_text(encoding="utf-8"))
    return list(zip(prompts, lines, strict=False))


@pytest.mark.keras
@pytest.mark.timeout(2400)
def test_the_pages_run_and_their_models_know_the_text(tmp_path: Path) -> None:
    shutil.copy(GUIDES / "gettysburg.txt", tmp_path)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": path}
    for page in PAGES:
        ran = subprocess.run(
            [sys.executable, "-c", script(page)],
            cwd=tmp_path,
            env=os.environ | quiet,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        # A pipe is given the continuation alone.
        said = [line.removeprefix(prompt) for prompt, line in promised(page)]
        assert said
        lines = iter(ran.stdout.splitlines())
        assert all(any(line == wanted for line in lines) for wanted in said), ran.stdout


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_what_a_page_promises_stands_in_the_text(page: Path) -> None:
    text = " ".join((GUIDES / "gettysburg.txt").read_text(encoding="utf-8").split())
    assert promised(page)
    for prompt, line in promised(page):
        assert line.startswith(prompt)
        assert line in text


def test_the_recipe_of_the_guide_is_one_and_names_every_key(tmp_path: Path) -> None:
    page = GUIDES / "quantization.md"
    recipe = tmp_path / "mine.toml"
    recipe.write_text(next(code for language, code in fences(page) if language == "toml"))
    assert find_recipe(str(recipe)).matrices == "int4"
    for field in dataclasses.fields(Recipe):
        assert f"| `{field.name}` |" in page.read_text(encoding="utf-8")
