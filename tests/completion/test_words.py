"""Words, sentences and characters of many scripts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.completion.words import (
    characters,
    divides,
    last_words,
    parts_of,
    repeats_from,
    sentence_end,
    settled_parts,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("I don't know.", ["I", " don't", " know", "."]),
        (" 3.14 (or so), well-known", [" 3.14", " (", "or", " so", "),", " well-known"]),
        ("日本語 text", ["日", "本", "語", " text"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("감사합니다 여러분", ["감사합니다", " 여러분"]),
        ("नमस्ते दुनिया", ["नमस्ते", " दुनिया"]),
        ("hi 👨‍👩‍👧❤️", ["hi", " 👨‍👩‍👧❤️"]),
        ("  ", []),
        ("", []),
    ],
)
def test_a_text_is_words_and_marks(text: str, parts: list[str]) -> None:
    ends = [0, *(part.end for part in parts_of(text))]
    assert [text[a:b] for a, b in pairwise(ends)] == parts


@pytest.mark.parametrize(
    ("text", "count", "kept"),
    [
        ("one two, three", 2, "two, three"),
        ("one two, three", 9, "one two, three"),
        ("one two three ", 1, "three "),
        ("東京は", 2, "京は"),
        ("one ...", 1, "one ..."),
    ],
)
def test_the_last_words_are_kept(text: str, count: int, kept: str) -> None:
    assert last_words(text, count) == kept


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("It ends. Now", 8),
        ("It ends.", None),
        ("3.14 is", None),
        ("“Stop!” he", 7),
        ("終わり。次", 4),
        ("no end", None),
    ],
)
def test_a_sentence_ends_where_something_else_follows(text: str, end: int | None) -> None:
    assert sentence_end(text) == end


@pytest.mark.parametrize(
    ("text", "following", "left"),
    [
        (" sat on the", " on the mat", " sat"),
        ("sat on the", "on the mat", "sat "),
        (" sat on", "  on\nthe", " sat"),
        ("at on the mat", "at on", ""),
        (" on the", "on the mat", " "),
        (" mat. It", ".", " mat"),
        (" sat the", " they said", " sat the"),
        (" sat", "\n sat", " sat"),
        (" sat", "", " sat"),
        ("커피 한 잔", " 한 잔을", "커피 한 잔"),
        ("커피 한 잔", " 한 잔 더", "커피"),
        ("我在图书馆", "书馆学习", "我在图"),
    ],
)
def test_what_follows_is_not_said_twice(text: str, following: str, left: str) -> None:
    assert text[: repeats_from(text, following)] == left


WRITTEN = st.text("ab1.'-_ !\u0301한ㅏ日👨\u200d🇩\n", max_size=12) | st.text(max_size=12)


@given(WRITTEN, WRITTEN)
def test_settled_parts_stay_whatever_is_written_behind_them(text: str, more: str) -> None:
    settled = settled_parts(text)
    assert parts_of(text + more)[: len(settled)] == settled


@given(st.text(max_size=40))
def test_parts_end_between_characters_and_cover_the_text(text: str) -> None:
    ends = [part.end for part in parts_of(text)]
    assert ends == sorted(set(ends))
    assert not text[ends[-1] if ends else 0 :].strip()
    for count in (1, 2, 3):
        assert text.endswith(last_words(text, count))


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_texts_divide_where_a_character_ends(before: str, after: str) -> None:
    ends, position = {0}, 0
    for character in characters(before + after):
        position += len(character)
        ends.add(position)
    assert divides(before, after) == (len(before) in ends or not before or not after)
