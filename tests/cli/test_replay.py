"""`foreword replay`: its figures, its plot, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import foreword
from command import refusal, run
from foreword.evaluation.text import built_in
from foreword.evaluation.usefulness import THRESHOLDS
from tiny import write_tiny_bundle
from tiny_bigram import built_in_tokens, write_bigram_gguf

FIGURES = (
    *("keystroke_savings", "acceptance_rate", "precision_when_shown", "wrong_show_rate"),
    *("coverage", "suggestion_words", "no_model_call_share", "tokens_computed_per_keystroke"),
    *("latency_ms", "cold_latency_ms"),
)
FEW = ("--keystrokes", "100", "--threads", "1")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that makes some sense of the built-in text."""
    directory = tmp_path_factory.mktemp("replay")
    _, random = write_tiny_bundle(directory)
    gguf = write_bigram_gguf(directory / "bigram.gguf", built_in_tokens(random))
    made = foreword.convert(
        gguf, directory / "bigram", recipe="float32", context=48, prefill=(16,), check=False
    )
    return made.path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "letters.txt"
    path.write_bytes(built_in().content.replace("\n", "\r\n").encode())
    return path


def test_json_has_the_figures_of_all_texts_of_each_and_of_the_baseline(
    bundle: Path, text: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("A quiet harbour, and nobody there to see it. " * 20)
    found = run("replay", bundle, text, other, *FEW, "--confidence", "0.1", "--json")
    assert (found.status, found.err) == (0, "")
    whole = json.loads(found.out)
    assert (whole["confidence"], whole["max_words"]) == (0.1, 4)
    assert [one["text"] for one in whole["texts"]] == ["letters.txt", "other.txt"]
    for one in (whole, *whole["texts"]):
        for side in (one, one["baselines"]["ngram"]):
            assert side.keys() >= set(FIGURES)
            assert side["latency_ms"].keys() == {"p50", "p95", "p99"}
            assert [point["threshold"] for point in side["curve"]] == list(THRESHOLDS)
    assert whole["characters"] == sum(one["characters"] for one in whole["texts"])
    # The second half of that text is the first again.
    assert whole["texts"][1]["baselines"]["ngram"]["keystroke_savings"] > 0.5


def test_the_baseline_learns_from_the_text_it_is_given(
    bundle: Path, text: Path, tmp_path: Path
) -> None:
    def saved(train: Path) -> float:
        found = run("replay", bundle, text, *FEW, "--confidence", "0", "--train", train, "--json")
        whole = json.loads(found.out)
        assert whole["coverage"] > 0.5  # without silence
        savings: float = whole["baselines"]["ngram"]["keystroke_savings"]
        return savings

    strange = tmp_path / "strange.txt"
    strange.write_text("xylem quartz zebra jumble " * 20)
    assert saved(strange) < 0.1 < saved(text)


@pytest.mark.parametrize("ending", ["html", "svg"])
def test_the_plot_has_both_lines_and_says_them_in_words(
    bundle: Path, text: Path, tmp_path: Path, ending: str
) -> None:
    plot = tmp_path / f"plot.{ending}"
    found = run("replay", bundle, text, *FEW, "--plot", plot)
    assert (found.status, found.err) == (0, "")
    drawn = plot.read_text()
    assert drawn.count("<polyline") == 2
    assert "n-gram: " in drawn
    lines = found.out.splitlines()
    assert lines[0] == "letters.txt"
    assert lines[1].split() == ["Foreword", "n-gram"]
    assert any(line.startswith("keystrokes saved") for line in lines)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"too short", "at least 200 characters, found 9"),
        (b"x" * 300 + b"\xff", "is not UTF-8: byte 0xff at position 300"),
        (b"  \n", "is empty"),
    ],
)
@pytest.mark.parametrize("option", [True, False])
def test_a_text_that_cannot_be_typed_is_refused_in_one_line(
    bundle: Path, text: Path, tmp_path: Path, content: bytes | None, said: str, option: bool
) -> None:
    path = tmp_path / "strange.txt"
    if content is not None:
        path.write_bytes(content)
    where = [text, "--train", path] if option else [path]
    message = refusal(run("replay", bundle, *where), status=2)
    assert said in message
    assert message.startswith("--train: " if option else "TEXTS: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--keystrokes", "3"),
        ("--keystrokes", "1000000000"),
        ("--confidence", "1.5"),
        ("--max-words", "0"),
        ("--plot", "plot.png"),
        ("--threads", "0"),
    ],
)
def test_what_can_never_work_is_refused(
    bundle: Path, text: Path, arguments: tuple[str, str]
) -> None:
    assert arguments[0] in refusal(run("replay", bundle, text, *arguments), status=2)
