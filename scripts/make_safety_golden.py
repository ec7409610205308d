"""Make testdata/golden/safety.json: verdicts of the word filter that all languages share.

    python scripts/make_safety_golden.py

Read the difference before committing one: the file is what Python's filter says, and a case that
changes has changed for users. Positions are in code points.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from foreword.completion.safety import Match, WordFilter, load_filter

OUTPUT = Path(__file__).parent.parent / "testdata/golden/safety.json"
TEXTS = [
    "",
    "The assistant passed the class in Scunthorpe, Essex.",
    "Charles Dickens drank a cocktail; Moby Dick is spick and span.",
    "The pen is here, as such. as s 455 8008 he'll 1.5 53x",
    "C O C K T A I L and T I T L E",
    "a kung fu fight, a Shiite, cumin and spices",
    "What an ass",
    "What an ass!",
    "an ass-kicking",
    "f.u.c.k",
    "Well, f u c k that",
    "fu.ck",
    "FUUUUCK",
    "f*ck and **bold**",
    "sh1t",
    "$h!t",
    "a$$hole",
    "ѕһіt",
    "ｓｈｉｔ",
    "𝓼𝓱𝓲𝓽",
    "s\u0336h\u0336i\u0336t\u0336",
    "sh\u200bit",
    "S H I T",
    "s h\ni t",
    "blow-job",
    "blow   job",
    "magna cum laude",
    "kitchen cum",
    "damn it",
    "what the hell",
    "sex education",
    "du Arschloch",
    "So eine Scheiße, SCHEISSE",
    "¡Qué coño!",
    "un cono de helado",
    "quel enculé",
    "kurwa mać",
    "иди на хуй",
    "씨발놈아",
    "시발점에서 출발했다",
    "시발이라고",
    "해 보지 않았다",
    "이 개새끼야",
    "ㅅㅂ",
    "씨1발",
    "시.발",
    "시 발",
    "10시 발 열차",
    "서울시 발표",
    "김 씨 발언",
    "엿 먹고, 한 쪽 발을",
    "씨 발 놈아",
    "씨이발",
    "ㅅㅣㅂㅏㄹ",
    "ㅅㅅㅂㅂㅂ",
    "존ㄴㄴ나",
    "병1신들",
    "아씨발 진짜",
    "ㅋㅋㅋ병신",
    "시발ㅋㅋㅋ",
    "위기가 닥쳐 이상을 좇아",
    "새끼손가락, 8등신, 5개년 계획",
    "새끼 고양이",
    "操你妈",
    "他操了心",
    "ファック",
    "ファックス",
    "चूतिया",
    "🖕🏽",
    "shit 🖕",
    "🙂 hello",
    "Pip! Come (um, now)!",
]
STREAMS = [
    ["What an as", "s", "istant"],
    ["What an as", "s", "", " he is"],
    ["f", " ", "u ", "c", " k"],
    ["I", " ", "a", "m", " ", "f", "ine"],
    ["spic ", "and ", "sp", "an"],
    ["spic ", "and ", "so on"],
    ["Oh sh", "\u0301", "i", "t"],
    ["big t", "its", "y"],
    ["시발", "점"],
    ["시발", "이", " 뭐"],
    ["아 씨", "1", "발"],
    ["꺼", "져", "있는"],
    ["操", "你", "妈"],
]
LISTS = [
    {"text": "buy Acme now", "extra": ["acme"], "allow": []},
    {"text": "buy A-c-m-e now", "extra": ["acme"], "allow": []},
    {"text": "buy Acmes now", "extra": ["acme"], "allow": []},
    {"text": "a shitty day", "extra": [], "allow": ["shitty"]},
    {"text": "a sh1tty day", "extra": [], "allow": ["shitty"]},
    {"text": "大笨蛋啊", "extra": ["笨蛋"], "allow": []},
]


def show(match: Match | None) -> dict[str, Any] | None:
    """A match as JSON."""
    return match and {
        "start": match.start,
        "end": match.end,
        "severity": match.severity,
        "entry": match.entry,
    }


def stream(found: WordFilter, pieces: list[str]) -> dict[str, Any]:
    """What is safe to show after each piece, and the verdict and what is safe at the end."""
    scan, safe = found.scan(), []
    for piece in pieces:
        scan.feed(piece)
        safe.append(scan.safe)
    return {"pieces": pieces, "safe": safe, "match": show(scan.end()), "safe_at_end": scan.safe}


def with_lists(case: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """The verdict with a user's lists."""
    for name in ("extra", "allow"):
        (scratch / name).write_text("\n".join(case[name]), encoding="utf-8")
    found = load_filter("default", scratch / "extra", scratch / "allow")
    return case | {"match": show(found.find(case["text"]))}


def main() -> None:
    """Write the golden file."""
    filters = {level: load_filter(level) for level in ("off", "default", "strict")}
    with tempfile.TemporaryDirectory() as scratch:
        lists = [with_lists(case, Path(scratch)) for case in LISTS]
    document = {
        "made_by": "scripts/make_safety_golden.py",
        "texts": [
            {"text": text} | {name: show(found.find(text)) for name, found in filters.items()}
            for text in TEXTS
        ],
        "streams": [stream(filters["default"], pieces) for pieces in STREAMS],
        "lists": lists,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    OUTPUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
