"""The page on adding a family says what is so: its blocks run, in its order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from foreword.families import mistral
from foreword.families.find import GUIDE
from foreword.sources.safetensors import SafetensorsCheckpoint
from golden_families import GOLDEN, golden_config

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^```(\w+)( keras)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code, its first line in the page, and what the page says it prints."""

    code: str
    line: int
    needs_keras: bool
    prints: str | None


def blocks() -> list[Block]:
    page = (ROOT / GUIDE).read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(page))
    assert page.count("```") == 2 * len(fences)
    found = []
    for fence, after in zip(fences, [*fences[1:], None], strict=True):
        language, needs_keras, code = fence.groups()
        if language == "python":
            prints = after[3] if after is not None and after[1] == "text" else None
            line = page.count("\n", 0, fence.start(3))
            found.append(Block(code, line, needs_keras is not None, prints))
    return found


def run(
    keras: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, object]:
    """Run the page's blocks one after another; return the names they leave."""
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "guide"}
    for block in blocks():
        if block.needs_keras and not keras:
            continue
        capsys.readouterr()
        # Padded, so that a traceback has the line of the page.
        exec(compile("\n" * block.line + block.code, ROOT / GUIDE, "exec"), names)
        if block.prints is not None:
            assert capsys.readouterr().out == block.prints
    return names


def test_the_page_adds_the_family_that_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(False, monkeypatch, capsys)
    readers = names["READERS"]
    assert isinstance(readers, dict)
    ((key, read),) = readers.items()
    checkpoint = SafetensorsCheckpoint(GOLDEN / "mistral", golden_config("mistral"))
    assert read(checkpoint).spec == mistral.READERS[key](checkpoint).spec


@pytest.mark.keras
def test_the_page_proves_it_against_keras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "keras_parity" in run(True, monkeypatch, capsys)


def test_the_pages_links_lead_somewhere() -> None:
    page = ROOT / GUIDE
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_page_names_no_file_that_is_not_there() -> None:
    named = re.findall(r"`((?:src|tests|scripts|graph)/[\w/]+\.py)`", (ROOT / GUIDE).read_text())
    assert named
    places = [ROOT, ROOT / "src/foreword"]
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
