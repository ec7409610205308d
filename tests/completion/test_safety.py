"""Bad words are found however they are written or cut, and clean text passes."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.completion.safety import Match, load_filter
from foreword.errors import UsageError

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "testdata/golden/safety.json").read_text(encoding="utf-8")
)
FILTER = load_filter()
STRICT = load_filter("strict")
OFF = load_filter("off")


def as_match(case: dict[str, Any] | None) -> Match | None:
    return case and Match(**case)


@pytest.mark.parametrize("case", GOLDEN["texts"], ids=lambda case: ascii(case["text"]))
def test_golden_texts_have_their_verdicts(case: dict[str, Any]) -> None:
    for level, found in (("default", FILTER), ("strict", STRICT), ("off", OFF)):
        assert found.find(case["text"]) == as_match(case[level])


@pytest.mark.parametrize("case", GOLDEN["streams"], ids=lambda case: ascii(case["pieces"]))
def test_golden_streams_show_what_is_safe(case: dict[str, Any]) -> None:
    scan, safe = FILTER.scan(), []
    for piece in case["pieces"]:
        scan.feed(piece)
        safe.append(scan.safe)
    assert safe == case["safe"]
    assert scan.end() == as_match(case["match"])
    assert scan.safe == case["safe_at_end"]


@pytest.mark.parametrize("case", GOLDEN["lists"], ids=lambda case: ascii(case["text"]))
def test_golden_lists_of_users_have_their_verdicts(case: dict[str, Any], tmp_path: Path) -> None:
    for name in ("extra", "allow"):
        (tmp_path / name).write_text("\n".join(case[name]), encoding="utf-8")
    found = load_filter("default", tmp_path / "extra", tmp_path / "allow")
    assert found.find(case["text"]) == as_match(case["match"])


# Pieces of good and bad words, and what may stand between or on them.
PARTS = (
    "ass ist ant as s f u c k sh it $h!t spic and span a i t i t l e big t its blow job cum laude "
    "1 5 씨 발 시발 점 이 새끼 ㅅ ㅂ ㅋ "
    "操 你 妈 ファ ック ß é \u0301 \u200b * . - _ ' ! 🖕 \n ｓ ѕ he ll"
)
TEXTS = st.one_of(
    st.lists(st.sampled_from([*PARTS.split(" "), " ", " "]), max_size=14).map("".join),
    st.text(max_size=20),
)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
def test_the_verdict_does_not_depend_on_the_cuts(text: str, places: list[int]) -> None:
    cuts = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    scan, length = STRICT.scan(), 0
    shown = 0
    for start, end in pairwise(cuts):
        length += end - start
        scan.feed(text[start:end])
        assert shown <= scan.safe <= length
        shown = scan.safe
    match = scan.end()
    assert match == STRICT.find(text)
    if match:
        assert shown <= match.start < match.end <= len(text)
        assert scan.safe <= match.start
    else:
        assert scan.safe == len(text)


@given(TEXTS)
def test_what_is_shown_is_never_bad_in_itself(text: str) -> None:
    scan = STRICT.scan()
    for character in text:
        scan.feed(character)
        shown = text[: scan.safe]
        assert STRICT.find(shown) is None


@given(TEXTS, TEXTS)
def test_a_copy_goes_on_by_itself(before: str, after: str) -> None:
    scan = FILTER.scan()
    scan.feed(before)
    other = scan.copy()
    safe = scan.safe
    other.feed("shit ")
    other.end()
    assert scan.safe == safe
    scan.feed(after)
    assert scan.end() == FILTER.find(before + after)


@given(TEXTS)
def test_a_filter_that_is_off_shows_everything_at_once(text: str) -> None:
    scan = OFF.scan()
    assert scan.feed(text) is None
    assert scan.safe == len(text)
    assert scan.end() is None


def test_a_word_is_not_bad_until_it_has_ended() -> None:
    scan = FILTER.scan()
    assert scan.feed("an ass") is None
    assert scan.copy().feed("ume nothing") is None
    assert scan.copy().feed(" did it") == Match(3, 6, "vulgar", "en-2062f800")
    assert scan.end() == Match(3, 6, "vulgar", "en-2062f800")


def test_only_what_may_become_bad_is_held_back() -> None:
    scan = FILTER.scan()
    scan.feed("The weather is nice and s")
    assert scan.safe == len("The weather is nice and ")
    scan.feed("unny")
    assert scan.safe == len("The weather is nice and sunny")


def test_a_match_says_which_word_without_saying_it() -> None:
    match = FILTER.find("oh shit")
    assert match is not None
    assert "shit" not in repr(match)


def test_a_long_text_of_one_sign_is_read_in_no_time() -> None:
    for sign in "*.a s1씨":
        assert FILTER.find(sign * 2000) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"fine\n\xff\xfe", "UTF-8"),
        (b"fine\n\n!!!\n", "line 3"),
        (b"fine\n" + b"x" * 101, "line 2"),
        (b"x\n" * 600_000, "bytes"),
        (None, "expected a text file"),
    ],
)
def test_a_bad_list_is_refused_in_one_line(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        load_filter("default", path)
    assert "\n" not in str(caught.value)
    assert "xxx" not in str(caught.value)


def test_comments_and_empty_lines_of_a_list_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# ours\n\nacme  # a rival\n", encoding="utf-8")
    assert load_filter("off", path).find("Acme!") == Match(0, 4, "user", "user-3")


def test_an_unknown_level_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="off, default, strict"):
        load_filter("medium")
