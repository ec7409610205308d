"""Tokenizers out of GGUF metadata: the same ids as llama.cpp, and damage refused in one line."""

import json
import math
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.tokenizer import Tokenizer
from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.gguf import open_gguf
from foreword.sources.gguf_tokenizer import tokenizer_from_gguf
from tiny_tokenizer import CONTROL_TOKENS, gguf_tokenizer_metadata

GOLDEN = Path(__file__).parents[2] / "testdata" / "golden" / "tokenizer" / "smollm2.json"
VOCABULARY = 299
CONTROL, USER_DEFINED = 3, 4

Metadata = dict[str, object]


def tiny(**changes: object) -> Metadata:
    """The tiny vocabulary's metadata with some `tokenizer.ggml.` keys changed; None removes one."""
    metadata = gguf_tokenizer_metadata()
    metadata.update({f"tokenizer.ggml.{key}": value for key, value in changes.items()})
    return {key: value for key, value in metadata.items() if value is not None}


def extended(pieces: dict[str, int], **changes: object) -> Metadata:
    """The tiny vocabulary with more tokens, each of the type given."""
    base = gguf_tokenizer_metadata()
    tokens, types = base["tokenizer.ggml.tokens"], base["tokenizer.ggml.token_type"]
    assert isinstance(tokens, list)
    assert isinstance(types, list)
    return tiny(tokens=[*tokens, *pieces], token_type=[*types, *pieces.values()], **changes)


