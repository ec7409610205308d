"""Suggestions: whole words after what is typed, alternatives, silence, and no bad words."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import foreword
from book_model import BookModel, StreamModel
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.completer import Completer
from foreword.completion.safety import load_filter
from foreword.completion.suggestion import Policy, Suggestions
from foreword.completion.words import characters, repeats_from
from foreword.engine.engine import Engine
from foreword.errors import UsageError
from tiny import write_tiny_bundle

BOOK = {
    "the cat sat on the mat. It slept there.": 1.0,
    "the cat sang a song\nand left": 0.5,
    "the cat saw an owl": 0.25,
}
FILTER, OFF = load_filter(), load_filter("off")
SURE = Policy(confidence=0.0)


def texts(found: Suggestions) -> list[str]:
    return [item.text for item in found.items]


@pytest.fixture
def completer(tiny: Tokenizer) -> Completer:
    return Completer(BookModel(tiny, BOOK))


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("the cat", " sat on the mat"),
        ("the cat ", "sat on the mat"),
        ("the cat sa", "t on the mat"),
        ("the cat sat on the m", "at."),
        ("the cat sang", " a song"),
        ("  the cat saw", " an owl"),
    ],
)
def test_the_word_typed_is_completed_and_whole_words_follow(
    completer: Completer, text: str, suggested: str
) -> None:
    assert texts(completer.suggest(text, SURE)) == [suggested]


def test_words_are_counted(completer: Completer) -> None:
    assert texts(completer.suggest("the cat", Policy(max_words=2, confidence=0))) == [" sat on"]


def test_alternatives_are_distinct_and_the_likeliest_comes_first(completer: Completer) -> None:
    found = completer.suggest("the cat sa", Policy(alternatives=3, max_words=1, confidence=0))
    assert set(texts(found)[:2]) == {"t", "ng"}
    assert len(set(texts(found))) == len(texts(found))
    scores = [item.logprob / item.tokens for item in found.items if item.logprob is not None]
    assert scores == sorted(scores, reverse=True)


def test_there_is_silence_below_the_confidence_asked_for(tiny: Tokenizer) -> None:
    even = {f"the cat sat {word}": 1.0 for word in ("down", "here", "often", "still")}
    completer = Completer(BookModel(tiny, even))
    unsure = completer.suggest("the cat sat", SURE).items[0].confidence
    assert unsure is not None
    assert not completer.suggest("the cat sat", Policy(confidence=unsure + 0.01)).items
    assert texts(completer.suggest("the cat", Policy(confidence=0.9))) == [" sat"]


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_nothing_follows_nothing(completer: Completer, text: str) -> None:
    assert completer.suggest(text, SURE).items == ()
    assert isinstance(completer.model, BookModel)
    assert completer.model.calls == 0


def test_what_was_computed_is_not_computed_again(completer: Completer) -> None:
    first, second = (completer.suggest("the cat sa", SURE) for _ in range(2))
    assert first.computed_tokens > 0
    assert second.computed_tokens == 0
    assert second.items == first.items


def test_a_request_can_be_called_off(completer: Completer) -> None:
    cancel = threading.Event()
    cancel.set()
    found = completer.suggest("the cat", SURE, cancel)
    assert found.cancelled
    assert not found.items


def test_a_window_of_words_hides_what_is_before_it(tiny: Tokenizer) -> None:
    completer = Completer(BookModel(tiny, {"a cat sat down": 1.0, "cat sat up": 0.1}))
    assert texts(completer.suggest("a cat sat", SURE)) == [" down"]
    few = completer.suggest("a cat sat", Policy(context_words=2, confidence=0))
    assert texts(few) == [" up"]


def test_a_window_beyond_the_model_is_refused(completer: Completer) -> None:
    with pytest.raises(UsageError, match="this model holds 512, found 513"):
        completer.suggest("x", Policy(context_tokens=513))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_words": 0}, "max_words: expected 1 to 100"),
        ({"alternatives": 17}, "alternatives: expected 1 to 16"),
        ({"confidence": 1.5}, "confidence: expected 0 to 1"),
        ({"context_words": 0}, "context_words: expected 1 or more"),
        ({"temperature": 2.1}, "temperature: expected 0 to 2, found 2.1"),
        ({"temperature": float("nan")}, "temperature: expected 0 to 2, found nan"),
        ({"seed": -1}, "seed: expected 0 or more, found -1"),
    ],
)
def test_a_policy_has_bounds(values: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Policy(**values)  # type: ignore[arg-type]


BAD = {"what a piece of shit it is": 1.0, "what a piece of shirt we have": 0.01}


def test_a_bad_word_is_never_suggested_and_another_takes_its_place(tiny: Tokenizer) -> None:
    assert texts(Completer(BookModel(tiny, BAD)).suggest("what a piece of", SURE)) == [
        " shirt we have"
    ]
    unfiltered = Completer(BookModel(tiny, BAD), load_filter("off"))
    assert texts(unfiltered.suggest("what a piece of", SURE)) == [" shit it is"]


def test_a_bad_word_in_the_text_is_refused(tiny: Tokenizer) -> None:
    found = Completer(BookModel(tiny, BAD)).suggest("what a piece of shit it", SURE)
    assert found.refused == "input"
    assert not found.items


@pytest.mark.parametrize("model", [BookModel, StreamModel])
def test_where_only_bad_words_follow_there_is_no_suggestion(
    tiny: Tokenizer, model: type[BookModel]
) -> None:
    only = {"what a piece of sh" + "it it is": 1.0}
    completer = Completer(model(tiny, only))
    found = completer.suggest("what a piece of sh", Policy(confidence=0, max_tokens=4))
    assert not any("it" in text.split() for text in texts(found))
    if model is StreamModel:
        assert found.refused == "output"


def test_a_model_that_only_streams_gives_whole_words(tiny: Tokenizer) -> None:
    found = Completer(StreamModel(tiny, BOOK)).suggest("the cat", SURE)
    assert texts(found) == [" sat on the mat"]
    assert found.items[0].confidence is None


@pytest.mark.parametrize(
    ("text", "suffix", "suggested"),
    [
        ("the cat", " the mat", [" sat on"]),
        ("the cat ", "the mat", ["sat on "]),
        ("the cat s", "at on", []),
        ("the cat", ".", [" sat on the mat"]),
        ("the cat sat on the m", ".", ["at"]),
        ("the cat", "\nsat on", [" sat on the mat"]),
    ],
)
@pytest.mark.parametrize("model", [BookModel, StreamModel])
def test_what_follows_the_cursor_is_not_repeated(
    tiny: Tokenizer, model: type[BookModel], text: str, suffix: str, suggested: list[str]
) -> None:
    if model is StreamModel and not text.endswith("cat"):
        return  # it does not heal
    assert texts(Completer(model(tiny, BOOK)).suggest(text, SURE, suffix=suffix)) == suggested


WORDS = ["the", " cat", " sat", "s", " on", " shit", "ty", " an", " ass", " f", "u", "c", "k", " "]
WORDS += [
    " don",
    "'t",
    ". ",
    "\n",
    "커피",
    " 한",
    " 잔",
    " 시발",
    "점",
    "日本",
    "。",
    " 👨‍👩‍👧",
    "e\u0301",
]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map("".join)


@given(
    book=st.dictionaries(SENTENCES, st.sampled_from([1.0, 0.5, 0.2]), min_size=1, max_size=4),
    cut=st.integers(0, 8),
    suffix=SENTENCES | st.just(""),
    policy=st.builds(
        Policy,
        max_words=st.integers(1, 5),
        alternatives=st.integers(1, 2),
        confidence=st.sampled_from([0.0, 0.45]),
        temperature=st.sampled_from([0.0, 0.0, 1.0]),
        seed=st.just(1),
    ),
    model=st.sampled_from([BookModel, BookModel, StreamModel]),
)
def test_nothing_that_was_shown_is_taken_back(
    tiny: Tokenizer,
    book: dict[str, float],
    cut: int,
    suffix: str,
    policy: Policy,
    model: type[BookModel],
) -> None:
    text, told = next(iter(book))[:cut], list[str]()
    completer = Completer(model(tiny, book), FILTER)
    found = completer.suggest(text, policy, suffix=suffix, on_words=told.append)
    told += texts(found)[:1]
    for shown, more in pairwise(told):
        assert more.startswith(shown)
        assert characters(text + more)[: len(characters(text + shown))] == characters(text + shown)
    for shown in told:
        assert completer.safety.find(text + shown) is None
        assert repeats_from(shown, suffix) == len(shown)
    if policy.alternatives == 1:
        assert texts(completer.suggest(text, policy, suffix=suffix)) == texts(found)


def test_one_of_two_is_told_in_words_and_stays_the_first(completer: Completer) -> None:
    told: list[str] = []
    policy = Policy(alternatives=3, max_words=2, confidence=0)
    found = completer.suggest("the cat sa", policy, on_words=told.append)
    assert told == ["t", "t on"]
    assert texts(found)[:2] == ["t on", "ng a"]


def test_with_a_temperature_tokens_are_drawn_by_the_seed(tiny: Tokenizer) -> None:
    completer = Completer(BookModel(tiny, BOOK))
    greedy = completer.suggest("the cat sa", SURE)
    drawn = {
        seed: completer.suggest("the cat sa", Policy(confidence=0, temperature=1.5, seed=seed))
        for seed in range(12)
    }
    assert len({item.text for found in drawn.values() for item in found.items}) > 1
    for seed, found in drawn.items():
        again = completer.suggest("the cat sa", Policy(confidence=0, temperature=1.5, seed=seed))
        assert again.items == found.items
    # How sure the model is does not depend on how its tokens are taken.
    cold = completer.suggest("the cat sa", Policy(confidence=0, temperature=1e-9, seed=0))
    assert cold.items == greedy.items


def test_a_completer_beside_another_shares_what_is_large(tiny: Tokenizer) -> None:
    completer = Completer(BookModel(tiny, BOOK), OFF)
    other = completer.beside(BookModel(tiny, {"the cat ran off": 1.0}), remembered=1)
    assert texts(other.suggest("the cat", SURE)) == [" ran off"]
    assert texts(completer.suggest("the cat", SURE)) == [" sat on the mat"]
    assert other._pieces is completer._pieces
    assert other.safety is OFF
    assert other.suggest("the cat", SURE).computed_tokens > 0  # too many to be remembered


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Engine]]:
    """Two engines of the same tiny model in float32."""
    path = write_tiny_bundle(tmp_path_factory.mktemp("float"), recipe="float32")[1]
    with foreword.load(path, threads=1) as one, foreword.load(path, threads=1) as other:
        yield [one, other]


SAMPLES = [
    "the 👨‍👩‍👧 and 🇩🇪",
    "ㅎㅏㄴ한글",
    "नमस्ते क्",
    "שלום ע",
    "مرحبا بال",
    "e\u0301tude cafe\u0301",
    "ภาษาไทย",
]
TEXT = st.text(max_size=20) | st.sampled_from(SAMPLES) | st.text("ab the.\n", max_size=30)


@given(text=TEXT)
def test_suggestions_are_whole_characters_after_any_text(engines: list[Engine], text: str) -> None:
    found = Completer(engines[0], OFF).suggest(text, Policy(confidence=0, alternatives=2))
    for item in found.items:
        item.text.encode()
        assert "\ufffd" not in item.text
        joined = characters(text + item.text)
        assert joined[: len(characters(text))] == characters(text)


@given(edits=st.lists(st.sampled_from([*SAMPLES, "the", "th", "the a", "and then"]), max_size=5))
def test_a_warm_completer_says_what_a_cold_one_does(
    engines: list[Engine], edits: Sequence[str]
) -> None:
    policy = Policy(confidence=0, alternatives=2, context_tokens=16)
    warm = Completer(engines[0], OFF)
    for text in ["", *edits]:
        assert engines[1].graph  # asked for, it forgets the text in it
        cold = Completer(engines[1], OFF)
        assert texts(warm.suggest(text, policy)) == texts(cold.suggest(text, policy))
