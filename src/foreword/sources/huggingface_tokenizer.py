"""The tokenizer of a Hugging Face checkpoint folder, made fit for a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tokenizers

from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.byte_level import SPLITS, byte_level_tokenizer
from foreword.sources.model import TokenizerSource
from foreword.sources.sentencepiece import sentencepiece_tokenizer
from foreword.sources.sentencepiece_proto import read_sentencepiece
from foreword.sources.strict_json import parse_object, read_bytes, read_object
from foreword.sources.tokenizer_json import END_TEXTS, AddedToken, Json, filled, fillers

TOKENIZER = "tokenizer.json"
# The largest in use has 33 MB (Gemma 3, 262,144 tokens).
_CEILING_BYTES = 128 << 20

_GET_AGAIN = "the file is damaged, get it again"

# Whose vocab.json and merges.txt say all there is to say: text is cut as GPT-2 cuts it.
_OLD_FILES = ("gpt2", "opt")
# Real models have one to five; a bundle's manifest holds no more than 256.
_MOST_ENDS = 64
_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_tokenizer(folder: Path, config: Mapping[str, object], rows: int) -> TokenizerSource:
    """Read the tokenizer of a model whose embedding has `rows` rows.

    Every row gets a token: rows beyond the tokenizer, which padding to a round number
    gives, and gaps between ids become control tokens without text. Control tokens beyond
    the rows are left out, as no text holds them (Gemma 3 has one for images in its
    text-only models). Raises SourceError for damaged files, missing ids and a vocabulary
    larger than the embedding, and UnsupportedModelError for a tokenizer that is no
    byte-level or byte-fallback BPE.
    """
    document, prepends = _document(folder, config, rows)
    added = _added_tokens(document)
    vocabulary = _vocabulary(document, added, rows)
    special = _Special(folder, config, vocabulary)
    start, end = special.start(), special.end(added)
    added |= {token.id: _control(token.id, token.text) for token in fillers(vocabulary, rows)}
    texts = {i: text for text, i in vocabulary.items()}
    # What is typed never spells a token that begins or ends a text.
    for i in {*end, *(() if start is None else (start,))}:
        added[i] = {**added.get(i, _control(i, texts[i])), "special": True}
    # The package gives ids of its own to added tokens that the model does not have.
    document["model"] |= {"vocab": filled(vocabulary, rows), "dropout": None}
    document |= {"added_tokens": [added[i] for i in sorted(added)]}
    document |= {"truncation": None, "padding": None}
    core = _core(document, rows)
    if prepends is None:
        prepends = _first_id(core) == start
    prepend = special.prepend_start(default=prepends and start is not None)
    if prepend and start is None:
        raise SourceError(
            "tokenizer_config.json: 'add_bos_token' is true, expected a 'bos_token' then, found "
            f"none; {_GET_AGAIN}"
        )
    text = json.dumps(
        document | {"post_processor": None}, ensure_ascii=False, separators=(",", ":")
    )
    return TokenizerSource(text, start, end, prepend)


class _Special:
    """What a folder's files say of the tokens that begin and end a text."""

    def __init__(
        self, folder: Path, config: Mapping[str, object], vocabulary: Mapping[str, int]
    ) -> None:
        self._vocabulary = vocabulary
        self._settings = _read(folder, "tokenizer_config.json")
        self._by_text = (self._settings, _read(folder, "special_tokens_map.json"))
        nested = config.get("text_config")
        self._by_id: dict[str, Mapping[str, object]] = {
            "config.json": config,
            "config.json, text_config": nested if isinstance(nested, dict) else {},
            "generation_config.json": _read(folder, "generation_config.json"),
        }

    def start(self) -> int | None:
        """Return the token that begins a text; the tokenizer's own word goes first."""
        return next((i for find in (self._texts, self._ids) for i in find("bos_token")), None)

    def end(self, added: Mapping[int, Json]) -> tuple[int, ...]:
        """Return every token that ends a text: those named, and those known by their text."""
        known = (i for i, token in added.items() if token.get("special") is True)
        ends = {i for i in known if added[i]["content"] in END_TEXTS}
        ends |= {*self._texts("eos_token"), *self._ids("eos_token")}
        if len(ends) > _MOST_ENDS:
            raise SourceError(
                f"'eos_token_id': expected at most {_MOST_ENDS} tokens that end a text, found "
                f"{len(ends)}; {_GET_AGAIN}"
            )
        return tuple(sorted(ends))

    def prepend_start(self, default: bool) -> bool:
        """Return whether prompts begin with the start token."""
        value = self._settings.get("add_bos_token")
        return value if isinstance(value, bool) else default

    def _texts(self, role: str) -> Iterator[int]:
        for file in self._by_text:
            text = _text(file.get(role))
            if text is None:
                continue
            if not isinstance(text, str) or text not in self._vocabulary:
                raise SourceError(
                    f"'{role}' is {text!r:.60}, expected a token of the vocabulary; the "
                    "tokenizer's files do not belong together, get them again"
                )
            yield self._vocabulary[text]

    def _ids(self, role: str) -> Iterator[int]:
        known = set(self._vocabulary.values())
        for name, file in self._by_id.items():
            value = file.get(f"{role}_id")
            for i in value if isinstance(value, list) else [] if value is None else [value]:
                if type(i) is not int or i not in known:
                    raise SourceError(
                        f"{name}: '{role}_id' is {i!r:.60}, expected the id of a token; "
                        f"{_GET_AGAIN}"
                    )
                yield i