def sentencepiece(pieces: dict[str, float], **changes: object) -> Metadata:
    """A SentencePiece vocabulary: three special tokens, 256 bytes, then the scored pieces."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    values: Metadata = {
        "model": "llama",
        "tokens": tokens,
        "token_type": [2, 3, 3, *[6] * 256, *[1] * len(pieces)],
        "scores": [0.0] * 259 + list(pieces.values()),
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in (values | changes).items()}


def opened(metadata: Metadata, directory: Path) -> Tokenizer:
    path = directory / "tokenizer.json"
    path.write_text(tokenizer_from_gguf(metadata).json, encoding="utf-8")
    return Tokenizer.from_file(path)


def pieces(tokenizer: Tokenizer, text: str) -> list[bytes]:
    return [tokenizer.token_bytes(i) for i in tokenizer.encode(text)]


def test_ids_are_the_places_in_the_file(tmp_path: Path) -> None:
    metadata = gguf_tokenizer_metadata()
    core = tokenizers.Tokenizer.from_str(tokenizer_from_gguf(metadata).json)
    tokens = [core.id_to_token(i) for i in range(core.get_vocab_size())]
    assert tokens == metadata["tokenizer.ggml.tokens"]
    assert opened(metadata, tmp_path).vocabulary_size == VOCABULARY


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ("gpt-2", ["I", "'m", "Ġ1234", "ĠOK", "'", "LL", "!!", "ĊĊĠ", "Ġx"]),
        ("smollm", ["I", "'m", "Ġ", "1", "2", "3", "4", "ĠOK", "'", "LL", "!!", "ĊĊĠ", "Ġx"]),
        ("llama-bpe", ["I", "'m", "Ġ", "123", "4", "ĠOK", "'LL", "!!ĊĊ", "Ġ", "Ġx"]),
        ("qwen2", ["I", "'m", "Ġ", "1", "2", "3", "4", "ĠOK", "'LL", "!!ĊĊ", "Ġ", "Ġx"]),
    ],
)
def test_text_is_cut_as_the_name_of_the_pre_tokenizer_says(pre: str, expected: list[str]) -> None:
    core = tokenizers.Tokenizer.from_str(tokenizer_from_gguf(tiny(pre=pre)).json)
    cut = core.pre_tokenizer.pre_tokenize_str("I'm 1234 OK'LL!!\n\n  x")
    assert [piece for piece, _ in cut] == expected


def test_only_llama_3_takes_a_token_whole_without_merges(tmp_path: Path) -> None:
    whole = {"xyz": 1}
    assert pieces(opened(extended(whole, pre="llama-bpe"), tmp_path), "xyz") == [b"xyz"]
    assert pieces(opened(extended(whole, pre="qwen2"), tmp_path), "xyz") == [b"x", b"y", b"z"]


def test_user_defined_tokens_are_always_parsed_and_control_tokens_never(tmp_path: Path) -> None:
    metadata = extended({"<tag>": USER_DEFINED, "<hidden>": CONTROL, "</s>": USER_DEFINED})
    tokenizer = opened(metadata, tmp_path)
    assert tokenizer.encode("<tag>") == [VOCABULARY]
    assert tokenizer.token_bytes(VOCABULARY) == b"<tag>"
    # An end token is one whatever type the file gives it: typed text must not spell it.
    assert not {VOCABULARY + 1, VOCABULARY + 2}.intersection(tokenizer.encode("<hidden></s>"))


def test_end_tokens_are_the_named_one_and_those_known_by_their_text() -> None:
    assert tokenizer_from_gguf(tiny()).end == (0, 2)
    assert tokenizer_from_gguf(tiny(eos_token_id=1)).end == (0, 1, 2)
    normal = extended({"</s>": 1, "<|eot_id|>": CONTROL}, eos_token_id=None)
    assert tokenizer_from_gguf(normal).end == (0, 2, VOCABULARY + 1)


@pytest.mark.parametrize(
    ("metadata", "start", "prepended"),
    [
        (tiny(add_bos_token=None), 1, False),
        (tiny(add_bos_token=True), 1, True),
        (tiny(add_bos_token=None, pre="llama-bpe"), 1, True),
        (tiny(add_bos_token=None, pre="llama-bpe", bos_token_id=None), None, False),
        (sentencepiece({}), 1, True),
        (sentencepiece({}, add_bos_token=False), 1, False),
    ],
)
def test_the_start_token_is_prepended_where_the_file_or_the_kind_says_so(
    metadata: Metadata, start: int | None, prepended: bool
) -> None:
    source = tokenizer_from_gguf(metadata)
    assert (source.start, source.prepend_start) == (start, prepended)


def test_without_a_pre_tokenizer_only_gpt_2_itself_is_taken() -> None:
    metadata = tiny(pre=None)
    with pytest.raises(UnsupportedModelError, match=r"'default'.*smollm"):
        tokenizer_from_gguf(metadata)
    named = tokenizer_from_gguf(metadata | {"general.architecture": "gpt2"})
    assert named == tokenizer_from_gguf(tiny(pre="gpt-2"))


@pytest.mark.parametrize("changes", [{"model": "bert"}, {"pre": "tekken"}, {"model": "t5"}])
def test_another_kind_is_named_and_so_is_what_is_supported(changes: dict[str, str]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"gpt-?2.*; take a model") as refusal:
        tokenizer_from_gguf(tiny(**changes))
    assert next(iter(changes.values())) in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "'tokenizer.ggml.model': expected a str, found nothing"),
        ({"model": 3}, "'tokenizer.ggml.model': expected a str, found 3"),
        ({"tokens": None}, "'tokenizer.ggml.tokens': expected a list of str values, found nothing"),
        ({"tokens": ["a", 1]}, "expected a list of str values"),
        ({"tokens": [], "token_type": []}, "expected 1 to"),
        ({"tokens": ["a", "a"], "token_type": [1, 1]}, "every token once, found 'a' 2 times"),
        ({"tokens": ["\ud800"], "token_type": [1]}, "lone surrogates"),
        ({"token_type": [1]}, "299 values, one a token, found 1"),
        ({"token_type": [True] * VOCABULARY}, "a list of int values"),
        ({"merges": None}, "'tokenizer.ggml.merges': expected a list of str values, found nothing"),
        ({"merges": ["h e", "he"]}, "pairs of tokens that make a token, found 'he'"),
        ({"merges": [""]}, "pairs of tokens that make a token"),
        ({"merges": ["h q"]}, "pairs of tokens that make a token, found 'h q'"),
        ({"bos_token_id": VOCABULARY}, "a token id below 299, found 299"),
        ({"eos_token_id": -1}, "a token id below 299, found -1"),
        ({"eos_token_id": True}, "a token id below 299, found True"),
        ({"bos_token_id": None, "add_bos_token": True}, "an id, as add_bos_token is set"),
        ({"add_bos_token": 1}, "expected a bool, found 1"),
    ],
)
def test_damage_is_refused_with_what_was_expected(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError) as refusal:
        tokenizer_from_gguf(tiny(**changes))
    assert message in str(refusal.value)
    assert "get it again" in str(refusal.value)
    assert "\n" not in str(refusal.value)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9))
LISTS = st.lists(SCALARS, max_size=3)


@given(st.sampled_from(sorted(sentencepiece({}) | tiny())), SCALARS | LISTS, st.booleans())
def test_any_value_under_any_key_is_taken_or_refused_in_one_line(
    key: str, value: object, spm: bool
) -> None:
    metadata = (sentencepiece({"a": -1.0}) if spm else tiny()) | {key: value}
    message = ""
    try:
        tokenizers.Tokenizer.from_str(tokenizer_from_gguf(metadata).json)
    except SourceError as refusal:
        message = str(refusal)
    assert "\n" not in message


def test_sentencepiece_merges_the_best_score_first(tmp_path: Path) -> None:
    letters = {"▁": -9.0, "a": -9.0, "b": -9.0, "c": -9.0}
    scored = letters | {"ab": -2.0, "bc": -1.0, "▁a": -3.0}
    assert pieces(opened(sentencepiece(scored), tmp_path), "abc") == [b" a", b"bc"]
    scored |= {"ab": -0.5}
    assert pieces(opened(sentencepiece(scored), tmp_path), "abc") == [b" ", b"ab", b"c"]


def test_sentencepiece_prefixes_a_space_unless_told_not_to(tmp_path: Path) -> None:
    scored = {"▁": -1.0, "a": -2.0}
    assert pieces(opened(sentencepiece(scored), tmp_path), "a") == [b" ", b"a"]
    bare = sentencepiece(scored, add_space_prefix=False)
    assert pieces(opened(bare, tmp_path), "a a") == [b"a", b" ", b"a"]
    assert opened(bare, tmp_path).encode("") == []


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_sentencepiece_holds_every_text_and_no_control_token(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    metadata = sentencepiece({"▁": -1.0, "<": -2.0, "s": -3.0, "<s": -4.0}, add_space_prefix=False)
    tokenizer = opened(metadata, tmp_path_factory.getbasetemp())
    for typed in (text, f"<s>{text}</s>"):
        ids = tokenizer.encode(typed)
        assert min(ids, default=3) > 2
        assert tokenizer.decode(ids) == typed


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scores": None}, SourceError),
        ({"scores": [0.0]}, SourceError),
        ({"scores": [math.nan] * 259}, SourceError),
        ({"tokens": ["<unk>"], "token_type": [2], "scores": [0.0]}, UnsupportedModelError),
    ],
)
def test_sentencepiece_without_scores_or_bytes_is_refused(
    changes: dict[str, object], error: type[SourceError]
) -> None:
    with pytest.raises(error):
        tokenizer_from_gguf(sentencepiece({}, **changes))


def test_the_tiny_vocabulary_grows_to_the_size_asked_for() -> None:
    tokens = gguf_tokenizer_metadata(320)["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    assert len(tokens) == 320
    assert tuple(tokens[: len(CONTROL_TOKENS)]) == CONTROL_TOKENS
    assert tokenizer_from_gguf(gguf_tokenizer_metadata(320)).end == (0, 2)


def golden() -> list[tuple[str, list[int]]]:
    cases = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
    return [(case["text"], case["ids"]) for case in cases]


def test_the_golden_cases_are_a_thousand_different_texts() -> None:
    texts = [text for text, _ in golden()]
    assert len(texts) == len(set(texts)) == 1000
    for part in ("\0", "안녕", "👨‍👩‍👧‍👦", "<|im_end|>", "\r\n", " " * 64, "٣", "def f("):
        assert any(part in text for text in texts)


@pytest.mark.model
def test_the_default_model_encodes_as_llama_cpp_does(default_gguf: Path, tmp_path: Path) -> None:
    source = open_gguf(default_gguf).tokenizer
    assert (source.start, source.end, source.prepend_start) == (1, (0, 2), False)
    path = tmp_path / "tokenizer.json"
    path.write_text(source.json, encoding="utf-8")
    tokenizer = Tokenizer.from_file(path)
    wrong = [text for text, ids in golden() if tokenizer.encode(text) != ids]
    assert wrong == []
    # The vocabulary has no token for these control characters: they are dropped.
    dropped = str.maketrans("", "", "\x04\x06\x13\x14\x16\x1d")
    for text, ids in golden():
        assert tokenizer.decode(ids) == text.translate(dropped)
