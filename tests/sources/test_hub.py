"""Folders from Kaggle and Hugging Face, with stand-ins for the libraries that fetch them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foreword.errors import DownloadError, UnsupportedModelError
from foreword.sources import hub
from foreword.sources.resolve import open_source
from tiny_keras import write_json, write_preset

HANDLE = "kaggle://keras/gpt2/keras/tiny/1"

# Serves the folder named in $SERVED and notes what it was asked for; `asked` is the note's file.
KAGGLEHUB = """
import os, sys
from pathlib import Path
from .exceptions import KaggleApiHTTPError
def model_download(handle, path):
    print("a progress bar", file=sys.stderr)
    print("and a message")
    folder = Path(os.environ["SERVED"])
    with open(os.environ["ASKED"], "a") as asked:
        asked.write(f"{handle} {path}\\n")
    if not (folder / path).exists():
        raise KaggleApiHTTPError("404 Client Error: nothing there")
    return str(folder / path)
"""
HUGGING_FACE_HUB = """
import os
def snapshot_download(repo, allow_patterns):
    with open(os.environ["ASKED"], "a") as asked:
        asked.write(f"{repo} {' '.join(allow_patterns)}\\n")
    if repo == "org/crash":
        os._exit(3)
    if repo == "org/loud":
        raise ValueError("a message\\nover lines \\x1b[31m" + "x" * 900)
    return os.environ["SERVED"]
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A preset that the stand-ins serve."""
    packages = tmp_path / "packages"
    for name, source in (("kagglehub", KAGGLEHUB), ("huggingface_hub", HUGGING_FACE_HUB)):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text(source)
    (packages / "kagglehub" / "exceptions.py").write_text(
        "class KaggleApiHTTPError(Exception): pass\n"
    )
    monkeypatch.syspath_prepend(packages)
    sources = Path(hub.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{packages}:{sources}")
    monkeypatch.setenv("SERVED", str(tmp_path / "served"))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return write_preset(tmp_path / "served")


def asked(served: Path) -> list[str]:
    lines = (served.parent / "asked").read_text().splitlines()
    return [line.split(" ", 1)[1] for line in lines]


def test_a_kaggle_model_is_fetched_file_by_file_after_its_config(
    served: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_source(f"keras:{HANDLE}", tmp_path / "downloads") as model:
        assert (model.name, model.family) == (f"keras:{HANDLE}", "gpt2")
    names = asked(served)
    assert names[:2] == ["config.json", "config.json"]
    assert set(names[2:]) == {
        *("preprocessor.json", "tokenizer.json", "model.weights.h5"),
        *("assets/tokenizer/vocabulary.json", "assets/tokenizer/merges.txt"),
    }
    assert capfd.readouterr() == ("", "")


def test_shards_are_fetched_where_there_is_no_single_file(served: Path) -> None:
    (served / "model.weights.h5").unlink()
    (served / "preprocessor.json").unlink()
    shards = {"/layers/a/vars": "model_00000.weights.h5"}
    write_json(served / "model.weights.json", {"weight_map": shards})
    (served / "model_00000.weights.h5").touch()
    hub.fetch("keras:tiny", HANDLE)
    assert asked(served)[-2:] == ["model.weights.json", "model_00000.weights.h5"]


def test_a_hugging_face_model_is_fetched_without_other_formats_of_its_weights(
    served: Path, tmp_path: Path
) -> None:
    with open_source("hf:org/name", tmp_path / "downloads") as model:
        assert model.name == "hf:org/name"
    assert asked(served)[-1] == "*.json model*.weights.h5 assets/*"
    write_json(served / "config.json", {"model_type": "gpt2"})
    hub.fetch("hf:org/name", "hf://org/name")
    assert asked(served)[-1] == "*.json *.safetensors README.md"


@pytest.mark.parametrize(
    "config", [{"class_name": "BertBackbone", "config": {}}, {"model_type": "bert"}]
)
def test_of_a_model_that_cannot_be_converted_only_the_config_is_fetched(
    served: Path, config: dict[str, object]
) -> None:
    write_json(served / "config.json", config)
    with pytest.raises(UnsupportedModelError, match="an encoder"):
        hub.fetch("keras:tiny", HANDLE)
    assert asked(served) == ["config.json"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash", "the download ended with 3"),
        ("loud", "ValueError: a message over lines  [31mxxx"),
    ],
)
def test_a_library_that_fails_is_reported_in_one_line(served: Path, name: str, said: str) -> None:
    with pytest.raises(DownloadError) as caught:
        hub.fetch(f"hf:org/{name}", f"hf://org/{name}")
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_missing_model_is_named(served: Path) -> None:
    (served / "config.json").unlink()
    with pytest.raises(DownloadError, match=r"keras:tiny: could not be fetched .*404 Client"):
        hub.fetch("keras:tiny", HANDLE)


def test_an_answer_is_one_line_of_json(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.main("config", "gs://bucket/model")
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(answer) == ["refusal"]
    assert "kaggle://" in answer["refusal"]
