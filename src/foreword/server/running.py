"""From the event loop to a worker's thread and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from foreword.completion.suggestion import Suggestions
from foreword.server.generate import Piece
from foreword.server.worker import End, Job, Work, Worker

T = TypeVar("T")

_GRACE_SECONDS = 6.0  # a little more than the model has (listen.py): its last words are sent


class ClientGone(Exception):  # noqa: N818 - nobody is left to be told
    """The client went away before its answer was there."""


async def events(
    worker: Worker, work: Work, text: str, session: str | None = None, supersedes: bool = False
) -> AsyncIterator[Any]:
    """Run `work` and yield what it emits; whoever stops listening calls it off.

    Raises what the work raises, and ApiError when it is not taken on.
    """
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()

    def emit(item: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server has ended
            loop.call_soon_threadsafe(queue.put_nowait, item)

    job = Job(work, text, session, emit)
    worker.submit(job, supersedes)
    try:
        while not isinstance(item := await queue.get(), End):
            if isinstance(item, Piece) and item.stats is not None:
                worker.metrics.count(item.stats, item.finish)
            elif isinstance(item, Suggestions) and not item.cancelled:
                worker.metrics.count_suggestions(item)
            yield item
        if item.error is not None:
            raise item.error
    finally:
        job.cancel()


def event(document: dict[str, Any]) -> dict[str, str]:
    """Return a server-sent event of a JSON document."""
    return {"data": json.dumps(document, ensure_ascii=False, separators=(",", ":"))}


def streamed(found: AsyncIterator[dict[str, str]]) -> Response:
    """Return an answer that is sent event by event; the server's end waits for it, a while."""
    return EventSourceResponse(
        found, sep="\n", shutdown_event=anyio.Event(), shutdown_grace_period=_GRACE_SECONDS
    )


async def unless_gone(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """Return an answer that takes a while; raises ClientGone, the work called off, without it."""
    task = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
