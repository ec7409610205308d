"""SentencePiece protos as tokenizer.json: the merges, the spaces, and damage refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.tokenizer import Tokenizer
from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.sentencepiece import sentencepiece_tokenizer
from foreword.sources.sentencepiece_proto import PieceType, read_sentencepiece
from tiny_sentencepiece import (
    BPE,
    BYTES,
    CHAR,
    CONTROL,
    NORMAL,
    SPECIAL,
    UNIGRAM,
    UNUSED,
    USER_DEFINED,
    WORD,
    field,
    write_proto,
)

BASE = len(SPECIAL) + len(BYTES)


def scored(**pieces: float) -> list[tuple[str, float, int]]:
    return [(text.replace("_", "▁"), score, NORMAL) for text, score in pieces.items()]


LETTERS = scored(_=-9, a=-9, b=-9, c=-9, ab=-2, bc=-1, _a=-3)


def opened(
    directory: Path, proto: bytes, control: tuple[str, ...] = (), rows: int = 0
) -> Tokenizer:
    model = read_sentencepiece(proto)
    text = sentencepiece_tokenizer(model, control, max(rows, len(model.pieces)))
    path = directory / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    return Tokenizer.from_file(path)


def pieces(tokenizer: Tokenizer, text: str) -> list[bytes]:
    return [tokenizer.token_bytes(i) for i in tokenizer.encode(text)]


def test_a_proto_is_read_with_its_defaults() -> None:
    model = read_sentencepiece(field(1, field(1, b"a")) + field(7, b"later"))
    assert model.pieces == (("a", 0.0, PieceType.NORMAL),)
    assert (model.kind, model.charsmap) == ("unigram", b"")
    assert (model.dummy_prefix, model.tidy_spaces, model.marks_spaces) == (True, True, True)
    assert not model.space_as_suffix


def test_bpe_merges_the_best_score_first(tmp_path: Path) -> None:
    assert pieces(opened(tmp_path, write_proto(LETTERS)), "abc") == [b" a", b"bc"]
    better = [*LETTERS[:4], ("ab", -0.5, NORMAL), *LETTERS[5:]]
    assert pieces(opened(tmp_path, write_proto(better)), "abc") == [b" ", b"ab", b"c"]


def test_unigram_takes_the_likeliest_cut(tmp_path: Path) -> None:
    tokenizer = opened(tmp_path, write_proto(LETTERS, UNIGRAM))
    assert pieces(tokenizer, "abc") == [b" a", b"bc"]
    assert pieces(tokenizer, "abé") == [b" ", b"ab", b"\xc3", b"\xa9"]


@pytest.mark.parametrize("kind", [BPE, UNIGRAM])
def test_a_space_goes_before_the_text_unless_the_model_says_otherwise(
    tmp_path: Path, kind: int
) -> None:
    bare = opened(tmp_path, write_proto(LETTERS, kind, dummy_prefix=False))
    assert pieces(bare, "b  b") == [b"b", b" ", b" ", b"b"]
    assert bare.encode("") == []


@pytest.mark.parametrize("kind", [BPE, UNIGRAM])
def test_spaces_are_tidied_where_the_model_does_so(tmp_path: Path, kind: int) -> None:
    tidy = opened(tmp_path, write_proto(LETTERS, kind, tidy_spaces=True))
    assert tidy.encode("  b   b ") == tidy.encode("b b")
    assert pieces(tidy, "b b") == [b" ", b"b", b" ", b"b"]
    assert tidy.decode(tidy.encode("b\n b\n")) == " b\n b\n"


@pytest.mark.parametrize("kind", [BPE, UNIGRAM])
def test_typed_text_spells_no_reserved_piece(tmp_path: Path, kind: int) -> None:
    letters = [(letter, -5.0, NORMAL) for letter in "▁<>/sx0A|filer_29un k"]
    extra = [("<chat>", 0.0, CONTROL), ("<old>", 0.0, UNUSED), ("<|end|>", 0.0, USER_DEFINED)]
    proto = write_proto([*letters, *extra], kind, dummy_prefix=False)
    count = BASE + len(letters) + len(extra)
    tokenizer = opened(tmp_path, proto, ("<|end|>",), rows=count + 3)
    assert tokenizer.vocabulary_size == count + 3
    for text in ("<s>", "</s>", "<unk>", "<0x0A>", "<chat>", "<|end|>", f"<|filler_{count}|>"):
        ids = tokenizer.encode(f"x{text}{text}")
        assert tokenizer.decode(ids) == f"x{text}{text}"
        assert all(tokenizer.token_bytes(i) for i in ids)
        assert tokenizer._core.token_to_id(text) not in ids


@pytest.mark.parametrize("kind", [BPE, UNIGRAM])
def test_user_defined_pieces_are_cut_out_first_the_longest_first(tmp_path: Path, kind: int) -> None:
    own = [(text, 0.0, USER_DEFINED) for text in ("<tag>", "\n\n", "▁▁", "▁▁▁")]
    proto = write_proto([*LETTERS, *own, ("\n", -3.0, NORMAL)], kind, dummy_prefix=False)
    tokenizer = opened(tmp_path, proto)
    assert pieces(tokenizer, "a<tag>b\n\n\na") == [b"a", b"<tag>", b"b", b"\n\n", b"\n", b"a"]
    assert pieces(tokenizer, "a     a") == [b"a", b"   ", b"  ", b"a"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
@pytest.mark.parametrize("kind", [BPE, UNIGRAM])
def test_every_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, kind: int, text: str
) -> None:
    tokenizer = opened(
        tmp_path_factory.getbasetemp(), write_proto(LETTERS, kind, dummy_prefix=False)
    )
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": WORD}, "'word'"),
        ({"kind": CHAR}, "'char'"),
        ({"marks_spaces": False}, "escape_whitespaces"),
        ({"space_as_suffix": True}, "treat_whitespace_as_suffix"),
        ({"base": SPECIAL}, "256 byte tokens"),
        ({"base": BYTES, "kind": UNIGRAM}, "no unknown piece"),
    ],
)
def test_a_model_that_cannot_be_followed_is_refused(options: dict[str, Any], said: str) -> None:
    model = read_sentencepiece(write_proto(LETTERS, **options))
    with pytest.raises(UnsupportedModelError, match=said):
        sentencepiece_tokenizer(model, (), 999)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected 1 to .* pieces, found 0"),
        (field(1, field(1, b"a")) * 2, "every piece once"),
        (field(1, field(1, b"a")) + field(2, field(3, 9)), "a known type of model, found number 9"),
        (field(1, b""), "a text and a finite score"),
        (field(1, field(1, b"\xff")), "a piece of text and a known type"),
        (field(1, field(1, b"a") + field(3, 7)), "a known type"),
        (field(1, field(1, b"a") + b"\x15\0\0\xc0\x7f"), "finite score"),
        (field(1, field(1, b"a") + field(2, b"12345678")), "finite score"),
        (field(1, 3), "expected bytes in a field, found a number"),
        (field(1, field(1, b"a") + field(3, b"x")), "a number in a field"),
        (b"\x0a\x05abc", "goes past the end"),
        (b"\x0b", "goes past the end"),
        (b"\x80", "does not end"),
        (b"\x08" + b"\xff" * 12, "does not end"),
        (b"not a model at all", "SentencePiece model: expected"),
    ],
)
def test_damage_is_refused_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        read_sentencepiece(data)
    assert str(caught.value).isprintable()


@given(st.data())
def test_any_bytes_are_read_or_refused(data: st.DataObject) -> None:
    proto = bytearray(write_proto(LETTERS, base=SPECIAL))
    for _ in range(data.draw(st.integers(1, 3))):
        proto[data.draw(st.integers(0, len(proto) - 1))] = data.draw(st.integers(0, 255))
    message = ""
    try:
        read_sentencepiece(bytes(proto[: data.draw(st.integers(0, len(proto)))]))
    except SourceError as error:
        message = str(error)
    assert "\n" not in message
