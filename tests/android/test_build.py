"""The app: built, tested and looked at by its own script."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import foreword

PROJECT = Path(__file__).parent.parent.parent / "android"
APK = PROJECT / "build" / "foreword-debug.apk"

pytestmark = [pytest.mark.android, pytest.mark.timeout(1500)]


def build(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", str(PROJECT / "build.sh"), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def passed(told: str) -> int:
    """Return how many tests JUnit says it ran."""
    line = next(line for line in told.splitlines() if line.startswith("OK ("))
    return int(line.removeprefix("OK (").split()[0])


@pytest.fixture(scope="module")
def checked() -> str:
    return build("check")


def test_core_equals_python_on_the_golden_files() -> None:
    assert passed(build("core-test")) > 20


@pytest.mark.model
def test_the_real_model_goes_on_as_in_python(default_gguf: Path, tmp_path: Path) -> None:
    """Twenty prompts in float32, over LiteRT's own C interface, against the committed tokens."""
    made = foreword.convert(default_gguf, tmp_path / "float32", recipe="float32", check=False)
    package = importlib.util.find_spec("ai_edge_litert")
    assert package is not None
    assert package.origin is not None
    library = Path(package.origin).parent / "libLiteRt.so"
    assert library.is_file()  # without it the tests would assume themselves away
    told = build(
        "core-test",
        TEST="RealModel",
        FOREWORD_LITERT=str(library),
        FOREWORD_BUNDLE=str(made.path),
    )
    assert passed(told) > 2


def test_the_app_shows_and_does_what_it_should() -> None:
    assert passed(build("app-test")) > 40
    assert (PROJECT / "build" / "pictures" / "suggestion.png").stat().st_size > 10_000


def test_the_apk_passes_the_tools_of_android(checked: str) -> None:
    assert "package: name='dev.foreword.app'" in checked
    assert "sdkVersion:'24'" in checked
    assert "native-code: 'arm64-v8a'" in checked
    assert "androguard: dev.foreword.app, signed" in checked


def test_what_is_mapped_into_memory_is_stored(checked: str) -> None:
    with zipfile.ZipFile(APK) as archive:
        entries: Sequence[zipfile.ZipInfo] = archive.infolist()
    models = [entry for entry in entries if entry.filename.endswith(".tflite")]
    assert all(entry.compress_type == zipfile.ZIP_STORED for entry in models)
    assert {"assets/lexicon.json", "assets/NOTICE"} <= {entry.filename for entry in entries}


@pytest.mark.parametrize("arguments", [(), ("no-such-step",)])
def test_an_unknown_step_is_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["bash", str(PROJECT / "build.sh"), *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
