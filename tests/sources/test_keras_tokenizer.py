"""KerasHub's tokenizer classes: their special tokens and files, and damage refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from foreword.bundle.tokenizer import Tokenizer
from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.keras_tokenizer import CLASSES, tokenizer_from_keras
from foreword.sources.model import TokenizerSource
from tiny_sentencepiece import BPE, CONTROL, NORMAL, write_proto

ROWS = 300
MERGES = ("h e", "Ġ t", "Ġt he")

Config = dict[str, object]


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """The files of a byte-level BPE with every class's special tokens, and of a proto."""
    special = {kind.start for kind in CLASSES.values()} | {kind.end for kind in CLASSES.values()}
    special |= {end for kind in CLASSES.values() for end in kind.more_ends}
    names = sorted(name for name in special if name is not None)
    tokens = [*sorted(ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in MERGES), *names]
    tokens.append("<|im_start|>")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (tmp_path / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = ["#version: 0.2", *MERGES, ""]
    (tmp_path / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
    more = [(name, 0.0, CONTROL) for name in names if name not in ("<s>", "</s>")]
    proto = write_proto([("▁", -1.0, NORMAL), ("a", -2.0, NORMAL), *more], BPE)
    (tmp_path / "vocabulary.spm").write_bytes(proto)
    return tmp_path


def read(
    assets: Path,
    name: str = "GPT2Tokenizer",
    config: Config | None = None,
    add_start: bool = True,
    rows: int = ROWS,
) -> TokenizerSource:
    return tokenizer_from_keras(name, config or {}, assets, add_start=add_start, rows=rows)


def opened(source: TokenizerSource, directory: Path) -> Tokenizer:
    path = directory / "tokenizer.json"
    path.write_text(source.json, encoding="utf-8")
    return Tokenizer.from_file(path)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_has_a_tokenizer_for_every_row(assets: Path, name: str) -> None:
    source = read(assets, name, {"split_pattern": r"\p{L}+"})
    tokenizer = opened(source, assets)
    assert tokenizer.vocabulary_size == ROWS
    kind = CLASSES[name]
    ids = {text: tokenizer._core.token_to_id(text) for text in (kind.end, *kind.more_ends)}
    assert set(source.end) == set(ids.values())
    assert source.start == (kind.start and tokenizer._core.token_to_id(kind.start))
    assert source.prepend_start == (kind.start is not None)
    special = {i for i in source.end if not tokenizer.token_bytes(i)}
    assert special == set(source.end)
    for text in ids:
        assert not set(source.end).intersection(tokenizer.encode(f"a{text}"))


def test_the_start_token_is_prepended_as_the_preprocessor_or_the_tokenizer_says(
    assets: Path,
) -> None:
    assert not read(assets, add_start=False).prepend_start
    assert read(assets, "LlamaTokenizer", {"add_bos": True}, add_start=False).prepend_start
    assert not read(assets, "QwenTokenizer").prepend_start


def test_chat_tokens_are_control_tokens_and_words_with_such_marks_are_not(assets: Path) -> None:
    tokenizer = opened(read(assets), assets)
    chat = tokenizer._core.token_to_id("<|im_start|>")
    assert tokenizer.token_bytes(chat) == b""
    assert chat not in tokenizer.encode("<|im_start|>")
    the = tokenizer._core.token_to_id("Ġthe")
    assert tokenizer.encode(" the") == [the]
    assert tokenizer.token_bytes(the) == b" the"


def test_other_unsplittable_tokens_are_control_tokens(assets: Path) -> None:
    tokenizer = opened(read(assets, config={"unsplittable_tokens": ["he"]}), assets)
    assert b"" not in [tokenizer.token_bytes(i) for i in tokenizer.encode("he")]
    assert tokenizer.token_bytes(tokenizer._core.token_to_id("he")) == b""


def change_vocabulary(assets: Path, **changes: object) -> None:
    path = assets / "vocabulary.json"
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not None}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"he": "1"}, "expected a map from tokens to ids"),
        ({"he": True}, "expected a map from tokens to ids"),
        ({"he": -1}, "expected a map from tokens to ids"),
        ({"he": 3}, "one token an id, found several"),
        ({"he": None}, "merges.txt: line 2: expected two tokens that make a token, found 'h e'"),
        ({"x": 9999}, "mismatched vocabulary sizes: the tokenizer has 10000 tokens and the embe"),
        ({"\ud800": 290}, "lone surrogates"),
        ({"<|endoftext|>": None}, "lacks '<|endoftext|>', which a GPT2Tokenizer begins or ends"),
    ],
)
def test_a_damaged_vocabulary_is_refused(
    assets: Path, changes: dict[str, object], said: str
) -> None:
    change_vocabulary(assets, **changes)
    with pytest.raises(SourceError) as caught:
        read(assets)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"h e\nthe", "line 2"), (b"h  e", "line 1"), (b"\xff", "UTF-8"), (b"h e x", "line 1")],
)
def test_damaged_merges_are_refused_with_the_line(assets: Path, data: bytes, said: str) -> None:
    (assets / "merges.txt").write_bytes(data)
    with pytest.raises(SourceError, match=rf"merges.txt.*{said}"):
        read(assets)


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("WordPieceTokenizer", {}, "Foreword reads BloomTokenizer"),
        ("MistralTekkenTokenizer", {}, "'split_pattern': expected a pattern, found None"),
        ("MistralTekkenTokenizer", {"split_pattern": "("}, "cannot be used"),
        ("GPT2Tokenizer", {"unsplittable_tokens": "x"}, "expected a list of tokens"),
        ("GPT2Tokenizer", {"unsplittable_tokens": [1]}, "expected a list of tokens"),
    ],
)
def test_a_config_that_cannot_be_followed_is_refused(
    assets: Path, name: str, config: Config, said: str
) -> None:
    with pytest.raises(SourceError) as caught:
        read(assets, name, config)
    assert said in str(caught.value)
    assert isinstance(caught.value, UnsupportedModelError) == (name == "WordPieceTokenizer")


@pytest.mark.parametrize("name", ["vocabulary.json", "merges.txt", "vocabulary.spm"])
def test_a_missing_file_is_named(assets: Path, name: str) -> None:
    (assets / name).unlink()
    kind = "LlamaTokenizer" if name.endswith(".spm") else "GPT2Tokenizer"
    with pytest.raises(SourceError, match=f"expected the tokenizer's {name}"):
        read(assets, kind)


def test_a_proto_larger_than_the_embedding_is_refused(assets: Path) -> None:
    with pytest.raises(SourceError, match=r"the tokenizer has \d+ tokens and the embedding 260 r"):
        read(assets, "LlamaTokenizer", rows=260)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


@given(
    st.sampled_from(["unsplittable_tokens", "add_prefix_space", "add_bos", "split_pattern"]),
    SCALARS | st.lists(SCALARS, max_size=2),
)
def test_any_value_in_the_config_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    directory = tmp_path_factory.getbasetemp()
    vocabulary = {symbol: i for i, symbol in enumerate([*ByteLevel.alphabet(), "<s>", "</s>"])}
    (directory / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (directory / "merges.txt").write_text("")
    message = ""
    try:
        read(directory, "MistralTekkenTokenizer", {"split_pattern": "a", key: value})
    except SourceError as error:
        message = str(error)
    assert "\n" not in message
