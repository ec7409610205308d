"""What every request must pass before anything reads it, and what every answer carries.

A page of another site can reach a server on this machine through the reader's browser: the Host
header tells a name that was bound to our address (DNS rebinding), Origin and Sec-Fetch-Site who
asks.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foreword.server.failures import ApiError
from foreword.server.metrics import Metrics

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; worker-src 'self'; manifest-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OPEN = ("/static/", "/sw.js", "/manifest.webmanifest", "/health", "/favicon.ico")
_log = logging.getLogger("foreword.server")


@dataclass(frozen=True)
class Access:
    """Who may ask, and how much: `hosts` are names besides localhost and plain addresses."""

    api_key: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    body_bytes: int = 1 << 20
    body_seconds: float = 20.0


class Guards:
    """An ASGI application before another: lets through what may pass, logs, counts and times."""

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app, self._access, self._metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                self._allow_origin(Headers(scope=scope), headers)
            await send(message)

        try:
            self._check(scope)
            if scope["method"] == "OPTIONS" and "origin" in Headers(scope=scope):
                await answer({"type": "http.response.start", "status": 204, "headers": []})
                await answer({"type": "http.response.body", "body": b""})
                return
            body = _Body(receive, self._access, Headers(scope=scope))
            await self._app(scope, body.receive, answer)
        except ApiError as error:
            await _refuse(error, scope, answer)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        # The route and not the path: what is asked for may be anything.
        level = logging.DEBUG if route.startswith("/static/") and status < 400 else logging.INFO
        _log.log(level, "%s %s %d %.1f ms", scope["method"], route, status, seconds * 1e3)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not _is_known(_name_of(host), self._access.hosts):
            raise ApiError(
                403,
                f"this server does not answer to the host '{host:.100}': open it by its address, "
                "or start it with --allow-host",
                "host",
            )
        if self._is_foreign(scope, headers, host):
            raise ApiError(403, "pages of other sites may not ask this server", "origin")
        path = scope["path"]
        if path != "/" and scope["method"] != "OPTIONS" and not path.startswith(_OPEN):
            self._check_key(headers)

    def _is_foreign(self, scope: Scope, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is not None:
            return origin not in self._access.origins and urlsplit(origin).netloc != host
        followed_link = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        return headers.get("sec-fetch-site") == "cross-site" and not followed_link

    def _check_key(self, headers: Headers) -> None:
        key = self._access.api_key
        if key is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
            raise ApiError(401, "the API key is missing or wrong: send Bearer KEY", "api_key")

    def _allow_origin(self, asked: Headers, headers: MutableHeaders) -> None:
        origin = asked.get("origin")
        if origin is not None and origin in self._access.origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Headers"] = "authorization, content-type"
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            headers.add_vary_header("Origin")


class _Body:
    """A request's body, that may not be too long nor take too long.

    What is raised while it comes is an HTTPException, which FastAPI lets through.
    """

    def __init__(self, receive: Receive, access: Access, headers: Headers) -> None:
        self._receive, self._left = receive, access.body_bytes
        self._too_large = f"the request is too large: at most {access.body_bytes} bytes"
        self._deadline = asyncio.get_running_loop().time() + access.body_seconds
        self._whole = False
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._left:
            raise ApiError(413, self._too_large, "too_large")

    async def receive(self) -> Message:
        """Return the next message of the body, or that the client is gone."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the request did not come in time") from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise HTTPException(413, self._too_large)
            self._whole = not message.get("more_body", False)
        return message


async def _refuse(error: ApiError, scope: Scope, send: Send) -> None:
    body = json.dumps(error.body(scope["path"])).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if error.status in (408, 413):
        headers["connection"] = "close"  # what is left of the body is not read
    headers |= error.headers
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_known(name: str, hosts: Sequence[str]) -> bool:
    """A plain address cannot be bound anew to another; a name can."""
    if name == "localhost" or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
