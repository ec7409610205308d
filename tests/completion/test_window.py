"""The end of a text, cut where a reader would cut it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.bundle.store import open_bundle
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.window import Window, keep_end
from foreword.completion.words import divides
from tiny import write_tiny_bundle

START = 1
NEAR = 16
"""Tokens within which a word's beginning is looked for."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    bundle = write_tiny_bundle(tmp_path_factory.mktemp("tiny"))[1]
    return Tokenizer.from_file(open_bundle(bundle).tokenizer_path)


def text_of(tokenizer: Tokenizer, token_ids: Sequence[int]) -> bytes:
    return b"".join(map(tokenizer.token_bytes, token_ids))


def cut(tokenizer: Tokenizer, text: str, limit: int) -> str:
    window = keep_end(tokenizer.encode(text), limit, tokenizer)
    return text_of(tokenizer, window.token_ids).decode()


def test_a_text_that_fits_is_kept_whole(tokenizer: Tokenizer) -> None:
    token_ids = tokenizer.encode("the cat sat")
    assert keep_end(token_ids, len(token_ids), tokenizer) == Window(token_ids, 0)


def test_an_empty_text_is_kept(tokenizer: Tokenizer) -> None:
    assert keep_end([], 1, tokenizer) == Window([], 0)
    assert keep_end([], 1, tokenizer, START) == Window([], 0)


def test_what_is_kept_begins_at_a_word(tokenizer: Tokenizer) -> None:
    text = "before the elephants crossed a river"
    for limit in range(10, len(tokenizer.encode(text))):
        kept = cut(tokenizer, text, limit)
        assert text.endswith(kept)
        assert kept[0] == " "


@pytest.mark.parametrize(
    "text", ["日本語の文章には空白がない" * 4, "ภาษาไทยไม่มีช่องว่าง" * 4, "x" * 99]
)
def test_text_without_spaces_is_cut_between_characters(tokenizer: Tokenizer, text: str) -> None:
    for limit in range(4, 60):
        kept = cut(tokenizer, text, limit)
        assert text.endswith(kept)
        # The tiny tokenizer has bytes for these; a Thai letter may have two marks.
        assert limit - 9 <= len(kept.encode()) <= limit
        assert divides(text[: -len(kept)], kept)


def test_a_long_word_is_given_up_only_when_the_next_begins_near(tokenizer: Tokenizer) -> None:
    text = "zq" * 40 + " the end"
    tail = len(tokenizer.encode(" the end"))
    assert cut(tokenizer, text, tail + NEAR - 1) == " the end"
    assert cut(tokenizer, text, tail + NEAR) == "zq" * (NEAR // 2) + " the end"


def test_the_last_token_is_never_all_that_is_kept_of_a_word(tokenizer: Tokenizer) -> None:
    assert cut(tokenizer, "zq" * 40 + " ", 4) == "qzq "


def test_the_start_token_stays_in_front_and_counts(tokenizer: Tokenizer) -> None:
    token_ids = [START, *tokenizer.encode("one two three four five six seven")]
    window = keep_end(token_ids, 12, tokenizer, START)
    assert window.token_ids[0] == START
    assert len(window.token_ids) <= 12
    assert token_ids[-len(window.token_ids) + 1 :] == window.token_ids[1:]


def test_a_start_token_the_text_does_not_have_is_not_added(tokenizer: Tokenizer) -> None:
    token_ids = tokenizer.encode("one two three four five six seven")
    assert START not in keep_end(token_ids, 12, tokenizer, START).token_ids


@given(
    text=st.text(max_size=120) | st.text(alphabet="aehnt .é日\n", max_size=120),
    limit=st.integers(1, 80),
    start=st.booleans(),
)
def test_what_is_kept_is_the_end_of_the_text_and_fits(
    tokenizer: Tokenizer, text: str, limit: int, start: bool
) -> None:
    body = tokenizer.encode(text)
    token_ids = [START, *body] if start else body
    window = keep_end(token_ids, limit, tokenizer, START if start else None)
    kept = window.token_ids
    assert len(kept) <= limit
    assert window.dropped == len(token_ids) - len(kept)
    assert bool(kept) == bool(token_ids)
    if window.dropped and start and limit > 1:
        assert kept[0] == START
        kept = kept[1:]
    assert token_ids[len(token_ids) - len(kept) :] == kept
    # Room that is not used was given up for a beginning near the cut.
    if window.dropped:
        assert len(window.token_ids) > limit - NEAR
    if limit >= 5:
        text_of(tokenizer, kept).decode()