def _document(folder: Path, config: Mapping[str, object], rows: int) -> tuple[Json, bool | None]:
    """Return a tokenizer.json, and whether a start token is prepended where it does not say."""
    document = read_object(folder / TOKENIZER, _CEILING_BYTES)
    if document is not None:
        return document, None
    vocabulary = read_object(folder / "vocab.json", _CEILING_BYTES)
    merges = read_bytes(folder / "merges.txt", _CEILING_BYTES)
    if vocabulary and merges is not None and config.get("model_type") in _OLD_FILES:
        return _from_old_files(folder, vocabulary, merges), False
    proto = read_bytes(folder / "tokenizer.model", _CEILING_BYTES)
    # Tokens added to a SentencePiece model come with rules that only tokenizer.json tells.
    if proto is not None and not _read(folder, "added_tokens.json"):
        model = read_sentencepiece(proto)
        text = sentencepiece_tokenizer(model, (), max(rows, len(model.pieces)))
        return parse_object(text.encode(), "tokenizer.model"), True
    raise UnsupportedModelError(
        f"expected a {TOKENIZER} in the folder, found none; load the tokenizer with "
        "transformers' AutoTokenizer and save it there with save_pretrained"
    )


def _from_old_files(folder: Path, vocabulary: Mapping[str, object], merges: bytes) -> Json:
    """Put together what GPT-2's first release kept in vocab.json and merges.txt."""
    extra = _read(folder, "added_tokens.json")
    ids = {text: i for text, i in {**vocabulary, **extra}.items() if type(i) is int and i >= 0}
    if not ids or len(ids) < len(vocabulary.keys() | extra.keys()):
        raise SourceError(f"vocab.json: expected a map from tokens to ids; {_GET_AGAIN}")
    try:
        lines = merges.decode().split("\n")
    except UnicodeDecodeError:
        raise SourceError(f"merges.txt: expected UTF-8 text; {_GET_AGAIN}") from None
    pairs = []
    for line in lines[lines[0].startswith("#version") :]:
        left, _, right = line.rstrip("\r").partition(" ")
        if left and not ids.keys() >= {left, right, left + right}:
            raise SourceError(
                f"merges.txt: expected pairs of tokens that make a token, found {line!r:.60}; "
                f"{_GET_AGAIN}"
            )
        pairs += [(left, right)] if left else []
    files = (_read(folder, "special_tokens_map.json"), _read(folder, "tokenizer_config.json"))
    control = {*extra, *(_text(file.get(role)) for file in files for role in _ROLES)}
    added = [AddedToken(i, text, special=True) for text, i in ids.items() if text in control]
    text = byte_level_tokenizer(ids, pairs, SPLITS["gpt2"], added)
    return parse_object(text.encode("utf-8", "surrogatepass"), "vocab.json")


def _text(value: object) -> object:
    """Return the text of a token that is given as such or as an object."""
    return value.get("content") if isinstance(value, dict) else value


def _read(folder: Path, name: str) -> Mapping[str, object]:
    return read_object(folder / name, _CEILING_BYTES) or {}


