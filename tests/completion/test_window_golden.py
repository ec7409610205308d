"""The golden cases that other languages read: words, windows, healing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.healing import heal
from foreword.completion.session import first_word
from foreword.completion.window import keep_end, keep_steady
from foreword.completion.words import last_words, parts_of, sentence_end
from foreword.sources.gguf import open_gguf

GOLDEN = Path(__file__).parents[2] / "testdata/golden/window.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return document


def test_words_are_the_committed_ones(golden: dict[str, Any]) -> None:
    assert len(golden["words"]) > 100
    for case in golden["words"]:
        text, parts = case["text"], parts_of(case["text"])
        assert [part.end for part in parts] == case["ends"], text
        assert [part.is_word for part in parts] == case["words"], text
        assert last_words(text, 2) == case["last_two_words"]
        assert first_word(text) == case["first_word"]
        assert sentence_end(text) == case["sentence_end"]


@pytest.mark.model
def test_windows_and_healing_are_the_committed_ones(
    golden: dict[str, Any], default_gguf: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(open_gguf(default_gguf).tokenizer.json, encoding="utf-8")
    tokenizer = Tokenizer.from_file(path)
    for case in golden["windows"]:
        token_ids = tokenizer.encode(case["text"])
        assert keep_end(token_ids, case["limit"], tokenizer).dropped == case["end"]
        assert keep_steady(token_ids, case["limit"], tokenizer).dropped == case["steady"]
    for case in golden["healing"]:
        healed = heal(tokenizer.encode(case["text"]), tokenizer)
        assert len(healed.token_ids) == case["kept_tokens"]
        assert healed.typed.decode() == case["typed"]
