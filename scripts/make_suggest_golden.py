"""Make testdata/golden/suggest.json: suggestions that all languages share.

    python scripts/make_suggest_golden.py

The model is the one of tests/fixed_model.py. Read the difference before committing one: the file is
what Python suggests, and a case that changes has changed for users. Chances may differ by rounding:
compare them to 0.0002, logarithms to 0.001.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fixed_model import Bench  # noqa: E402

OUTPUT = ROOT / "testdata/golden/suggest.json"
Json = dict[str, Any]

TOKENS: list[str | bytes] = [
    *("the", " the", " cat", " sat", " sa", " on", " mat", " sang", "ng", " song", " an", " a"),
    *(
        " o",
        "wl",
        ". ",
        ".\n",
        "'t",
        " don",
        "don",
        " know",
        " piece",
        " of",
        " sh",
        "it",
        " shirt",
    ),
    *(" ass", "istant", " is", "He", " he", "irt", "  ", ", ", " (", '."', "st", "and"),
    *("커피", " 한", " 잔", "주", "세요", "시발", "점", " 시", "발", "。", "今日", "は", "良い"),
    *(
        b"\xec\xbb",
        b"\xa4\xed",
        b" \xec",
        b"\xf0\x9f",
        b"\x91\xa8\xe2\x80\x8d",
        "👨",
        "\u200d",
        "🇰🇷",
    ),
    *(" shit", " fuck", " cunt", " bitch", " asshole"),
    *("\ufe0f", " ❤", "e", "\u0301", "é", "14", "3.", " 3", "known", "-", "\r\n", "सा", "था"),
]
CATS = [
    ("the cat sat on the mat. It slept there.", 0.0),
    ("the cat sang a song\nand left", -0.5),
    ("the cat saw an owl, and then (at last) it left", -1.0),
    ("at the end", -2.5),
]
BAD = [
    ("what a piece of shit it is", 0.0),
    ("what a piece of shirt we have", -3.0),
    ("He is an ass", 0.0),
    ("He is an assistant, and he knows it", -0.25),
    ("they sell a shit", 1.0),
    ("they sell a shitty", 0.5),
    ("they sell a shithead", 0.25),
    ("they sell a shitload", 0.0),
    ("oh f u c k off", 0.0),
    ("oh f u n k", -1.0),
    ("magna cum laude", 0.0),
    ("in the kitchen cum sauce", 0.0),
]
WORST = [(f"we say {word} to", 0.0) for word in ("shit", "fuck", "cunt", "bitch", "asshole")]
KOREAN = [
    ("커피 한 잔 주세요. 네", 0.0),
    ("커피를 마시고 있어요", -1.0),
    ("아 시발 진짜", 0.0),
    ("아 시발점에서 출발했다", -0.5),
    ("今日は良い天気ですね。明日は雨", 0.0),
    ("今日は良くない", -1.0),
]
SIGNS = [
    ("I love 👨‍👩‍👧 and 🇰🇷 flags", 0.0),
    ("I love ❤️ you", -0.5),
    ("pi is 3.14159 and e is 2.718", 0.0),
    ("I don't know. He", 0.0),
    ("a well-known fact, isn't it? Yes", 0.0),
    ("cafe\u0301 au lait", 0.0),
    ("साथी हाथ बढ़ाना", 0.0),
    ("first line\r\nsecond line", 0.0),
    ('she said "no." Then', 0.0),
]
EVEN = [(f"my {word} thing is {word}", 0.0) for word in ("red", "blue", "green", "big", "old")]
MODELS: Json = {
    "cats": {"context": 64, "first_token": None, "book": CATS},
    "started": {"context": 24, "first_token": 0, "book": CATS},
    "bad": {"context": 64, "first_token": None, "book": BAD},
    "worst": {"context": 64, "first_token": None, "book": WORST},
    "korean": {"context": 64, "first_token": None, "book": KOREAN},
    "signs": {"context": 64, "first_token": None, "book": SIGNS},
    "even": {"context": 64, "first_token": None, "book": EVEN},
}
OPEN = {"confidence": 0.0}
MANY = {"alternatives": 3, "confidence": 0.0, "max_words": 3}


def cuts(name: str, every: int) -> Iterator[Json]:
    """Yield cases that end at places in the sentences of a model's book."""
    for sentence, _ in MODELS[name]["book"]:
        for at in range(1, len(sentence) + 1, every):
            yield {"model": name, "text": sentence[:at]}


