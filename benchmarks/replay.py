"""Typing with suggestions: Foreword beside llama.cpp and an n-gram model, on three kinds of text.

    .venv-bench/bin/python benchmarks/replay.py [--keystrokes 2000] [--kind dialogue ...]

`scripts/bench` makes that environment. Definitions are in foreword/evaluation/typing.py, texts in
replay_texts.py. All contenders type the same stretches in this process, a stretch each in turn:

foreword    a session with the default policy, int8
unsilenced  the same, but never silent: as much work per call as llama.cpp does
ngram       trigrams with Kneser-Ney smoothing, taught other text of the same kind
llama.cpp   Llama.generate over its own prefix cache, greedy, Q8_0 of the same weights, the same
            window, as many words; asked at every key and never silent, as it has no more to it

A threshold is chosen on the development text of each kind, and on those of dialogue and speeches
together, and reported on the text that is typed. Writes benchmarks/results/replay.json, a plot
for each kind beside it, and prints the JSON as the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from replay_texts import DIALOGUE, KINDS, NOVEL, SPEECHES, fetch

import foreword
from foreword.completion.completer import Completer
from foreword.completion.session import Session
from foreword.completion.suggestion import Policy
from foreword.evaluation.benchmark.figures import machine, spread
from foreword.evaluation.benchmark.llama import LlamaCpp
from foreword.evaluation.ngram import NGram
from foreword.evaluation.replay import (
    BASELINE,
    MODEL,
    Contender,
    Outcome,
    Replay,
    compete,
    of_model,
    of_ngram,
    together,
)
from foreword.evaluation.replay_page import svg
from foreword.evaluation.typing import stretches
from foreword.evaluation.usefulness import choose, figures
from foreword.sources.known import DEFAULT, pull
from foreword.sources.requantize import requantize

ROOT = Path(__file__).parent.parent
PRECISION, WRONG_SHOW_RATE = 0.6, 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keystrokes", type=int, default=2000)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--confidence", type=float)
    parser.add_argument("--max-words", type=int, default=4)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/replay.json")
    options = parser.parse_args()

    policy = Policy(max_words=options.max_words)
    if options.confidence is not None:
        policy = replace(policy, confidence=options.confidence)
    checkpoint = pull(DEFAULT, ROOT / ".cache" / "downloads")
    texts = fetch()
    typed: dict[str, Replay] = {}
    developed: dict[str, Replay] = {}
    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
        os.environ["FOREWORD_HOME"] = f"{scratch}/home"
        bundle = foreword.convert(checkpoint, Path(scratch) / "int8", context=options.context)
        requantize(checkpoint, Path(scratch) / "q8_0.gguf")
        with foreword.load(bundle.path, threads=options.threads) as engine:
            completer = Completer(engine)
            theirs = LlamaCpp(
                Path(scratch) / "q8_0.gguf",
                engine.tokenizer,
                engine.first_token,
                engine.context,
                options.threads,
            )
            open_policy = replace(policy, confidence=0.0)
            for kind in options.kind or KINDS:
                learnt, development, text = texts[kind]
                taught = NGram(learnt, policy)
                contenders = {
                    MODEL: of_model(completer, policy),
                    "unsilenced": Contender(Session(completer, open_policy)),
                    BASELINE: of_ngram(taught, policy),
                    "llama.cpp": Contender(theirs.suggester(policy)),
                }
                chosen = stretches(text, options.keystrokes)
                typed[kind] = Replay(kind, compete(chosen, contenders))
                few = {name: contenders[name] for name in (MODEL, BASELINE)}
                chosen = stretches(development, options.keystrokes)
                developed[kind] = Replay(kind, compete(chosen, few))
                show(typed[kind])
    results = {
        "command": shlex.join(["python", "benchmarks/replay.py", *sys.argv[1:]]),
        "model": DEFAULT,
        "texts": [SPEECHES, DIALOGUE, NOVEL],
        "keystrokes": options.keystrokes,
        "confidence": policy.confidence,
        "max_words": policy.max_words,
        "context": options.context,
        "threads": options.threads,
        "machine": machine(),
        "versions": {
            name: metadata.version(name)
            for name in ("foreword", "ai-edge-litert", "numpy", "llama-cpp-python")
        },
        "kinds": {kind: about(typed[kind], developed[kind]) for kind in typed},
    }
    asked = [kind for kind in ("speeches", "dialogue") if kind in typed]
    if asked:
        pair = [together([found[kind] for kind in asked]) for found in (typed, developed)]
        results["together"] = {"kinds": asked, "threshold": chosen_threshold(*pair)}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for kind, found in typed.items():
        options.output.with_name(f"{options.output.stem}-{kind}.svg").write_text(
            svg(found), encoding="utf-8"
        )
    print(json.dumps(results))


def about(typed: Replay, developed: Replay) -> dict[str, Any]:
    return {
        **typed.as_json(),
        "times_as_fast_as_llama.cpp": {
            name: ratios(typed.outcomes, name) for name in (MODEL, "unsilenced")
        },
        "threshold": chosen_threshold(typed, developed),
    }


def ratios(outcomes: Mapping[str, Outcome], name: str) -> dict[str, float]:
    """llama.cpp's median wait over ours, stretch by stretch: warm keys that call the model."""

    def medians(outcome: Outcome) -> Sequence[float]:
        return [figures([keys])["latency_ms"]["p50"] or np.nan for keys in outcome.typed]

    pairs = zip(medians(outcomes["llama.cpp"]), medians(outcomes[name]), strict=True)
    return spread([b / a for b, a in pairs if b == b and a == a])


def chosen_threshold(typed: Replay, developed: Replay) -> dict[str, Any]:
    """The threshold that spares most on the development text, and what it does to the other."""
    best = choose(developed.outcomes[MODEL].points(), PRECISION, WRONG_SHOW_RATE)
    there = [p for p in typed.outcomes[MODEL].points() if best and p.threshold == best.threshold]
    return {
        "wanted": {"precision": PRECISION, "wrong_show_rate": WRONG_SHOW_RATE},
        "developed": vars(best) if best else None,
        "typed": vars(there[0]) if there else None,
    }


def show(replay: Replay) -> None:
    heads = ("saved", "precise", "wrong", "shown", "p50 ms", "p95 ms")
    print(f"{replay.name:<12}" + "".join(f"{head:>9}" for head in heads))
    for name, outcome in replay.outcomes.items():
        found = figures(outcome.typed)
        keys = ("keystroke_savings", "precision_when_shown", "wrong_show_rate", "coverage")
        cells = ["-" if found[key] is None else f"{found[key]:.3f}" for key in keys]
        cells += [f"{found['latency_ms'][p]:.1f}" for p in ("p50", "p95")]
        print(f"{name:<12}" + "".join(f"{cell:>9}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
