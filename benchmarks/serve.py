"""The server: what it adds to the engine's own time, and fifty writers at once.

    python benchmarks/serve.py [--seconds 60] [--sessions 50] [--threads 2] [--steps 150]

First event: a text is typed word by word; after each word the same request runs in this process
and through the server, in turns, both warm. Writers: each types a text of its own at four keys a
second or so and asks at every key, the newest request superseding the older; what a writer waits is
from the first key without an answer to the next answer. Writes benchmarks/results/serve.json and
prints it as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

from foreword.completion.completer import Completer
from foreword.completion.suggestion import Policy
from foreword.engine.load import load
from foreword.engine.sampling import SamplingParams
from foreword.evaluation.text import built_in

ROOT = Path(__file__).parent.parent
MODEL = "smollm2-135m-instruct"
JSON = {"content-type": "application/json"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/serve.json")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "command": f"python benchmarks/serve.py --seconds {options.seconds:g} "
        f"--sessions {options.sessions} --threads {options.threads} --steps {options.steps}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "model": f"{MODEL}, int8, context 512, {options.threads} threads",
        "versions": {
            name: metadata.version(name)
            for name in ("foreword", "fastapi", "uvicorn", "sse-starlette", "ai-edge-litert")
        },
    }
    process, port = started(options.threads)
    try:
        results["first_event"] = first_event(port, options.steps, options.threads)
        results["writers"] = asyncio.run(
            writers(port, process.pid, options.sessions, options.seconds)
        )
    finally:
        process.terminate()
        process.communicate()
    options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results))


def started(threads: int) -> tuple[subprocess.Popen[str], int]:
    """Start the server and return it with its port, when its model is loaded."""
    command = [sys.executable, "-m", "foreword.cli", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--threads", str(threads), "--cache-mb", "512"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    port = 0
    for line in process.stderr:
        if found := re.search(r"open http://127\.0\.0\.1:(\d+)", line):
            port = int(found[1])
        if "is loaded" in line:
            break
    # What it logs must be read, or it waits.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, port


def first_event(port: int, steps: int, threads: int) -> dict[str, Any]:
    """Return the times to the first event, alone and through the server, and their ratio."""
    words = built_in().content.split()[: steps + 20]
    texts = [" ".join(words[: 20 + i]) for i in range(steps)]
    with load(MODEL, threads) as engine:
        completer = Completer(engine)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        rows = {
            kind: [(own(completer, text), served(connection, text)) for text in texts]
            for kind, own, served in (
                ("completion", own_completion, served_completion),
                ("suggestion", own_suggestion, served_suggestion),
            )
        }
    return {kind: compared(pairs[10:]) for kind, pairs in rows.items()}


def compared(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    own, served = zip(*pairs, strict=True)
    ratios = sorted(s / o for o, s in pairs)
    added = sorted(s - o for o, s in pairs)
    return {
        "own_ms": round(statistics.median(own), 2),
        "served_ms": round(statistics.median(served), 2),
        "ratio": round(statistics.median(served) / statistics.median(own), 3),
        "ratio_by_pair_quartiles": [
            round(ratios[int(len(ratios) * q)], 3) for q in (0.25, 0.5, 0.75)
        ],
        "added_ms": round(statistics.median(added), 2),
        "pairs": len(pairs),
    }


def own_completion(completer: Completer, text: str) -> float:
    started = time.perf_counter()
    window = completer.window(text, completer.model.context)
    steps = completer.stream(window, SamplingParams(max_new_tokens=4))
    while not next(steps).text:
        pass
    elapsed_ms = (time.perf_counter() - started) * 1e3
    list(steps)
    return elapsed_ms


def served_completion(connection: http.client.HTTPConnection, text: str) -> float:
    body = {"prompt": text, "max_tokens": 4, "temperature": 0, "stream": True, "user": "bench"}
    return first_line(connection, "/v1/completions", body)


def own_suggestion(completer: Completer, text: str) -> float:
    started = time.perf_counter()
    first: list[float] = []

    def seen(_: str) -> None:
        first.append(time.perf_counter())

    completer.suggest(text, Policy(confidence=0), on_words=seen)
    first.append(time.perf_counter())
    return (first[0] - started) * 1e3


def served_suggestion(connection: http.client.HTTPConnection, text: str) -> float:
    body = {"text": text, "confidence": 0, "stream": True, "session": "bench"}
    return first_line(connection, "/v1/suggest", body)


def first_line(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> float:
    data = json.dumps(body)
    started = time.perf_counter()
    connection.request("POST", path, data, JSON)
    answer = connection.getresponse()
    line = answer.readline()
    elapsed_ms = (time.perf_counter() - started) * 1e3
    assert answer.status == 200, answer.read()
    assert line.startswith(b"data: "), line
    answer.read()
    return elapsed_ms


async def writers(port: int, pid: int, count: int, seconds: float) -> dict[str, Any]:
    """Return how it went for writers who type at once."""
    before = rss_bytes(pid)
    peak = [before]
    tallies = [Writer(port, number, seconds) for number in range(count)]
    done = asyncio.gather(*(writer.type() for writer in tallies))
    while not done.done():
        peak[0] = max(peak[0], rss_bytes(pid))
        await asyncio.sleep(0.25)
    await done
    statuses = sum((writer.statuses for writer in tallies), Counter[str]())
    means = [statistics.mean(writer.waits_ms) for writer in tallies if writer.waits_ms]
    waits = sorted(wait for writer in tallies for wait in writer.waits_ms)
    mean = statistics.mean(waits)
    return {
        "sessions": count,
        "seconds": seconds,
        "requests": sum(statuses.values()),
        "statuses": dict(statuses),
        "answered": len(waits),
        "wait_ms": {
            "mean": round(mean, 1),
            "p50": round(waits[len(waits) // 2], 1),
            "p95": round(waits[int(len(waits) * 0.95)], 1),
            "max": round(waits[-1], 1),
        },
        "slowest_session_mean_over_mean": round(max(means) / mean, 2),
        "sessions_without_answer": count - len(means),
        "rss_mb": {"before": round(before / 1e6), "peak": round(peak[0] / 1e6)},
        "text_bytes_mb": round(await gauge(port, "foreword_text_bytes") / 1e6),
        "cache_ceiling_mb": 512 * 2**20 // 10**6,
    }


class Writer:
    """One who types, and asks at every key."""

    def __init__(self, port: int, number: int, seconds: float) -> None:
        self._port, self._number, self._seconds = port, number, seconds
        self._random = random.Random(number)
        self.statuses: Counter[str] = Counter()
        self.waits_ms: list[float] = []
        self._unanswered_since: float | None = None

    async def type(self) -> None:
        words = built_in().content.split()
        start = self._random.randrange(len(words) // 2)
        text = " ".join(words[start : start + 400])
        end, place = time.perf_counter() + self._seconds, 60
        asking: set[asyncio.Task[None]] = set()
        await asyncio.sleep(self._random.random() * 0.25)
        while time.perf_counter() < end:
            place += 1
            task = asyncio.create_task(self._ask(text[: 60 + place % (len(text) - 60)]))
            asking.add(task)
            task.add_done_callback(asking.discard)
            await asyncio.sleep(self._random.uniform(0.15, 0.35))
        await asyncio.gather(*asking)

    async def _ask(self, text: str) -> None:
        if self._unanswered_since is None:
            self._unanswered_since = time.perf_counter()
        body = json.dumps({"text": text, "session": f"writer-{self._number}"}).encode()
        status, answer = await post(self._port, "/v1/suggest", body)
        if status == 200 and json.loads(answer)["superseded"]:
            self.statuses["superseded"] += 1
            return
        self.statuses[str(status)] += 1
        if status == 200 and self._unanswered_since is not None:
            self.waits_ms.append((time.perf_counter() - self._unanswered_since) * 1e3)
            self._unanswered_since = None


async def post(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    raw = await reader.read()
    writer.close()
    head_, _, answer = raw.partition(b"\r\n\r\n")
    return int(head_.split(b" ", 2)[1]), answer


async def gauge(port: int, name: str) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[1])


def rss_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
