"""llama.cpp's own requests, as far as its editor plug-ins need them.

After llama.cpp's `tools/server/README.md`. Fields that this server has no use for are let be, as
there: a plug-in sends all it knows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from foreword.server.protocol import Message, Seed, Stop, Text

Fields = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=64)]


class Lenient(BaseModel):
    """A request that may say more than is understood."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


class Extra(Lenient):
    """A piece of another file; not looked at."""

    text: Text = ""
    filename: Annotated[str, Field(max_length=4000)] | None = None


class InfillRequest(Lenient):
    """`POST /infill`: `input_prefix` and `prompt` stand before the cursor."""

    input_prefix: Text = ""
    input_suffix: Text = ""
    input_extra: Annotated[list[Extra], Field(max_length=1000)] | None = None
    prompt: Text = ""
    n_predict: Annotated[int, Field(ge=-1, le=1 << 20)] = -1
    stop: Annotated[list[Stop], Field(max_length=64)] | None = None
    stream: bool = False
    t_max_predict_ms: Annotated[int, Field(ge=0, le=1 << 31)] = 0
    response_fields: Fields | None = None


class LlamaRequest(Lenient):
    """`POST /completion`."""

    prompt: (
        Text
        | Annotated[
            list[Annotated[int, Field(ge=0)] | Text], Field(min_length=1, max_length=1 << 20)
        ]
    )
    n_predict: Annotated[int, Field(ge=-1, le=1 << 20)] = -1
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.8
    top_k: Annotated[int, Field(ge=0, le=1 << 20)] = 40
    top_p: Annotated[float, Field(ge=0, le=1)] = 0.95
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.05
    repeat_penalty: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    seed: Seed = -1
    stop: Annotated[list[Stop], Field(max_length=64)] | None = None
    ignore_eos: bool = False
    n_probs: Annotated[int, Field(ge=0, le=100)] = 0
    stream: bool = False
    t_max_predict_ms: Annotated[int, Field(ge=0, le=1 << 31)] = 0
    response_fields: Fields | None = None


class Timings(Message):
    """Where the time went; `cache_n` tokens of the prompt were there already."""

    cache_n: int
    prompt_n: int
    prompt_ms: float
    prompt_per_second: float
    predicted_n: int
    predicted_ms: float
    predicted_per_second: float


class LlamaAnswer(Message):
    """A continuation, or with `stop` false the next piece of it; `response_fields` leave some."""

    model_config = ConfigDict(extra="allow")

    content: str = ""
    stop: bool = True
    index: int = 0
    model: str = ""
    tokens: tuple[int, ...] = ()
    stop_type: Literal["none", "eos", "limit", "word"] = "none"
    stopping_word: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    tokens_cached: int = 0
    truncated: bool = False
    completion_probabilities: tuple[dict[str, Any], ...] = ()
    generation_settings: dict[str, Any] = Field(default_factory=dict)
    timings: Timings | None = None


class Props(Message):
    """`GET /props`."""

    default_generation_settings: dict[str, Any]
    total_slots: int
    model_path: str
    model_alias: str
    build_info: str
    modalities: dict[str, bool]
    chat_template: str
    is_sleeping: bool


def only(answer: dict[str, Any], wanted: list[str] | None) -> dict[str, Any]:
    """Return the fields asked for, by paths such as `timings/prompt_ms`; all for None."""
    if not wanted:
        return answer
    found = {}
    for path in wanted:
        value: Any = answer
        for key in path.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found[path] = value
    return found
