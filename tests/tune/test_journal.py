"""A journal gives back what was written, and passes over everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.tune.journal import append, read_journal
from tune_models import LARGE, SMALL

WANTED = {"large": LARGE.trial, "small": SMALL.trial}


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    assert read_journal(journal, WANTED) == {}
    append(journal, "large", LARGE)
    # As a search leaves it that was killed while writing.
    with journal.open("a") as file:
        file.write('{"key": "12')
    append(journal, "small", SMALL)
    append(journal, "unwanted", LARGE)
    assert read_journal(journal, WANTED) == {LARGE.trial: LARGE, SMALL.trial: SMALL}


@pytest.mark.parametrize("lacking", ["figures", "model_sha256", "verdict", "key"])
def test_a_line_of_an_older_version_is_passed_over(tmp_path: Path, lacking: str) -> None:
    journal = tmp_path / "journal.jsonl"
    append(journal, "large", LARGE)
    row = json.loads(journal.read_text())
    del row[lacking]
    journal.write_text(json.dumps(row) + "\n")
    assert read_journal(journal, WANTED) == {}


def test_figures_that_are_none_are_passed_over(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    append(journal, "large", LARGE)
    for other in ("NaN", "1e999", "null", "[]", "1" + "0" * 400):
        text = journal.read_text().replace('"perplexity": 10', f'"perplexity": {other}')
        (tmp_path / "other.jsonl").write_text(text)
        assert read_journal(tmp_path / "other.jsonl", WANTED) == {}
    assert read_journal(journal, WANTED) == {LARGE.trial: LARGE}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key", "figures", "verdict", "perplexity"]), inner)
    ),
    max_leaves=8,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_line_holds_is_no_error(
    tmp_path_factory: pytest.TempPathFactory, line: bytes
) -> None:
    journal = tmp_path_factory.getbasetemp() / "strange.jsonl"
    journal.write_bytes(line + b"\n" + b"[" * 100_000 + b"\n")
    assert read_journal(journal, WANTED) == {}
