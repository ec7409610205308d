"""A stand-in for the server behind the page: its files and headers, and answers by a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from browser_site import HEADERS, Site

SENTENCES = [
    "I'm enjoying a cup of coffee with my friends.",
    "I'm enjoying a bit of a break.",
    "I'm enjoying a long walk by the sea.",
    "Thank you very much for the flowers.",
    "with my friends and a good book in the garden.",
    "안녕하세요 여러분 반갑습니다.",
]
RUDE = "darn"
MODEL = {
    "id": "tiny-model",
    "object": "model",
    "created": 0,
    "owned_by": "foreword",
    "context": 512,
    "recipe": "int8",
    "family": "llama",
    "parameters": 1000,
    "device": False,
}

Json = dict[str, Any]


def answer(request: Json) -> Json:
    """Return what follows a text: the rest of sentences that go on from how it ends."""
    text, words = request["text"], request.get("max_words") or 4
    line = text.rsplit("\n", 1)[-1]
    refused = "input" if RUDE in line else "output" if line.endswith("The rude ") else None
    found: list[str] = []
    for sentence in [] if refused else SENTENCES:
        known = max((n for n in range(3, len(sentence)) if line.endswith(sentence[:n])), default=0)
        if known:
            found.append(_first_words(sentence[known:], words))
    count = min(len(found), request.get("alternatives") or 1)
    items = [
        {"text": item, "confidence": sure, "logprob": -1.0, "tokens": 3, "by_part": [sure, 0.9]}
        for item, sure in zip(found[:count], (0.61, 0.34, 0.2), strict=False)
    ]
    return {
        "model": MODEL["id"],
        "items": items,
        "refused": refused,
        "context_tokens": len(text) // 4 + 1,
        "dropped_tokens": 0,
        "computed_tokens": 1,
        "latency_ms": 13.2,
        "superseded": False,
    }


def _first_words(text: str, count: int) -> str:
    parts = text.split(" ")
    more = 1 if parts[0] == "" else 0
    return " ".join(parts[: count + more])


@dataclass
class Served:
    """The server of a test: what it was asked, and what it does instead of answering.

    `failure` is a status, an error and headers for every `/v1` request; `health` a status of
    `/health`. While `gate` is not set, an answer stops after its first event.
    """

    address: str
    answer: Callable[[Json], Json] = answer
    models: list[Json] = field(default_factory=lambda: [dict(MODEL)])
    api_key: str | None = None
    failure: tuple[int, Json, dict[str, str]] | None = None
    health: tuple[int, Json] = (200, {"status": "ok"})
    gate: threading.Event = field(default_factory=threading.Event)
    requests: list[Json] = field(default_factory=list)
    lost: int = 0

    @property
    def texts(self) -> list[str]:
        """Every text it was asked to go on from."""
        return [request["text"] for request in self.requests]

    def fail(self, status: int, message: str, code: str = "", **headers: str) -> None:
        """Answer every `/v1` request with an error from now on."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failure = status, {"message": message, "code": code, "type": "error"}, named


@contextmanager
def served_page() -> Iterator[Served]:
    """Serve the page on the loopback until the block ends."""
    site = Site("")
    served: Served

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path == "/health":
                return self._json(*served.health)
            if path == "/v1/models":
                if not self._refused():
                    self._json(200, {"object": "list", "data": served.models})
                return None
            found = site.find(path)
            content, kind = found or (b"{}", "application/json")
            return self._send(200 if found else 404, content, kind)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self._refused():
                return
            request = json.loads(body)
            served.requests.append(request)
            self._stream(served.answer(request))

        def _refused(self) -> bool:
            if served.api_key and self.headers["Authorization"] != f"Bearer {served.api_key}":
                self._json(401, {"error": {"message": "A wrong key", "code": "api_key"}})
                return True
            if served.failure:
                status, error, headers = served.failure
                self._json(status, {"error": error}, headers)
                return True
            return False

        def _stream(self, whole: Json) -> None:
            self.send_response(200)
            self._headers({"Content-Type": "text/event-stream", "Connection": "close"})
            self.end_headers()
            text = whole["items"][0]["text"] if whole["items"] else ""
            ends = [i for i, letter in enumerate(text) if letter == " " and i] + [len(text)]
            for end in ends if text else []:
                self._event({"text": text[:end]})
                served.gate.wait(30)
            self._event({**whole, "done": True})
            self.close_connection = True

        def _event(self, event: Json) -> None:
            self.wfile.write(b": still here\r\n\r\ndata: " + json.dumps(event).encode())
            self.wfile.write(b"\r\n\r\n")
            self.wfile.flush()

        def _json(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
            self._send(status, json.dumps(body).encode(), "application/json", headers)

        def _send(
            self, status: int, content: bytes, kind: str, more: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            self._headers({"Content-Type": kind, "Content-Length": str(len(content))})
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _headers(self, more: dict[str, str]) -> None:
            for name, value in {**HEADERS, **more}.items():
                self.send_header(name, value)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            served.lost += 1  # a page that called off what it asked

    with Server(("127.0.0.1", 0), Handler) as server:
        served = Served(f"http://127.0.0.1:{server.server_port}")
        served.gate.set()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            served.gate.set()
            server.shutdown()
            thread.join()
