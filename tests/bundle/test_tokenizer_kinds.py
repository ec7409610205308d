"""The golden cases that other languages read: small tokenizers of every kind."""

from __future__ import annotations

import json
from pathlib import Path

from foreword.bundle.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "testdata/golden/tokenizer/kinds.json"


def test_ids_are_the_committed_ones() -> None:
    for kind in json.loads(GOLDEN.read_text(encoding="utf-8"))["kinds"]:
        tokenizer = Tokenizer.from_text(json.dumps(kind["tokenizer"]), GOLDEN)
        for case in kind["cases"]:
            assert tokenizer.encode(case["text"]) == case["ids"], (kind["name"], case["text"])
