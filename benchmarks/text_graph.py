"""What the classic form costs: Keras, text graphs and the token model, on the same weights.

    python benchmarks/text_graph.py [--rounds 5] [--threads 2]

Makes a GPT-2 of base geometry (124 M parameters, random weights, GPT-2's real vocabulary),
converts it every way, and lets each continue the same prompt of 4 tokens to 100 in all, each in
a process of its own, in turn. Needs the extra [keras], npm, 5 GB of memory and 2 GB of disk.
Prints a table, writes benchmarks/results/text_graph.json, and prints it again as the last line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from large import machine, peak_bytes

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

PROMPT, LENGTH, CONTEXT = "I'm enjoying a", 100, 128
LAYERS, HEADS, WIDTH, POSITIONS = 12, 12, 768, 1024
RECIPES = ("float32", "float16", "int8")

Run = Callable[[], tuple[float, float]]
"""Continues the prompt; gives the milliseconds to the first text and to the end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/text_graph.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
        rows = measured(Path(scratch), options)
    results = {
        "command": shlex.join(["python", *sys.argv]),
        "model": "GPT-2 base geometry, 124 M parameters, random weights",
        "prompt": PROMPT,
        "length_tokens": LENGTH,
        "threads": options.threads,
        "rounds": options.rounds,
        "machine": machine(),
        "versions": {
            name: metadata.version(name)
            for name in ("foreword", "ai-edge-litert", "tensorflow", "keras", "keras-hub")
        },
        "rows": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def measured(scratch: Path, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Convert, run in turn, and return what each contestant took."""
    spawn = multiprocessing.get_context("spawn")
    preset = scratch / "preset"
    with spawn.Pool(1) as pool:
        pool.apply(write_preset, (str(preset),))
    rows: dict[str, dict[str, Any]] = {"keras": {}}
    with spawn.Pool(1, maxtasksperchild=1) as pool:
        for name in (*RECIPES, "token int8"):
            rows[name if name.startswith("token") else f"text {name}"] = pool.apply(
                converted, (str(preset), str(scratch / name.replace(" ", "-")), name)
            )
            print(name, rows[name if name.startswith("token") else f"text {name}"], flush=True)
    workers = {}
    for name, row in rows.items():
        here, there = spawn.Pipe()
        path = row.get("path", str(preset))
        process = spawn.Process(target=work, args=(name, path, options.threads, there))
        process.start()
        workers[name] = (process, here)
        here.recv()  # warm: the first run compiles
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for name, (_, here) in workers.items():
            here.send("run")
            times[name].append(here.recv())
    for name, (process, here) in workers.items():
        here.send("end")
        rows[name]["peak_rss_bytes"] = here.recv()
        process.join()
        rows[name] |= summary("first_text_ms", [first for first, _ in times[name]])
        rows[name] |= summary("total_ms", [total for _, total in times[name]])
        rows[name].pop("path", None)
        print(f"{name:<14} {json.dumps(rows[name])}", flush=True)
    return rows


def summary(name: str, values: list[float]) -> dict[str, Any]:
    median, low, high = statistics.median(values), min(values), max(values)
    return {name: round(median, 1), f"{name}_range": [round(low, 1), round(high, 1)]}


def write_preset(path: str) -> None:
    from text_models import gpt2_causal_lm

    gpt2_causal_lm(LAYERS, HEADS, WIDTH, POSITIONS).save_to_preset(path)


def converted(preset: str, output: str, name: str) -> dict[str, Any]:
    """Convert in one of the ways; return the path, the size and what it took."""
    import foreword

    started = time.perf_counter()
    if name == "token int8":
        bundle = foreword.convert(preset, output, recipe="int8", context=CONTEXT)
        path, size, parts = bundle.path, bundle.size_bytes, {}
    else:
        options = foreword.text_graph.TextOptions(LENGTH, name, stop_at_end=False)
        path = foreword.text_graph.convert(preset, f"{output}.tflite", options)
        size, parts = path.stat().st_size, parts_of(path)
    seconds = round(time.perf_counter() - started, 1)
    return {"path": str(path), "size_bytes": size, "convert_seconds": seconds, **parts}


def parts_of(path: Path) -> dict[str, Any]:
    """Where the bytes of a text graph go, by type of the tensors that hold them."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes())
    names = {code: name for name, code in vars(schema.TensorType).items() if name[0] != "_"}
    sizes: dict[str, int] = defaultdict(int)
    seen = set()
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.TensorsLength()):
            tensor = graph.Tensors(j)
            buffer = tensor.Buffer()
            if buffer not in seen:
                seen.add(buffer)
                sizes[names[tensor.Type()].lower()] += model.Buffers(buffer).DataLength()
    kept = {name: size for name, size in sizes.items() if size > 100_000}
    kept["all else"] = path.stat().st_size - sum(kept.values())
    return {"bytes_by_type": kept}


def work(name: str, path: str, threads: int, pipe: Connection) -> None:
    """A contestant: says that it is warm, then runs whenever asked."""
    run, peak = CONTESTANTS[name.split()[0]](path, threads)
    run()
    pipe.send("warm")
    while pipe.recv() == "run":
        pipe.send(run())
    pipe.send(peak())


def keras_contestant(path: str, threads: int) -> tuple[Run, Callable[[], int]]:
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    import keras_hub

    model = keras_hub.models.CausalLM.from_preset(path)
    model.compile(sampler="greedy")

    def run() -> tuple[float, float]:
        started = time.perf_counter()
        model.generate(PROMPT, max_length=LENGTH, stop_token_ids=None)
        total = (time.perf_counter() - started) * 1e3
        return total, total

    return run, peak_bytes


def text_contestant(path: str, threads: int) -> tuple[Run, Callable[[], int]]:
    import foreword

    graph = foreword.text_graph.TextGraph(path, threads)

    def run() -> tuple[float, float]:
        started = time.perf_counter()
        graph.complete(PROMPT)
        total = (time.perf_counter() - started) * 1e3
        return total, total

    return run, lambda: graph.peak_rss_bytes


def token_contestant(path: str, threads: int) -> tuple[Run, Callable[[], int]]:
    import foreword

    model = foreword.load(path, threads)
    prompt = model.encode(PROMPT)
    other = [*prompt[:1], *(np.array(prompt[1:]) + 1).tolist()]
    params = foreword.SamplingParams(max_new_tokens=LENGTH - len(prompt), ignore_eos=True)

    def run() -> tuple[float, float]:
        # Another prompt first: nothing of this one is in the cache.
        list(model.stream(other, foreword.SamplingParams(max_new_tokens=1)))
        started = time.perf_counter()
        steps = model.stream(prompt, params)
        first = next(step for step in steps if step.text)
        first_ms = (time.perf_counter() - started) * 1e3
        assert first.text
        count = 1 + sum(1 for _ in steps)
        assert count <= params.max_new_tokens
        return first_ms, (time.perf_counter() - started) * 1e3

    return run, peak_bytes


CONTESTANTS = {"keras": keras_contestant, "text": text_contestant, "token": token_contestant}

if __name__ == "__main__":
    main()
