"""Byte-level BPE as tokenizer.json: how each split cuts, what is added, what is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from foreword.bundle.tokenizer import Tokenizer
from foreword.sources.byte_level import SPLITS, byte_level_tokenizer, split_by
from foreword.sources.tokenizer_json import AddedToken, filled, fillers

BYTES = {symbol: i for i, symbol in enumerate(sorted(ByteLevel.alphabet()))}
TEXT = "I'm 12345 OK'LL!!\n\n  x, y"

EXPECTED = {
    "gpt2": ["I", "'m", "Ġ12345", "ĠOK", "'", "LL", "!!", "ĊĊĠ", "Ġx", ",", "Ġy"],
    "digits": [
        *("I", "'m", "Ġ", "1", "2", "3", "4", "5", "ĠOK", "'", "LL", "!!", "ĊĊĠ", "Ġx"),
        *(",", "Ġy"),
    ],
    "llama3": ["I", "'m", "Ġ", "123", "45", "ĠOK", "'LL", "!!ĊĊ", "Ġ", "Ġx", ",", "Ġy"],
    "qwen2": [
        *("I", "'m", "Ġ", "1", "2", "3", "4", "5", "ĠOK", "'LL", "!!ĊĊ", "Ġ", "Ġx", ",", "Ġy"),
    ],
    "bloom": ["I'm", "Ġ12345", "ĠOK'LL", "!!ĊĊĠ", "Ġx", ",", "Ġy"],
    "falcon": [
        *("I", "'", "m", "Ġ", "123", "45", "ĠOK", "'", "LL", "!!", "ĊĊĠ", "Ġx", ",", "Ġy"),
    ],
}


def opened(directory: Path, text: str) -> Tokenizer:
    path = directory / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    return Tokenizer.from_file(path)


@pytest.mark.parametrize("name", SPLITS)
def test_each_split_cuts_as_its_models_were_trained(name: str) -> None:
    core = tokenizers.Tokenizer.from_str(byte_level_tokenizer(BYTES, [], SPLITS[name]))
    cut = [piece for piece, _ in core.pre_tokenizer.pre_tokenize_str(TEXT)]
    assert cut == EXPECTED[name]


def test_a_pattern_of_its_own_cuts_where_it_matches() -> None:
    core = tokenizers.Tokenizer.from_str(byte_level_tokenizer(BYTES, [], split_by("[ab]+|c")))
    cut = [piece for piece, _ in core.pre_tokenizer.pre_tokenize_str("xabccx")]
    assert cut == ["x", "ab", "c", "c", "x"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
@pytest.mark.parametrize("name", SPLITS)
def test_every_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    tokenizer = opened(
        tmp_path_factory.getbasetemp(), byte_level_tokenizer(BYTES, [], SPLITS[name])
    )
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_prefix_space_is_put_before_every_text(tmp_path: Path) -> None:
    text = byte_level_tokenizer(BYTES, [], SPLITS["llama3"], prefix_space=True)
    tokenizer = opened(tmp_path, text)
    assert tokenizer.decode(tokenizer.encode("a b")) == " a b"
    assert tokenizer.decode(tokenizer.encode(" a")) == "  a"


def test_gaps_and_rows_without_a_token_are_filled_with_control_tokens(tmp_path: Path) -> None:
    vocabulary = {**BYTES, "aa": 260}
    rows = 265
    assert [token.id for token in fillers(vocabulary, rows)] == [
        256,
        257,
        258,
        259,
        *range(261, 265),
    ]
    text = byte_level_tokenizer(
        filled(vocabulary, rows), [("a", "a")], SPLITS["gpt2"], fillers(vocabulary, rows)
    )
    tokenizer = opened(tmp_path, text)
    assert tokenizer.vocabulary_size == rows
    assert tokenizer.encode("aa") == [260]
    assert tokenizer.token_bytes(264) == b""
    assert 264 not in tokenizer.encode("<|filler_264|>")


def test_bytes_without_a_token_are_dropped(tmp_path: Path) -> None:
    few = {"a": 0, "b": 1}
    tokenizer = opened(tmp_path, byte_level_tokenizer(few, [], SPLITS["gpt2"]))
    assert tokenizer.encode("a?b c") == [0, 1]


def test_other_added_tokens_are_cut_out_of_text(tmp_path: Path) -> None:
    added = [AddedToken(256, "<tag>", special=False), AddedToken(257, "<end>", special=True)]
    vocabulary = {**BYTES, "<tag>": 256, "<end>": 257}
    tokenizer = opened(tmp_path, byte_level_tokenizer(vocabulary, [], SPLITS["gpt2"], added))
    assert tokenizer.encode("<tag>") == [256]
    assert len(tokenizer.encode("<end>")) == 5
