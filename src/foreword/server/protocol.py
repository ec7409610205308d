"""Requests and answers as they travel: OpenAI's completions, and our own suggestions.

The first are those of OpenAI's API reference, "Completions (legacy)"; llama.cpp's are in
`protocol_llama.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=400_000)]
Name = Annotated[str, Field(max_length=200)]
Session = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
TokenIds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=1 << 20)]
Stop = Annotated[str, Field(min_length=1, max_length=200)]
Seed = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]

MOST_CHOICES = 32


class Message(BaseModel):
    """What every request and answer is: exactly its fields, of exactly their types."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class StreamOptions(Message):
    """OpenAI's options of a stream."""

    include_usage: bool = False
    include_obfuscation: bool = False


class CompletionRequest(Message):
    """`POST /v1/completions`; `top_k`, `min_p` and `repetition_penalty` are ours besides."""

    model: Name | None = None
    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_CHOICES)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MOST_CHOICES)]
        | None
    ) = None
    max_tokens: Annotated[int, Field(ge=0, le=1 << 20)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    seed: Seed | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    best_of: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: Text | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    top_k: Annotated[int, Field(ge=0, le=1 << 20)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] = 1.0


class Logprobs(Message):
    """Of each token: its text, its natural logarithm, the likeliest instead, where it begins."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class Choice(Message):
    """One continuation, or the next piece of it."""

    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length", "content_filter"] | None


class Usage(Message):
    """Tokens, counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionAnswer(Message):
    """The answer to a completion, or one event of its stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class ModelCard(Message):
    """A model that is served; from `context` on, what OpenAI's API does not tell."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context: int
    recipe: str
    family: str | None
    parameters: int | None
    device: bool


class ModelList(Message):
    """`GET /v1/models`."""

    object: Literal["list"]
    data: list[ModelCard]


class SuggestRequest(Message):
    """`POST /v1/suggest`: what may follow `text`, before `suffix`."""

    text: Text
    suffix: Text = ""
    session: Session | None = None
    model: Name | None = None
    context_tokens: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    context_words: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    max_words: Annotated[int, Field(ge=1, le=100)] = 4
    alternatives: Annotated[int, Field(ge=1, le=16)] = 1
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    stream: bool = False


class Item(Message):
    """One suggestion; see `completion.suggestion.Suggestion`."""

    text: str
    confidence: float | None
    logprob: float | None
    tokens: int
    by_part: list[float]


class SuggestAnswer(Message):
    """The answer to one text; no items is silence, a refusal, or that a newer request came."""

    model: str
    items: list[Item]
    refused: Literal["input", "output"] | None
    context_tokens: int
    dropped_tokens: int
    computed_tokens: int
    latency_ms: float
    superseded: bool


class ErrorBody(Message):
    """What went wrong; `type` and `code` are for programs."""

    message: str
    type: str
    param: str | None = None
    code: str | int | None = None


class ErrorAnswer(Message):
    """The body of every refusal."""

    error: ErrorBody


class Health(Message):
    """`GET /health`."""

    status: Literal["ok"]


Responses = dict[int | str, dict[str, Any]]

ERRORS: Responses = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in {
        400: "The request is not as it must be, or its text is refused.",
        401: "The key is missing or wrong.",
        403: "The request comes from another site.",
        404: "There is no such model here.",
        408: "The request did not come in time.",
        413: "The request is too large.",
        429: "Too many requests wait; Retry-After says for how long.",
        500: "The model failed.",
        503: "The model is not loaded, or the server shuts down.",
    }.items()
}
_EVENT = {"type": "object", "properties": {"data": {"type": "string"}}}
EVENTS: dict[str, Any] = {"text/event-stream": {"schema": _EVENT}}
