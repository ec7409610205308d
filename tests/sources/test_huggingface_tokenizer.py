"""Tokenizers of checkpoint folders: the same ids as `tokenizers` gives, every row with a token."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.tokenizer import Tokenizer
from foreword.errors import PromptError, SourceError, UnsupportedModelError
from foreword.sources.huggingface_tokenizer import read_tokenizer
from foreword.sources.model import TokenizerSource
from tiny_hf import BOS, EOS, VOCABULARY, tiny_tokenizer, write_json

CONFIG: dict[str, object] = {"model_type": "llama", "bos_token_id": BOS, "eos_token_id": EOS}
TEXT = "I'm enjoying the 42 naïve cafés — and\n\n  a 🙂"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, whose tokenizer.json is written over and over."""
    return tmp_path_factory.mktemp("scratch")


def read(
    folder: Path,
    document: Json | None = None,
    config: dict[str, object] = CONFIG,
    rows: int = VOCABULARY,
    **files: object,
) -> TokenizerSource:
    if document is not None:
        write_json(folder / "tokenizer.json", document)
    for name, content in files.items():
        write_json(folder / f"{name}.json", content)
    return read_tokenizer(folder, config, rows)


def refusal(error: type[SourceError], folder: Path, *args: Any, **files: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read(folder, *args, **files)
    assert type(caught.value) is error
    assert str(caught.value).isprintable()
    return str(caught.value)


def loaded(source: TokenizerSource, folder: Path) -> Tokenizer:
    path = folder / "made.json"
    path.write_text(source.json, encoding="utf-8")
    return Tokenizer.from_file(path)


def added(i: int, content: str, special: bool = True) -> Json:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": content, **flags, "special": special}


def template(*pieces: str) -> Json:
    """The post-processor that puts special tokens around a text, as Llama's files have it."""
    names = {"<|im_start|>": BOS, "<|im_end|>": EOS}
    single = [
        {"Sequence": {"id": "A", "type_id": 0}}
        if piece == "$A"
        else {"SpecialToken": {"id": piece, "type_id": 0}}
        for piece in pieces
    ]
    special = {text: {"id": text, "ids": [i], "tokens": [text]} for text, i in names.items()}
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": special,
    }


