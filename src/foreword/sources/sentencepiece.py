"""SentencePiece vocabularies (Kudo & Richardson 2018) become a tokenizer.json."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from foreword.errors import UnsupportedModelError
from foreword.sources.sentencepiece_proto import PieceType, SentencePieceModel
from foreword.sources.tokenizer_json import (
    AddedToken,
    Json,
    bpe_model,
    filled,
    fillers,
    isolated,
    tokenizer_json,
)

Piece = tuple[str, float, PieceType]
"""Text, score and type of a token."""

_SPACE = "▁"
_ADDED = (PieceType.CONTROL, PieceType.UNKNOWN, PieceType.USER_DEFINED)


def sentencepiece_tokenizer(model: SentencePieceModel, control: Collection[str], rows: int) -> str:
    """Return the tokenizer.json of a BPE or Unigram model, for an embedding of `rows` rows.

    Pieces named in `control` are control tokens whatever type the file gives them. Raises
    UnsupportedModelError for other kinds of model, for a vocabulary without the 256 byte
    pieces and for one that does not mark spaces with a leading "▁".
    """
    if model.kind not in ("bpe", "unigram"):
        raise UnsupportedModelError(
            f"SentencePiece model of type {model.kind!r}: Foreword reads 'bpe' and 'unigram'; "
            "take a model that has one of these"
        )
    if not model.marks_spaces or model.space_as_suffix:
        raise UnsupportedModelError(
            "this SentencePiece model does not put '▁' in front of words (escape_whitespaces, "
            "treat_whitespace_as_suffix), which Foreword needs; take another model"
        )
    pieces = [
        (text, score, PieceType.CONTROL if text in control else kind)
        for text, score, kind in model.pieces
    ]
    steps: list[Json] = []
    if model.charsmap:
        table = base64.b64encode(model.charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": table})
        # The package looks single graphemes up, and only short ones: what takes more letters to
        # compose, such as Hangul out of jamo, is left.
        if "nfkc" in model.normalization:
            steps.append({"type": "NFC"})
    if model.tidy_spaces:
        steps += [_replace({"Regex": r"\A +| +\z"}, ""), _replace({"Regex": " {2,}"}, " ")]
    build = _bpe if model.kind == "bpe" else _unigram
    return build(pieces, rows, [*steps, *_marked(model.dummy_prefix)])


def sentencepiece_bpe(pieces: Sequence[Piece], *, dummy_prefix: bool) -> str:
    """Return the tokenizer.json of a BPE model whose text is taken as it is.

    Raises UnsupportedModelError where some of the 256 byte pieces are missing.
    """
    return _bpe(pieces, len(pieces), _marked(dummy_prefix))


def _bpe(pieces: Sequence[Piece], rows: int, steps: list[Json]) -> str:
    _check_bytes(pieces)
    vocabulary = {text: i for i, (text, _, _) in enumerate(pieces)}
    ids = {text: i for i, (text, _, kind) in enumerate(pieces) if _merges(text, kind)}
    # SentencePiece keeps no merges: any two pieces that make a piece merge, best score first.
    merges = sorted(
        (-pieces[i][1], ids[text[:at]], ids[text[at:]])
        for text, i in ids.items()
        for at in range(1, len(text))
        if text[:at] in ids and text[at:] in ids
    )
    pairs = [(pieces[left][0], pieces[right][0]) for _, left, right in merges]
    return tokenizer_json(
        bpe_model(filled(vocabulary, rows), pairs, byte_fallback=True),
        [*_added(pieces), *fillers(vocabulary, rows)],
        normalizer={"type": "Sequence", "normalizers": steps},
        pre_tokenizer=_sequence(_isolated_spaces(pieces)),
        decoder=_decoder(),
    )


def _unigram(pieces: Sequence[Piece], rows: int, steps: list[Json]) -> str:
    _check_bytes(pieces)
    vocabulary = {text: i for i, (text, _, _) in enumerate(pieces)}
    unknown = next((i for i, piece in enumerate(pieces) if piece[2] == PieceType.UNKNOWN), None)
    if unknown is None:
        raise UnsupportedModelError(
            "this SentencePiece model has no unknown piece, which Unigram needs; take another model"
        )
    extra = fillers(vocabulary, rows)
    scored = [(text, score) for text, score, _ in pieces] + [(token.text, 0.0) for token in extra]
    # Unlike SentencePiece, the package looks for these in typed text too.
    reserved = [
        text
        for text, _, kind in pieces
        if kind not in (PieceType.NORMAL, PieceType.USER_DEFINED, PieceType.BYTE)
    ]
    return tokenizer_json(
        {"type": "Unigram", "unk_id": unknown, "vocab": scored, "byte_fallback": True},
        [*_added(pieces), *extra],
        normalizer={"type": "Sequence", "normalizers": steps},
        pre_tokenizer=_sequence([*_isolated_spaces(pieces), _cut(reserved)]),
        decoder=_decoder(),
    )


def _check_bytes(pieces: Iterable[Piece]) -> None:
    texts = {text for text, _, _ in pieces}
    if not {f"<0x{byte:02X}>" for byte in range(256)} <= texts:
        raise UnsupportedModelError(
            "this SentencePiece vocabulary lacks some of the 256 byte tokens <0x00> to <0xFF>, "
            "so it cannot hold every text; take a model that has them (byte_fallback=True)"
        )


def _merges(text: str, kind: PieceType) -> bool:
    return kind in (PieceType.NORMAL, PieceType.UNUSED) or _holds_space(text, kind)


def _holds_space(text: str, kind: PieceType) -> bool:
    # Added tokens are looked for before spaces are marked, so these cannot be added tokens.
    return kind == PieceType.USER_DEFINED and _SPACE in text


def _added(pieces: Iterable[Piece]) -> list[AddedToken]:
    return [
        AddedToken(i, text, special=kind != PieceType.USER_DEFINED)
        for i, (text, _, kind) in enumerate(pieces)
        if kind in _ADDED and not _holds_space(text, kind)
    ]


def _isolated_spaces(pieces: Iterable[Piece]) -> list[Json]:
    """Cut out the user-defined pieces that hold spaces (Gemma's runs), the longest first."""
    texts = [text for text, _, kind in pieces if _holds_space(text, kind)]
    if not texts:
        return []
    alternatives = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return [isolated(alternatives)]


def _cut(reserved: Iterable[str]) -> Json:
    """Cut typed text after the first character of what spells a reserved piece."""
    cuts = [r"(?<=<)(?=0x[0-9A-F]{2}>|\|filler_[0-9]+\|>)"]
    texts = sorted(text for text in reserved if len(text) > 1)
    for first, group in groupby(texts, key=lambda text: text[0]):
        rests = "|".join(re.escape(text[1:]) for text in group)
        cuts.append(f"(?<={re.escape(first)})(?={rests})")
    return isolated("|".join(cuts))


def _marked(dummy_prefix: bool) -> list[Json]:
    prefix = [{"type": "Prepend", "prepend": _SPACE}] if dummy_prefix else []
    return [*prefix, _replace({"String": " "}, _SPACE)]


def _decoder() -> Json:
    steps = [_replace({"String": _SPACE}, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    return {"type": "Sequence", "decoders": steps}


def _replace(pattern: Json, content: str) -> Json:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _sequence(steps: list[Json]) -> Json | None:
    return {"type": "Sequence", "pretokenizers": steps} if steps else None
