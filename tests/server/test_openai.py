"""OpenAI's own client speaks to the server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest

from serving import Serving


@pytest.fixture
def api(book: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{book.url}/v1", api_key="unused", max_retries=0) as api:
        yield api


@pytest.fixture
def random_api(real: Serving) -> Iterator[openai.OpenAI]:
    """Over a model with random weights, in the real engine."""
    with openai.OpenAI(base_url=f"{real.url}/v1", api_key="unused", max_retries=0) as api:
        yield api


def test_a_completion_goes_on_with_the_prompt(api: openai.OpenAI) -> None:
    answer = api.completions.create(model="first", prompt="the cat sat", temperature=0)
    assert answer.choices[0].text == " on the mat and purred."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "first"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_has_the_text_of_the_whole(api: openai.OpenAI) -> None:
    events = list(
        api.completions.create(
            model="first",
            prompt="the cat sat",
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(choice.text for event in events for choice in event.choices)
    assert text == " on the mat and purred."
    assert len(events) > 3
    assert [choice.finish_reason for choice in events[-2].choices] == ["stop"]
    assert events[-1].usage is not None
    assert events[-1].choices == []


def test_n_choices_of_several_prompts_are_numbered(api: openai.OpenAI) -> None:
    prompts = ["the cat sat", "an orange"]
    answer = api.completions.create(model="first", prompt=prompts, n=2, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.choices[0].text == answer.choices[1].text
    assert answer.choices[2].text.startswith(" and a pear")


def test_a_seed_repeats_a_choice_and_choices_differ(random_api: openai.OpenAI) -> None:
    def choices(seed: int) -> list[str]:
        answer = random_api.completions.create(
            model="first", prompt="the", n=3, seed=seed, max_tokens=8, temperature=1.5
        )
        return [choice.text for choice in answer.choices]

    assert choices(1) == choices(1)
    assert len(set(choices(1))) == 3


def test_logprobs_tell_of_each_token(api: openai.OpenAI) -> None:
    answer = api.completions.create(
        model="first", prompt="the cat sat", temperature=0, max_tokens=4, logprobs=2
    )
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.top_logprobs is not None
    assert told.text_offset is not None
    assert told.token_logprobs is not None
    assert "".join(told.tokens) == answer.choices[0].text
    assert all(len(top) == 2 for top in told.top_logprobs)
    for token, logprob, top in zip(
        told.tokens, told.token_logprobs, told.top_logprobs, strict=True
    ):
        assert top[token] == pytest.approx(logprob)
    assert told.text_offset[0] == len("the cat sat")


def test_an_echo_scores_the_prompt(random_api: openai.OpenAI) -> None:
    answer = random_api.completions.create(
        model="first", prompt="the cat", max_tokens=0, echo=True, logprobs=1
    )
    told = answer.choices[0].logprobs
    assert answer.choices[0].text == "the cat"
    assert told is not None
    assert told.token_logprobs is not None
    assert told.token_logprobs[0] is None
    assert all(logprob < 0 for logprob in told.token_logprobs[1:])
    assert told.text_offset is not None
    assert told.text_offset[0] == 0


def test_a_stop_ends_the_text_before_it(api: openai.OpenAI) -> None:
    answer = api.completions.create(model="first", prompt="the cat sat", temperature=0, stop=" and")
    assert answer.choices[0].text == " on the mat"
    assert answer.choices[0].finish_reason == "stop"


def test_tokens_are_a_prompt_too(api: openai.OpenAI, book: Serving) -> None:
    model = book.served.worker().model
    assert model is not None
    token_ids = model.encode("the cat sat")
    answer = api.completions.create(model="first", prompt=token_ids, temperature=0)
    assert answer.choices[0].text == " on the mat and purred."


def test_an_unknown_model_is_not_found(api: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as failed:
        api.completions.create(model="gpt-3", prompt="the")
    assert failed.value.code == "model_not_found"
    assert failed.value.param == "model"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"presence_penalty": 1.0}, "presence_penalty"),
        ({"logit_bias": {"5": 1.0}}, "logit_bias"),
        ({"suffix": "the end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"n": 33}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3.0}, "temperature"),
        ({"logprobs": 6}, "logprobs"),
        ({"extra_body": {"beams": 2}}, "beams"),
        ({"prompt": [1 << 40]}, "prompt"),
        ({"prompt": "a bitch sat"}, "prompt"),
    ],
)
def test_what_is_not_to_be_had_is_a_bad_request(
    api: openai.OpenAI, fields: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        api.completions.create(**{"model": "first", "prompt": "the", **fields})  # type: ignore[call-overload]
    assert failed.value.param == param


def test_a_prompt_beyond_the_context_says_so(random_api: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as failed:
        random_api.completions.create(model="first", prompt="word " * 500)
    assert failed.value.code == "context_length_exceeded"


def test_a_refusal_of_a_stream_is_a_status_and_no_event(book: Serving) -> None:
    with book.client() as client:
        answer = client.post("/v1/completions", json={"prompt": "a bitch sat", "stream": True})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "content_filter"


def test_models_are_listed(api: openai.OpenAI) -> None:
    (model,) = api.models.list()
    assert model.id == "first"


def test_each_token_is_an_event_of_its_own(client: httpx.Client) -> None:
    body = {"prompt": "the cat sat", "temperature": 0, "stream": True}
    with client.stream("POST", "/v1/completions", json=body) as answer:
        chunks = [chunk for chunk in answer.iter_raw() if chunk.strip()]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(chunks) > 3


def test_a_model_can_be_asked_about(api: openai.OpenAI) -> None:
    assert api.models.retrieve("first").id == "first"
    with pytest.raises(openai.NotFoundError):
        api.models.retrieve("second")


def test_who_wants_to_chat_is_told_what_there_is(api: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no chat here"):
        api.chat.completions.create(model="first", messages=[{"role": "user", "content": "hi"}])
