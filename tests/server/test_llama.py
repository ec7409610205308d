"""The requests of llama.vim and llama.vscode, as these send them."""

from __future__ import annotations

import json

import httpx
import pytest

# llama.vim's `llama#fim`, and what it asks for while nobody types.
VIM = {
    "id_slot": 0,
    "input_prefix": "a line\n",
    "input_suffix": "\nanother\n",
    "input_extra": [{"text": "other text", "time": [1, 2], "filename": "notes.txt"}],
    "prompt": "the cat sat",
    "n_predict": 128,
    "stop": [],
    "n_indent": 0,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": [
        "content",
        "timings/prompt_n",
        "timings/prompt_ms",
        "timings/prompt_per_token_ms",
        "timings/prompt_per_second",
        "timings/predicted_n",
        "timings/predicted_ms",
        "timings/predicted_per_token_ms",
        "timings/predicted_per_second",
        "truncated",
        "tokens_cached",
    ],
}
# llama.vscode's `createRequestPayload`, to complete and to prepare.
VSCODE = {
    "input_prefix": "a line\n",
    "input_suffix": "\nanother\n",
    "input_extra": [{"text": "other text", "filename": "notes.txt"}],
    "prompt": "the cat sat",
    "n_predict": 128,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "n_indent": 4,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 2500,
}
PREPARE = {
    "input_prefix": "",
    "input_suffix": "",
    "input_extra": [{"text": "other text", "filename": "notes.txt"}],
    "prompt": "the cat",
    "n_predict": 0,
    "samplers": [],
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1,
    "lora": [{"id": 0, "scale": 0.5}],
}


def test_llama_vim_gets_what_it_reads(client: httpx.Client) -> None:
    answer = client.post("/infill", json=VIM).json()
    assert answer["content"] == " on the mat and purred."
    assert answer["truncated"] is False
    for name in ("prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms"):
        assert isinstance(answer[f"timings/{name}"], int | float)
    assert "timings" not in answer


def test_llama_vscode_gets_what_it_reads(client: httpx.Client) -> None:
    answer = client.post("/infill", json=VSCODE).json()
    assert answer["content"] == " on the mat and purred."
    assert answer["timings"]["predicted_n"] > 0
    assert {"generation_settings", "tokens_cached", "truncated"} <= set(answer)


def test_a_preparation_generates_nothing(client: httpx.Client) -> None:
    answer = client.post("/infill", json=PREPARE)
    assert answer.status_code == 200
    assert answer.json()["content"] == ""


def test_what_follows_the_cursor_is_not_repeated(client: httpx.Client) -> None:
    answer = client.post("/infill", json=VIM | {"input_suffix": " and purred."}).json()
    assert answer["content"] == " on the mat"


def test_a_word_begun_is_gone_on_with(client: httpx.Client) -> None:
    answer = client.post("/infill", json=VIM | {"prompt": "the cat sat on the m"}).json()
    assert answer["content"].startswith("at and purred")


def test_a_bad_word_before_the_cursor_gets_nothing(client: httpx.Client) -> None:
    answer = client.post("/infill", json=VIM | {"prompt": "a bitch sat"})
    assert (answer.status_code, answer.json()["content"]) == (200, "")


def test_a_completion_tells_why_it_ended(client: httpx.Client) -> None:
    body = {"prompt": "the cat sat", "temperature": 0, "n_predict": -1}
    ended = client.post("/completion", json=body).json()
    assert (ended["content"], ended["stop_type"]) == (" on the mat and purred.", "eos")
    stopped = client.post("/completion", json=body | {"stop": [" and"]}).json()
    assert (stopped["content"], stopped["stop_type"]) == (" on the mat", "word")
    cut = client.post("/completion", json=body | {"n_predict": 2}).json()
    assert (cut["tokens_predicted"], cut["stop_type"]) == (2, "limit")


def test_a_streamed_completion_ends_with_stop(client: httpx.Client) -> None:
    body = {"prompt": "the cat sat", "temperature": 0, "stream": True}
    with client.stream("POST", "/completion", json=body) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line]
    assert "".join(event["content"] for event in events) == " on the mat and purred."
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["timings"]["predicted_n"] > 1


def test_probabilities_come_when_asked_for(client: httpx.Client) -> None:
    body = {"prompt": "the cat sat", "temperature": 0, "n_predict": 3, "n_probs": 2}
    told = client.post("/completion", json=body).json()["completion_probabilities"]
    assert len(told) == 3
    assert all(len(token["top_logprobs"]) == 2 for token in told)


def test_texts_among_tokens_are_one_prompt(client: httpx.Client) -> None:
    body = {"prompt": ["the cat", " sat"], "temperature": 0}
    answer = client.post("/completion", json=body).json()
    assert answer["content"] == " on the mat and purred."


@pytest.mark.parametrize("route", ["/health", "/props"])
def test_an_editor_can_ask_whether_it_is_there(client: httpx.Client, route: str) -> None:
    assert client.get(route).status_code == 200


def test_an_error_has_llama_cpps_shape(client: httpx.Client) -> None:
    answer = client.post("/completion", json={"prompt": 5})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
