"""llama.cpp's routes, as far as llama.vim and llama.vscode need them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from importlib import metadata
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from foreword.completion.suggestion import Suggestions
from foreword.engine.forward import StreamStats
from foreword.engine.sampling import SamplingParams
from foreword.server.bodies import described, read
from foreword.server.failures import as_api_error
from foreword.server.generate import Piece, Prompt, Wanted, continuations
from foreword.server.protocol import ERRORS, EVENTS, Health
from foreword.server.protocol_llama import InfillRequest, LlamaAnswer, LlamaRequest, Props, only
from foreword.server.running import event, events, streamed, unless_gone
from foreword.server.served import Served
from foreword.server.suggest import suggestion
from foreword.server.worker import Worker

_ALL = 1 << 20  # tokens; more than any context
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": EVENTS, "description": "The continuation."}
}


def routes(served: Served) -> APIRouter:
    """Return the routes over the first of the models that are served."""
    router = APIRouter(tags=["llama.cpp"])

    @router.get("/health", response_model=Health, responses={503: ERRORS[503]})
    async def health() -> Response:
        served.check_ready()
        return JSONResponse({"status": "ok"})

    @router.get("/props", response_model=Props, responses={s: ERRORS[s] for s in (401, 403, 503)})
    async def props() -> Response:
        served.check_ready()
        return JSONResponse(_props(served.worker()))

    @router.post(
        "/infill",
        response_model=LlamaAnswer,
        responses=ERRORS | _ANSWER,
        openapi_extra=described(InfillRequest),
    )
    async def infill(request: Request) -> Response:
        asked = await read(request, InfillRequest)
        worker = served.worker()
        text = asked.input_prefix + asked.prompt
        if asked.n_predict == 0:  # llama.vim and llama.vscode: compute what will be asked about
            work = continuations([text], Wanted(SamplingParams(), generate=False))
            await unless_gone(request, _drained(events(worker, work, text)))
            return _infilled(asked, worker, Suggestions())
        most = 256 if asked.n_predict < 0 else min(asked.n_predict, 256)
        policy = replace(served.policy, max_words=min(most, 100), max_tokens=most)
        found = events(worker, suggestion(text, asked.input_suffix, policy), text)
        items = await unless_gone(request, _drained(found))
        answer = items[-1] if items else Suggestions()
        return _infilled(asked, worker, answer)

    @router.post(
        "/completion",
        response_model=LlamaAnswer,
        responses=ERRORS | _ANSWER,
        openapi_extra=described(LlamaRequest),
    )
    async def completion(request: Request) -> Response:
        asked = await read(request, LlamaRequest)
        worker = served.worker()
        prompts, wanted = _prompts(asked, worker), _wanted(asked)
        text = prompts[0] if isinstance(prompts[0], str) else ""
        found = events(worker, continuations(prompts, wanted), text)
        answer = _Answer(asked, worker)
        if not asked.stream:
            return JSONResponse(await unless_gone(request, answer.whole(found)))
        await anext(found)  # that it has begun: what is refused before is no event
        return streamed(answer.stream(found))

    return router


def _props(worker: Worker) -> dict[str, Any]:
    model = worker.model
    assert model is not None
    return {
        "default_generation_settings": {"n_ctx": model.context, "params": {"n_predict": -1}},
        "total_slots": 1,
        "model_path": worker.name,
        "model_alias": worker.name,
        "build_info": f"foreword-{metadata.version('foreword')}",
        "modalities": {"vision": False, "audio": False},
        "chat_template": "",
        "is_sleeping": False,
    }


async def _drained(found: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in found]


def _infilled(asked: InfillRequest, worker: Worker, found: Suggestions) -> Response:
    """Answer with the first suggestion, up to the first of the texts to stop at."""
    content = found.items[0].text if found.items else ""
    ends = [at for stop in asked.stop or () if (at := content.find(stop)) >= 0]
    content = content[: min(ends, default=len(content))]
    count = found.items[0].tokens if found.items else 0
    timings = _timings(
        reused=max(found.context_tokens - found.computed_tokens, 0),
        computed=found.computed_tokens,
        prompt_ms=0.0,
        predicted=count,
        predicted_ms=found.latency_ms,
    )
    answer = {
        "content": content,
        "stop": True,
        "index": 0,
        "model": worker.name,
        "tokens": [],
        "stop_type": "word" if ends else "eos",
        "stopping_word": "",
        "tokens_predicted": count,
        "tokens_evaluated": found.context_tokens,
        "tokens_cached": found.context_tokens,
        "truncated": found.dropped_tokens > 0,
        "generation_settings": {},
        "timings": timings,
    }
    wanted = only(answer, asked.response_fields)
    if not asked.stream:
        return JSONResponse(wanted)

    async def one() -> AsyncIterator[dict[str, str]]:
        yield event(wanted)

    return streamed(one())


def _prompts(asked: LlamaRequest, worker: Worker) -> list[Prompt]:
    """Return the one prompt: a text, or tokens; texts among tokens become tokens."""
    if isinstance(asked.prompt, str):
        return [asked.prompt]
    token_ids: list[int] = []
    for part in asked.prompt:
        if isinstance(part, str):
            worker.check_ready()
            assert worker.model is not None
            token_ids += worker.model.tokenizer.encode(part)
        else:
            token_ids.append(part)
    return [token_ids]


def _wanted(asked: LlamaRequest) -> Wanted:
    params = SamplingParams(
        temperature=asked.temperature,
        top_k=asked.top_k,
        top_p=asked.top_p or 1.0,
        min_p=asked.min_p,
        repetition_penalty=asked.repeat_penalty,
        seed=None if asked.seed < 0 else asked.seed,
        max_new_tokens=_ALL if asked.n_predict < 0 else max(asked.n_predict, 1),
        stop=tuple(asked.stop or ()),
        ignore_eos=asked.ignore_eos,
        logprobs=asked.n_probs > 0,
        top_logprobs=asked.n_probs,
    )
    line_seconds = asked.t_max_predict_ms / 1e3 if asked.t_max_predict_ms else None
    return Wanted(params, generate=asked.n_predict != 0, line_seconds=line_seconds)


class _Answer:
    def __init__(self, asked: LlamaRequest, worker: Worker) -> None:
        self._asked, self._worker = asked, worker
        self._tokens: list[int] = []

    async def whole(self, found: AsyncIterator[Any]) -> dict[str, Any]:
        """Return the answer when everything is there."""
        content, probabilities, last = "", list[dict[str, Any]](), Piece(0, "")
        async for item in found:
            if isinstance(item, Piece):
                content, last = content + item.text, item
                self._tokens += item.token_ids
                probabilities += _probabilities(item)
        answer = {"content": content, **self._end(last)}
        if probabilities:
            answer["completion_probabilities"] = probabilities
        return only(answer, self._asked.response_fields)

    async def stream(self, found: AsyncIterator[Any]) -> AsyncIterator[dict[str, str]]:
        """Yield the events of the answer."""
        try:
            async for item in found:
                self._tokens += item.token_ids
                answer = {"content": item.text, "stop": False, "tokens": list(item.token_ids)}
                if probabilities := _probabilities(item):
                    answer["completion_probabilities"] = probabilities
                if item.finish is not None:
                    answer |= {**self._end(item), "tokens": []}
                elif not item.text:
                    continue
                yield event(answer)
        except Exception as error:
            yield event(as_api_error(error).as_llama_json())

    def _end(self, last: Piece) -> dict[str, Any]:
        stats = last.stats or StreamStats(0)
        count = len(self._tokens)
        kind = "limit"
        if last.finish == "stop":
            kind = "eos" if last.by_end_token else "word"
        return {
            "stop": True,
            "index": 0,
            "model": self._worker.name,
            "tokens": self._tokens,
            "stop_type": kind,
            "stopping_word": "",
            "tokens_predicted": count,
            "tokens_evaluated": stats.prompt_tokens,
            "tokens_cached": stats.prompt_tokens + max(count - 1, 0),
            "truncated": False,
            "generation_settings": {},
            "timings": _timings(
                reused=stats.reused_tokens,
                computed=max(stats.prompt_tokens - stats.reused_tokens, 0),
                prompt_ms=stats.ttft_ms or 0.0,
                predicted=count,
                predicted_ms=stats.decode_ms,
            ),
        }


def _probabilities(item: Piece) -> list[dict[str, Any]]:
    return [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [{"token": other, "logprob": p} for other, p in top],
        }
        for token, logprob, top in item.by_token
    ]


def _timings(
    reused: int, computed: int, prompt_ms: float, predicted: int, predicted_ms: float
) -> dict[str, Any]:
    return {
        "cache_n": reused,
        "prompt_n": computed,
        "prompt_ms": round(prompt_ms, 3),
        "prompt_per_second": round(computed / prompt_ms * 1e3, 2) if prompt_ms else 0.0,
        "predicted_n": predicted,
        "predicted_ms": round(predicted_ms, 3),
        "predicted_per_second": round(predicted / predicted_ms * 1e3, 2) if predicted_ms else 0.0,
    }
