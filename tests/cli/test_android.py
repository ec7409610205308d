from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import run
from foreword.bundle.store import open_bundle
from tiny import write_tiny_bundle

BUILDS = 'mkdir -p "$(dirname "$0")/build" && echo "$1" >"$(dirname "$0")/build/foreword-debug.apk"'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "android"
    (directory / "app").mkdir(parents=True)
    (directory / "build.sh").write_text(BUILDS)
    return directory


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("android"))[1]


def test_the_model_is_put_into_the_app_and_the_app_is_built(
    project: Path, bundle: Path, tmp_path: Path
) -> None:
    apk = tmp_path / "out" / "mine.apk"
    for _ in range(2):  # a second time it takes the place of the first
        result = run("android", bundle, "--project", project, "--apk", apk, "--json")
        assert (result.status, json.loads(result.out)["apk"]) == (0, str(apk))
    assert apk.read_text() == "apk\n"
    model = project / "app/src/main/assets/models" / bundle.name
    assert open_bundle(model, verify=True).manifest.signatures[0] == "decode"


def test_what_is_no_bundle_is_refused_and_nothing_is_built(project: Path, tmp_path: Path) -> None:
    (tmp_path / "other.tflite").write_bytes(b"no model")
    for given in (tmp_path / "absent", tmp_path / "other.tflite", project):
        result = run("android", given, "--project", project)
        assert result.status == 1
        assert result.err.count("\n") == 1
    assert not (project / "build").exists()


def test_a_build_that_fails_and_a_project_that_is_none_are_told(
    project: Path, bundle: Path, tmp_path: Path
) -> None:
    (project / "build.sh").write_text("exit 3")
    result = run("android", bundle, "--project", project)
    assert (result.status, "could not be built" in result.err) == (1, True)
    result = run("android", bundle, "--project", tmp_path)
    assert (result.status, "--project: expected the directory" in result.err) == (2, True)
