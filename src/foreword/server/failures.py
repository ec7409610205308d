"""What a client is told when something is wrong, in the shape its API has for it."""

from __future__ import annotations

from typing import Any

from foreword.errors import ForewordError, PromptError, RefusedError, UsageError


class ApiError(Exception):
    """A refusal with its HTTP status; `code` is a word that programs tell it by."""

    def __init__(
        self, status: int, message: str, code: str | None = None, parameter: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.parameter = status, message, code, parameter
        self.headers: dict[str, str] = {}

    def as_json(self) -> dict[str, Any]:
        """Return the body as OpenAI's API has it."""
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, "invalid_request_error"),
                "param": self.parameter,
                "code": self.code,
            }
        }

    def body(self, path: str) -> dict[str, Any]:
        """Return the body for a route, in the shape that its API has for it."""
        return self.as_json() if path.startswith("/v1/") else self.as_llama_json()

    def as_llama_json(self) -> dict[str, Any]:
        """Return the body as llama.cpp's own routes have it."""
        error = self.as_json()["error"]
        return {"error": {"code": self.status, "message": error["message"], "type": error["type"]}}


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
}


def busy(retry_after_seconds: int) -> ApiError:
    """Too many requests wait."""
    seconds = min(max(retry_after_seconds, 1), 60)
    error = ApiError(429, f"too many requests wait: try again in {seconds} s", "busy")
    error.headers["Retry-After"] = str(seconds)
    return error


def unavailable(message: str, code: str) -> ApiError:
    """The model cannot answer: not yet, not any more, or not at all."""
    error = ApiError(503, message, code)
    error.headers["Retry-After"] = "1"
    return error


def no_model(name: str) -> ApiError:
    """There is no model of that name here."""
    return ApiError(
        404,
        f"the model '{name:.100}' is not served here: GET /v1/models lists those that are",
        "model_not_found",
        "model",
    )


def unsupported(parameter: str, message: str) -> ApiError:
    """A parameter of the API that this server does not have."""
    return ApiError(400, message, "unsupported_parameter", parameter)


def as_api_error(error: Exception) -> ApiError:
    """Return what a client is told of an error of ours."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RefusedError):
        message = str(error).rpartition(", or choose")[0]
        return ApiError(400, message, "content_filter", "prompt")
    if isinstance(error, UsageError):
        name, _, _ = str(error).partition(": ")
        return ApiError(400, str(error), "invalid_value", name if name.isidentifier() else None)
    if isinstance(error, PromptError):
        code = "context_length_exceeded" if "the context holds" in str(error) else "invalid_prompt"
        return ApiError(400, str(error), code, "prompt")
    if isinstance(error, ForewordError):
        return ApiError(500, str(error), "engine_error")
    return ApiError(500, "the server failed at this request; its log says where", "server_error")
