"""How long the default model takes to be made, and a command to its first token.

    scripts/bench start

Every figure is of a process of its own. Prints a table, writes benchmarks/results/start.json, and
prints it again as the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from foreword.evaluation.benchmark.figures import machine, spread, versions
from foreword.sources.known import DEFAULT, pull

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/start.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
        home = Path(scratch)
        os.environ["FOREWORD_HOME"] = str(home)
        checkpoint = pull(DEFAULT, ROOT / ".cache" / "downloads")
        results: dict[str, Any] = {
            "model": DEFAULT,
            "context": options.context,
            "convert": measured_convert(checkpoint, home / "bundles" / DEFAULT, options.context),
            "command": command_figures(),
            "machine": machine(),
            "versions": versions(),
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    convert, command = results["convert"], results["command"]
    print(f"convert        {convert['seconds']} s, {convert['peak_rss_bytes'] / 1e6:.0f} MB peak")
    print(f"bundle         {convert['bundle_bytes'] / 1e6:.1f} MB")
    print(f"--help         {command['help_seconds']['median']} s")
    print(f"first token    {command['first_token_seconds']['median']} s from command start")
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


def command_figures() -> dict[str, Any]:
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


if __name__ == "__main__":
    main()
