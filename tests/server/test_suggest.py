"""`/v1/suggest`, for our own faces."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

SIT = {"text": "the cat sat", "confidence": 0}


def suggest(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/suggest", json=SIT | fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def stream(client: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    with client.stream("POST", "/v1/suggest", json=SIT | {"stream": True} | fields) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in answer.iter_lines() if line]


def test_a_suggestion_has_what_a_face_shows(client: httpx.Client) -> None:
    found = suggest(client, text="the cat sat on the m")
    assert found["items"][0]["text"].startswith("at and purred")
    assert 0 < found["items"][0]["confidence"] <= 1
    assert found["refused"] is None
    assert found["context_tokens"] > 0
    assert found["latency_ms"] > 0


def test_streamed_words_grow_into_the_first_item(client: httpx.Client) -> None:
    *words, last = stream(client, max_words=20)
    shown = [event["text"] for event in words]
    assert len(shown) > 1
    assert all(after.startswith(before) for before, after in itertools.pairwise(shown))
    assert last["items"][0]["text"].startswith(shown[-1])
    assert last["done"] is True


def test_silence_is_a_stream_too(client: httpx.Client) -> None:
    (last,) = stream(client, text="the cat ", confidence=1)
    assert last["items"] == []
    assert last["done"] is True


def test_alternatives_are_distinct(client: httpx.Client) -> None:
    texts = [item["text"] for item in suggest(client, text="the cat ", alternatives=3)["items"]]
    assert len(texts) == len(set(texts)) > 1


def test_what_follows_is_not_repeated(client: httpx.Client) -> None:
    found = suggest(client, suffix=" and purred.", max_words=9)
    assert found["items"][0]["text"] == " on the mat"


def test_the_window_is_cut_to_words(client: httpx.Client) -> None:
    text = "a long beginning of it all, and the cat sat"
    assert suggest(client, text=text, context_words=3)["items"]
    few = suggest(client, text=text, context_words=3)["context_tokens"]
    assert few < suggest(client, text=text)["context_tokens"]


def test_a_bad_word_is_refused_as_input(client: httpx.Client) -> None:
    assert suggest(client, text="a bitch sat on")["refused"] == "input"
    (last,) = stream(client, text="a bitch sat on")
    assert last["refused"] == "input"


def test_a_seed_repeats_what_is_drawn(client: httpx.Client) -> None:
    drawn = [suggest(client, temperature=1.5, seed=seed)["items"] for seed in (1, 1)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"context_tokens": 0}, "context_tokens"),
        ({"context_tokens": 5000}, "context_tokens"),
        ({"alternatives": 17}, "alternatives"),
        ({"max_words": 0}, "max_words"),
        ({"temperature": -1}, "temperature"),
        ({"session": "no spaces"}, "session"),
    ],
)
def test_a_value_out_of_range_names_the_field(
    client: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    answer = client.post("/v1/suggest", json=SIT | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_an_empty_text_gets_silence(client: httpx.Client) -> None:
    assert suggest(client, text="")["items"] == []
