"""`/v1/suggest`: what may follow the cursor, for our own faces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from foreword.completion.suggestion import Policy, Suggestions
from foreword.server.bodies import described, read
from foreword.server.failures import ApiError, as_api_error
from foreword.server.protocol import ERRORS, EVENTS, SuggestAnswer, SuggestRequest
from foreword.server.running import event, events, streamed, unless_gone
from foreword.server.seats import Seat
from foreword.server.served import Served
from foreword.server.worker import Emit, Job, Work, Worker


def routes(served: Served) -> APIRouter:
    """Return the route over the models that are served."""
    router = APIRouter(prefix="/v1", tags=["Foreword"])

    @router.post(
        "/suggest",
        response_model=SuggestAnswer,
        responses=ERRORS | {200: {"content": EVENTS, "description": "The suggestions."}},
        openapi_extra=described(SuggestRequest),
    )
    async def suggest(request: Request) -> Response:
        asked = await read(request, SuggestRequest)
        worker = served.worker(asked.model)
        work = suggestion(asked.text, asked.suffix, _policy(asked, served.policy))
        found = events(worker, work, asked.text, asked.session, supersedes=True)
        if not asked.stream:
            return JSONResponse(await unless_gone(request, _whole(found, worker)))
        begun = await anext(found, None)
        return streamed(_stream(begun, found, worker))

    return router


def suggestion(text: str, suffix: str, policy: Policy) -> Work:
    """Return work that emits the words of a suggestion as they come, then the Suggestions."""

    def work(seat: Seat, job: Job, emit: Emit) -> Iterable[None]:
        answer = seat.completer.suggest(text, policy, job, suffix=suffix, on_words=emit)
        if answer.cancelled and job.timed_out:
            raise ApiError(503, "the model took too long: shorten the text", "timeout")
        emit(answer)
        return ()

    return work


async def _whole(found: AsyncIterator[Any], worker: Worker) -> dict[str, Any]:
    """Return the answer when it is there."""
    last: Any = None
    async for item in found:
        last = item
    return _as_json(last if isinstance(last, Suggestions) else None, worker)


def _as_json(found: Suggestions | None, worker: Worker) -> dict[str, Any]:
    """Return an answer as it travels; None, and what was called off, is superseded."""
    superseded = found is None or found.cancelled
    if found is None or superseded:
        found = Suggestions()
    return {
        "model": worker.name,
        "items": [
            {
                "text": item.text,
                "confidence": item.confidence,
                "logprob": item.logprob,
                "tokens": item.tokens,
                "by_part": item.by_part,
            }
            for item in found.items
        ],
        "refused": found.refused,
        "context_tokens": found.context_tokens,
        "dropped_tokens": found.dropped_tokens,
        "computed_tokens": found.computed_tokens,
        "latency_ms": round(found.latency_ms, 2),
        "superseded": superseded,
    }


async def _stream(
    begun: Any, found: AsyncIterator[Any], worker: Worker
) -> AsyncIterator[dict[str, str]]:
    item, last = begun, None
    try:
        while item is not None:
            if isinstance(item, str):
                yield event({"text": item})
            else:
                last = item
            item = await anext(found, None)
    except Exception as error:
        yield event(as_api_error(error).as_json())
        return
    yield event({**_as_json(last, worker), "done": True})


def _policy(asked: SuggestRequest, usual: Policy) -> Policy:
    return replace(
        usual,
        context_tokens=asked.context_tokens,
        context_words=asked.context_words,
        max_words=asked.max_words,
        max_tokens=max(usual.max_tokens, min(4 * asked.max_words, 256)),
        alternatives=asked.alternatives,
        confidence=usual.confidence if asked.confidence is None else asked.confidence,
        temperature=asked.temperature,
        seed=asked.seed,
    )
