"""`/v1/completions` and `/v1/models`, for clients of OpenAI's API."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from foreword.engine.generation import FinishReason
from foreword.engine.sampling import SamplingParams
from foreword.server.bodies import described, read
from foreword.server.failures import ApiError, as_api_error, no_model, unsupported
from foreword.server.generate import Begun, Piece, Prompt, Wanted, continuations
from foreword.server.protocol import (
    ERRORS,
    EVENTS,
    MOST_CHOICES,
    CompletionAnswer,
    CompletionRequest,
    ModelCard,
    ModelList,
)
from foreword.server.running import event, events, streamed, unless_gone
from foreword.server.served import Served

_FINISH: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "cancelled": "length",
    "refused": "content_filter",
}
_DEFAULT_TOKENS = 16


def routes(served: Served) -> APIRouter:
    """Return the routes over the models that are served."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @router.get("/models", response_model=ModelList, responses=_errors(400, 401, 403))
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": served.cards()})

    @router.get("/models/{name:path}", response_model=ModelCard, responses=_errors(401, 403, 404))
    async def model(name: str) -> Response:
        card = next((card for card in served.cards() if card["id"] == name), None)
        if card is None:
            raise no_model(name)
        return JSONResponse(card)

    @router.post("/chat/completions", include_in_schema=False)
    async def chat() -> Response:
        raise ApiError(
            404, "there is no chat here: POST /v1/completions continues a text", "no_chat"
        )

    @router.post(
        "/completions",
        response_model=CompletionAnswer,
        responses=ERRORS | {200: {"content": EVENTS, "description": "The completion."}},
        openapi_extra=described(CompletionRequest),
    )
    async def completions(request: Request) -> Response:
        asked = await read(request, CompletionRequest)
        worker = served.worker(asked.model)
        prompts, wanted = _prompts(asked), _wanted(asked)
        first = prompts[0] if isinstance(prompts[0], str) else ""
        answer = _Answer(asked, worker.name)
        found = events(worker, continuations(prompts, wanted), first, asked.user)
        if not asked.stream:
            return JSONResponse(await unless_gone(request, answer.whole(found)))
        begun = await anext(found)
        return streamed(answer.stream(begun, found))

    return router


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: ERRORS[status] for status in statuses}


def _prompts(asked: CompletionRequest) -> list[Prompt]:
    prompt = asked.prompt
    if prompt is None or isinstance(prompt, str):
        return [prompt or ""]
    if isinstance(prompt[0], int):
        return [[i for i in prompt if isinstance(i, int)]]
    return [each for each in prompt if not isinstance(each, int)]


def _wanted(asked: CompletionRequest) -> Wanted:
    """Return what the request asks for; raises ApiError for what is not to be had here."""
    n = asked.n or 1
    for name in ("presence_penalty", "frequency_penalty", "logit_bias", "suffix"):
        if getattr(asked, name):
            raise unsupported(name, f"{name} is not supported here: leave it out")
    if asked.best_of not in (None, 0, n):
        raise unsupported("best_of", "best_of is not supported here: leave it out, or as n")
    if n * len(_prompts(asked)) > MOST_CHOICES:
        raise unsupported("n", f"expected at most {MOST_CHOICES} choices in all")
    if asked.stream_options is not None and not asked.stream:
        raise unsupported("stream_options", "stream_options are for a stream: set stream too")
    max_tokens = _DEFAULT_TOKENS if asked.max_tokens is None else asked.max_tokens
    if not max_tokens and not asked.echo:
        raise unsupported("max_tokens", "expected 1 or more, or 0 with echo")
    stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    params = SamplingParams(
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_k=asked.top_k,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        min_p=asked.min_p,
        repetition_penalty=asked.repetition_penalty,
        seed=None if asked.seed is None else asked.seed % (1 << 63),
        max_new_tokens=max(max_tokens, 1),
        stop=tuple(stop),
        logprobs=asked.logprobs is not None,
        top_logprobs=asked.logprobs or 0,
    )
    return Wanted(params, n, bool(asked.echo), generate=max_tokens > 0)


class _Answer:
    """One answer as it is put together, whole or in events."""

    def __init__(self, asked: CompletionRequest, model: str) -> None:
        self._asked = asked
        self._usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        self._offsets: dict[int, int] = {}
        self._begun = Begun(0, "")
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    async def whole(self, found: AsyncIterator[Any]) -> dict[str, Any]:
        """Return the answer when everything is there."""
        choices: dict[int, dict[str, Any]] = {}
        async for item in found:
            for new in self._choices(item):
                old = choices.setdefault(new["index"], new)
                if old is not new:
                    old["text"] += new["text"]
                    old["finish_reason"] = new["finish_reason"]
                    _extend(old, new)
        return {**self._head, "choices": list(choices.values()), "usage": self._counted()}

    async def stream(self, begun: Any, found: AsyncIterator[Any]) -> AsyncIterator[dict[str, str]]:
        """Yield the events of the answer; `begun` is the first item."""
        options = self._asked.stream_options
        usage = {"usage": None} if options is not None and options.include_usage else {}
        self._choices(begun)
        try:
            async for item in found:
                for choice in self._choices(item):
                    if choice["text"] or choice["finish_reason"] or choice["logprobs"]:
                        yield event({**self._head, "choices": [choice], **usage})
        except Exception as error:
            yield event(as_api_error(error).as_json())
            return
        if usage:
            yield event({**self._head, "choices": [], "usage": self._counted()})
        yield {"data": "[DONE]"}

    def _counted(self) -> dict[str, int]:
        usage = self._usage
        return {**usage, "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"]}

    def _choices(self, item: Begun | Piece) -> list[dict[str, Any]]:
        if isinstance(item, Begun):
            self._usage["prompt_tokens"] += item.tokens
            self._begun = item
            return []
        self._usage["completion_tokens"] += len(item.token_ids)
        start = 0 if self._asked.echo else len(self._begun.text)
        return [
            {
                "text": item.text,
                "index": item.index,
                "logprobs": self._logprobs(item, start),
                "finish_reason": None if item.finish is None else _FINISH[item.finish],
            }
        ]

    def _logprobs(self, item: Piece, start: int) -> dict[str, Any] | None:
        if self._asked.logprobs is None or not item.by_token:
            return None
        offsets = []
        for token, _, _ in item.by_token:
            offsets.append(self._offsets.setdefault(item.index, start))
            self._offsets[item.index] += 0 if token.startswith("bytes:") else len(token)
        wants_top = self._asked.logprobs > 0
        return {
            "tokens": [token for token, _, _ in item.by_token],
            "token_logprobs": [logprob for _, logprob, _ in item.by_token],
            "top_logprobs": [dict(top) or None for _, _, top in item.by_token]
            if wants_top
            else None,
            "text_offset": offsets,
        }


def _extend(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Append the logprobs of a choice's next piece."""
    if new["logprobs"] is None:
        return
    if old["logprobs"] is None:
        old["logprobs"] = new["logprobs"]
        return
    for name, values in new["logprobs"].items():
        if values is not None:
            old["logprobs"][name] += values
