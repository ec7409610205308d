"""Make android/core/.../UnicodeTable.kt: what the Android core asks of every code point.

    python scripts/make_unicode_table.py

The data of a device depend on its age, so the core carries those that Python uses: the general
category, the kind of grapheme break, and whether the script puts no spaces between words, all as
the package `regex` has them.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

import regex

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))

from foreword.completion import words  # noqa: E402

OUTPUT = ROOT / "android/core/src/main/kotlin/dev/foreword/core/UnicodeTable.kt"
CATEGORIES = [
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe"),
    *("Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs", "Cn"),
]
# In order: of two that hold for a code point the later one counts.
BREAKS = {
    "CR": r"\p{GCB=CR}",
    "LF": r"\p{GCB=LF}",
    "CONTROL": r"\p{GCB=Control}",
    "EXTEND": r"\p{GCB=Extend}",
    "UNLINKED": r"(?!\p{InCB=Extend})\p{GCB=Extend}",
    "LINKER": r"(?=\p{InCB=Linker})\p{GCB=Extend}",
    "ZWJ": r"\p{GCB=ZWJ}",
    "REGIONAL": r"\p{GCB=Regional_Indicator}",
    "PREPEND": r"\p{GCB=Prepend}",
    "SPACING": r"\p{GCB=SpacingMark}",
    "LEADING": r"\p{GCB=L}",
    "VOWEL": r"\p{GCB=V}",
    "TRAILING": r"\p{GCB=T}",
    "SYLLABLE": r"[\p{GCB=LV}\p{GCB=LVT}]",
    "PICTURE": r"\p{Extended_Pictographic}",
    "CONSONANT": r"\p{InCB=Consonant}",
}
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SURROGATES = range(0xD800, 0xE000)
HEAD = """package dev.foreword.core

// Made by scripts/make_unicode_table.py: do not edit.

/** Properties of all code points in runs of equal ones; [Unicode] reads it. */
internal object UnicodeTable {
    /** Combinations, three characters each: category, break and script in base 64. */
    const val KINDS =
"""


def main() -> None:
    """Write the table."""
    points = [chr(point) for point in range(0x110000)]
    category = _of(points, {name: rf"\p{{{name}}}" for name in CATEGORIES})
    breaks = _of(points, {"OTHER": r"(?!.)", **BREAKS})
    unspaced = _of(points, {"": r"(?!.)", "unspaced": f"[{words._UNSPACED}]"})
    of_all = list(zip(category, breaks, unspaced, strict=True))
    kinds = list(dict.fromkeys(of_all))
    runs = [(kinds.index(kind), len(list(run))) for kind, run in groupby(of_all)]
    text = "".join(_digits(kind, 2) + _varying(length) for kind, length in runs)
    packed = "".join(DIGITS[c] + DIGITS[b] + DIGITS[s] for c, b, s in kinds)
    names = "\n".join(f"    const val {name} = {i}" for i, name in enumerate(BREAKS, 1))
    OUTPUT.write_text(
        f"{HEAD}{_lines(packed)}\n\n"
        "    /** Runs: the combination in two characters, then the length, five bits a character\n"
        "     *  from the lowest on, with 32 added where more follow. */\n"
        f"    const val RUNS =\n{_lines(text)}\n}}\n\n"
        "/** Kinds of grapheme breaks (Unicode Standard Annex 29, table 2); 0 for all others. */\n"
        f"internal object Break {{\n{names}\n}}\n",
        encoding="utf-8",
    )


def _of(points: list[str], patterns: dict[str, str]) -> list[int]:
    found = [0] * len(points)
    for index, pattern in enumerate(patterns.values()):
        matches = regex.compile(pattern, regex.DOTALL).match
        for point, character in enumerate(points):
            if point not in SURROGATES and matches(character):
                found[point] = index
    if "Cs" in patterns:
        for point in SURROGATES:
            found[point] = list(patterns).index("Cs")
    return found


def _digits(number: int, count: int) -> str:
    return "".join(DIGITS[number >> 6 * i & 63] for i in reversed(range(count)))


def _varying(number: int) -> str:
    text = ""
    while number >= 32:
        text += DIGITS[32 | number & 31]
        number >>= 5
    return text + DIGITS[number]


def _lines(text: str) -> str:
    width = 84
    cut = [text[i : i + width] for i in range(0, len(text), width)]
    return " +\n".join(f'        "{line}"' for line in cut)


if __name__ == "__main__":
    main()
