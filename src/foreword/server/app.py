"""The application: routes over the models that are served, behind the guards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from foreword.errors import ForewordError
from foreword.server import llama, openai, pages, suggest
from foreword.server.bodies import schemas
from foreword.server.failures import ApiError, as_api_error
from foreword.server.guards import Access, Guards
from foreword.server.metrics import Metrics
from foreword.server.protocol import ERRORS, CompletionRequest, SuggestRequest
from foreword.server.protocol_llama import InfillRequest, LlamaRequest
from foreword.server.running import ClientGone
from foreword.server.served import Served, Site

_REQUESTS = (CompletionRequest, SuggestRequest, InfillRequest, LlamaRequest)
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CODES = {404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large"}
_CLIENT_GONE = 499  # nginx's; nobody reads it


def create_app(served: Served, access: Access, metrics: Metrics, site: Site) -> ASGIApp:
    """Return the application; it loads the models when it starts and unloads them at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        served.start()
        yield
        await run_in_threadpool(served.close)

    app = _Documented(
        title="Foreword",
        summary="Text autocomplete that runs wholly on this device.",
        version=metadata.version("foreword"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )

    @app.get(
        "/metrics",
        tags=["Foreword"],
        response_class=Response,
        responses={
            200: {"content": {_METRICS_TYPE: {"schema": {"type": "string"}}}},
            **{status: ERRORS[status] for status in (401, 403)},
        },
    )
    async def metrics_() -> Response:
        return Response(metrics.text(), media_type=_METRICS_TYPE)

    for router in (openai.routes(served), suggest.routes(served), llama.routes(served)):
        app.include_router(router)
    app.include_router(pages.routes(site))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientGone, _gone)
    for kind in (ApiError, ForewordError):
        app.add_exception_handler(kind, _failed)
    return Guards(app, access, metrics)


class _Documented(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Describe the interface; a request that is not valid is 400 here, and not 422."""
        document = super().openapi()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        document["components"]["schemas"] |= schemas(_REQUESTS)
        return document


async def _failed(request: Request, error: Exception) -> Response:
    failure = as_api_error(error)
    return JSONResponse(failure.body(request.url.path), failure.status, failure.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    """Say of the first thing that is wrong where it is and what was expected, not what it was."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    first = errors[0]
    place = [str(part) for part in first["loc"]]
    name = place[0] if place and place[0].isidentifier() else None
    if first["type"] == "extra_forbidden":
        message = f"Unrecognized request argument supplied: {'.'.join(place):.100}"
    elif first["type"] == "json_invalid":
        message, name = "the body is not valid JSON", None
    elif name is None:
        message = "expected a JSON object, and content-type: application/json"
    else:
        # Of a field that may have several forms, what is wrong with each.
        found = dict.fromkeys(each["msg"] for each in errors if name in each["loc"])
        message = f"{name}: {'; or '.join(found):.300}"
    return await _failed(request, ApiError(400, message, "invalid_request", name))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    failure = ApiError(error.status_code, str(error.detail), _CODES.get(error.status_code))
    failure.headers |= error.headers or {}
    return await _failed(request, failure)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)
