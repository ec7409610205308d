"""A text graph says what KerasHub's `generate` says; needs the extra [keras]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import foreword
from foreword.errors import PromptError
from foreword.text_graph import Sampling, TextGraph, TextOptions, archive, convert, run
from foreword.text_graph.options import RECIPES
from text_models import BYTE_LEVEL, SENTENCEPIECE, gpt2_causal_lm, tiny_causal_lm

pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning"),
]

LENGTH = 40
PROMPTS = [
    "I'm enjoying a",
    "We'll see what they've done, she's said",
    "don't",
    "In 1969, 12 men and 3.14159",
    "2 + 2 =",
    "Happy birthday! 🎉🎂 I hope you",
    "👩‍👩‍👧‍👦",
    "오늘 날씨가",
    "안녕하세요, 반갑습니다",
    "  two spaces before",
    "a space after ",
    "two after  ",
    "",
    " ",
    "Line one\nline two",
    "tab\there",
    "naïve café, Zürich — déjà vu…",
    "def add(a, b):\n    return",
    "!!! ??? ...",
    "The quick brown fox jumps over the lazy dog",
]


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return gpt2_causal_lm()


@pytest.fixture(scope="module")
def expected(gpt2: Any) -> list[str]:
    return [gpt2.generate(prompt, max_length=LENGTH) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def files(gpt2: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("text-graphs")
    return {
        recipe: convert(gpt2, directory / f"{recipe}.tflite", TextOptions(LENGTH, recipe))
        for recipe in RECIPES
    }


@pytest.fixture(scope="module")
def graph(files: dict[str, Path]) -> Iterator[TextGraph]:
    with TextGraph(files["float32"]) as graph:
        yield graph


@pytest.mark.parametrize("index", range(len(PROMPTS)), ids=[ascii(p)[:16] for p in PROMPTS])
def test_greedy_text_is_that_of_generate(graph: TextGraph, expected: list[str], index: int) -> None:
    assert run(graph, PROMPTS[index]) == expected[index]


def test_the_prompts_tell_models_apart(expected: list[str]) -> None:
    new = [text[len(prompt) :] for text, prompt in zip(expected, PROMPTS, strict=True)]
    assert len(set(new)) == len(PROMPTS)
    assert all(new)


@pytest.mark.parametrize(
    ("recipe", "least", "size"),
    [("float16", 0.9, 0.6), ("int8", 0.5, 0.7), ("int8-full", 0.1, 0.9)],
)
def test_smaller_recipes_mostly_agree(
    files: dict[str, Path], expected: list[str], recipe: str, least: float, size: float
) -> None:
    """Compared token by token up to the first other one: from there on texts go their ways."""
    shares = []
    with TextGraph(files[recipe]) as graph:
        for prompt, text in zip(PROMPTS, expected, strict=True):
            ours, theirs = graph.encode(graph.complete(prompt)), graph.encode(text)
            start = len(graph.encode(prompt))
            same = next(
                (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if len({*pair}) > 1),
                len(theirs),
            )
            shares.append((same - start) / (len(theirs) - start))
    share = sum(shares) / len(shares)
    print(f"{recipe}: {share:.3f} of the continuation before the first other token")
    assert share >= least
    # Beside int8 the embedding, here most of the model, is there twice: to look up, to multiply.
    assert files[recipe].stat().st_size < size * files["float32"].stat().st_size


def test_a_completer_streams_it_in_one_step(graph: TextGraph, expected: list[str]) -> None:
    completer = foreword.Completer(graph)
    [step] = completer.stream(completer.window(PROMPTS[0]))
    assert PROMPTS[0] + step.text == expected[0]
    assert step.finish_reason == "length"
    assert graph.stats.prompt_tokens + graph.stats.generated_tokens == LENGTH
    params = foreword.SamplingParams(max_new_tokens=3)
    [short] = completer.stream(completer.window(PROMPTS[0]), params)
    assert step.text.startswith(short.text)
    assert graph.encode(short.text)[1:] == graph.encode(step.text)[1:4]
    stop = step.text[5:8]
    until = foreword.SamplingParams(max_new_tokens=LENGTH, stop=(stop,))
    [stopped] = completer.stream(completer.window(PROMPTS[0]), until)
    assert (stopped.text, stopped.finish_reason) == (step.text.partition(stop)[0], "stop")


def test_a_long_text_is_cut_to_its_end_and_continued(graph: TextGraph) -> None:
    completer = foreword.Completer(graph)
    window = completer.window("one two three four five six seven eight nine ten " * 9)
    assert window.dropped > 0
    [step] = completer.stream(window)
    assert step.text
    with pytest.raises(PromptError, match="keep the end of the prompt"):
        graph.stream([5] * LENGTH)


def test_the_same_model_gives_the_same_archive(files: dict[str, Path]) -> None:
    about = archive.read(files["int8"])
    assert about.options == TextOptions(LENGTH, "int8")
    assert about.document["family"] == "gpt2"
    assert about.document["notes"] == []


@pytest.mark.parametrize("family", [*BYTE_LEVEL, *SENTENCEPIECE])
def test_every_family_says_what_generate_says(family: str, tmp_path: Path) -> None:
    lm = tiny_causal_lm(family)
    path = convert(lm, tmp_path / "text.tflite", TextOptions(24, "float32"))
    notes = archive.read(path).document["notes"]
    assert bool(notes) == (family in ("falcon", "gpt_neox"))
    with TextGraph(path) as graph:
        for prompt in ("the hello", "don't  the", "x", "the quick brown fox a b c 오늘 🎉"):
            assert run(graph, prompt) == lm.generate(prompt, max_length=24)
        if graph.first_token is None:
            with pytest.raises(PromptError, match="no start token"):
                run(graph, "")
        else:
            assert run(graph, "") == lm.generate("", max_length=24)


@pytest.mark.parametrize("kind", ["top-k", "top-p", "random", "contrastive"])
def test_every_sampler_runs_and_repeats_itself_after_every_load(
    gpt2: Any, tmp_path: Path, expected: list[str], kind: str
) -> None:
    options = TextOptions(LENGTH, "float32", Sampling(kind, k=4, seed=7))
    path = convert(gpt2, tmp_path / "text.tflite", options)
    texts = [run(path, PROMPTS[0]) for _ in range(2)]
    assert texts[0] == texts[1]
    assert texts[0].startswith(PROMPTS[0])
    assert texts[0] != expected[0]
    if kind == "contrastive":
        import keras_hub

        gpt2.compile(
            sampler=keras_hub.samplers.ContrastiveSampler(k=4, alpha=0.6), jit_compile=False
        )
        try:
            assert texts[0] == gpt2.generate(PROMPTS[0], max_length=LENGTH)
        finally:
            gpt2.compile(sampler="greedy", jit_compile=False)


def test_without_its_end_token_it_goes_on_to_the_length(tmp_path: Path) -> None:
    lm = tiny_causal_lm("opt")
    ending, going_on = (
        convert(lm, tmp_path / f"{stop}.tflite", TextOptions(64, "float32", stop_at_end=stop))
        for stop in (True, False)
    )
    prompts = ["the hello", "don't  the", "x", "a b", "hello the"]
    with TextGraph(ending) as short, TextGraph(going_on) as long:
        for prompt in prompts:
            assert run(short, prompt) == lm.generate(prompt, max_length=64)
            assert run(long, prompt) == lm.generate(prompt, max_length=64, stop_token_ids=None)
