"""A small site for tests in a browser: the page's files with the server's headers, and fakes."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

STATIC = Path(__file__).parent.parent / "src" / "foreword" / "server" / "static"
LEXICON = STATIC.parents[1] / "completion" / "lexicon.json"
PART_BYTES = 1 << 20

CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; worker-src 'self'; manifest-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}
_AT_ROOT = {"/": "index.html", "/sw.js": "sw.js", "/manifest.webmanifest": "manifest.webmanifest"}

Answer = tuple[int, bytes, str]
"""Status, body and content type."""


class Site:
    """What the site serves; a test adds to `routes`, `bundles` and `headers` as it likes.

    `routes` maps "METHOD /path" to a function from the request's body to an answer, and comes
    before all else. `bundles` maps the name of a model to a bundle's directory, served below
    `/device/NAME/`. `requests` lists every request as "METHOD /path", in order. `down` is a
    server out of reach: connections are closed without an answer.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.static = STATIC
        self.routes: dict[str, Callable[[bytes], Answer]] = {}
        self.bundles: dict[str, Path] = {}
        self.headers = dict(HEADERS)
        self.requests: list[str] = []
        self.down = False

    def json(self, route: str, document: object, status: int = 200) -> None:
        """Answer a route with a JSON document."""
        body = json.dumps(document).encode()
        self.routes[route] = lambda _: (status, body, "application/json")

    def find(self, path: str) -> tuple[bytes, str] | None:
        """Content and type of a GET without a route of its own; None when there is none."""
        if path == "/static/files.json":
            return json.dumps(self.files()).encode(), "application/json"
        if path == "/static/text/lexicon.json":
            return LEXICON.read_bytes(), _TYPES[".json"]
        if found := re.fullmatch(r"/device/([^/]+)/([^/]+)", path):
            directory, name = self.bundles.get(found[1]), found[2]
            if directory is None:
                return None
            if name == "device.json":
                text = json.dumps(describe_device(found[1], directory))
                return text.encode(), _TYPES[".json"]
            file = directory / name
        elif path in _AT_ROOT:
            file = self.static / _AT_ROOT[path]
        elif path.startswith("/static/") and ".." not in path:
            file = self.static / path.removeprefix("/static/")
        else:
            return None
        guessed = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return (file.read_bytes(), _TYPES.get(file.suffix, guessed)) if file.is_file() else None

    def files(self) -> dict[str, str]:
        """Path and SHA-256 of every file below /static/, as the server lists them."""
        files = {
            file.relative_to(self.static).as_posix(): file
            for file in self.static.rglob("*.*")
            if file.is_file()
        }
        files["text/lexicon.json"] = LEXICON
        return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}


def describe_device(model: str, directory: Path) -> dict[str, Any]:
    """Return the `device.json` of a bundle."""
    manifest = json.loads((directory / "bundle.json").read_text())
    shape = ("family", "parameters", "layers", "kv_heads", "head_dim", "vocabulary", "cache_dtype")
    files = []
    for name in ("model.tflite", "tokenizer.json"):
        data = (directory / name).read_bytes()
        parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
        files.append(
            {
                "name": name,
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "parts": {
                    "size_bytes": PART_BYTES,
                    "sha256": [hashlib.sha256(part).hexdigest() for part in parts],
                },
            }
        )
    return {
        "model": model,
        "context": manifest["context"],
        "shape": {key: manifest[key] for key in shape},
        "special_tokens": {
            "start": manifest["start_token"],
            "end": manifest["end_tokens"],
            "prepend_start": manifest["prepend_start"],
        },
        "signatures": manifest["signatures"],
        "files": files,
    }


@contextmanager
def serving() -> Iterator[Site]:
    """Serve a site on the loopback until the block ends."""
    site: Site

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            route = f"{self.command} {path}"
            if site.down:
                self.close_connection = True
                return
            site.requests.append(route)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if route in site.routes:
                status, content, kind = site.routes[route](body)
            else:
                found = site.find(path)
                status = 200 if found else 404
                content, kind = found or (b"{}", _TYPES[".json"])
            headers = dict(site.headers)
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            if asked and status == 200:
                first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
                status, content = 206, content[first : last + 1]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a browser that leaves in the middle of an answer

    with Server(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
