"""Byte-level BPE (GPT-2, 2019): vocabulary and merges become a tokenizer.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers.pre_tokenizers import ByteLevel

from foreword.sources.tokenizer_json import AddedToken, Json, bpe_model, isolated, tokenizer_json


@dataclass(frozen=True)
class Split:
    """How text is cut into pieces, inside which merging happens.

    `steps` are pre-tokenizers of tokenizer.json. With `whole_pieces` a piece that is itself
    a token is taken whole, whatever the merges say (tiktoken, so Llama 3 and Tekken).
    """

    steps: tuple[Json, ...]
    whole_pieces: bool = False


def _bytes(use_regex: bool) -> Json:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def split_by(pattern: str, *, whole_pieces: bool = False) -> Split:
    """Return the split into the matches of a regular expression (Oniguruma) and what is between."""
    return Split((isolated(pattern), _bytes(use_regex=False)), whole_pieces)


_WORD_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD_HEAD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"

# As the tokenizers were trained; the patterns of llama.cpp's pre-tokenizers of these names
# and of the tokenizer.json files on the Hugging Face hub agree.
SPLITS: Mapping[str, Split] = {
    "gpt2": Split((_bytes(use_regex=True),)),
    "digits": Split(({"type": "Digits", "individual_digits": True}, _bytes(use_regex=True))),
    "llama3": split_by(rf"{_WORD_HEAD}|\p{{N}}{{1,3}}|{_WORD_TAIL}", whole_pieces=True),
    "qwen2": split_by(rf"{_WORD_HEAD}|\p{{N}}|{_WORD_TAIL}"),
    "bloom": split_by(r" ?[^(\s|[.,!?…。，、।۔،])]+"),
    "falcon": Split(
        (
            {"type": "Punctuation", "behavior": "Contiguous"},
            _bytes(use_regex=True),
            {"type": "Digits", "individual_digits": False},
            isolated("[0-9][0-9][0-9]"),
        )
    ),
}


def byte_level_tokenizer(
    vocabulary: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    split: Split,
    added: Iterable[AddedToken] = (),
    *,
    prefix_space: bool = False,
) -> str:
    """Return the tokenizer.json of a byte-level BPE.

    `vocabulary` has every id from 0 on; merges, best first, are of its tokens and make its
    tokens; `added`, in order of ids, are those of its tokens that no merging makes. Bytes that
    the vocabulary has no token for are dropped. `prefix_space` begins every text with a space.
    """
    steps = [*split.steps, *_dropped(vocabulary)]
    return tokenizer_json(
        bpe_model(vocabulary, merges, whole_pieces=split.whole_pieces),
        added,
        normalizer={"type": "Prepend", "prepend": " "} if prefix_space else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": steps},
        decoder=_bytes(use_regex=True),
    )


def _dropped(vocabulary: Mapping[str, int]) -> list[Json]:
    """Drop bytes the vocabulary has no token for, without joining what stands around them."""
    missing = sorted(set(ByteLevel.alphabet()) - vocabulary.keys())
    if not missing:
        return []
    pattern = {"Regex": "[" + "".join(f"\\u{ord(symbol):04x}" for symbol in missing) + "]"}
    return [{"type": "Split", "pattern": pattern, "behavior": "Removed", "invert": False}]
