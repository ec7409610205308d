from __future__ import annotations

from pathlib import Path

import pytest

from foreword.engine.memory import peak_rss_bytes


def test_this_process_has_some_and_one_that_is_gone_none() -> None:
    assert peak_rss_bytes() > 1_000_000
    assert peak_rss_bytes(2**22 + 7) == 0


def test_where_there_is_no_proc_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object, **named: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert peak_rss_bytes() > 1_000_000
    assert peak_rss_bytes(1) == 0
