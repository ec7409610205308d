"""The real model: greedy text of the float32 bundle is the committed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import foreword

GOLDEN = Path(__file__).parent.parent / "testdata/golden/completion/smollm2-float32.json"


@pytest.mark.model
def test_the_default_model_in_float32_continues_as_committed(
    default_gguf: Path, tmp_path: Path
) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    bundle = foreword.convert(default_gguf, tmp_path / "float32", recipe="float32", prefill=(32,))
    engine = foreword.load(bundle.path, threads=1)
    assert len(golden["cases"]) == 20
    for case in golden["cases"]:
        params = foreword.SamplingParams(max_new_tokens=len(case["token_ids"]), ignore_eos=True)
        steps = engine.stream(engine.encode(case["prompt"]), params)
        found = [step.token_id for step in steps if step.token_id is not None]
        assert found == case["token_ids"], case["prompt"]
    engine.close()