def byte_fallback(**model: object) -> Json:
    """A SentencePiece-like tokenizer.json, as Llama 2's is."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "▁a"]
    document = tiny_tokenizer()
    document["added_tokens"] = [added(i, tokens[i]) for i in range(3)]
    document["pre_tokenizer"] = None
    document["normalizer"] = {
        "type": "Replace",
        "pattern": {"String": " "},
        "content": "▁",
    }
    steps = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    document["decoder"] = {"type": "Sequence", "decoders": steps}
    vocabulary = {token: i for i, token in enumerate(tokens)}
    own = {"vocab": vocabulary, "merges": [["▁", "a"]], "byte_fallback": True}
    document["model"] |= own | model
    return document


# Sound files


def test_ids_are_those_of_the_file(tmp_path: Path) -> None:
    document = tiny_tokenizer()
    core = tokenizers.Tokenizer.from_str(json.dumps(document))
    tokenizer = loaded(read(tmp_path, document), tmp_path)
    ids = core.encode(TEXT).ids
    assert tokenizer.encode(TEXT) == ids
    # The tiny vocabulary lacks bytes of what is not ASCII, and leaves them out.
    assert tokenizer.decode(ids) == core.decode(ids)
    assert tokenizer.vocabulary_size == VOCABULARY


def test_a_byte_fallback_tokenizer_holds_every_text(tmp_path: Path) -> None:
    document = byte_fallback()
    rows = len(document["model"]["vocab"])
    tokenizer = loaded(read(tmp_path, document, rows=rows), tmp_path)
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_truncation_padding_and_dropout_are_dropped(tmp_path: Path) -> None:
    document = tiny_tokenizer()
    core = tokenizers.Tokenizer.from_str(json.dumps(document))
    core.enable_truncation(2)
    core.enable_padding(length=64)
    cut = json.loads(core.to_str())
    cut["model"]["dropout"] = 0.9
    made = read(tmp_path, cut, CONFIG)
    assert loaded(made, tmp_path).encode(TEXT) == loaded(read(tmp_path, document), tmp_path).encode(
        TEXT
    )
    document = json.loads(made.json)
    found = (document["truncation"], document["padding"], document["model"]["dropout"])
    assert found == (None, None, None)


@pytest.mark.parametrize("rows", [VOCABULARY, VOCABULARY + 1, VOCABULARY + 1000])
def test_every_row_of_a_padded_embedding_has_a_token(tmp_path: Path, rows: int) -> None:
    tokenizer = loaded(read(tmp_path, tiny_tokenizer(), rows=rows), tmp_path)
    assert tokenizer.vocabulary_size == rows
    assert tokenizer.decode([*tokenizer.encode("the"), *range(VOCABULARY, rows)]) == "the"
    assert max(tokenizer.encode(f"the <|filler_{VOCABULARY}|>")) < VOCABULARY
    with pytest.raises(PromptError):
        tokenizer.decode([rows])


def test_added_tokens_keep_their_ids_whatever_gaps_there_are(tmp_path: Path) -> None:
    document = tiny_tokenizer()
    document["added_tokens"] += [added(310, "<tool>", special=False), added(305, "<image>")]
    tokenizer = loaded(read(tmp_path, document, rows=320), tmp_path)
    assert tokenizer.encode("<tool>") == [310]
    assert tokenizer.decode([310, 305, 304]) == "<tool>"
    assert not set(tokenizer.encode("<image>")) & {305}


def test_control_tokens_beyond_the_embedding_are_left_out(tmp_path: Path) -> None:
    # Gemma 3's text-only models have a token for images and no row for it.
    document = tiny_tokenizer()
    document["added_tokens"].append(added(VOCABULARY, "<image_soft_token>"))
    tokenizer = loaded(read(tmp_path, document), tmp_path)
    assert tokenizer.vocabulary_size == VOCABULARY
    assert tokenizer.decode(tokenizer.encode("<image_soft_token>")) == "<image_soft_token>"
    document["added_tokens"].append(added(VOCABULARY + 1, "a"))
    tokenizer = loaded(read(tmp_path, document), tmp_path)
    assert tokenizer.decode(tokenizer.encode("a")) == "a"


@pytest.mark.parametrize("special", [True, False])
def test_typed_text_never_spells_the_token_that_ends_it(tmp_path: Path, special: bool) -> None:
    document = tiny_tokenizer()
    document["added_tokens"].append(added(VOCABULARY, "<stop>", special))
    config = CONFIG | {"eos_token_id": VOCABULARY}
    made = read(tmp_path, document, config, VOCABULARY + 1)
    assert VOCABULARY in made.end
    tokenizer = loaded(made, tmp_path)
    assert VOCABULARY not in tokenizer.encode("<stop>")
    assert tokenizer.decode([VOCABULARY]) == ""


# Special tokens


@pytest.mark.parametrize(
    ("config", "files", "start", "end"),
    [
        ({}, {}, None, (0, 2)),
        ({"bos_token_id": 1, "eos_token_id": 1}, {}, 1, (0, 1, 2)),
        ({"eos_token_id": [5, 1]}, {}, None, (0, 1, 2, 5)),
        ({}, {"generation_config": {"bos_token_id": 1, "eos_token_id": [7]}}, 1, (0, 2, 7)),
        ({"text_config": {"bos_token_id": 1, "eos_token_id": 9}}, {}, 1, (0, 2, 9)),
        ({}, {"special_tokens_map": {"bos_token": "<|im_start|>"}}, 1, (0, 2)),
        ({}, {"special_tokens_map": {"eos_token": {"content": "<|im_start|>"}}}, None, (0, 1, 2)),
        ({"bos_token_id": 1}, {"tokenizer_config": {"bos_token": "<|endoftext|>"}}, 0, (0, 2)),
        ({"bos_token_id": 1}, {"tokenizer_config": {"bos_token": None}}, 1, (0, 2)),
    ],
)
def test_special_tokens_are_gathered_from_every_file(
    tmp_path: Path,
    config: dict[str, object],
    files: dict[str, object],
    start: int | None,
    end: tuple[int, ...],
) -> None:
    made = read(tmp_path, tiny_tokenizer(), {"model_type": "llama", **config}, **files)
    assert (made.start, made.end, made.prepend_start) == (start, end, False)


@pytest.mark.parametrize(
    ("processor", "setting", "prepended"),
    [
        (None, None, False),
        (template("<|im_start|>", "$A"), None, True),
        (template("$A", "<|im_end|>"), None, False),
        (template("<|im_start|>", "$A"), False, False),
        (None, True, True),
        ({"type": "Sequence", "processors": [template("<|im_start|>", "$A")]}, None, True),
        ({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}, None, False),
    ],
)
def test_a_start_token_is_prepended_where_the_tokenizer_does(
    tmp_path: Path, processor: Json | None, setting: bool | None, prepended: bool
) -> None:
    document = tiny_tokenizer() | {"post_processor": processor}
    made = read(tmp_path, document, tokenizer_config={"add_bos_token": setting})
    assert (made.start, made.prepend_start) == (BOS, prepended)


# Other kinds of files


def old_files(folder: Path, merges: str | None = None, **changes: int) -> None:
    model = tiny_tokenizer()["model"]
    write_json(folder / "vocab.json", model["vocab"] | changes)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"]), ""]
    (folder / "merges.txt").write_text("\n".join(lines) if merges is None else merges, "utf-8")


def test_gpt2s_old_files_give_the_tokenizer_they_mean(tmp_path: Path) -> None:
    old_files(tmp_path)
    config = {"model_type": "gpt2", "bos_token_id": 0, "eos_token_id": 0}
    roles = {"bos_token": "<|endoftext|>", "unk_token": "<|im_start|>"}
    made = read(tmp_path, None, config, VOCABULARY + 1, special_tokens_map=roles)
    assert (made.start, made.end, made.prepend_start) == (0, (0,), False)
    document = tiny_tokenizer()
    document["pre_tokenizer"]["pretokenizers"].pop(0)
    core = tokenizers.Tokenizer.from_str(json.dumps(document))
    tokenizer = loaded(made, tmp_path)
    assert tokenizer.encode(TEXT) == core.encode(TEXT).ids
    assert tokenizer.decode([0, 1, VOCABULARY]) == ""
    assert 0 not in tokenizer.encode("<|endoftext|>")


@pytest.mark.parametrize(
    ("merges", "changes", "found"),
    [
        ("Ġ t\nnone such", {}, "merges.txt: expected pairs of tokens .* 'none such'"),
        ("Ġt", {}, "merges.txt: expected pairs of tokens .* 'Ġt'"),
        (None, {"x": -1}, "vocab.json: expected a map from tokens to ids"),
        (None, {"x": True}, "vocab.json: expected a map from tokens to ids"),
        (None, {"extra": 7}, "expected one token an id"),
    ],
)
def test_damaged_old_files_are_refused(
    tmp_path: Path, merges: str | None, changes: dict[str, int], found: str
) -> None:
    old_files(tmp_path, merges, **changes)
    with pytest.raises(SourceError, match=found):
        read(tmp_path, None, {"model_type": "gpt2"}, 400)


def test_old_files_of_other_families_are_told_to_save_a_tokenizer_json(tmp_path: Path) -> None:
    old_files(tmp_path)
    message = refusal(UnsupportedModelError, tmp_path, None, {"model_type": "llama"})
    assert message.startswith("expected a tokenizer.json in the folder, found none")


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protocol buffer: bytes below 16 KB, or a number below 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value) & 127 | 128, len(value) >> 7]) + value


def test_a_sentencepiece_file_alone_gives_its_tokenizer(tmp_path: Path) -> None:
    special = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    texts = [*special, *((f"<0x{byte:02X}>", 6) for byte in range(256)), ("▁", 1), ("a", 1)]
    pieces = b"".join(
        field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", -i) + field(3, kind))
        for i, (text, kind) in enumerate([*texts, ("▁a", 1)])
    )
    (tmp_path / "tokenizer.model").write_bytes(pieces + field(2, field(3, 2)))
    made = read(tmp_path, rows=300)
    assert (made.start, made.end, made.prepend_start) == (1, (2,), True)
    tokenizer = loaded(made, tmp_path)
    assert tokenizer.vocabulary_size == 300
    assert tokenizer.encode("a é") == [261, 259, *(3 + byte for byte in "é".encode())]
    assert not read(tmp_path, tokenizer_config={"add_bos_token": False}).prepend_start
    assert "262 tokens and the embedding 261 rows" in refusal(SourceError, tmp_path, rows=261)
    message = refusal(UnsupportedModelError, tmp_path, added_tokens={"<pad>": 262})
    assert "expected a tokenizer.json" in message


# Refusals


def test_a_tokenizer_larger_than_the_embedding_is_refused_with_both_numbers(
    tmp_path: Path,
) -> None:
    message = refusal(SourceError, tmp_path, tiny_tokenizer(), CONFIG, VOCABULARY - 1)
    assert f"has {VOCABULARY} tokens and the embedding {VOCABULARY - 1} rows" in message
    document = tiny_tokenizer()
    document["added_tokens"].append(added(VOCABULARY, "<tool>", special=False))
    message = refusal(SourceError, tmp_path, document)
    assert f"has {VOCABULARY + 1} tokens and the embedding {VOCABULARY} rows" in message


def unfit() -> list[tuple[str, Json, str]]:
    word_piece = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    fallback = byte_fallback()
    del fallback["model"]["vocab"]["<0x7F>"]
    unigram = {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0]]}
    base = tiny_tokenizer()
    return [
        ("none", base | {"decoder": None}, "found 'a decoder of no kind'"),
        ("word piece", base | {"decoder": word_piece}, "found 'a decoder of WordPiece'"),
        ("no fallback", byte_fallback(byte_fallback=False), "decoder of ByteFallback, Fuse"),
        ("byte", fallback, "lacks some of the tokens <0x00> to <0xFF>"),
        ("unigram", base | {"model": unigram}, "expected a model of type BPE, found 'Unigram'"),
        ("no model", base | {"model": 7}, "'model.vocab': expected a map"),
        ("suffix", byte_fallback(end_of_word_suffix="</w>"), "the end_of_word_suffix '</w>'"),
    ]


@pytest.mark.parametrize(("document", "found"), [pytest.param(d, f, id=n) for n, d, f in unfit()])
def test_a_tokenizer_that_cannot_hold_every_text_is_refused(
    tmp_path: Path, document: Json, found: str
) -> None:
    kind = SourceError if "'model.vocab'" in found else UnsupportedModelError
    message = refusal(kind, tmp_path, document, CONFIG, 400)
    assert message.startswith("tokenizer.json: ")
    assert found in message


@pytest.mark.parametrize(
    ("config", "files", "found"),
    [
        ({"eos_token_id": VOCABULARY}, {}, "config.json: 'eos_token_id' is 299, expected the id"),
        ({"eos_token_id": [2, "x"]}, {}, "config.json: 'eos_token_id' is 'x'"),
        (
            {"eos_token_id": [*range(65)]},
            {},
            "expected at most 64 tokens that end a text, found 65",
        ),
        ({"bos_token_id": True}, {}, "config.json: 'bos_token_id' is True"),
        ({}, {"generation_config": {"eos_token_id": -1}}, "generation_config.json: 'eos_token_id'"),
        ({}, {"tokenizer_config": {"bos_token": "<s>"}}, "'bos_token' is '<s>', expected a token"),
        ({}, {"special_tokens_map": {"eos_token": 5}}, "'eos_token' is 5, expected a token"),
        ({}, {"tokenizer_config": {"add_bos_token": True}}, "expected a 'bos_token' then"),
        ({}, {"tokenizer_config": []}, "tokenizer_config.json: expected a JSON object"),
    ],
)
def test_a_special_token_that_is_none_is_refused(
    tmp_path: Path, config: dict[str, object], files: dict[str, object], found: str
) -> None:
    message = refusal(
        SourceError, tmp_path, tiny_tokenizer(), {"model_type": "llama", **config}, **files
    )
    assert found in message


def test_ids_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    document = tiny_tokenizer()
    document["added_tokens"].append(added(300, "<|im_end|>"))
    assert "expected one id a token" in refusal(SourceError, tmp_path, document, CONFIG, 301)
    document = tiny_tokenizer()
    document["added_tokens"].append(added(2, "<other>"))
    assert "expected one token an id" in refusal(SourceError, tmp_path, document)
    document["added_tokens"][-2:] = [added(299, "<one>"), added(299, "<other>")]
    message = refusal(SourceError, tmp_path, document, CONFIG, 300)
    assert "'added_tokens': expected one token an id" in message
    document = tiny_tokenizer()
    document["model"]["vocab"]["<|filler_299|>"] = 300
    assert "expected 301 tokens" in refusal(SourceError, tmp_path, document, CONFIG, 301)


def paths(node: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Where the parts of a JSON document are; of long ones the first few."""
    items: list[tuple[object, object]] = []
    if isinstance(node, dict):
        items = list(node.items())[:12]
    elif isinstance(node, list):
        items = list(enumerate(node))[:5]
    found = [inner for key, part in items for inner in paths(part, (*path, key))]
    return [path, *found] if path else found


