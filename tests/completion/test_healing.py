"""What is taken back of a prompt, and what may take its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.healing import Pieces, heal

START = 1


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("in the th", " th"),
        ("in the ", " "),
        ("in the end.", "."),
        ("in the end", " end"),
        ("a line\n", ""),
        ("in", ""),
        ("i", ""),
        ("", ""),
    ],
)
def test_the_last_word_is_taken_back(tiny: Tokenizer, text: str, typed: str) -> None:
    healed = heal(tiny.encode(text), tiny)
    assert healed.typed == typed.encode()


@given(text=st.text(max_size=40) | st.text("ab the.\né日", max_size=40), start=st.booleans())
def test_nothing_typed_is_lost_or_cut_inside_a_character(
    tiny: Tokenizer, text: str, start: bool
) -> None:
    token_ids = [START] * start + tiny.encode(text)
    kept, typed = heal(token_ids, tiny, START if start else None)
    assert token_ids[: len(kept)] == kept
    assert b"".join(map(tiny.token_bytes, kept)) + typed == text.encode()
    typed.decode()
    assert kept[:1] == token_ids[:1]
    assert len(token_ids) - len(kept) <= 4
    if start and text:
        assert len(kept) > 1


@given(st.binary(min_size=1, max_size=6) | st.sampled_from([b" th", b" the", b" ", b"ing"]))
def test_fitting_tokens_are_those_that_agree(tiny: Tokenizer, typed: bytes) -> None:
    pieces = Pieces(tiny)
    expected = {
        i
        for i, piece in enumerate(pieces.of)
        if piece and (piece.startswith(typed) or typed.startswith(piece))
    }
    assert set(pieces.fitting(typed).tolist()) == expected
