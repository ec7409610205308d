"""A Hugging Face tokenizer.json from the tokenizer metadata of a GGUF file.

Metadata keys and token types are those of the GGUF specification
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.byte_level import SPLITS, byte_level_tokenizer
from foreword.sources.model import TokenizerSource
from foreword.sources.sentencepiece import sentencepiece_bpe
from foreword.sources.sentencepiece_proto import PieceType
from foreword.sources.tokenizer_json import END_TEXTS, MAX_TOKENS, AddedToken

_GET_AGAIN = "the file is damaged or incomplete, get it again"
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")

# What a `tokenizer.ggml.pre` name means.
_SPLITS: Mapping[str, str] = {
    "gpt-2": "gpt2",
    "mpt": "gpt2",
    "smollm": "digits",
    "starcoder": "digits",
    "refact": "digits",
    "command-r": "digits",
    "llama-bpe": "llama3",
    "llama3": "llama3",
    "llama-v3": "llama3",
    "qwen2": "qwen2",
    "deepseek-r1-qwen": "qwen2",
}


def tokenizer_from_gguf(metadata: Mapping[str, object]) -> TokenizerSource:
    """Build the tokenizer that a GGUF file describes under `tokenizer.ggml.*`.

    Token ids are the positions in the file. Raises SourceError for missing or inconsistent
    metadata and UnsupportedModelError for a kind of tokenizer there is no code for.
    """
    model = _one(metadata, "model", str)
    tokens = _list(metadata, "tokens", str)
    types = _list(metadata, "token_type", int)
    if len(types) != len(tokens):
        raise _damaged("token_type", f"{len(tokens)} values, one a token", f"{len(types)}")
    _check_tokens(tokens)
    kinds = _kinds(tokens, types)
    if model == "gpt2":
        split = _split(metadata)
        body, prepend = _byte_level_bpe(metadata, split, tokens, kinds), split == "llama3"
    elif model == "llama":
        body, prepend = _sentencepiece_bpe(metadata, tokens, kinds), True
    else:
        raise UnsupportedModelError(
            f"tokenizer model {model!r:.42}: Foreword reads 'gpt2' (byte-level BPE) and "
            "'llama' (SentencePiece BPE); take a model that has one of these"
        )
    start = _token_id(metadata, "bos_token_id", len(tokens))
    prepend = _one(metadata, "add_bos_token", bool, default=start is not None and prepend)
    if prepend and start is None:
        raise _damaged("bos_token_id", "an id, as add_bos_token is set", "none")
    return TokenizerSource(
        json=body,
        start=start,
        end=_end_ids(metadata, tokens, kinds),
        prepend_start=prepend,
    )


def _kinds(tokens: list[str], types: list[int]) -> list[PieceType]:
    strange = next((kind for kind in types if kind not in set(PieceType)), None)
    if strange is not None:
        raise _damaged("token_type", "types from 1 to 6", f"{strange}")
    # Some files give an end token a type that would let typed text spell it.
    return [
        PieceType.CONTROL if kind == PieceType.USER_DEFINED and text in END_TEXTS else kind
        for kind, text in zip(map(PieceType, types), tokens, strict=True)
    ]


def _split(metadata: Mapping[str, object]) -> str:
    # Files of before May 2024 do not say; only of GPT-2 itself is it known all the same.
    is_gpt2 = metadata.get("general.architecture") == "gpt2"
    name = _one(metadata, "pre", str, default="default")
    if name == "default" and is_gpt2:
        return "gpt2"
    if name not in _SPLITS:
        raise UnsupportedModelError(
            f"pre-tokenizer (tokenizer.ggml.pre) {name!r:.42}: Foreword knows "
            f"{', '.join(_SPLITS)}; take a model that has one of these"
        )
    return _SPLITS[name]


def _byte_level_bpe(
    metadata: Mapping[str, object], split: str, tokens: list[str], kinds: list[PieceType]
) -> str:
    known = set(tokens)
    merges = []
    for merge in _list(metadata, "merges", str):
        # The left part is never empty, so its first character is never the separator.
        at = merge.find(" ", 1)
        left, right = merge[:at], merge[at + 1 :]
        if at < 0 or not known.issuperset((left, right, left + right)):
            raise _damaged("merges", "pairs of tokens that make a token", repr(merge)[:40])
        merges.append((left, right))
    added = [
        AddedToken(i, text, special=kind != PieceType.USER_DEFINED)
        for i, (text, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.USER_DEFINED)
    ]
    vocabulary = {text: i for i, text in enumerate(tokens)}
    return byte_level_tokenizer(vocabulary, merges, SPLITS[split], added)


def _sentencepiece_bpe(
    metadata: Mapping[str, object], tokens: list[str], kinds: list[PieceType]
) -> str:
    scores = _list(metadata, "scores", float)
    if len(scores) != len(tokens):
        raise _damaged("scores", f"{len(tokens)} values, one a token", f"{len(scores)}")
    if not all(map(math.isfinite, scores)):
        raise _damaged("scores", "finite numbers", "others")
    return sentencepiece_bpe(
        list(zip(tokens, scores, kinds, strict=True)),
        dummy_prefix=_one(metadata, "add_space_prefix", bool, default=True),
    )


def _end_ids(
    metadata: Mapping[str, object], tokens: list[str], kinds: list[PieceType]
) -> tuple[int, ...]:
    named = (_token_id(metadata, key, len(tokens)) for key in _END_KEYS)
    ends = {i for i in named if i is not None}
    ends.update(
        i for i, text in enumerate(tokens) if kinds[i] == PieceType.CONTROL and text in END_TEXTS
    )
    return tuple(sorted(ends))


def _check_tokens(tokens: list[str]) -> None:
    if not 0 < len(tokens) <= MAX_TOKENS:
        raise _damaged("tokens", f"1 to {MAX_TOKENS} tokens", f"{len(tokens)}")
    if len(set(tokens)) != len(tokens):
        text, count = Counter(tokens).most_common(1)[0]
        raise _damaged("tokens", "every token once", f"{text!r:.40} {count} times")
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        raise _damaged("tokens", "valid Unicode text", "lone surrogates") from None


_T = TypeVar("_T")


def _one(metadata: Mapping[str, object], key: str, kind: type[_T], default: _T | None = None) -> _T:
    value = metadata.get(f"tokenizer.ggml.{key}", default)
    if not isinstance(value, kind):
        raise _damaged(key, f"a {kind.__name__}", "nothing" if value is None else f"{value!r:.40}")
    return value


def _list(metadata: Mapping[str, object], key: str, kind: type[_T]) -> list[_T]:
    values = metadata.get(f"tokenizer.ggml.{key}")
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        found = "nothing" if values is None else f"{values!r:.40}"
        raise _damaged(key, f"a list of {kind.__name__} values", found)
    return values


def _token_id(metadata: Mapping[str, object], key: str, size: int) -> int | None:
    value = metadata.get(f"tokenizer.ggml.{key}")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < size:
        raise _damaged(key, f"a token id below {size}", f"{value!r:.40}")
    return value


def _damaged(key: str, expected: str, found: str) -> SourceError:
    return SourceError(
        f"metadata key 'tokenizer.ggml.{key}': expected {expected}, found {found}; {_GET_AGAIN}"
    )
