"""A request's body, read in one step: FastAPI's own way takes half a millisecond longer."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from foreword.server.failures import ApiError

M = TypeVar("M", bound=BaseModel)

_REF = "#/components/schemas/{model}"


async def read(request: Request, model: type[M]) -> M:
    """Return the body as a request of this kind.

    Raises RequestValidationError for one that is not, ApiError for what is not said to be JSON.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind.lower() != "application/json":
        raise ApiError(
            400, "expected a JSON object, and content-type: application/json", "invalid_request"
        )
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a route's `openapi_extra` says of its body."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def schemas(models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    """Return the schemas of requests and of what is in them, by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_REF)
        found |= schema.pop("$defs", {}) | {model.__name__: schema}
    return found
