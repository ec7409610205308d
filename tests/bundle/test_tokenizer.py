"""Tokenizer and TextStream over the tiny vocabulary: exact to the byte, however text is cut."""

import codecs
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.tokenizer import TextStream, Tokenizer
from foreword.errors import BundleError, PromptError, UsageError
from foreword.sources.gguf_tokenizer import tokenizer_from_gguf
from tiny_tokenizer import CONTROL_TOKENS, gguf_tokenizer_metadata

CONTROL = range(len(CONTROL_TOKENS))
FIRST_BYTE = len(CONTROL_TOKENS)
VOCABULARY = 299

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Few letters, so that stop strings meet, overlap and nearly meet.
DENSE = st.text("aab é안", min_size=1, max_size=4)
STOPS = st.lists(DENSE, max_size=3)
TOKENS = st.lists(st.integers(0, VOCABULARY - 1), max_size=30)


@pytest.fixture(scope="module")
def document() -> dict[str, object]:
    parsed = json.loads(tokenizer_from_gguf(gguf_tokenizer_metadata()).json)
    assert isinstance(parsed, dict)
    return parsed


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("tiny") / "tokenizer.json"
    path.write_text(tokenizer_from_gguf(gguf_tokenizer_metadata()).json, encoding="utf-8")
    return Tokenizer.from_file(path)


def byte_tokens(data: bytes) -> list[int]:
    return [FIRST_BYTE + byte for byte in data]


def streamed(tokenizer: Tokenizer, ids: Sequence[int], stop: Sequence[str] = ()) -> str:
    stream = TextStream(tokenizer, stop)
    pieces = [*map(stream.push, ids), stream.finish()]
    for piece in pieces:
        piece.encode()
    return "".join(pieces)


def until_stop(text: str, stops: Sequence[str]) -> str:
    """The text as one sees it who reads it letter by letter and stops at once."""
    for end in range(1, len(text) + 1):
        met = [len(stop) for stop in stops if text[:end].endswith(stop)]
        if met:
            return text[: end - max(met)]
    return text


@given(TEXT)
def test_decoding_gives_back_every_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.lists(st.sampled_from([*CONTROL_TOKENS, " ", "a", "<|", "|>"])).map("".join))
def test_typed_text_never_becomes_a_control_token(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert not set(CONTROL).intersection(ids)
    assert tokenizer.decode(ids) == text


def test_a_control_token_taken_as_a_whole_piece_is_spelled_out(tmp_path: Path) -> None:
    metadata = gguf_tokenizer_metadata() | {"tokenizer.ggml.pre": "llama-bpe"}
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    tokens[1] = "END"
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_from_gguf(metadata).json, encoding="utf-8")
    spelling = Tokenizer.from_file(path)
    assert spelling.encode("END") == byte_tokens(b"END")


def test_a_lone_surrogate_is_refused_by_its_place(tokenizer: Tokenizer) -> None:
    with pytest.raises(PromptError, match="lone surrogate at character 2"):
        tokenizer.encode("ab\ud800")


def test_every_byte_has_its_token_and_control_tokens_have_none(tokenizer: Tokenizer) -> None:
    data = bytes(range(256))
    assert b"".join(map(tokenizer.token_bytes, byte_tokens(data))) == data
    assert [tokenizer.token_bytes(i) for i in CONTROL] == [b""] * len(CONTROL)
    assert tokenizer.vocabulary_size == VOCABULARY


@given(TOKENS)
def test_decoding_never_fails_and_is_the_tokens_bytes(tokenizer: Tokenizer, ids: list[int]) -> None:
    data = b"".join(map(tokenizer.token_bytes, ids))
    assert tokenizer.decode(ids) == data.decode("utf-8", "replace")


@pytest.mark.parametrize("token_id", [-1, VOCABULARY, 1 << 40])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer: Tokenizer, token_id: int) -> None:
    with pytest.raises(PromptError, match=f"{token_id}.*0 to {VOCABULARY - 1}"):
        tokenizer.token_bytes(token_id)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"model": {"type": "BPE"}}'],
    ids=["empty", "cut", "list", "binary", "deep", "hollow"],
)
def test_what_is_no_tokenizer_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"tokenizer\.json: expected") as refusal:
        Tokenizer.from_file(path)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BundleError, match="expected a byte-level"):
            Tokenizer.from_file(path)


