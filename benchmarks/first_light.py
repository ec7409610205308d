"""Foreword beside llama.cpp on the default model: speed, size, memory, start.

Run it with scripts/bench. Both run in this process, in turn (A B A B), on the same
checkpoint: Foreword int8, llama.cpp Q8_0 requantized from the same dequantized weights.
Prints a table, writes benchmarks/results/first_light.json, and prints it again as the
last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from peers import requantize

import foreword
from foreword.sources.known import DEFAULT, pull

ROOT = Path(__file__).parent.parent
PROMPT = [20 + i for i in range(500)]
SETTLE_SECONDS = 0.05  # lets the other library's threads stop spinning


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/first_light.json")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
        home = Path(scratch)
        os.environ["FOREWORD_HOME"] = str(home)
        checkpoint = pull(DEFAULT, ROOT / ".cache" / "downloads")
        converted = measured_convert(checkpoint, home / "bundles" / DEFAULT, options.context)
        q8_0 = home / "q8_0.gguf"
        requantize(checkpoint, q8_0)
        results = {
            "model": DEFAULT,
            "context": options.context,
            "threads": options.threads,
            "rounds": options.rounds,
            "machine": machine(),
            "versions": {
                name: metadata.version(name)
                for name in ("foreword", "ai-edge-litert", "numpy", "llama-cpp-python")
            },
            "convert": converted,
            "command": command_figures(home),
            "side_by_side": side_by_side(home / "bundles" / DEFAULT, q8_0, options),
            "bandwidth_gb_per_s": bandwidth(options.threads),
        }
    decode = results["side_by_side"]["decode_tokens_per_s"]["foreword"]["median"]
    # Every weight is read once a token; the caches are not counted.
    read = decode * converted["model_bytes"] / 1e9
    results["bandwidth_share"] = round(read / results["bandwidth_gb_per_s"], 3)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    show(results)
    print(json.dumps(results))


def measured_convert(checkpoint: Path, bundle: Path, context: int) -> dict[str, Any]:
    """Convert in a process of its own: seconds, peak memory, sizes."""
    command = [
        sys.executable,
        "-m",
        "foreword.cli",
        "convert",
        str(checkpoint),
        "--no-check",
        "--quiet",
    ]
    command += ["-o", str(bundle), "--context", str(context)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    sizes = {path.name: path.stat().st_size for path in bundle.iterdir()}
    return {
        "seconds": round(seconds, 2),
        "peak_rss_bytes": usage.ru_maxrss * 1024,
        "model_bytes": sizes["model.tflite"],
        "bundle_bytes": sum(sizes.values()),
    }


def command_figures(home: Path) -> dict[str, Any]:
    """Whole-process figures of the command line: help, and start to first token."""
    run = [sys.executable, "-m", "foreword.cli"]
    complete = [*run, "complete", "I'm enjoying a", "--max-new-tokens", "8", "--quiet"]

    def first_byte() -> float:
        started = time.perf_counter()
        with subprocess.Popen(complete, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            seconds = time.perf_counter() - started
            process.stdout.read()
        return seconds

    def help_text() -> float:
        started = time.perf_counter()
        subprocess.run([*run, "--help"], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - started

    cold = first_byte()  # packs the weights
    return {
        "help_seconds": spread([help_text() for _ in range(7)]),
        "first_token_seconds_cold": round(cold, 3),
        "first_token_seconds": spread([first_byte() for _ in range(7)]),
    }


class Foreword:
    """The engine as an application uses it: streams, sampling and text included."""

    def __init__(self, bundle: Path, threads: int) -> None:
        self.engine = foreword.load(bundle, threads=threads)

    def first_token_ms(self, count: int) -> float:
        self.forget()
        one = foreword.SamplingParams(max_new_tokens=1, ignore_eos=True)
        started = time.perf_counter()
        list(self.engine.stream(PROMPT[:count], one))
        return (time.perf_counter() - started) * 1e3

    def decode_tokens_per_s(self, after: int, tokens: int = 32) -> float:
        params = foreword.SamplingParams(max_new_tokens=tokens + 1, ignore_eos=True)
        self.forget()
        list(self.engine.stream(PROMPT[:after], params))
        speed = self.engine.stats.decode_tokens_per_s
        assert speed is not None
        return speed

    def computed_after_last_token_differs(self) -> int:
        one = foreword.SamplingParams(max_new_tokens=1, ignore_eos=True)
        list(self.engine.stream(PROMPT[:100], one))
        list(self.engine.stream([*PROMPT[:99], 7], one))
        return self.engine.stats.computed_tokens

    def forget(self) -> None:
        list(self.engine.stream([1], foreword.SamplingParams(max_new_tokens=1, ignore_eos=True)))


class LlamaCpp:
    """llama.cpp through its own evaluation call, greedy."""

    def __init__(self, model: Path, context: int, threads: int) -> None:
        self.model = llama_cpp.Llama(
            str(model), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def _argmax(self) -> int:
        logits = llama_cpp.llama_get_logits_ith(self.model.ctx, -1)
        return int(np.ctypeslib.as_array(logits, (self.model.n_vocab(),)).argmax())

    def first_token_ms(self, count: int) -> float:
        self.model.reset()
        started = time.perf_counter()
        self.model.eval(PROMPT[:count])
        self._argmax()
        return (time.perf_counter() - started) * 1e3

    def decode_tokens_per_s(self, after: int, tokens: int = 32) -> float:
        self.model.reset()
        self.model.eval(PROMPT[:after])
        token = self._argmax()
        started = time.perf_counter()
        for _ in range(tokens):
            self.model.eval([token])
            token = self._argmax()
        return tokens / (time.perf_counter() - started)


def side_by_side(bundle: Path, q8_0: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Take every figure of both in turn, after a round that does not count."""
    ours = Foreword(bundle, options.threads)
    theirs = LlamaCpp(q8_0, options.context, options.threads)
    figures: dict[str, Callable[[Any], float]] = {
        "decode_tokens_per_s": lambda peer: peer.decode_tokens_per_s(90),
        "decode_tokens_per_s_after_220": lambda peer: peer.decode_tokens_per_s(220),
        "decode_tokens_per_s_after_470": lambda peer: peer.decode_tokens_per_s(470),
        "first_token_ms_5": lambda peer: peer.first_token_ms(5),
        "first_token_ms_32": lambda peer: peer.first_token_ms(32),
        "first_token_ms_128": lambda peer: peer.first_token_ms(128),
    }
    results: dict[str, Any] = {
        "computed_tokens_when_last_token_differs": ours.computed_after_last_token_differs()
    }
    for name, figure in figures.items():
        pairs = []
        for round_ in range(options.rounds + 1):
            time.sleep(SETTLE_SECONDS)
            mine = figure(ours)
            time.sleep(SETTLE_SECONDS)
            pair = mine, figure(theirs)
            if round_:
                pairs.append(pair)
        faster = [a / b if name.startswith("decode") else b / a for a, b in pairs]
        results[name] = {
            "foreword": spread([a for a, _ in pairs]),
            "llama.cpp": spread([b for _, b in pairs]),
            "times_as_fast": spread(faster),
        }
    ours.engine.close()
    return results


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def bandwidth(threads: int) -> float:
    """Read bandwidth in GB/s: sums over arrays far larger than the caches, one a thread."""
    arrays = [np.ones(1 << 25, np.float32) for _ in range(threads)]

    def once(pool: ThreadPoolExecutor) -> float:
        started = time.perf_counter()
        list(pool.map(np.sum, arrays))
        return sum(array.nbytes for array in arrays) / (time.perf_counter() - started) / 1e9

    with ThreadPoolExecutor(threads) as pool:
        return round(float(np.median([once(pool) for _ in range(9)])), 1)


def machine() -> dict[str, Any]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def show(results: dict[str, Any]) -> None:
    convert, command = results["convert"], results["command"]
    print(f"convert        {convert['seconds']} s, {convert['peak_rss_bytes'] / 1e6:.0f} MB peak")
    print(f"bundle         {convert['bundle_bytes'] / 1e6:.1f} MB")
    print(f"--help         {command['help_seconds']['median']} s")
    print(f"first token    {command['first_token_seconds']['median']} s from command start")
    print(f"{'':<31}{'foreword':>12}{'llama.cpp':>12}{'ratio':>8}  (range)")
    for name, row in results["side_by_side"].items():
        if isinstance(row, dict):
            ratio = row["times_as_fast"]
            print(
                f"{name:<31}{row['foreword']['median']:>12}{row['llama.cpp']['median']:>12}"
                f"{ratio['median']:>8.2f}  ({ratio['min']:.2f} to {ratio['max']:.2f})"
            )
    print(
        f"bandwidth      {results['bandwidth_share']:.0%} of {results['bandwidth_gb_per_s']} GB/s"
    )


if __name__ == "__main__":
    main()
