"""Models of 1.5 billion parameters in bounded memory: time, peak memory and size.

    python benchmarks/large.py [--model NAME ...] [--recipe NAME ...] [--scratch DIRECTORY]

Writes random checkpoints (benchmarks/random_checkpoints.py), converts each and completes a
text with it, every step in a process of its own that may not have 12 GB of address space.
float32 and float16 pass the 2 GiB of a .tflite file and must be refused. Needs 12 GB of
disk and 3 GB of memory. Prints a table, writes benchmarks/results/large.json, and prints
it again as the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from random_checkpoints import GEOMETRIES, Geometry

import foreword

ROOT = Path(__file__).parent.parent
CEILING_BYTES = 12_000_000_000
# Python, what is imported, the tokenizer and the tables of the graph.
BASE_BYTES = 250_000_000
CONTEXT = 512
PROMPT = "The quick brown fox jumps over the lazy dog. " * 2
TOKENS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", choices=GEOMETRIES)
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="where there is room for 12 GB")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/large.json")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child[0]](*options.child[1:])))
        return

    rows = []
    for name in options.model or GEOMETRIES:
        with tempfile.TemporaryDirectory(prefix="foreword-large-", dir=options.scratch) as scratch:
            for row in measured(GEOMETRIES[name], Path(scratch), options):
                print(line(row), flush=True)
                rows.append(row)
    results = {
        "command": shlex.join(["python", *sys.argv]),
        "ceiling_bytes": CEILING_BYTES,
        "context": CONTEXT,
        "threads": options.threads,
        "machine": machine(),
        "versions": {
            name: metadata.version(name) for name in ("foreword", "ai-edge-litert", "numpy")
        },
        "rows": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def measured(
    geometry: Geometry, scratch: Path, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Write a checkpoint, convert it by every recipe, complete with the result: a row each."""
    source, home = scratch / geometry.name, scratch / "home"
    geometry.write(source)
    for recipe in options.recipe or ("int8", "int4", "float16", "float32"):
        bundle = scratch / "out" / recipe
        row = {"model": geometry.name, "recipe": recipe}
        row |= child(home, "convert", source, bundle, recipe)
        if "refused" not in row:
            values = max(geometry.layer_values, geometry.embedding_values)
            row["bound_bytes"] = int(1.3 * 4 * values) + row["file_bytes"] + BASE_BYTES
            row |= child(home, "complete", bundle, options.threads)
        row["left"] = sorted(str(p.relative_to(scratch)) for p in scratch.glob("out/**/*"))
        for used in (bundle, home):
            shutil.rmtree(used, ignore_errors=True)
        yield row


def child(home: Path, *arguments: object) -> dict[str, Any]:
    """Run one step in a process of its own, under the ceiling, and return what it measured."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    environment = {**os.environ, "FOREWORD_HOME": str(home)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def convert(source: str, bundle: str, recipe: str) -> dict[str, Any]:
    """Convert, in a child; a refusal is a result too."""
    limit_memory()
    started = time.perf_counter()
    try:
        made = foreword.convert(source, bundle, recipe=recipe, context=CONTEXT, check=False)
    except foreword.ForewordError as error:
        found: dict[str, Any] = {"refused": str(error)}
    else:
        found = {"file_bytes": made.model_path.stat().st_size}
    seconds = round(time.perf_counter() - started, 1)
    return {**found, "convert_seconds": seconds, "convert_peak_bytes": peak_bytes()}


def complete(bundle: str, threads: str) -> dict[str, Any]:
    """Load twice, with packing of the weights and without, and complete, in a child."""
    limit_memory()
    first = foreword.load(bundle, int(threads))
    first.close()
    started = time.perf_counter()
    with foreword.load(bundle, int(threads)) as model:
        load_seconds = time.perf_counter() - started
        params = foreword.SamplingParams(max_new_tokens=TOKENS, ignore_eos=True)
        times = [time.perf_counter()]
        for _ in model.stream(model.encode(PROMPT), params):
            times.append(time.perf_counter())
        # A model whose output is not finite has raised by now; one that says nothing has not.
        logits = model._graph.run("decode", [65], 0)
        assert logits is not None
        assert np.isfinite(logits).all()
    return {
        "first_load_seconds": round(first.load_ms / 1e3, 2),
        "load_seconds": round(load_seconds, 2),
        "tokens": len(times) - 1,
        "tokens_per_second": round(float(1 / np.median(np.diff(times)[1:])), 2),
        "logits_deviation": round(float(logits.std()), 3),
        "complete_peak_bytes": peak_bytes(),
    }


CHILDREN = {"convert": convert, "complete": complete}


def limit_memory() -> None:
    """Hold this process to the ceiling: beyond it, memory is not given."""
    resource.setrlimit(resource.RLIMIT_AS, (CEILING_BYTES, CEILING_BYTES))


def peak_bytes() -> int:
    """Return the most memory this process has had, mapped files included.

    The kernel's own count: `ru_maxrss` would begin with that of the parent.
    """
    status = Path("/proc/self/status").read_text()
    return next(int(s.split()[1]) for s in status.splitlines() if s.startswith("VmHWM:")) * 1024


def line(row: dict[str, Any]) -> str:
    """Return a row of the table, in MB and seconds."""
    head = f"{row['model']:<14} {row['recipe']:<8}"
    peak, seconds = row["convert_peak_bytes"] / 1e6, row["convert_seconds"]
    if "refused" in row:
        return f"{head} refused in {seconds:.1f} s, {peak:.0f} MB: {row['refused']}"
    return (
        f"{head} file {row['file_bytes'] / 1e6:5.0f} MB   converted in {seconds:5.1f} s, "
        f"{peak:5.0f} MB (bound {row['bound_bytes'] / 1e6:.0f})   loads in "
        f"{row['first_load_seconds']:.1f}, then {row['load_seconds']:.1f} s   "
        f"{row['tokens_per_second']:5.2f} tokens/s, {row['complete_peak_bytes'] / 1e6:.0f} MB"
    )


def machine() -> dict[str, Any]:
    names = [
        text.partition(":")[2].strip()
        for text in Path("/proc/cpuinfo").read_text().splitlines()
        if text.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
