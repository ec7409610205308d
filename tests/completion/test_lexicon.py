"""The lexicon holds what its readers in other languages rely on."""

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from foreword.completion.lexicon import VERSION, Tables, build, read_lexicon, word_id
from foreword.completion.safety import LEVELS, load_filter

ROOT = Path(__file__).parents[2]
LEXICON = read_lexicon()
WORDS = [(group, text) for group in LEXICON["words"] for text in group["texts"]]


def test_the_lexicon_has_the_keys_that_its_readers_know() -> None:
    assert LEXICON["version"] == VERSION
    assert set(LEXICON) == {
        *("version", "about", "license", "sources", "words", "allow", "endings", "folds"),
        *("look_alikes", "signs", "wildcards", "tight", "scripts", "decorations", "repeatable"),
    }
    for group in LEXICON["words"]:
        assert set(group) == {"language", "severity", "match", "texts"}
        assert group["severity"] in LEVELS["strict"]
        assert group["match"] in {"word", "start", "inside", *LEXICON["endings"]}
        assert group["texts"] == sorted(set(group["texts"]))


def test_a_word_has_one_severity_and_an_id_of_its_own() -> None:
    severities = {(group["language"], text, group["severity"]) for group, text in WORDS}
    assert max(Counter((language, text) for language, text, _ in severities).values()) == 1
    words = {(language, text) for language, text, _ in severities}
    assert len({word_id(*word) for word in words}) == len(words)


def test_tables_map_single_code_points_and_ranges_do_not_overlap() -> None:
    for table in ("folds", "look_alikes", "signs"):
        assert all(len(key) == 1 and value for key, value in LEXICON[table].items())
    for name in ("scripts", "decorations", "repeatable"):
        ranges = sorted(LEXICON[name])
        assert all(first[1] < second[0] for first, second in pairwise(ranges))


def test_every_word_is_found_where_it_stands_alone() -> None:
    strict = load_filter("strict")
    missed = [text for _, text in WORDS if strict.find(text) is None]
    assert missed == []


def test_no_allowed_text_is_found() -> None:
    strict = load_filter("strict")
    assert [text for text in LEXICON["allow"] if strict.find(f"the {text} is")] == []


def test_no_word_is_of_one_letter() -> None:
    tables = Tables(LEXICON)
    short = {text for _, text in WORDS if len(tables.letters(text)) < 2}
    assert all(ord(text) > 0x3000 for text in short)  # Han characters and signs


def test_levels_nest() -> None:
    sizes = [len(build(LEXICON, LEVELS[level]).begin.children) for level in LEVELS]
    assert sizes[0] == 0 < sizes[1] <= sizes[2]


@pytest.mark.parametrize(
    "text",
    [
        "시바ㄹ",
        "씨i발놈",
        "벼엉신",
        "병시인아",
        "미치인놈",
        "ㅅi발",
        "쒸뻘",
        "개쉐퀴",
        "ㅋㅋ시발",
        "개병신",
    ],
)
def test_spellings_of_korean_words_are_found(text: str) -> None:
    assert load_filter().find(f"뭐 {text} 왜") is not None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "시발점에서",
            "시발역까지",
            "시바견을",
            "시뻘건 해",
            "시빨간",
            "서울시 발전",
            "10시발 열차",
            "병신년 새해",
        ),
        *(
            "병사들",
            "병수가",
            "5개년",
            "3개세트",
            "10조까지",
            "조자룡",
            "이상을 좇되",
            "엿보다",
            "존경",
            "니미츠",
        ),
        *(
            "보지 마",
            "보지 않는",
            "자지 않는",
            "애자",
            "지라도",
            "개시 발표",
            "새끼리",
            "ㅋㅋㅋ ㅅㅅ",
            "창녕에서",
        ),
        *(
            "불이 꺼졌다",
            "위험이 닥쳐도",
            "끈을 졸라매고",
            "씹어 먹다",
            "ㅅ 발음",
            "세끼",
            "입싸움",
            "김 씨 발언",
            "엿 먹고",
        ),
    ],
)
def test_clean_korean_near_bad_words_passes(text: str) -> None:
    assert load_filter().find(f"그 {text} 하고") is None


@pytest.mark.slow  # fetches two packages with npm
def test_the_lexicon_is_what_its_script_makes(tmp_path: Path) -> None:
    made = tmp_path / "lexicon.json"
    command = [sys.executable, "scripts/make_lexicon.py", "--output", str(made)]
    subprocess.run(command, cwd=ROOT, check=True)
    assert json.loads(made.read_text(encoding="utf-8")) == LEXICON