def test_a_tokenizer_of_words_or_with_gaps_is_refused(
    tmp_path: Path, document: dict[str, object]
) -> None:
    words = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}
    gaps = {"type": "BPE", "vocab": {"a": 0, "b": 7}, "merges": []}
    path = tmp_path / "tokenizer.json"
    for change in ({"model": words, "decoder": None}, {"model": gaps, "added_tokens": []}):
        path.write_text(json.dumps(document | change), encoding="utf-8")
        with pytest.raises(BundleError):
            Tokenizer.from_file(path)


@given(data=st.data())
def test_a_damaged_file_is_refused_or_still_whole(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object], data: st.DataObject
) -> None:
    content = bytearray(json.dumps(document).encode())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(content)
    try:
        damaged = Tokenizer.from_file(path)
    except BundleError:
        return
    damaged.decode(damaged.encode("the fox, 42\n안녕"))


def test_a_file_that_makes_the_package_panic_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = {"type": "BPE", "continuing_subword_prefix": "é", "vocab": {"a": 0, "b": 1, "ab": 2}}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"version": "1.0", "model": model | {"merges": [["a", "b"]]}}))
    with pytest.raises(BundleError, match="slice index"):
        Tokenizer.from_file(path)
    capfd.readouterr()  # the panic's own report


@given(TOKENS)
def test_a_stream_shows_what_the_bytes_say(tokenizer: Tokenizer, ids: list[int]) -> None:
    data = b"".join(map(tokenizer.token_bytes, ids))
    # Without `final`, the bytes of a character that has no end are left out.
    assert streamed(tokenizer, ids) == codecs.getincrementaldecoder("utf-8")("replace").decode(data)


@given(TEXT, STOPS)
def test_what_is_shown_does_not_depend_on_how_tokens_cut_it(
    tokenizer: Tokenizer, text: str, stops: list[str]
) -> None:
    whole = streamed(tokenizer, tokenizer.encode(text), stops)
    assert streamed(tokenizer, byte_tokens(text.encode()), stops) == whole


@given(st.lists(DENSE, max_size=8).map("".join), STOPS)
def test_the_stop_string_completed_first_ends_the_text(
    tokenizer: Tokenizer, text: str, stops: list[str]
) -> None:
    expected = until_stop(text, stops)
    assert streamed(tokenizer, tokenizer.encode(text), stops) == expected
    assert streamed(tokenizer, byte_tokens(text.encode()), stops) == expected


@given(st.lists(DENSE, max_size=8).map("".join), STOPS)
def test_nothing_is_held_that_cannot_become_a_stop_string(
    tokenizer: Tokenizer, text: str, stops: list[str]
) -> None:
    stream = TextStream(tokenizer, stops)
    shown = "".join(map(stream.push, tokenizer.encode(text)))
    held = stream.finish()
    assert not held or any(stop.startswith(held) for stop in stops)
    assert stream.stopped == any(stop in text for stop in stops)
    assert stream.stopped or shown + held == text


def test_nothing_follows_a_stop_string(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer, ["\n\n"])
    shown = [stream.push(i) for i in tokenizer.encode("one\n\ntwo")]
    assert stream.stopped
    assert "".join(shown) == "one"
    assert stream.push(FIRST_BYTE) == ""
    assert stream.finish() == ""


def test_an_unfinished_character_is_dropped_and_a_broken_one_marked(tokenizer: Tokenizer) -> None:
    assert streamed(tokenizer, byte_tokens(b"a\xec\x95")) == "a"
    assert streamed(tokenizer, byte_tokens(b"a\xec\x95b\xff")) == "a\ufffdb\ufffd"


@pytest.mark.parametrize("stop", ["text", [""], ["a", ""]])
def test_an_empty_stop_string_is_a_misuse(tokenizer: Tokenizer, stop: Sequence[str]) -> None:
    with pytest.raises(UsageError, match="stop strings"):
        TextStream(tokenizer, stop)
