"""The page on GPT-2 says what is so: its blocks run, in its order, in a directory of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUIDES = Path(__file__).parent.parent / "docs" / "guides"
PAGE = GUIDES / "gpt2.md"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPTS = re.compile(r'^foreword complete "(.+?)"', re.MULTILINE)


def fences() -> list[tuple[str, str]]:
    page = PAGE.read_text(encoding="utf-8")
    found = _FENCE.findall(page)
    assert page.count("```") == 2 * len(found)
    return found


def script() -> str:
    """The page as one program: Python in one namespace, commands in between."""
    parts = ["import subprocess"]
    for language, code in fences():
        if language == "python":
            parts.append(code)
        elif language == "sh":
            # What comes before must stand before it in the output.
            parts.append("print(end='', flush=True)")
            parts.append(
                f"subprocess.run(['bash', '-euo', 'pipefail', '-c', {code!r}], check=True)"
            )
    return "\n".join(parts)


def promised() -> list[tuple[str, str]]:
    """Each prompt of the page, and what a terminal shows after its command."""
    (lines,) = [code.splitlines() for language, code in fences() if language == "text"]
    return list(zip(_PROMPTS.findall(PAGE.read_text(encoding="utf-8")), lines, strict=True))


@pytest.mark.keras
@pytest.mark.timeout(1500)
def test_the_page_runs_and_its_model_knows_the_text(tmp_path: Path) -> None:
    shutil.copy(GUIDES / "gettysburg.txt", tmp_path)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": path}
    ran = subprocess.run(
        [sys.executable, "-c", script()],
        cwd=tmp_path,
        env=os.environ | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    said = [line.removeprefix(prompt) for prompt, line in promised()]
    # A pipe is given the continuation alone.
    assert ran.stdout.splitlines()[-len(said) :] == said


def test_what_the_page_promises_stands_in_the_text() -> None:
    text = " ".join((GUIDES / "gettysburg.txt").read_text(encoding="utf-8").split())
    assert promised()
    for prompt, line in promised():
        assert line.startswith(prompt)
        assert line in text
