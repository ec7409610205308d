"""A Hugging Face tokenizer.json from the tokenizer metadata of a GGUF file.

Metadata keys and token types are those of the GGUF specification
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from tokenizers.pre_tokenizers import ByteLevel

from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.model import TokenizerSource

_GET_AGAIN = "the file is damaged or incomplete, get it again"
# Far above any vocabulary in use; a longer list is a damaged file.
_CEILING = 1 << 21

# Control tokens that end a text, whichever of them the metadata names as its end.
_END_TEXTS = (
    *("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"),
    *("<|im_end|>", "<|end|>", "<end_of_turn>", "<end_of_utterance>", "<EOT>", "[EOS]"),
)
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")

_WORD_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD_HEAD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"

_Json = dict[str, Any]


class _Type(IntEnum):
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class _Split:
    """How text is cut before merging, as a `tokenizer.ggml.pre` name means it."""

    steps: tuple[_Json, ...]
    # A piece that is itself a token is taken whole, whatever the merges say.
    whole_pieces: bool = False
    prepend_start: bool = False


def _byte_level(use_regex: bool) -> _Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _by_regex(pattern: str) -> tuple[_Json, ...]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    return ({**split, "invert": False}, _byte_level(use_regex=False))


_GPT2 = _Split((_byte_level(use_regex=True),))
_DIGITS = _Split(({"type": "Digits", "individual_digits": True}, _byte_level(use_regex=True)))
_LLAMA3 = _Split(_by_regex(rf"{_WORD_HEAD}|\p{{N}}{{1,3}}|{_WORD_TAIL}"), True, True)
_QWEN2 = _Split(_by_regex(rf"{_WORD_HEAD}|\p{{N}}|{_WORD_TAIL}"))

_SPLITS: Mapping[str, _Split] = {
    "gpt-2": _GPT2,
    "mpt": _GPT2,
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "refact": _DIGITS,
    "command-r": _DIGITS,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
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
    # Some files give an end token a type that would let typed text spell it.
    types = [
        _Type.CONTROL if kind == _Type.USER_DEFINED and text in _END_TEXTS else kind
        for kind, text in zip(types, tokens, strict=True)
    ]
    if model == "gpt2":
        split = _split(metadata)
        body, prepend = _byte_level_bpe(metadata, split, tokens), split.prepend_start
    elif model == "llama":
        body, prepend = _sentencepiece_bpe(metadata, tokens, types), True
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
        json=_serialize(body, tokens, types),
        start=start,
        end=_end_ids(metadata, tokens, types),
        prepend_start=prepend,
    )


def _split(metadata: Mapping[str, object]) -> _Split:
    # Files of before May 2024 do not say; only of GPT-2 itself is it known all the same.
    is_gpt2 = metadata.get("general.architecture") == "gpt2"
    name = _one(metadata, "pre", str, default="default")
    if name == "default" and is_gpt2:
        return _GPT2
    if name not in _SPLITS:
        raise UnsupportedModelError(
            f"pre-tokenizer (tokenizer.ggml.pre) {name!r:.42}: Foreword knows "
            f"{', '.join(_SPLITS)}; take a model that has one of these"
        )
    return _SPLITS[name]


def _byte_level_bpe(metadata: Mapping[str, object], split: _Split, tokens: list[str]) -> _Json:
    known = set(tokens)
    merges = []
    for merge in _list(metadata, "merges", str):
        # The left part is never empty, so its first character is never the separator.
        at = merge.find(" ", 1)
        left, right = merge[:at], merge[at + 1 :]
        if at < 0 or not known.issuperset((left, right, left + right)):
            raise _damaged("merges", "pairs of tokens that make a token", repr(merge)[:40])
        merges.append((left, right))
    return {
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*split.steps, *_gaps(known)]},
        "decoder": _byte_level(use_regex=True),
        "model": {"byte_fallback": False, "ignore_merges": split.whole_pieces, "merges": merges},
    }


def _gaps(known: set[str]) -> list[_Json]:
    """Drop bytes the vocabulary has no token for, without joining what stands around them."""
    missing = sorted(set(ByteLevel.alphabet()) - known)
    if not missing:
        return []
    pattern = {"Regex": "[" + "".join(f"\\u{ord(symbol):04x}" for symbol in missing) + "]"}
    return [{"type": "Split", "pattern": pattern, "behavior": "Removed", "invert": False}]


def _sentencepiece_bpe(
    metadata: Mapping[str, object], tokens: list[str], types: list[int]
) -> _Json:
    scores = _list(metadata, "scores", float)
    if len(scores) != len(tokens):
        raise _damaged("scores", f"{len(tokens)} values, one a token", f"{len(scores)}")
    if not all(map(math.isfinite, scores)):
        raise _damaged("scores", "finite numbers", "others")
    if not {f"<0x{byte:02X}>" for byte in range(256)}.issubset(tokens):
        raise UnsupportedModelError(
            "this SentencePiece vocabulary lacks some of the 256 byte tokens <0x00> to <0xFF>, "
            "so it cannot hold every text; take a model that has them"
        )
    mergeable = (_Type.NORMAL, _Type.UNUSED)
    ids = {text: i for i, text in enumerate(tokens) if types[i] in mergeable}
    # SentencePiece keeps no merges: any two pieces that make a piece merge, best score first.
    merges = [
        (-scores[i], ids[text[:at]], ids[text[at:]])
        for text, i in ids.items()
        for at in range(1, len(text))
        if text[:at] in ids and text[at:] in ids
    ]
    to_mark: _Json = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    to_space: _Json = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    steps = [to_mark]
    if _one(metadata, "add_space_prefix", bool, default=True):
        steps.insert(0, {"type": "Prepend", "prepend": "▁"})
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [to_space, {"type": "ByteFallback"}, {"type": "Fuse"}],
        },
        "model": {
            "byte_fallback": True,
            "ignore_merges": False,
            "merges": [(tokens[left], tokens[right]) for _, left, right in sorted(merges)],
        },
    }


def _serialize(body: _Json, tokens: list[str], types: list[int]) -> str:
    added = [
        {
            "id": i,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": types[i] != _Type.USER_DEFINED,
        }
        for i, text in enumerate(tokens)
        if types[i] in (_Type.CONTROL, _Type.UNKNOWN, _Type.USER_DEFINED)
    ]
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "vocab": {text: i for i, text in enumerate(tokens)},
    }
    document: _Json = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    document |= body | {"post_processor": None, "model": model | body["model"]}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _end_ids(
    metadata: Mapping[str, object], tokens: list[str], types: list[int]
) -> tuple[int, ...]:
    named = (_token_id(metadata, key, len(tokens)) for key in _END_KEYS)
    ends = {i for i in named if i is not None}
    ends.update(
        i for i, text in enumerate(tokens) if types[i] == _Type.CONTROL and text in _END_TEXTS
    )
    return tuple(sorted(ends))


def _check_tokens(tokens: list[str]) -> None:
    if not 0 < len(tokens) <= _CEILING:
        raise _damaged("tokens", f"1 to {_CEILING} tokens", f"{len(tokens)}")
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
