"""The commands around completion: convert, inspect, list, remove, and the program's own help."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from command import refusal, run, tree
from foreword import __version__
from foreword.bundle.store import open_bundle
from foreword.export import device_bundle
from tiny import load_tiny
from tiny_gguf import write_tiny_gguf

CONTEXT = ("--context", "32")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "My Model.gguf").path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def stored(gguf: Path, home: Path) -> Path:
    """A bundle made under the name that `convert` gives it."""
    result = run("convert", gguf, *CONTEXT, "--quiet")
    assert (result.status, result.err) == (0, "")
    return home / "bundles" / "My Model"


def test_convert_names_a_bundle_after_its_source(stored: Path) -> None:
    assert open_bundle(stored, verify=True).manifest.recipe == "int8"
    assert [path.name for path in stored.parent.iterdir()] == ["My Model"]


def test_convert_adds_the_recipe_to_the_name_when_it_is_not_the_usual(
    gguf: Path, home: Path
) -> None:
    result = run("convert", gguf, *CONTEXT, "--recipe", "float16")
    assert result.status == 0
    assert open_bundle(home / "bundles" / "My Model-float16").manifest.recipe == "float16"


def test_convert_says_in_one_line_what_it_made(gguf: Path, tmp_path: Path) -> None:
    result = run("convert", gguf, *CONTEXT, "-o", tmp_path / "bundle")
    assert result.status == 0
    assert result.err == ""
    (line,) = result.out.splitlines()
    assert line.startswith(f"{tmp_path / 'bundle'}  int8  ")


def test_convert_says_in_json_what_it_made(gguf: Path, tmp_path: Path) -> None:
    result = run("convert", gguf, *CONTEXT, "-o", tmp_path / "bundle", "--json")
    found = json.loads(result.out)
    bundle = open_bundle(tmp_path / "bundle")
    assert found["path"] == str(bundle.path)
    assert found["recipe"] == "int8"
    assert found["size_bytes"] == sum(file.size_bytes for file in bundle.manifest.files.values())


def test_convert_takes_chunk_widths(gguf: Path, tmp_path: Path) -> None:
    run("convert", gguf, *CONTEXT, "-o", tmp_path / "bundle", "--prefill", "16, 4")
    signatures = open_bundle(tmp_path / "bundle").manifest.signatures
    assert signatures[:3] == ("decode", "prefill_4", "prefill_16")


def test_convert_replaces_only_when_asked(gguf: Path, stored: Path) -> None:
    assert "--replace" in refusal(run("convert", gguf, "--context", "48"))
    assert open_bundle(stored).manifest.shape.context == 32
    assert run("convert", gguf, "--context", "48", "--replace").status == 0
    assert open_bundle(stored).manifest.shape.context == 48


def test_inspect_shows_what_a_bundle_is(stored: Path) -> None:
    result = run("inspect", "My Model")
    assert (result.status, result.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert rows["path"] == str(stored)
    assert rows["recipe"] == "int8"
    assert rows["context"] == "32 tokens"
    assert rows["source"] == "My Model (licence: cc0-1.0)"
    assert "verified" not in rows


def test_inspect_gives_the_manifest_in_json(stored: Path) -> None:
    found = json.loads(run("inspect", stored, "--json", "--verify").out)
    assert found.pop("path") == str(stored)
    assert found.pop("verified") is True
    assert found == json.loads((stored / "bundle.json").read_text())


def test_inspect_verifies_only_when_asked(stored: Path) -> None:
    assert "every file has its hash" in run("inspect", stored, "--verify").out
    model = stored / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    assert run("inspect", stored).status == 0
    assert "model.tflite: expected SHA-256" in refusal(run("inspect", stored, "--verify"))


def test_list_without_anything_names_the_known_models(home: Path) -> None:
    result = run("list")
    assert (result.status, result.err) == (0, "")
    assert result.out.split() == ["smollm2-135m-instruct", "made", "on", "first", "use"]
    assert not home.exists()


def test_list_shows_bundles_and_says_which_are_damaged(stored: Path) -> None:
    shutil.copytree(stored, stored.parent / "damaged")
    (stored.parent / "damaged" / "tokenizer.json").unlink()
    result = run("list")
    assert result.status == 0
    assert result.out.splitlines()[0].split()[:2] == ["My", "Model"]
    assert result.err.startswith(f"foreword: {stored.parent / 'damaged' / 'tokenizer.json'}: ")
    assert len(result.err.splitlines()) == 1
    found = json.loads(run("list", "--json").out)
    assert [(row["name"], row["context"]) for row in found["bundles"]] == [("My Model", 32)]


def test_export_says_in_one_line_what_it_made(stored: Path, tmp_path: Path) -> None:
    result = run("export", "My Model", "-o", tmp_path / "browser", "--decode-only")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"{tmp_path / 'browser'}  int8  ")
    assert open_bundle(tmp_path / "browser", verify=True).manifest.signatures == ("decode",)


def test_remove_deletes_the_form_for_browsers(stored: Path, home: Path) -> None:
    made = device_bundle(stored)
    assert run("remove", "My Model").status == 0
    assert not made.exists()


def test_remove_deletes_a_bundle_and_its_packed_weights(stored: Path, home: Path) -> None:
    load_tiny(stored).close()
    freed = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    result = run("remove", "My Model", "--json")
    assert json.loads(result.out) == {"name": "My Model", "freed_bytes": freed}
    assert tree(home) == ["bundles", "weights"]


def test_remove_deletes_a_damaged_bundle(stored: Path, home: Path) -> None:
    (stored / "model.tflite").unlink()
    assert run("remove", "My Model").status == 0
    assert tree(home) == ["bundles"]


def test_remove_deletes_nothing_that_is_not_a_bundle(home: Path) -> None:
    mine = home / "bundles" / "mine"
    mine.mkdir(parents=True)
    (mine / "letter.txt").touch()
    assert "letter.txt" in refusal(run("remove", "mine"))
    assert tree(mine) == ["letter.txt"]


def test_remove_takes_names_and_no_paths(stored: Path) -> None:
    for name in (stored, "no/such", "nothing", "..", ""):
        assert "no stored bundle" in refusal(run("remove", name))
    assert stored.is_dir()


def test_the_version_is_printed() -> None:
    assert run("--version").out == f"foreword {__version__}\n"


@pytest.mark.parametrize(
    "command", [(), ("complete",), ("pull",), ("convert",), ("inspect",), ("list",), ("remove",)]
)
def test_help_goes_to_stdout(command: tuple[str, ...]) -> None:
    result = run(*command, "-h")
    assert (result.status, result.err) == (0, "")
    assert "Usage" in result.out


@pytest.mark.parametrize(
    "arguments",
    [
        *(("nothing",), ("list", "--nothing"), ("inspect",), ("convert",), ("remove",)),
        ("complete", "x", "--max-new-tokens", "many"),
        ("complete", "x", "y"),
    ],
    ids=" ".join,
)
def test_usage_the_parser_refuses_is_one_line_with_status_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.out == ""
    assert "--help" in refusal(result, status=2)


def test_without_a_command_it_shows_what_there_is() -> None:
    result = run()
    assert (result.status, result.err) == (0, "")
    assert "complete" in result.out


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("keras:gpt2_base_en", "gpt2_base_en"),
        ("keras:kaggle://keras/gpt2/keras/gpt2_base_en/3", "gpt2_base_en"),
        ("keras:kaggle://keras/gpt2/keras/gpt2_base_en", "gpt2_base_en"),
        ("keras:hf://org/Name-1.5B", "Name-1.5B"),
        ("hf:org/Name-1.5B", "Name-1.5B"),
        ("known-name", "known-name"),
        ("Qwen2.5-0.5B", "Qwen2.5-0.5B"),
        ("Qwen2.5-0.5B.gguf", "Qwen2.5-0.5B"),
        ("Qwen2.5-0.5B/.", "Qwen2.5-0.5B"),
    ],
)
def test_a_bundle_is_named_after_its_source(
    tmp_path: Path, source: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foreword.cli.convert import _name

    monkeypatch.chdir(tmp_path)
    (tmp_path / "Qwen2.5-0.5B").mkdir()
    (tmp_path / "Qwen2.5-0.5B.gguf").touch()
    assert _name(source) == name
