"""The one layout of tokenizer.json that Foreword's own sources write (Hugging Face format)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# Far above any vocabulary in use; a longer list is a damaged file.
MAX_TOKENS = 1 << 21

# Control tokens that end a text, whatever else the source names as its end.
END_TEXTS = (
    *("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"),
    *("<|im_end|>", "<|end|>", "<end_of_turn>", "<end_of_utterance>", "<EOT>", "[EOS]"),
)


@dataclass(frozen=True)
class AddedToken:
    """A token that no merging makes.

    A control token (`special`) is never found in typed text and stands for no text; any other
    is cut out of typed text before all else: out of the normalized text where `normalized`.
    """

    id: int
    text: str
    special: bool
    normalized: bool = False


def filled(vocabulary: Mapping[str, int], rows: int) -> dict[str, int]:
    """Return the vocabulary in order of ids, with a filler for every id below `rows` it lacks.

    Embeddings are padded to round sizes, and some ids were never given out; a bundle's
    tokenizer has no gaps. Fillers are control tokens: `fillers` says which they are.
    """
    texts = {i: text for text, i in vocabulary.items()}
    return {texts.get(i, _filler(i)): i for i in range(max(rows, *texts, -1))}


def fillers(vocabulary: Mapping[str, int], rows: int) -> list[AddedToken]:
    """Return the control tokens that `filled` adds."""
    taken = set(vocabulary.values())
    return [AddedToken(i, _filler(i), special=True) for i in range(rows) if i not in taken]


def _filler(i: int) -> str:
    return f"<|filler_{i}|>"


def tokenizer_json(
    model: Json,
    added: Iterable[AddedToken],
    *,
    normalizer: Json | None,
    pre_tokenizer: Json | None,
    decoder: Json,
) -> str:
    """Return the text of a tokenizer.json; `added` in the order of ids."""
    document: Json = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": token.id,
                "content": token.text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": token.normalized,
                "special": token.special,
            }
            for token in added
        ],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "decoder": decoder,
        "post_processor": None,
        "model": model,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def isolated(pattern: str) -> Json:
    """Return the pre-tokenizer that cuts text around the matches of an Oniguruma pattern."""
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def bpe_model(
    vocabulary: Mapping[str, int],
    merges: Iterable[tuple[str, str]],
    *,
    whole_pieces: bool = False,
    byte_fallback: bool = False,
) -> Json:
    """Return the `model` part of a BPE tokenizer, its merges best first.

    With `whole_pieces` a piece that is itself a token is taken whole, whatever the merges say.
    """
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "vocab": dict(vocabulary),
        "byte_fallback": byte_fallback,
        "ignore_merges": whole_pieces,
        "merges": list(merges),
    }
