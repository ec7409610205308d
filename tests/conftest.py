from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from foreword.sources import known

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache directory of the tests' own; what a person has is never touched."""
    directory = tmp_path_factory.mktemp("home")
    before = os.environ.get("FOREWORD_HOME")
    os.environ["FOREWORD_HOME"] = str(directory)
    yield directory
    if before is None:
        del os.environ["FOREWORD_HOME"]
    else:
        os.environ["FOREWORD_HOME"] = before


@pytest.fixture(scope="session")
def default_gguf() -> Path:
    """The default model's checkpoint, downloaded once and kept between runs."""
    root = Path(__file__).parent.parent
    return known.pull(known.DEFAULT, root / ".cache" / "downloads")
