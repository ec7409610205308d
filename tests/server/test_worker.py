"""The queue before a model: who waits, who is turned away, and who goes on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from book_model import BookModel, StreamModel
from foreword.bundle.tokenizer import Tokenizer
from foreword.completion.completer import Completer
from foreword.engine.engine import Cancel
from foreword.errors import EngineError
from foreword.server import seats
from foreword.server.worker import Limits
from serving import BOOK, Endless, Gated, Serving, opens, serving
from tiny import load_tiny

SIT = {"text": "the cat sat", "confidence": 0}


def suggest(client: httpx.Client, session: str, text: str = "the cat sat") -> httpx.Response:
    return client.post("/v1/suggest", json=SIT | {"text": text, "session": session})


def waits(server: Serving, count: int) -> None:
    """Wait until so many requests are in the queue."""
    worker = server.served.worker()
    with worker._changed:
        assert worker._changed.wait_for(lambda: len(worker._waiting) == count, 60)


def test_a_full_queue_turns_away_and_says_for_how_long(tiny: Tokenizer) -> None:
    model = Gated(tiny)
    with (
        serving(opens(model), limits=Limits(queue=2)) as server,
        ThreadPoolExecutor() as others,
        server.client() as client,
    ):
        asked = [others.submit(suggest, client, "a")]
        assert model.begun.wait(60)
        asked += [others.submit(suggest, client, session) for session in "bc"]
        waits(server, 2)
        turned_away = suggest(client, "d")
        assert turned_away.status_code == 429
        assert turned_away.json()["error"]["code"] == "busy"
        assert 1 <= int(turned_away.headers["retry-after"]) <= 60
        model.gate.set()
        assert [answer.result().status_code for answer in asked] == [200] * 3
        assert server.metric("foreword_turned_away_total") == 1


def test_the_newest_of_a_session_takes_the_place_of_the_older(tiny: Tokenizer) -> None:
    model = Gated(tiny)
    with (
        serving(opens(model)) as server,
        ThreadPoolExecutor() as others,
        server.client() as client,
    ):
        first = others.submit(suggest, client, "other")
        assert model.begun.wait(60)
        older = others.submit(suggest, client, "mine", "the c")
        waits(server, 1)
        newer = others.submit(suggest, client, "mine")
        assert older.result(60).json()["superseded"] is True
        model.gate.set()
        assert newer.result(60).json()["items"]
        assert first.result(60).json()["items"]


def test_one_that_runs_is_superseded_too(tiny: Tokenizer) -> None:
    model = Gated(tiny)
    with (
        serving(opens(model)) as server,
        ThreadPoolExecutor() as others,
        server.client() as client,
    ):
        older = others.submit(suggest, client, "mine", "an orange")
        assert model.begun.wait(60)
        newer = others.submit(suggest, client, "mine")
        waits(server, 1)
        model.gate.set()
        assert older.result(60).json() == older.result().json() | {"superseded": True, "items": []}
        assert newer.result(60).json()["items"]


def test_a_client_that_goes_away_frees_the_worker(tiny: Tokenizer) -> None:
    model = Endless(tiny)
    body = {"prompt": "a", "max_tokens": 1 << 20, "temperature": 0}
    with serving(opens(model)) as server, server.client() as client:
        with client.stream("POST", "/v1/completions", json=body | {"stream": True}) as answer:
            next(answer.iter_raw())
        assert client.post("/v1/completions", json=body | {"max_tokens": 1}).status_code == 200
        with pytest.raises(httpx.TimeoutException):
            client.post("/v1/completions", json=body, timeout=0.2)
        assert client.post("/v1/completions", json=body | {"max_tokens": 1}).status_code == 200
        assert server.metric("foreword_called_off_total") == 2


def test_a_request_ends_when_its_time_is_over(tiny: Tokenizer) -> None:
    body = {"prompt": "a", "max_tokens": 1 << 20, "temperature": 0}
    with (
        serving(opens(Endless(tiny)), limits=Limits(request_seconds=0.3)) as server,
        server.client() as client,
    ):
        choice = client.post("/v1/completions", json=body).json()["choices"][0]
        assert choice["finish_reason"] == "length"
        assert choice["text"].startswith(",,,")


def test_a_long_continuation_keeps_nobody_waiting(tiny_bundle: Path) -> None:
    """Both streams give text before either ends, each as it does alone."""
    with serving(lambda: load_tiny(tiny_bundle)) as server, server.client() as client:
        body = {"max_tokens": 40, "temperature": 0}
        prompts = ["the cat", "an orange and"]
        alone = [
            client.post("/v1/completions", json=body | {"prompt": prompt}).json()["choices"][0]
            for prompt in prompts
        ]
        together = [""] * 2
        barrier = threading.Barrier(2)

        def stream(number: int) -> None:
            barrier.wait(60)
            answer = client.post("/v1/completions", json=body | {"prompt": prompts[number]})
            together[number] = answer.json()["choices"][0]["text"]

        with ThreadPoolExecutor() as others:
            for each in [others.submit(stream, number) for number in range(2)]:
                each.result(60)
        assert together == [choice["text"] for choice in alone]


def test_a_session_computes_only_what_is_new(tiny_bundle: Path) -> None:
    with serving(lambda: load_tiny(tiny_bundle)) as server, server.client() as client:
        text = "the cat sat on the mat and "
        mine = suggest(client, "mine", text).json()
        suggest(client, "other", "quite another text, of an orange and a pear")
        again = suggest(client, "mine", text + "the ").json()
        assert mine["computed_tokens"] > 5
        assert again["computed_tokens"] < mine["computed_tokens"]


def test_texts_beyond_the_memory_are_given_up(tiny_bundle: Path) -> None:
    limits = Limits(cache_bytes=20_000)
    with serving(lambda: load_tiny(tiny_bundle), limits=limits) as server, server.client() as c:
        for number in range(12):
            assert suggest(c, f"session-{number}", f"the cat sat {number}").status_code == 200
        assert 1 <= server.metric("foreword_texts") < 12
        assert server.metric("foreword_text_bytes") < 40_000


def test_a_text_graph_is_served_without_taking_turns(tiny: Tokenizer) -> None:
    with serving(opens(StreamModel(tiny, BOOK))) as server, server.client() as client:
        assert suggest(client, "a").json()["items"][0]["text"] == " on the mat and"
        answer = client.post("/v1/completions", json={"prompt": "the cat sat", "temperature": 0})
        assert answer.json()["choices"][0]["text"] == " on the mat and purred."


def test_a_model_that_is_loading_is_not_yet_there(tiny: Tokenizer) -> None:
    gate = threading.Event()

    def slow() -> BookModel:
        assert gate.wait(60)
        return BookModel(tiny, BOOK)

    with serving(slow, wait=False) as server, server.client() as client:
        for answer in (client.get("/health"), suggest(client, "a")):
            assert answer.status_code == 503
            assert "Loading model" in answer.json()["error"]["message"]
        gate.set()
        assert server.served.worker().wait(60) == "ready"
        assert client.get("/health").status_code == 200


def test_a_model_that_cannot_be_loaded_says_why(tiny: Tokenizer) -> None:
    def broken() -> BookModel:
        raise EngineError("the model is broken: convert it again")

    with serving(broken, wait=False) as server, server.client() as client:
        assert server.served.worker().wait(60) == "failed"
        answer = suggest(client, "a")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "failed"
        assert "convert it again" in answer.json()["error"]["message"]


def test_a_failure_of_the_model_is_told_and_the_next_request_runs(tiny: Tokenizer) -> None:
    model = BookModel(tiny, BOOK)
    with serving(opens(model)) as server, server.client() as client:
        model.book = {"x": "not a weight"}  # type: ignore[dict-item]
        failed = suggest(client, "a", "ex x")
        assert failed.status_code == 500
        assert "not a weight" not in failed.text
        model.book = BOOK
        assert suggest(client, "a").json()["items"]


def test_the_end_of_the_server_finishes_what_runs(tiny: Tokenizer) -> None:
    model = Gated(tiny)
    with ThreadPoolExecutor() as others:
        with serving(opens(model)) as server:
            client = server.client()
            asked = others.submit(suggest, client, "a")
            assert model.begun.wait(60)
            threading.Timer(0.2, model.gate.set).start()
        assert asked.result(60).json()["items"]
        client.close()


def test_models_have_workers_of_their_own(tiny: Tokenizer) -> None:
    other = BookModel(tiny, {"the cat sat under a tree.": 1.0})
    with serving(opens(BookModel(tiny, BOOK)), opens(other)) as server, server.client() as client:
        first = client.post("/v1/suggest", json=SIT).json()
        second = client.post("/v1/suggest", json=SIT | {"model": "second"}).json()
        assert first["items"][0]["text"].startswith(" on the mat")
        assert second["items"][0]["text"].startswith(" under a tree")
        assert client.post("/v1/suggest", json=SIT | {"model": "third"}).status_code == 404


def test_the_end_of_the_server_lets_a_stream_come_to_its_own(tiny: Tokenizer) -> None:
    model = Gated(tiny)
    model.gate.set()
    lines: list[str] = []
    with serving(opens(model)) as server:
        client = server.client()
        body = {"prompt": "the cat sat", "temperature": 0, "stream": True}
        stream = client.stream("POST", "/v1/completions", json=body)
        found = stream.__enter__().iter_lines()
        lines.append(next(found))
        model.gate.clear()
        threading.Timer(0.3, model.gate.set).start()
    lines += found
    assert lines[-2:] == ["data: [DONE]", ""]
    stream.__exit__(None, None, None)
    client.close()


def test_a_request_calls_off_the_warming_of_a_model_that_is_ready(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def until_called_off(_: Completer, cancel: Cancel) -> None:
        begun.set()
        assert isinstance(cancel, threading.Event)
        assert cancel.wait(60)

    monkeypatch.setattr(seats, "warm", until_called_off)
    with serving(lambda: load_tiny(tiny_bundle)) as server, server.client() as client:
        assert begun.wait(60)
        assert client.get("/health").status_code == 200
        assert suggest(client, "a").status_code == 200


def test_the_end_of_the_server_calls_off_the_warming(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_called_off(_: Completer, cancel: Cancel) -> None:
        assert isinstance(cancel, threading.Event)
        assert cancel.wait(60)

    monkeypatch.setattr(seats, "warm", until_called_off)
    with serving(lambda: load_tiny(tiny_bundle)):
        pass


def test_a_model_that_fails_while_it_is_warmed_is_asked_all_the_same(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise EngineError("not a number")

    monkeypatch.setattr(seats, "warm", broken)
    with serving(lambda: load_tiny(tiny_bundle)) as server, server.client() as client:
        assert suggest(client, "a").status_code == 200
    assert "EngineError while the model was warmed" in caplog.text
