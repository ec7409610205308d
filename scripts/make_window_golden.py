"""Write the golden cases of what a suggestion goes on from: words, windows, healing.

    python scripts/make_window_golden.py MODEL.gguf testdata/golden/window.json

Token ids are those of the model's tokenizer (testdata/golden/tokenizer has its cases); texts
are those of these cases. Positions count code points.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import foreword
from foreword.bundle.store import open_bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.healing import heal
from foreword.completion.session import first_word
from foreword.completion.window import keep_end, keep_steady
from foreword.completion.words import last_words, parts_of, sentence_end

TEXTS = Path(__file__).parent.parent / "testdata/golden/tokenizer/smollm2.json"
EVERY = 8
LIMITS = (5, 16)


def cases(tokenizer: Tokenizer, texts: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what is done with each text."""
    words, windows, healing = [], [], []
    for text in texts:
        parts = parts_of(text)
        words.append(
            {
                "text": text,
                "ends": [part.end for part in parts],
                "words": [part.is_word for part in parts],
                "last_two_words": last_words(text, 2),
                "first_word": first_word(text),
                "sentence_end": sentence_end(text),
            }
        )
        token_ids = tokenizer.encode(text)
        for limit in LIMITS:
            end = keep_end(token_ids, limit, tokenizer)
            steady = keep_steady(token_ids, limit, tokenizer)
            windows.append(
                {"text": text, "limit": limit, "end": end.dropped, "steady": steady.dropped}
            )
        healed = heal(token_ids, tokenizer)
        typed = healed.typed.decode()
        healing.append({"text": text, "kept_tokens": len(healed.token_ids), "typed": typed})
    return {"words": words, "windows": windows, "healing": healing}


def main() -> None:
    """Make a bundle for its tokenizer, and write the cases."""
    source, target = sys.argv[1], Path(sys.argv[2])
    texts = [case["text"] for case in json.loads(TEXTS.read_text(encoding="utf-8"))["cases"]]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = foreword.convert(source, f"{scratch}/bundle", recipe="int8", check=False)
        tokenizer = Tokenizer.from_file(open_bundle(bundle.path).tokenizer_path)
    document = {
        "made_by": "scripts/make_window_golden.py",
        "tokenizer": TEXTS.stem,
        **cases(tokenizer, texts[::EVERY]),
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
