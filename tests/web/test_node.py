"""The tests in JavaScript that need what Python makes: the default model's tokenizer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from foreword.sources.gguf import open_gguf

WEB = Path(__file__).parents[2] / "web"


@pytest.mark.model
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.skipif(not (WEB / "node_modules").exists(), reason="needs `npm ci` in web/")
def test_ids_windows_and_healing_are_the_same_in_javascript(
    default_gguf: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(open_gguf(default_gguf).tokenizer.json, encoding="utf-8")
    run = subprocess.run(
        ["node", "--test", "test/tokenizer.test.mjs"],
        cwd=WEB,
        env={**os.environ, "FOREWORD_TOKENIZER": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout
    assert "# skipped 0" in run.stdout
