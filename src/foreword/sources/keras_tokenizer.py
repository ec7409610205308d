"""KerasHub tokenizers become a tokenizer.json; what each class means by start and end."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.byte_level import SPLITS, Split, byte_level_tokenizer, split_by
from foreword.sources.model import TokenizerSource
from foreword.sources.sentencepiece import sentencepiece_tokenizer
from foreword.sources.sentencepiece_proto import read_sentencepiece
from foreword.sources.strict_json import read_bytes, read_object
from foreword.sources.tokenizer_json import (
    END_TEXTS,
    MAX_TOKENS,
    AddedToken,
    filled,
    fillers,
)

VOCABULARY, MERGES, PROTO = "vocabulary.json", "merges.txt", "vocabulary.spm"
ASSETS = (VOCABULARY, MERGES, PROTO)

_ASSET_BYTES = 128 << 20
_GET_AGAIN = "the file is damaged or incomplete, get it again"
# Chat tokens that KerasHub does not list as special; no merging makes them.
_CONTROL = re.compile(r"<\|[^|]+\|>")


@dataclass(frozen=True)
class _Class:
    """What a tokenizer class of KerasHub adds to its files.

    `split` names the way text is cut before merging: that of the models' training, which is
    not always KerasHub's. None is a SentencePiece model, "own" the pattern in the config.
    `start` and `end` are what generation begins and stops with; `more_ends` are what else ends
    a text in the instruction-tuned models, where the vocabulary has it.
    """

    split: str | None
    start: str | None
    end: str
    more_ends: tuple[str, ...] = ()


CLASSES: Mapping[str, _Class] = {
    "GPT2Tokenizer": _Class("gpt2", "<|endoftext|>", "<|endoftext|>"),
    "OPTTokenizer": _Class("gpt2", "</s>", "</s>"),
    "GPTNeoXTokenizer": _Class("gpt2", "<|endoftext|>", "<|endoftext|>"),
    "BloomTokenizer": _Class("bloom", "<s>", "</s>"),
    "FalconTokenizer": _Class("falcon", "<|endoftext|>", "<|endoftext|>"),
    "Llama3Tokenizer": _Class(
        "llama3", "<|begin_of_text|>", "<|end_of_text|>", ("<|eot_id|>", "<|eom_id|>")
    ),
    "SmolLM3Tokenizer": _Class("llama3", None, "<|end_of_text|>", ("<|im_end|>",)),
    "QwenTokenizer": _Class("qwen2", None, "<|endoftext|>", ("<|im_end|>",)),
    "Qwen3Tokenizer": _Class("qwen2", None, "<|im_end|>", ("<|endoftext|>",)),
    "MistralTekkenTokenizer": _Class("own", "<s>", "</s>"),
    "LlamaTokenizer": _Class(None, "<s>", "</s>"),
    "MistralTokenizer": _Class(None, "<s>", "</s>"),
    "GemmaTokenizer": _Class(None, "<bos>", "<eos>", ("<end_of_turn>",)),
    "Gemma3Tokenizer": _Class(None, "<bos>", "<eos>", ("<end_of_turn>",)),
    "Phi3Tokenizer": _Class(None, "<s>", "<|endoftext|>", ("<|end|>",)),
}


def tokenizer_from_keras(
    name: str, config: Mapping[str, object], assets: Path, *, add_start: bool, rows: int
) -> TokenizerSource:
    """Build the tokenizer of a class of KerasHub from its config and its files in `assets`.

    `add_start` is what the preprocessor says of a start token, where the class has one; `rows`
    is the size of the embedding, which every token id stays below. Raises SourceError for
    missing or damaged files and a vocabulary larger than the embedding, UnsupportedModelError
    for a class or a kind of vocabulary there is no code for.
    """
    kind = CLASSES.get(name)
    if kind is None:
        raise UnsupportedModelError(
            f"tokenizer {name!r:.60}: Foreword reads {', '.join(sorted(CLASSES))} of KerasHub; "
            "take a model that has one of these"
        )
    control = {kind.start or kind.end, kind.end, *kind.more_ends, *_special(config)}
    if kind.split is None:
        vocabulary, text = _sentencepiece(assets, control, rows)
    else:
        split = _own_split(config) if kind.split == "own" else SPLITS[kind.split]
        prefix = config.get("add_prefix_space", False) is True
        vocabulary, text = _byte_level(assets, control, rows, split, prefix)
    _check(text, rows)
    for token in {kind.start or kind.end, kind.end}:
        if token not in vocabulary:
            raise SourceError(
                f"the vocabulary lacks {token!r}, which a {name} begins or ends texts with; "
                f"{_GET_AGAIN}"
            )
    ends = {vocabulary[end] for end in (kind.end, *kind.more_ends) if end in vocabulary}
    start = None if kind.start is None else vocabulary[kind.start]
    prepend = start is not None and (add_start or config.get("add_bos") is True)
    return TokenizerSource(text, start, tuple(sorted(ends)), prepend)


def _byte_level(
    assets: Path, control: Collection[str], rows: int, split: Split, prefix_space: bool
) -> tuple[dict[str, int], str]:
    vocabulary = _vocabulary(assets, rows)
    merges = _merges(assets, vocabulary)
    made = {left + right for left, right in merges}
    added = [
        AddedToken(i, text, special=True)
        for text, i in vocabulary.items()
        if text in control or (text not in made and (text in END_TEXTS or _CONTROL.fullmatch(text)))
    ]
    added = sorted([*added, *fillers(vocabulary, rows)], key=lambda token: token.id)
    text = byte_level_tokenizer(
        filled(vocabulary, rows), merges, split, added, prefix_space=prefix_space
    )
    return vocabulary, text


def _sentencepiece(assets: Path, control: Collection[str], rows: int) -> tuple[dict[str, int], str]:
    model = read_sentencepiece(_asset(assets, PROTO))
    _check_size(len(model.pieces), rows)
    vocabulary = {text: i for i, (text, _, _) in enumerate(model.pieces)}
    return vocabulary, sentencepiece_tokenizer(model, {*control, *END_TEXTS}, rows)


def _vocabulary(assets: Path, rows: int) -> dict[str, int]:
    document = read_object(assets / VOCABULARY, _ASSET_BYTES)
    if document is None:
        raise _missing(VOCABULARY)
    vocabulary = {text: i for text, i in document.items() if type(i) is int and i >= 0}
    if not vocabulary or len(vocabulary) != len(document):
        raise SourceError(f"{VOCABULARY}: expected a map from tokens to ids; {_GET_AGAIN}")
    if len(set(vocabulary.values())) != len(vocabulary):
        raise SourceError(f"{VOCABULARY}: expected one token an id, found several; {_GET_AGAIN}")
    try:
        "".join(vocabulary).encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{VOCABULARY}: expected Unicode text, found lone surrogates; {_GET_AGAIN}"
        ) from None
    _check_size(max(vocabulary.values()) + 1, rows)
    return vocabulary


def _merges(assets: Path, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    try:
        lines = _asset(assets, MERGES).decode().split("\n")
    except UnicodeDecodeError as error:
        raise SourceError(f"{MERGES}: expected UTF-8 ({error!s:.60}); {_GET_AGAIN}") from None
    merges = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#version:"):
            continue
        pair = line.rstrip("\r").split(" ")
        if len(pair) != 2 or not {*pair, "".join(pair)} <= vocabulary.keys():
            raise SourceError(
                f"{MERGES}: line {number}: expected two tokens that make a token, found "
                f"{line!r:.60}; {_GET_AGAIN}"
            )
        merges.append((pair[0], pair[1]))
    return merges


def _own_split(config: Mapping[str, object]) -> Split:
    pattern = config.get("split_pattern")
    if not isinstance(pattern, str) or not pattern:
        raise SourceError(f"'split_pattern': expected a pattern, found {pattern!r:.60}")
    return split_by(pattern, whole_pieces=True)


def _special(config: Mapping[str, object]) -> list[str]:
    tokens = config.get("unsplittable_tokens") or []
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise SourceError(
            f"'unsplittable_tokens': expected a list of tokens, found {tokens!r:.60}; {_GET_AGAIN}"
        )
    return tokens


def _asset(assets: Path, name: str) -> bytes:
    data = read_bytes(assets / name, _ASSET_BYTES)
    if data is None:
        raise _missing(name)
    return data


def _missing(name: str) -> SourceError:
    return SourceError(
        f"expected the tokenizer's {name} among the assets, found none; {_GET_AGAIN}"
    )


def _check_size(tokens: int, rows: int) -> None:
    if tokens > min(rows, MAX_TOKENS):
        raise SourceError(
            f"mismatched vocabulary sizes: the tokenizer has {tokens} tokens and the embedding "
            f"{rows} rows, expected no more tokens than rows; give the tokenizer this model was "
            "trained with"
        )


def _check(text: str, rows: int) -> None:
    try:
        core = tokenizers.Tokenizer.from_str(text)
        core.encode("a")
        size = core.get_vocab_size()
    # The package raises plain Exception, or panics, which is a BaseException; its text can run
    # over lines.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        said = " ".join(str(error).split())
        raise SourceError(f"the tokenizer cannot be used ({said:.120}); {_GET_AGAIN}") from None
    if size != rows:
        raise SourceError(f"expected {rows} different tokens, found {size}; {_GET_AGAIN}")
