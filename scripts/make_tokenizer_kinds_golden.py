"""Make testdata/golden/tokenizer/kinds.json: small tokenizers of every kind, and texts in ids.

    python scripts/make_tokenizer_kinds_golden.py

Every tokenizer is a whole tokenizer.json, whose ids are those that Python gives. Texts are those of
the cases in smollm2.json, and some that the rules of these tokenizers cut apart.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from foreword.bundle.tokenizer import Tokenizer  # noqa: E402
from foreword.sources.byte_level import SPLITS, Split, byte_level_tokenizer  # noqa: E402
from foreword.sources.sentencepiece import sentencepiece_tokenizer  # noqa: E402
from foreword.sources.sentencepiece_proto import read_sentencepiece  # noqa: E402
from foreword.sources.tokenizer_json import AddedToken  # noqa: E402
from tiny_sentencepiece import NORMAL, USER_DEFINED, write_proto  # noqa: E402
from tiny_tokenizer import MERGES, byte_symbols  # noqa: E402

FOLDER = ROOT / "testdata/golden/tokenizer"
Json = dict[str, Any]

EVERY = 21
MORE = [
    *("a12 ٣٤ ½Ⅻ 1234567", "the  the   the\tthe", "\ufeffthe\u0085 the\u2028the \u3000the"),
    *("<|end|>the <|end|>", "<keep> the<keep>", "in'the 'S 'LL it's", "the.!? (the) «the» ,,the"),
    *("▁the ▁▁ the", "<0x41><s>the</s>", " the ", "the\nthe \n\n the", "e\u0301 é ｶﾞ", "の、の。の"),
]
TOKENS = [*byte_symbols(), *(merge.replace(" ", "") for merge in MERGES)]
VOCABULARY = {token: i for i, token in enumerate([*TOKENS, "<|end|>", "<keep>", "the"])}
PAIRS = [(left, right) for left, right in (merge.split(" ") for merge in MERGES)]
ADDED = [
    AddedToken(VOCABULARY["<|end|>"], "<|end|>", special=True),
    AddedToken(VOCABULARY["<keep>"], "<keep>", special=False),
]
LETTERS = [(letter, -i - 100.0, NORMAL) for i, letter in enumerate("▁theinasé.ord,", 1)]
JOINED = ["▁t", "he", "▁the", "in", "er", "▁a", "an", "▁an", "and", "the", "es"]
PIECES = [*((piece, -i - 1.0, NORMAL) for i, piece in enumerate(JOINED)), *LETTERS]
SPACES = [("▁▁", -20.0, USER_DEFINED), ("▁▁▁▁", -21.0, USER_DEFINED)]


def byte_level(split: Split, *, prefix_space: bool = False, without: str = "") -> Json:
    """Return a byte-level tokenizer, without some of the bytes."""
    vocabulary = {token: i for i, token in enumerate(t for t in VOCABULARY if t not in without)}
    added = [AddedToken(vocabulary[a.text], a.text, a.special) for a in ADDED]
    text = byte_level_tokenizer(vocabulary, PAIRS, split, added, prefix_space=prefix_space)
    document: Json = json.loads(text)
    return document


def sentencepiece(
    *pieces: tuple[str, float, int], dummy_prefix: bool = True, **flags: bool
) -> Json:
    """Return a SentencePiece BPE with byte fallback."""
    proto = write_proto([*PIECES, *pieces], dummy_prefix=dummy_prefix, **flags)
    model = read_sentencepiece(proto)
    document: Json = json.loads(sentencepiece_tokenizer(model, (), len(model.pieces)))
    return document


def changed(document: Json, pre_tokenizer: Json, **others: Any) -> Json:
    """Return a tokenizer that cuts otherwise."""
    return document | {"pre_tokenizer": pre_tokenizer} | others


def kinds() -> dict[str, Json]:
    """Return the tokenizers by their names."""
    plain = byte_level(SPLITS["gpt2"])
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    spaced = sentencepiece()
    split = {"type": "Split", "pattern": {"String": " "}, "invert": False}
    marks = {"type": "Metaspace", "replacement": "▁"}
    return {
        **{name: byte_level(split) for name, split in SPLITS.items()},
        "prefix": byte_level(SPLITS["digits"], prefix_space=True),
        "fewer-bytes": byte_level(SPLITS["digits"], without="ÃÄê"),
        "prefix-level": changed(plain, level),
        "before": changed(
            plain,
            {
                "type": "Sequence",
                "pretokenizers": [
                    split | {"behavior": "MergedWithPrevious"},
                    level | {"add_prefix_space": False},
                ],
            },
        ),
        "sentencepiece": spaced,
        "no-prefix": sentencepiece(dummy_prefix=False),
        "tidy": sentencepiece(tidy_spaces=True),
        "runs": sentencepiece(*SPACES, dummy_prefix=False),
        "marks": changed(spaced, marks | {"prepend_scheme": "always"}, normalizer=None),
        "marks-first": changed(
            spaced, marks | {"prepend_scheme": "first", "split": False}, normalizer=None
        ),
    }


def cases(document: Json, texts: list[str]) -> list[Json]:
    """Return texts and their ids."""
    tokenizer = Tokenizer.from_text(json.dumps(document), Path("tokenizer.json"))
    return [{"text": text, "ids": tokenizer.encode(text)} for text in texts]


def main() -> None:
    """Write the tokenizers, one a line."""
    document = json.loads((FOLDER / "smollm2.json").read_text(encoding="utf-8"))
    texts = [*MORE, *(case["text"] for case in document["cases"][::EVERY])]
    lines = ",\n".join(
        json.dumps(
            {"name": name, "tokenizer": kind, "cases": cases(kind, texts)}, ensure_ascii=False
        )
        for name, kind in kinds().items()
    )
    head = '{"made_by": "scripts/make_tokenizer_kinds_golden.py", "kinds": [\n'
    (FOLDER / "kinds.json").write_text(f"{head}{lines}\n]}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
