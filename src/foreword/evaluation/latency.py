"""How fast a bundle runs and what memory it takes, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

from foreword.engine.load import load
from foreword.engine.memory import peak_rss_bytes
from foreword.engine.sampling import SamplingParams
from foreword.engine.threads import default_threads
from foreword.errors import EngineError, ForewordError

_ROUNDS = 3
_MOST_PROMPT_TOKENS = 256
_MOST_NEW_TOKENS = 64
_FAILED = 3


def measure(bundle: Path, threads: int | None = None) -> dict[str, float]:
    """Return `load_ms`, `prefill_tokens_per_s`, `decode_tokens_per_s` and `peak_rss_bytes`.

    A child process loads the bundle and runs it, so that the figures are the model's alone;
    weights that were packed before are not packed again. Prompts fill half the context, at
    most 256 tokens, and are continued by as much as a quarter, at most 64. `peak_rss_bytes`
    counts mapped weights, and Python. Raises EngineError when the child fails.
    """
    # -P: whatever lies in the current directory is not imported.
    command = [sys.executable, "-P", "-m", "foreword.evaluation.latency", str(bundle)]
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [*command, str(threads or default_threads())],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        found: dict[str, float] = json.loads(done.stdout)
        return found
    reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    raise EngineError(f"{bundle.name}: its speed could not be measured: {reason:.200}")


def main(bundle: str, threads: int) -> dict[str, float]:
    """Measure in this process; see `measure`."""
    with load(Path(bundle).absolute(), threads) as engine:
        vocabulary, context = engine.manifest.shape.vocabulary, engine.context
        length = max(min(context // 2, _MOST_PROMPT_TOKENS), 1)
        new = max(min(context // 4, _MOST_NEW_TOKENS), 2)
        params = SamplingParams(max_new_tokens=new, ignore_eos=True)
        first_ms, step_ms = [], []
        for round_ in range(_ROUNDS + 1):
            # Another first token every time: nothing of the prompt before is reused.
            prompt = [(round_ + 7 * i) % vocabulary for i in range(length)]
            times = [time.perf_counter()]
            times += [time.perf_counter() for _ in engine.stream(prompt, params)]
            if round_:  # the first is a warm-up
                first_ms.append((times[1] - times[0]) * 1e3)
                step_ms += [(b - a) * 1e3 for a, b in pairwise(times[1:])]
        return {
            "load_ms": round(engine.load_ms, 2),
            "prefill_tokens_per_s": round(length / median(first_ms) * 1e3, 2),
            "decode_tokens_per_s": round(1e3 / median(step_ms), 2),
            "peak_rss_bytes": peak_rss_bytes(),
        }


if __name__ == "__main__":
    try:
        sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
    except ForewordError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_FAILED)
