"""Make testdata/golden/completion/smollm2-float32.json: greedy continuations in float32.

    python scripts/make_completion_golden.py FLOAT32_BUNDLE

A continuation ends before the first step whose two likeliest tokens are closer than
MARGIN: rounding, which differs between processors, could swap them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import foreword

MARGIN = 0.005  # in logits; float32 results differ by about 1e-4 between processors
TOKENS = 16
OUTPUT = Path(__file__).parent.parent / "testdata/golden/completion/smollm2-float32.json"
PROMPTS = [
    "I'm enjoying a",
    "The weather today is",
    "Thank you very much for your",
    "Once upon a time, there was a",
    "The capital of France is",
    "Please find attached the",
    "import numpy as",
    "def add(a, b):\n    return",
    "1 + 1 = 2, 2 + 2 = 4, 3 + 3 =",
    "Dear Sir or Madam,\n\n",
    "The most important thing about writing is",
    "She opened the door and",
    "I don't think it's",
    "In 1969, the first man",
    "오늘 날씨가",
    "Water boils at 100 degrees",
    "Happy birthday! 🎉 I hope you",
    "The quick brown fox",
    "As soon as possible, we will",
    "Let me know if you have any",
]


def greedy(engine: foreword.Engine, token_ids: list[int]) -> list[int]:
    """Return greedy tokens up to the first near tie."""
    graph = engine._graph
    logits = None
    for position, token_id in enumerate(token_ids):
        logits = graph.run("decode", [token_id], position)
    found: list[int] = []
    while logits is not None and len(found) < TOKENS:
        second, best = np.partition(logits[-1], -2)[-2:]
        if best - second < MARGIN:
            break
        found.append(int(logits[-1].argmax()))
        logits = graph.run("decode", found[-1:], len(token_ids) + len(found) - 1)
    return found


def main() -> None:
    """Write the golden file."""
    engine = foreword.load(sys.argv[1])
    cases = []
    for prompt in PROMPTS:
        token_ids = engine.encode(prompt)
        new = greedy(engine, token_ids)
        cases.append({"prompt": prompt, "token_ids": new, "text": engine.decode(new)})
    origin = engine.manifest.provenance
    document = {
        "model": origin.source,
        "source_sha256": origin.sha256,
        "recipe": engine.manifest.recipe,
        "made_by": "scripts/make_completion_golden.py",
        "cases": cases,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, indent=1)
    OUTPUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
