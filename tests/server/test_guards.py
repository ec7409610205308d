"""What is turned away before anything reads it."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from book_model import BookModel
from foreword.bundle.tokenizer import Tokenizer
from foreword.server.guards import CONTENT_SECURITY_POLICY, Access
from serving import BOOK, Endless, Serving, opens, serving

KEY = "a long secret"
SIT = {"text": "the cat sat"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def locked(tiny: Tokenizer) -> Iterator[Serving]:
    """A server with a key, a name of its own and a site that may ask."""
    access = Access(KEY, ("foreword.test",), ("https://friend.test",), 10_000, 2.0)
    with serving(opens(BookModel(tiny, BOOK)), access=access) as running:
        yield running


def test_every_answer_carries_the_policy(client: httpx.Client) -> None:
    for path in ("/", "/sw.js", "/static/nothing.js", "/v1/models", "/health", "/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8012", 200),
        ("localhost", 200),
        ("[::1]:8012", 200),
        ("192.168.0.7", 200),
        ("foreword.test", 200),
        ("FOREWORD.test:80", 200),
        ("evil.test", 403),
        ("127.0.0.1.evil.test", 403),
        ("localhost.evil.test", 403),
        ("[", 403),
        ("", 403),
    ],
)
def test_only_names_that_are_known_are_answered_to(locked: Serving, host: str, status: int) -> None:
    with locked.client(authorization=f"Bearer {KEY}") as client:
        assert client.get("/v1/models", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "https://friend.test"}, 200),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_may_not_ask(
    locked: Serving, headers: dict[str, str], status: int
) -> None:
    with locked.client(authorization=f"Bearer {KEY}") as client:
        answer = client.post("/v1/suggest", json=SIT, headers=headers)
    assert answer.status_code == status
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (headers["origin"] if "friend" in headers.get("origin", "") else None)


def test_its_own_page_may_ask(locked: Serving) -> None:
    with locked.client(authorization=f"Bearer {KEY}", origin=locked.url) as client:
        assert client.post("/v1/suggest", json=SIT).status_code == 200


def test_a_link_on_another_site_opens_the_page(client: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong", f"Bearer {KEY}x", "Basic x", "é"])
def test_a_wrong_key_is_refused(locked: Serving, key: str) -> None:
    with locked.client() as client:
        headers = {"authorization": key.encode()}
        for path in ("/v1/models", "/metrics", "/props", "/openapi.json"):
            answer = client.get(path, headers=headers)  # type: ignore[arg-type]
            assert answer.status_code == 401
            assert "api_key" in answer.text or answer.json()["error"]["code"] == 401


def test_the_page_is_there_without_a_key(locked: Serving) -> None:
    with locked.client() as client:
        assert client.get("/").status_code == 200
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"text": 5}',
        b'{"text": "a", "confidence": NaN}',
        b'{"text": "a", "surprise": 1}',
        b'{"text": "a", "session": "../x"}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xff\xfe"}',
        b'{"text": "a", "max_words": ' + b"9" * 5000 + b"}",
        b"[" * 5000,
    ],
)
def test_what_is_no_request_is_a_bad_one(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/suggest", content=body, headers=JSON)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_body_that_is_too_large_is_refused_before_it_is_there(client: httpx.Client) -> None:
    body = json.dumps({"text": "x" * 10_000_000}).encode()
    assert client.post("/v1/suggest", content=body, headers=JSON).status_code == 413
    chunks = (b"x" * 100_000 for _ in range(100))
    assert client.post("/v1/suggest", content=chunks, headers=JSON).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for(locked: Serving) -> None:
    address = httpx.URL(locked.url)
    head = f"POST /v1/suggest HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    with socket.create_connection((address.host, address.port or 80), 30) as connection:
        connection.sendall((head + "Content-Length: 50\r\n\r\n{").encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_half_open_connections_leave_the_server_alive(book: Serving) -> None:
    address = httpx.URL(book.url)
    place = (address.host, address.port or 80)
    halves = [socket.create_connection(place, 30) for _ in range(300)]
    try:
        for half in halves:
            half.sendall(b"POST /v1/suggest HTTP/1.1\r\nHost: lo")
        with book.client() as client:
            assert client.post("/v1/suggest", json=SIT).status_code == 200
    finally:
        for half in halves:
            half.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=300))
def test_no_bytes_end_the_server(book: Serving, data: bytes) -> None:
    address = httpx.URL(book.url)
    with socket.create_connection((address.host, address.port or 80), 30) as connection:
        connection.sendall(data + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    with book.client() as client:
        assert client.get("/health").status_code == 200


def test_curl_killed_in_the_middle_frees_the_worker(tiny: Tokenizer) -> None:
    model = Endless(tiny)
    body = json.dumps({"prompt": ",", "max_tokens": 1 << 20, "stream": True})
    with serving(opens(model)) as server, server.client() as client:
        options = ["-sN", "-H", "content-type: application/json", "-d", body]
        command = ["curl", *options, f"{server.url}/v1/completions"]
        curl = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert curl.stdout is not None
        assert curl.stdout.readline().startswith(b"data: ")
        curl.kill()
        curl.communicate()
        answer = client.post("/v1/completions", json={"prompt": ",", "max_tokens": 1})
        assert answer.status_code == 200
        assert server.metric("foreword_called_off_total") == 1


def test_the_log_has_no_word_of_a_request(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.post("/v1/suggest", json={"text": "my secret diary"})
        client.get("/secret-path?secret=query")
        client.post("/v1/suggest", content=b'{"secret', headers=JSON)
        client.post("/v1/completions", json={"prompt": ["secret"], "secret": 1})
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("http")]
    assert any("POST /v1/suggest 200" in line for line in ours)
    assert not [line for line in ours if "secret" in line]


def test_metrics_count_by_route(client: httpx.Client) -> None:
    client.post("/v1/suggest", json=SIT)
    client.get("/no/such/place")
    text = client.get("/metrics").text
    assert 'foreword_requests_total{route="/v1/suggest",status="200"}' in text
    assert "no/such" not in text


def test_a_path_out_of_the_page_is_not_there(client: httpx.Client) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/."):
        request = client.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code == 404


def test_a_wrong_body_is_told_in_words_that_help(client: httpx.Client) -> None:
    def said(content: bytes, kind: str = "application/json", path: str = "/v1/completions") -> str:
        answer = client.post(path, content=content, headers={"content-type": kind})
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert isinstance(message, str)
        return message

    assert "content-type: application/json" in said(b'{"prompt": "a"}', "text/plain")
    assert "not valid JSON" in said(b'{"prompt": "\xff"}')
    assert said(b'{"stop": [""]}').startswith("stop: Input should be a valid string; or ")
