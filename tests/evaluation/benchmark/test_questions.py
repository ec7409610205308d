"""What is asked for fits the contexts, and is the same for both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.benchmark.questions import (
    POLICIES,
    decode_figure,
    few,
    prefill_figure,
    questions,
)
from foreword.evaluation.text import Text, built_in


def entry(context: int, vocabulary: int = 300) -> Entry:
    return Entry("x", Path("x"), context, vocabulary, 1, "int8")


def asked(*contexts: int, rounds: int = 2, texts: list[Text] | None = None) -> dict[str, Any]:
    return questions([*map(entry, contexts)], texts or [built_in()], rounds, 100)


def test_a_context_of_512_has_all_the_usual_figures() -> None:
    assert list(asked(512)) == [
        *(f"first_token_ms_{n}" for n in (5, 32, 128, 256, "changed", "longer")),
        *(f"decode_tokens_per_s_after_{n}" for n in (90, 220, 470)),
        "continue_tokens_per_s",
        *POLICIES,
    ]
    assert decode_figure(asked(512)) == "decode_tokens_per_s_after_90"
    assert prefill_figure(asked(512)) == ("first_token_ms_128", 128)


def test_lengths_are_those_that_fit_the_shorter_context() -> None:
    found = asked(1024, 128)
    assert prefill_figure(found) == ("first_token_ms_32", 32)
    assert [name for name in found if name.startswith("decode")] == ["decode_tokens_per_s_after_90"]


@given(st.integers(8, 600), st.integers(2, 400), st.integers(1, 4))
def test_no_prompt_is_longer_than_the_context_or_of_strange_tokens(
    context: int, vocabulary: int, rounds: int
) -> None:
    found = questions([entry(context, vocabulary)], [built_in()], rounds, 100)
    for name, requests in found.items():
        for request in requests:
            if "prompt" in request:
                assert len(request["prompt"]) + request.get("count", 0) <= context, name
                assert len(request.get("cached", [])) <= context
                assert all(0 <= token < vocabulary for token in request["prompt"])
            assert request.get("count", 1) >= 1
    assert decode_figure(found) in found
    assert prefill_figure(found)[0] in found


@pytest.mark.parametrize("rounds", [1, 3])
def test_every_figure_has_a_warm_up_and_so_many_rounds(rounds: int) -> None:
    for name, requests in asked(512, rounds=rounds).items():
        assert len(requests) == (2 if name in POLICIES else rounds + 1)


def test_warm_prompts_share_all_but_a_token_with_what_is_cached() -> None:
    found = asked(512)
    changed, longer = (found[f"first_token_ms_{name}"][0] for name in ("changed", "longer"))
    assert changed["prompt"][:-1] == changed["cached"][:-1]
    assert changed["prompt"][-1] != changed["cached"][-1]
    assert longer["prompt"][:-1] == longer["cached"]


def test_texts_are_continued_at_different_places_of_all_of_them() -> None:
    texts = [Text.of("a", "apple " * 500), Text.of("b", "berry " * 500)]
    places = [r["text"] for r in asked(512, rounds=5, texts=texts)["continue_tokens_per_s"]]
    assert [place[:1] in "ap" for place in places].count(True) == 3
    assert len(set(places)) == 6
    assert all(places)


def test_keystrokes_are_of_all_texts_and_the_same_for_both_policies() -> None:
    texts = [built_in(), Text.of("b", "Berries are red and good. " * 50)]
    found = asked(512, texts=texts)
    silent, open_ = (found[name] for name in ("default_keystrokes", "keystrokes"))
    assert [r["stretch"] for r in silent] == [r["stretch"] for r in open_]
    assert len(silent) == 3  # the warm-up, and a stretch of each
    assert open_[0]["policy"] == {"confidence": 0.0}
    assert len(few(found)) == 3