def cases() -> Iterator[Json]:
    """Yield what is asked."""
    for name in ("cats", "bad", "worst", "korean", "signs", "even"):
        for i, case in enumerate(cuts(name, 3)):
            yield case | {"policy": (OPEN, {}, MANY)[i % 3], "stream": i % 2 == 0}
        for case in cuts(name, 7):
            yield case | {"policy": {**OPEN, "max_words": 8}, "stream": True}
    for case in cuts("bad", 5):
        yield case | {"policy": OPEN, "safety": "off", "stream": True}
    for text in ("", " ", "\n", "zzz", "zzz ", "the cat\n", "the cat sat on the mat. ", "he"):
        yield {"model": "cats", "text": text, "policy": OPEN, "stream": True}
    for words in (1, 2, 3, 8):
        yield {"model": "cats", "text": "the cat", "policy": {**OPEN, "max_words": words}}
    for confidence in (0.2, 0.45, 0.6, 0.9, 1.0):
        policy = {"confidence": confidence, "alternatives": 2}
        for text in ("the cat", "the cat sa", "my", "my r", "my big"):
            model = "cats" if text.startswith("the") else "even"
            yield {"model": model, "text": text, "policy": policy}
    yield from suffixes()
    yield from windows()


def suffixes() -> Iterator[Json]:
    """Yield cases with a text after the cursor."""
    for text, suffix in (
        ("the cat", " the mat"),
        ("the cat ", "the mat"),
        ("the cat ", " the mat"),
        ("the cat s", "at on"),
        ("the cat", "."),
        ("the cat", "\nsat on"),
        ("the cat", " sat"),
        ("the cat", " satin"),
        ("the cat sat on the m", "."),
        ("the cat saw", ", and"),
        ("the cat saw", " owl"),
        ("커피 한", " 주세요"),
        ("今日は", "天気"),
        ("I love", " and more"),
        ("pi is", " and e"),
    ):
        model = "cats" if "cat" in text else "signs" if text.isascii() else "korean"
        for policy in (OPEN, MANY):
            yield {"model": model, "text": text, "suffix": suffix, "policy": policy, "stream": True}


def windows() -> Iterator[Json]:
    """Yield cases of which the model sees only the end."""
    long = "at the end 👨‍👩‍👧 of 커피 the day, " * 4 + "the cat sa"
    for model in ("cats", "started"):
        for tokens in (1, 2, 3, 5, 12, 24):
            policy = {**OPEN, "context_tokens": tokens}
            yield {"model": model, "text": long, "policy": policy, "stream": True}
        for words in (1, 2, 5):
            yield {"model": model, "text": long, "policy": {**OPEN, "context_words": words}}
        for at in range(60, len(long), 9):
            policy = {**OPEN, "context_tokens": 16}
            yield {"model": model, "text": long[:at], "policy": policy}
        yield {"model": model, "text": "word " * 2000 + "the cat", "policy": OPEN}


def do(what: str, text: str = "", suffix: str = "") -> Json:
    """Return a step of a session."""
    return {"do": what} | ({"text": text} if text else {}) | ({"suffix": suffix} if suffix else {})


SESSIONS: list[Json] = [
    {
        "model": "cats",
        "policy": OPEN,
        "steps": [
            *(do("suggest", "the cat" + typed) for typed in ("", " ", " s", " sat", " sat on th")),
            do("accept", "the cat sat"),
            do("accept_word", "the cat"),
            do("accept", "a dog"),
            do("suggest", "the cat san"),
            do("suggest", "the cat"),
        ],
    },
    {
        "model": "cats",
        "policy": {**OPEN, "max_words": 2},
        "steps": [
            do("suggest", "the cat"),
            do("prefetch", "the cat"),
            do("suggest", "the cat sat on"),
            do("accept_word", "the cat sat on"),
            do("dismiss"),
            do("suggest", "the cat sat on"),
            do("accept", "the cat sat on"),
            do("suggest", "the cat sat on the"),
            do("suggest", "the cat saw"),
        ],
    },
    {
        "model": "cats",
        "policy": OPEN,
        "steps": [
            do("suggest", "the cat sa"),
            *(do("next", "the cat sa") for _ in range(4)),
            do("suggest", "the cat san"),
            do("suggest", "the cat sa", " the mat"),
            do("next", "the cat sa", " the mat"),
            do("prefetch", "the cat sa", " the mat"),
            do("suggest", "the cat sa"),
        ],
    },
    {
        "model": "korean",
        "policy": OPEN,
        "steps": [
            *(do("suggest", "커피" + typed) for typed in ("", " ", " 한", " 한 잔 주")),
            do("accept_word", "커피 한"),
            do("suggest", "아 시발 진"),
        ],
    },
]


def main() -> None:
    """Write the cases, one a line."""
    tokens = [t.encode() if isinstance(t, str) else t for t in TOKENS]
    document: Json = {
        "made_by": "scripts/make_suggest_golden.py",
        "tokens": [token.hex() for token in tokens],
        "models": MODELS,
    }
    bench = Bench(document)
    asked = lines([case | bench.asked(case) for case in cases()])
    sessions = lines([case | {"answers": bench.session(case)} for case in SESSIONS])
    head = json.dumps(document, ensure_ascii=False)[:-1]
    text = f'{head}, "cases": [\n{asked}\n], "sessions": [\n{sessions}\n]}}\n'
    OUTPUT.write_text(text, encoding="utf-8")


def lines(values: list[Json]) -> str:
    """Return values as JSON, one a line."""
    return ",\n".join(json.dumps(value, ensure_ascii=False) for value in values)


if __name__ == "__main__":
    main()
