"""Ratios follow the convention, and the table says what the document has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from foreword.evaluation.benchmark.contender import Entry
from foreword.evaluation.benchmark.figures import document, spread
from foreword.evaluation.benchmark.schedule import Measured, Options, Row
from foreword.evaluation.benchmark.table import lines
from foreword.evaluation.text import built_in

ENTRIES = [
    Entry("mine", Path("mine"), 512, 300, 2_000_000_000, "int8"),
    Entry("llama.cpp", Path("q8_0.gguf"), 512, 300, 3, "Q8_0", Path("tokenizer.json")),
]


def keys(*waits: float) -> dict[str, Any]:
    return {"keystrokes": len(waits) + 1, "latency_ms": list(waits)}


ROWS: dict[str, list[Row]] = {
    "first_token_ms_5": [[1.0, 2.0]],
    "first_token_ms_128": [[10.0, 40.0], [20.0, 60.0], [30.0, 60.0]],
    "first_token_ms_256": [[1.0, 9.0]],
    "first_token_ms_changed": [[5.0, 10.0]],
    "decode_tokens_per_s_after_90": [[100.0, 80.0], [120.0, 60.0], [90.0, 90.0]],
    "continue_tokens_per_s": [[200.0, 100.0]],
    "keystrokes": [[keys(20.0, 30.0, 40.0), keys(60.0, 60.0)], [keys(30.0), keys(120.0)]],
    "default_keystrokes": [[keys(), keys(50.0)]],
    "peak_rss_bytes": [[200_000_000, 400_000_000]],
}
MEASURED = Measured(
    {1: ROWS, 2: ROWS},
    {name: ROWS[name] for name in ("decode_tokens_per_s_after_90", "keystrokes")},
    [[900.0, 100.0], [50.0, 100.0]],
    {1: [1000.0] * 3, 2: [500.0, 400.0, 600.0]},
    {"llama-cpp-python": "9"},
)


def found(count: int = 2) -> dict[str, Any]:
    measured = MEASURED
    if count == 1:
        rows = {name: [row[:1] for row in taken] for name, taken in ROWS.items()}
        loads = [row[:1] for row in MEASURED.loads]
        measured = Measured({1: rows, 2: rows}, rows, loads, MEASURED.bandwidths, {})
    return document(measured, ENTRIES[:count], [built_in()], Options(2, 3, 100))


def test_a_speed_of_ours_is_over_theirs_and_so_is_a_wait() -> None:
    ratios = found()
    assert ratios["decode_ratio"] == 1.25
    assert ratios["continue_ratio"] == 2.0
    assert ratios["keystroke_p50_ratio"] == pytest.approx(30 / 60)
    rows = ratios["by_threads"]["2"]
    assert rows["peak_rss_bytes"]["ratio"]["median"] == 0.5
    assert rows["first_token_ms_changed"]["ratio"]["median"] == 0.5
    assert rows["keystrokes"]["p50_ratio_of_stretches"] == spread([0.5, 0.25])


def test_prefill_alone_is_a_time_whose_ratio_is_one_of_speeds() -> None:
    assert found()["prefill_tokens"] == 128
    assert found()["prefill_ratio"] == 3.0
    assert found()["by_threads"]["2"]["first_token_ms_128"]["ratio"]["median"] == 0.333


def test_the_share_of_bandwidth_is_of_the_same_rounds() -> None:
    # 2 GB a token; rounds of 200/500, 240/400 and 180/600.
    assert found()["bandwidth_share"] == found()["bandwidth_shares"]["2"] == 0.4
    assert found()["bandwidth_shares"]["1"] == 0.2


def test_what_was_never_asked_of_a_model_has_no_ratio() -> None:
    assert found()["default_keystroke_p50_ratio"] is None
    assert found()["by_threads"]["1"]["default_keystrokes"]["p50_ms"]["foreword"] is None


def test_a_run_without_another_has_no_ratios_and_no_other_side() -> None:
    alone = found(1)
    assert alone["against"] is None
    assert "ratio" not in json.dumps({key: alone[key] for key in alone if key != "versions"})
    assert alone["by_threads"]["1"]["keystrokes"]["p50_ms"] == {"foreword": 30.0}


@pytest.mark.parametrize("count", [1, 2])
def test_the_table_has_a_line_for_every_figure(count: int) -> None:
    text = "\n".join(lines(found(count)))
    for name in ("first_token_ms_128", "keystroke_p95_ms", "peak_rss_MB", "2 threads, a busy core"):
        assert name in text
    assert "20.0 (10.0–30.0)" in text
    assert ("1.25 (1.00–2.00)" in text) == (count == 2)
    assert ("llama.cpp" in text) == (count == 2)
    assert ("1.25 times as fast at decoding" in text) == (count == 2)
    assert "None" not in text


def test_loads_are_those_after_the_one_that_packed() -> None:
    assert found()["load_ms"]["foreword"]["median"] == 50.0
    assert found()["load_ms"]["cold"] == {"foreword": 900.0, "against": 100.0}


def test_versions_machine_and_settings_are_in_it() -> None:
    document = found()
    assert document["versions"].keys() >= {"foreword", "ai-edge-litert", "numpy"}
    assert document["versions"]["llama-cpp-python"] == "9"
    assert document["machine"].keys() == {"processor", "cores", "system", "python"}
    assert [document[key] for key in ("model", "against", "context", "threads", "rounds")] == [
        *("mine", "llama.cpp", 512, 2, 3)
    ]
