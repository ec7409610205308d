"""Write the golden cases of a tokenizer: texts, and the ids llama.cpp gives for them.

    pip install llama-cpp-python==0.3.36
    python scripts/make_tokenizer_golden.py MODEL.gguf testdata/golden/tokenizer/NAME.json

The same texts come out on every machine; the ids are llama.cpp's, with no start token and
with special-token text taken as plain text.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_cpp import Llama

CASES = 1000
SEED = 20250601


def apart(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


ENGLISH = apart(
    "I'm enjoying a cup of coffee with my friend. They've said it'll rain; we'd better go! "
    "Don't you think she's right? The quick brown fox jumps over the lazy dog, again and again. "
    "WE'RE CLOSED, YOU'LL SEE: Mr. O'Neill's cat—the grey one—wasn't “at home” (or was it?). "
    "Dear all, please find attached the minutes of Tuesday's meeting… e-mail me@example.org"
)
KOREAN = apart(
    "안녕하세요 오늘은 날씨가 정말 좋네요 커피 한 잔 마시면서 친구와 이야기를 나누고 있어요 "
    "내일까지 보고서를 보내 드리겠습니다. 감사합니다! ㅋㅋㅋ ㅠㅠ 값 닭 흙 뷁 한국어로"
)
SCRIPTS = apart(
    "我在图书馆学习。你好，世界！ 今日はとても良い天気ですね。カタカナとひらがな ｶﾀｶﾅ "
    "สวัสดีครับวันนี้อากาศดีมาก Привет, как дела? Съешь ещё этих булок Γειά σου Κόσμε "
    "مرحبا بالعالم كيف حالك שלום עולם מה שלומך नमस्ते दुनिया कैसे हैं আমি ভালো আছি வணக்கம் "
    "გამარჯობა Բարեւ ሰላም ខ្ញុំ ລາວ မြန်မာ Tiếng Việt đẹp naïve façade Straße ŒUVRE İstanbul "
    "e\u0301te\u0301 \u1112\u1161\u11ab \u1100\u1173\u11af ﬁne Ⅻ ½ x² №5"
)
EMOJI = apart(
    "😀 😂 ❤️ 👍🏽 👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 🏴‍☠️ 🇰🇷 🇩🇪 1️⃣ #️⃣ ✊🏿 🧑🏻‍❤️‍💋‍🧑🏾 🐻‍❄️ ☺️ ☺ "
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f 🫠 ♥ ✔ ⌚ 🀄"
)
CODE = (
    "def f(x: int) -> int:\n    return x ** 2  # squared\n",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}\n",
    'const s = `${name}: ${{a: 1}["a"]}`;\r\n',
    "SELECT * FROM t WHERE a >= 10 AND b != 'x''y';",
    '<a href="https://example.org/?q=1&p=%20#top">link</a><!-- note -->',
    "if __name__ == '__main__':\n        main()\n\n\n",
    '{"key": [1, 2.5e-10, null, true], "nested": {"a\\n": "\\u00e9"}}',
    "$ git log --oneline | head -n 20 && echo done >> out.txt 2>&1",
    "let v: Vec<&'a str> = xs.iter().map(|x| x.as_ref()).collect();",
    r"\begin{align} x_{i}^{2} &= \frac{1}{2} \\ \end{align}",
    "0x1F600 0b1010 1_000_000 3.14159f -42 +7 1e9",
)
SPECIAL = apart(
    "<|im_end|> <|im_start|> <|endoftext|> <|im_start|>user <repo_name> <reponame> <file_sep> "
    "<gh_stars> <jupyter_code> <empty_output> </s> <s> <|eot_id|> <|im_end|><|im_end|> "
    "<|im_end <0x0A>"
)
NEWLINES = ("\n", "\r\n", "\r", "\n\n", "\n\n\n", "\n \n", "\t\n", "\u2028", "\u0085", "\v", "\f")
SPACES = (" ", "  ", "\t", "\t\t", "\u00a0", "\u3000", "\u2009", "\u200b", "\ufeff", "\u202f")

Maker = Callable[[random.Random], str]


def words(pool: tuple[str, ...], most: int = 12) -> Maker:
    """Return a maker of texts of a few words of the pool."""
    return lambda rng: " ".join(rng.choice(pool) for _ in range(rng.randint(1, most)))


def spaced(rng: random.Random) -> str:
    """Words with runs of white space before, between and after them."""
    parts = []
    for _ in range(rng.randint(1, 5)):
        parts.append(rng.choice(SPACES) * rng.choice((1, 2, 3, 4, 7, 8, 16, 33, 64)))
        parts.append(rng.choice((*ENGLISH, *KOREAN, "", "1", "!", "x")))
    return "".join(parts) + " " * rng.choice((0, 0, 1, 2, 5))


def line_ends(rng: random.Random) -> str:
    """Words and every kind of line end."""
    return "".join(
        rng.choice((*ENGLISH, *KOREAN, "", " ", "42")) + rng.choice(NEWLINES)
        for _ in range(rng.randint(1, 8))
    )


def numbers(rng: random.Random) -> str:
    """Digits alone and amid letters and signs, Latin and other."""
    digits = rng.choice(
        ("0123456789", "0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９")
    )
    return "".join(
        rng.choice(("", " ", "  ", "-", "$", "a", "Ver", ".", ",", ":", "/", "%", "가"))
        + "".join(rng.choice(digits) for _ in range(rng.randint(1, 9)))
        for _ in range(rng.randint(1, 5))
    )


def controls(rng: random.Random) -> str:
    """Control characters, NUL among them, between short words."""
    return "".join(
        chr(rng.choice((*range(0x20), 0x7F, *range(0x80, 0xA0))))
        + rng.choice(("", "a", " b", "cd ", "!", "7"))
        for _ in range(rng.randint(1, 10))
    )


def code(rng: random.Random) -> str:
    """One or two pieces of code, perhaps cut short."""
    text = "".join(rng.choice(CODE) for _ in range(rng.randint(1, 2)))
    return text[: rng.randint(1, len(text))]


def special(rng: random.Random) -> str:
    """Text that spells special tokens, alone and amid words."""
    return "".join(
        rng.choice(SPECIAL) + rng.choice(("", " ", "\n", rng.choice(ENGLISH)))
        for _ in range(rng.randint(1, 4))
    )


def letters(rng: random.Random) -> str:
    """Single characters from scripts in long use, and signs of ASCII, in no order."""
    blocks = ((0x21, 0x7F), (0xA1, 0x180), (0x391, 0x3CA), (0x410, 0x450), (0x5D0, 0x5EB))
    blocks += ((0x905, 0x93A), (0x3041, 0x3097), (0x4E00, 0x9FA6), (0xAC00, 0xD7A4))
    return "".join(
        chr(rng.randrange(*rng.choice(blocks))) + rng.choice(("", "", "", " "))
        for _ in range(rng.randint(1, 24))
    )


def mixed(rng: random.Random) -> str:
    """Pieces of all other makers, one after the other."""
    return "".join(rng.choice(MAKERS)(rng) for _ in range(rng.randint(2, 3)))


MAKERS: tuple[Maker, ...] = (
    *(words(ENGLISH, 20), words(KOREAN), words(SCRIPTS), words(EMOJI, 6), spaced, line_ends),
    *(numbers, controls, code, special, letters),
)


def texts() -> Iterator[str]:
    """Yield texts without end, each once: the fixed ones, then makers by turns."""
    fixed = ("", "\0", " ", "\n", *ENGLISH, *KOREAN, *SCRIPTS, *EMOJI, *CODE, *SPECIAL)
    seen = dict.fromkeys((*fixed, *NEWLINES, *SPACES))
    yield from seen
    rng = random.Random(SEED)
    for make in cycle((*MAKERS, mixed)):
        text = make(rng)
        if text not in seen:
            seen[text] = None
            yield text


def cases(model: Llama) -> Iterator[dict[str, object]]:
    """Yield texts and their ids."""
    for text in texts():
        yield {"text": text, "ids": model.tokenize(text.encode(), add_bos=False, special=False)}


def main() -> None:
    """Write the cases, one a line."""
    if len(sys.argv) != 3:
        sys.exit("usage: make_tokenizer_golden.py MODEL.gguf OUTPUT.json")
    import llama_cpp

    model = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)
    lines = ",\n".join(map(json.dumps, islice(cases(model), CASES)))
    header = {"made_by": "scripts/make_tokenizer_golden.py"}
    header["ids_from"] = f"llama-cpp-python {llama_cpp.__version__}, add_bos=False, special=False"
    Path(sys.argv[2]).write_text(
        f'{json.dumps(header)[:-1]}, "cases": [\n{lines}\n]}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()