PATHS = paths(tiny_tokenizer() | {"post_processor": template("<|im_start|>", "$A")})
ODD = [None, True, -1, 0, 5, 1 << 70, 1.5, "", "x", "Ġ\ud800", "</w>\n", [], {}, [1, [2]]]


@given(path=st.sampled_from(PATHS), value=st.sampled_from(ODD), rows=st.integers(298, 301))
def test_no_value_in_tokenizer_json_gives_a_traceback_or_gaps(
    scratch: Path, path: tuple[Any, ...], value: object, rows: int
) -> None:
    document: Any = tiny_tokenizer() | {"post_processor": template("<|im_start|>", "$A")}
    *way, last = path
    part = document
    for key in way:
        part = part[key]
    part[last] = value
    (scratch / "tokenizer.json").write_text(json.dumps(document))
    try:
        made = read(scratch, rows=rows)
    except SourceError as error:
        message = str(error)
    else:
        message = ""
        assert loaded(made, scratch).vocabulary_size == rows
    assert message.isprintable()


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_never_gives_a_traceback(scratch: Path, place: float, flip: int) -> None:
    data = bytearray(json.dumps(tiny_tokenizer(), ensure_ascii=False).encode())
    data[int(place * len(data))] ^= flip
    (scratch / "tokenizer.json").write_bytes(data)
    message = ""
    try:
        read(scratch)
    except SourceError as error:
        message = str(error)
    assert message.isprintable()
