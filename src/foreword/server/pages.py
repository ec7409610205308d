"""The page and its files, and a model's files for a browser that runs it itself."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from foreword.bundle.manifest import MODEL_NAME, TOKENIZER_NAME
from foreword.bundle.store import open_bundle
from foreword.errors import ForewordError
from foreword.server.failures import ApiError, no_model
from foreword.server.served import Site

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_LEXICON = "text/lexicon.json"
_PART_BYTES = 8 << 20


def routes(site: Site) -> APIRouter:
    """Return the routes of the page; they are no part of the documented interface."""
    router = APIRouter(include_in_schema=False)
    files = _Files(site)

    @router.get("/")
    async def index() -> Response:
        return files.answer("index.html")

    @router.get("/sw.js")
    async def service_worker() -> Response:
        return files.answer("sw.js")

    @router.get("/manifest.webmanifest")
    async def manifest() -> Response:
        return files.answer("manifest.webmanifest")

    @router.get("/static/files.json")
    async def list_() -> Response:
        hashes = await run_in_threadpool(files.hashes)
        return JSONResponse(hashes, headers={"Cache-Control": "no-cache"})

    @router.get("/static/{name:path}")
    async def static(name: str) -> Response:
        return files.answer(name)

    @router.get("/device/{model}/device.json")
    async def device(model: str) -> Response:
        described = await run_in_threadpool(lambda: _described(_bundle(site, model), model))
        return JSONResponse({**described, "safety": site.safety})

    @router.get("/device/{model}/{name}")
    async def device_file(model: str, name: str, request: Request) -> Response:
        if name not in (MODEL_NAME, TOKENIZER_NAME):
            raise ApiError(404, "there is no such file", "not_found")
        bundle = await run_in_threadpool(_bundle, site, model)
        return FileResponse(bundle / name, media_type="application/octet-stream")

    return router


class _Files:
    """The files of the page, by name below `/static/`."""

    def __init__(self, site: Site) -> None:
        self._root, self._lexicon = site.static.resolve(), site.lexicon

    def answer(self, name: str) -> Response:
        path = self._lexicon if name == _LEXICON else (self._root / name).resolve()
        inside = name == _LEXICON or path.is_relative_to(self._root)
        kind = _TYPES.get(path.suffix)
        if not inside or kind is None or not path.is_file():
            raise ApiError(404, "there is no such page", "not_found")
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-cache"})

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of every file, by name."""
        paths = {p.relative_to(self._root).as_posix(): p for p in self._root.rglob("*.*")}
        paths[_LEXICON] = self._lexicon
        return {
            name: _digest(path, path.stat().st_mtime_ns)
            for name, path in sorted(paths.items())
            if path.is_file() and path.suffix in _TYPES
        }


@lru_cache(maxsize=1024)
def _digest(path: Path, changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _bundle(site: Site, model: str) -> Path:
    """Return the bundle a browser is given of a model, made at the first request."""
    if model not in site.device:
        raise no_model(model)
    try:
        return site.device[model]()
    except ForewordError as error:
        raise ApiError(503, str(error), "device") from None


def _described(path: Path, model: str) -> dict[str, Any]:
    """Describe a browser's bundle, with the hash of each part of its model."""
    bundle = open_bundle(path)
    manifest, shape = bundle.manifest, bundle.manifest.shape
    special = manifest.special_tokens
    files = []
    for name, entry in manifest.files.items():
        described: dict[str, Any] = {
            "name": name,
            "size_bytes": entry.size_bytes,
            "sha256": entry.sha256,
        }
        if name == MODEL_NAME:
            digests = _parts(path / name, (path / name).stat().st_mtime_ns)
            described["parts"] = {"size_bytes": _PART_BYTES, "sha256": digests}
        files.append(described)
    return {
        "model": model,
        "context": shape.context,
        "recipe": manifest.recipe,
        "shape": {
            "layers": shape.layers,
            "kv_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "vocabulary": shape.vocabulary,
            "cache_dtype": shape.cache_dtype,
        },
        "special_tokens": {
            "start": special.start,
            "end": list(special.end),
            "prepend_start": special.prepend_start,
        },
        "signatures": list(manifest.signatures),
        "files": files,
    }


@lru_cache(maxsize=16)
def _parts(path: Path, changed_ns: int) -> list[str]:
    with path.open("rb") as file:
        parts = iter(lambda: file.read(_PART_BYTES), b"")
        return [hashlib.sha256(part).hexdigest() for part in parts]
