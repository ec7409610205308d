from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.errors import BundleError
from foreword.text_graph import archive
from foreword.text_graph.archive import About
from foreword.text_graph.options import Sampling, TextOptions

MODEL = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 8
ABOUT = About(
    {
        "family": "gpt2",
        "parameters": 12,
        "start_token": None,
        "end_tokens": [5],
        "source": "a “source”",
        "license": "MIT",
        "notes": [],
        "versions": {"foreword": "0"},
    },
    TextOptions(64, "int8", Sampling("top-k", seed=3)),
    '{"a": "토큰"}',
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "text.tflite"
    path.write_bytes(MODEL)
    archive.append(path, ABOUT)
    return path


def test_what_was_appended_is_read_and_the_model_is_as_it_was(path: Path) -> None:
    found = archive.read(path)
    assert found.document.items() >= ABOUT.document.items()
    assert (found.options, found.tokenizer) == (ABOUT.options, ABOUT.tokenizer)
    assert path.read_bytes().startswith(MODEL)


def test_the_same_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(MODEL)
    archive.append(other, ABOUT)
    assert other.read_bytes() == path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_as_it_was(path: Path, data: st.DataObject) -> None:
    sound = path.read_bytes()
    at = data.draw(st.integers(len(MODEL), len(sound) - 1))
    damaged = path.with_name("damaged.tflite")
    if data.draw(st.booleans()):
        damaged.write_bytes(sound[:at])
    else:
        byte = data.draw(st.integers(0, 255))
        damaged.write_bytes(sound[:at] + bytes([byte]) + sound[at + 1 :])
    with contextlib.suppress(BundleError):
        found = archive.read(damaged)
        assert (found.options, found.tokenizer) == (ABOUT.options, ABOUT.tokenizer)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"options": {"max_length": 64}},
        {"options": {**ABOUT.options.as_json(), "recipe": "int3"}},
        {"options": {**ABOUT.options.as_json(), "further": 1}},
        {"options": {**ABOUT.options.as_json(), "sampling": []}},
        {"start_token": "a"},
        {"notes": None},
    ],
)
def test_what_is_of_another_kind_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "text.tflite"
    path.write_bytes(MODEL)
    document = {
        "format_version": 1,
        **ABOUT.document,
        "options": ABOUT.options.as_json(),
        **change,
    }
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("foreword.json", json.dumps(document))
        file.writestr("tokenizer.json", "{}")
    with pytest.raises(BundleError, match="convert the model again"):
        archive.read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "expected a .tflite model, found another kind of file"),
        (b"PK\x03\x04 a zip of another kind", "another kind of file"),
        (MODEL, "without what 'foreword convert --form text' adds"),
    ],
)
def test_what_is_no_text_graph_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "text.tflite"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=says):
        archive.read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.tflite: cannot be read: No such file"):
        archive.read(tmp_path / "none.tflite")


def test_a_member_that_would_fill_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "text.tflite"
    path.write_bytes(MODEL)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("foreword.json", " " * (2 << 20))
    with pytest.raises(BundleError):
        archive.read(path)
