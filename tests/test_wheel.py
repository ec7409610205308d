"""The built wheel, in an environment of its own, with no network left but the loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A network namespace of its own, without a route to anywhere.
CUT_OFF = ["unshare", "--map-root-user", "--net"]


def run(*command: str | Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.model
def test_the_wheel_completes_text_with_the_network_cut_off(
    default_gguf: Path, tmp_path: Path
) -> None:
    env = {**os.environ, "FOREWORD_HOME": str(tmp_path / "home")}
    env.pop("PYTHONPATH", None)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, env=env)
    wheel = next(tmp_path.glob("foreword-*.whl"))
    run(sys.executable, "-m", "venv", tmp_path / "venv", env=env)
    binaries = tmp_path / "venv" / "bin"
    run(binaries / "pip", "install", "-q", wheel, env=env)
    foreword = binaries / "foreword"

    installed = run(binaries / "pip", "list", "--format", "json", env=env)
    names = {package["name"].lower() for package in json.loads(installed)}
    assert not names & {"tensorflow", "keras", "torch"}

    bundle = tmp_path / "bundle"
    run(*CUT_OFF, foreword, "convert", default_gguf, "-o", bundle, env=env)
    refused = subprocess.run(
        [*CUT_OFF, foreword, "pull"], env=env, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1  # so the network was cut off, and says so in one line
    assert refused.stderr.startswith("foreword: error:")
    assert refused.stderr.count("\n") == 1

    out = run(*CUT_OFF, foreword, "complete", "I'm enjoying a", "-m", bundle, "--json", env=env)
    result = json.loads(out)
    assert result["text"].strip()
    assert result["prompt_tokens"] == 4