def _added_tokens(document: Json) -> dict[int, Json]:
    tokens = document.get("added_tokens") or []
    if not isinstance(tokens, list) or not all(
        isinstance(token, dict)
        and type(token.get("id")) is int
        and isinstance(token.get("content"), str)
        for token in tokens
    ):
        raise _damaged("tokens with an id and a content", "others", "added_tokens")
    by_id = {token["id"]: token for token in tokens}
    if len(by_id) < len(tokens):
        raise _damaged("one token an id", "several", "added_tokens")
    return by_id


def _vocabulary(document: Json, added: dict[int, Json], rows: int) -> dict[str, int]:
    """Return the id of every token, the added ones too, after dropping those beyond `rows`."""
    model = document.get("model")
    model = model if isinstance(model, dict) else {}
    vocabulary = model.get("vocab")
    kind = model.get("type", "BPE")
    if kind != "BPE":
        raise _unsupported("a model of type BPE,", f"{kind!r:.60}")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise _unsupported("tokens without marks in words,", f"the {key} {model[key]!r:.40}")
    if not isinstance(vocabulary, dict) or not all(
        type(i) is int and i >= 0 for i in vocabulary.values()
    ):
        raise _damaged("a map from tokens to ids", "another value", "model.vocab")
    _check_bytes(document, vocabulary)
    beyond = [i for i, token in added.items() if i >= rows and token.get("special") is True]
    for text in (added.pop(i)["content"] for i in beyond):
        if vocabulary.get(text, 0) >= rows:
            del vocabulary[text]
    for i, token in added.items():
        if vocabulary.setdefault(token["content"], i) != i:
            raise _damaged("one id a token", f"two for {token['content']!r:.60}", "added_tokens")
    if len(set(vocabulary.values())) != len(vocabulary):
        raise _damaged("one token an id", "several", "model.vocab")
    last = max(vocabulary.values(), default=-1)
    if not 0 <= last < rows:
        raise SourceError(
            f"{TOKENIZER}: the tokenizer has {last + 1} tokens and the embedding {rows} rows, "
            "expected no more tokens than rows; the files do not belong together, get them again"
        )
    return vocabulary


def _check_bytes(document: Json, vocabulary: Mapping[str, int]) -> None:
    """Refuse a tokenizer that cannot write every text, byte for byte."""
    decoder = document.get("decoder")
    steps = decoder.get("decoders", [decoder]) if isinstance(decoder, dict) else []
    kinds = {str(step.get("type")) for step in steps if isinstance(step, dict)}
    if "ByteLevel" in kinds:
        return
    if "ByteFallback" not in kinds or document["model"].get("byte_fallback") is not True:
        problem = "a decoder of " + (", ".join(sorted(kinds)) or "no kind")
    elif not {f"<0x{byte:02X}>" for byte in range(256)} <= vocabulary.keys():
        problem = "a vocabulary that lacks some of the tokens <0x00> to <0xFF>"
    else:
        return
    raise _unsupported(
        "byte-level BPE or BPE with byte fallback, which hold every text,", f"{problem!r:.100}"
    )


def _control(i: int, text: str) -> Json:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": text, **flags, "special": True}


def _core(document: Json, rows: int) -> Any:
    try:
        core = tokenizers.Tokenizer.from_str(json.dumps(document, ensure_ascii=False))
    # The package raises plain Exception, or panics, which is a BaseException; its text can
    # run over lines.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        problem = " ".join(str(error).split())
        raise _damaged("a tokenizer", f"{problem!r:.120}") from None
    ids = core.get_vocab().values()
    if set(ids) != set(range(rows)) or len(ids) != rows:
        raise _damaged(f"{rows} tokens, one an id", "others")
    return core


def _first_id(core: Any) -> int | None:
    """Return the id that the file's own rules put in front of a text."""
    try:
        ids: list[int] = core.encode("a").ids
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise _damaged("rules for every text", f"{error!s:.80}", "post_processor") from None
    return ids[0] if ids else None


def _damaged(expected: str, found: str, key: str = "") -> SourceError:
    where = f"'{key}': " if key else ""
    return SourceError(f"{TOKENIZER}: {where}expected {expected}, found {found}; {_GET_AGAIN}")


def _unsupported(expected: str, found: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{TOKENIZER}: expected {expected} found {found}; take a model that has such a tokenizer"
    )
