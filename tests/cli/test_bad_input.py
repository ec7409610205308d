"""Whatever is wrong, a command says so in one line, with its status, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import Result, refusal, run, spawn, tree
from tiny import write_tiny_bundle
from tiny_gguf import FloatArray, write_tiny_gguf

CONTEXT = ("--context", "32")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"), recipe="int8")[1]


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bundle"))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A place to convert to, two directories deep, that must not appear."""
    return tmp_path / "new" / "bundle"


# Sources


def test_a_missing_source_is_named(output: Path) -> None:
    assert "missing.gguf: expected a GGUF file, found nothing" in refusal(
        run("convert", "missing.gguf", "-o", output)
    )
    assert "found no such file" in refusal(run("convert", "no-such-model", "-o", output))
    assert not output.parent.exists()


@pytest.mark.parametrize("part", [0.0, 0.001, 0.05, 0.5, 0.999])
def test_a_truncated_source_is_refused(
    gguf: Path, tmp_path: Path, output: Path, part: float
) -> None:
    data = gguf.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * part)])
    assert refusal(run("convert", cut, "-o", output, *CONTEXT)).startswith(f"{cut}: ")
    assert tree(tmp_path) == ["cut.gguf"]


def test_a_text_file_with_the_name_of_a_model_is_refused(tmp_path: Path, output: Path) -> None:
    text = tmp_path / "letter.gguf"
    text.write_text("dear model\n" * 100)
    assert "not a GGUF file" in refusal(run("convert", text, "-o", output))
    assert tree(tmp_path) == ["letter.gguf"]


def test_a_text_file_is_refused_as_a_source(tmp_path: Path, output: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("dear model\n" * 100)
    assert "found another kind of file" in refusal(run("convert", text, "-o", output))


def test_a_model_of_a_hub_without_a_network_is_refused_with_another_way(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    message = refusal(run("convert", "hf:org/name", "-o", output))
    assert message.startswith("hf:org/name: could not be fetched (")
    assert "copy the model's folder from a machine that has it" in message
    assert not output.parent.exists()


def test_a_preset_without_keras_is_told_what_to_install(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foreword.sources.hub.find_spec", lambda name: None)
    message = refusal(run("convert", "keras:gpt2_base_en", "-o", output))
    assert "needs the package keras_hub, found none: pip install 'foreword[keras]'" in message


Metadata, Tensors = dict[str, object], dict[str, FloatArray]


def another_architecture(metadata: Metadata, tensors: Tensors) -> None:
    metadata["general.architecture"] = "mamba"


def wrong_shape(metadata: Metadata, tensors: Tensors) -> None:
    tensors["blk.1.ffn_up.weight"] = tensors["blk.1.ffn_up.weight"][:-1]


def missing_tensor(metadata: Metadata, tensors: Tensors) -> None:
    del tensors["blk.1.ffn_up.weight"]


def strange_tensor(metadata: Metadata, tensors: Tensors) -> None:
    tensors["blk.0.surprise.weight"] = np.zeros((4, 32), np.float32)


def not_finite(metadata: Metadata, tensors: Tensors) -> None:
    tensors["blk.1.ffn_up.weight"][0, 0] = np.inf


def no_layers(metadata: Metadata, tensors: Tensors) -> None:
    del metadata["llama.block_count"]


def another_tokenizer(metadata: Metadata, tensors: Tensors) -> None:
    metadata["tokenizer.ggml.model"] = "bert"


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (another_architecture, "architecture 'mamba': a recurrent model, which is not supported"),
        (wrong_shape, "tensor 'blk.1.ffn_up.weight': expected shape [96, 64] from the metadata"),
        (missing_tensor, "tensor 'blk.1.ffn_up.weight' is missing"),
        (strange_tensor, "the first is 'blk.0.surprise.weight'"),
        (not_finite, "tensor 'blk.1.ffn_up.weight' holds values that are not finite"),
        (no_layers, "metadata key 'llama.block_count'"),
        (another_tokenizer, "bert"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_source_that_cannot_be_converted_is_refused_and_leaves_nothing(
    tmp_path: Path, output: Path, mutate: Callable[[Metadata, Tensors], None], said: str
) -> None:
    source = write_tiny_gguf(tmp_path / "tiny.gguf", mutate=mutate).path
    message = refusal(run("convert", source, "-o", output, *CONTEXT))
    assert message.startswith(f"{source}: ") or mutate is not_finite
    assert said in message
    assert tree(tmp_path) == ["tiny.gguf"]


# Requests that can never work


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--recipe", "int3", "unknown recipe 'int3': expected one of float32, float16, int8"),
        ("--prefill", "8,x", "prefill: expected widths such as 8,32,128, found '8,x'"),
        ("--prefill", "", "prefill: expected widths such as 8,32,128, found ''"),
        ("--prefill", "1", "prefill: expected widths from 2 to 1024, found 1"),
        ("--prefill", "8,4096", "prefill: expected widths from 2 to 1024, found 8,4096"),
        ("--prefill", "64", "prefill: no width fits the context of 32 tokens"),
        ("--context", "4", "context: expected from 16 to 1048576 tokens, found 4"),
        ("--context", "257", "context: this model was trained for 256 positions, 257"),
    ],
)
def test_a_conversion_that_can_never_work_is_a_matter_of_usage(
    gguf: Path, tmp_path: Path, output: Path, option: str, value: str, said: str
) -> None:
    result = run("convert", gguf, "-o", output, *CONTEXT, option, value)
    assert said in refusal(result, status=2)
    assert tree(tmp_path) == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--max-new-tokens", "0", "--max-new-tokens: expected from 1 up, found 0"),
        ("--temperature", "-1", "temperature: expected from 0 to 100, found -1.0"),
        ("--temperature", "nan", "temperature: expected from 0 to 100, found nan"),
        ("--top-k", "-1", "--top-k: "),
        ("--top-p", "0", "--top-p: "),
        ("--min-p", "2", "--min-p: "),
        ("--repetition-penalty", "0", "--repetition-penalty: "),
        ("--seed", "-1", "seed: expected 0 or more, found -1"),
        ("--stop", "", "stop: expected non-empty strings"),
        ("--context-tokens", "0", "--context-tokens: expected 1 or more, found 0"),
        ("--context-tokens", "49", "--context-tokens: this model holds 48, found 49"),
        ("--threads", "0", "threads: expected from 1 to 1024, found 0"),
        ("--threads", "1000000", "threads: expected from 1 to 1024, found 1000000"),
    ],
)
def test_a_completion_that_can_never_work_is_a_matter_of_usage(
    bundle: Path, option: str, value: str, said: str
) -> None:
    result = run("complete", "text", "--model", bundle, option, value)
    assert said in refusal(result, status=2)
    assert result.out == ""


def test_an_unknown_name_to_pull_is_a_matter_of_usage() -> None:
    assert "known: smollm2-135m-instruct" in refusal(run("pull", "gpt-9"), status=2)


# Bundles


def edit(bundle: Path, **changes: object) -> None:
    manifest = bundle / "bundle.json"
    document: dict[str, Any] = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | changes))


def altered(bundle: Path) -> None:
    model = bundle / "model.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)


def cut_model(bundle: Path) -> None:
    os.truncate(bundle / "model.tflite", 1000)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no-model": (lambda b: (b / "model.tflite").unlink(), "model.tflite"),
    "no-tokenizer": (lambda b: (b / "tokenizer.json").unlink(), "tokenizer.json"),
    "no-manifest": (lambda b: (b / "bundle.json").unlink(), "bundle.json"),
    "cut-model": (cut_model, "bytes, found 1000"),
    "empty-manifest": (lambda b: (b / "bundle.json").write_text(""), "expected a JSON object"),
    "altered-model": (altered, "expected SHA-256"),
    "future-format": (lambda b: edit(b, format_version=2), "made by a newer Foreword"),
    "files-elsewhere": (lambda b: edit(b, files={"../../secret": {}}), "'../../secret'"),
    "absurd-layers": (lambda b: edit(b, layers=10**9), "'layers' should be a whole number"),
    "deep": (lambda b: (b / "bundle.json").write_text("[" * 10**5), "nesting too deep"),
    "smaller-vocabulary": (lambda b: edit(b, vocabulary=298), "do not belong together"),
    "larger-vocabulary": (lambda b: edit(b, vocabulary=300), "logits of decode has shape"),
    "another-context": (lambda b: edit(b, context=64), "the manifest promises [1, 1, 1, 64]"),
    "other-signatures": (
        lambda b: edit(b, signatures=["decode", "prefill_999"]),
        "signature prefill_999 is missing",
    ),
    "huge-context": (lambda b: edit(b, context=1 << 20), "model.tflite could not be loaded"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_does_not_complete(bundle: Path, damage: str) -> None:
    harm, said = DAMAGES[damage]
    harm(bundle)
    result = run("complete", "text", "--model", bundle, "--threads", "1")
    assert said in refusal(result)
    assert result.out == ""


@pytest.mark.parametrize("damage", ["no-model", "cut-model", "altered-model", "future-format"])
def test_a_damaged_bundle_is_refused_by_inspect(bundle: Path, damage: str) -> None:
    harm, said = DAMAGES[damage]
    harm(bundle)
    assert said in refusal(run("inspect", bundle, "--verify"))


def test_a_tokenizer_that_is_none_is_refused(bundle: Path) -> None:
    tokenizer = bundle / "tokenizer.json"
    tokenizer.write_bytes(b" " * tokenizer.stat().st_size)
    assert "tokenizer.json" in refusal(run("complete", "text", "--model", bundle))


@pytest.mark.parametrize("command", ["complete text --model", "inspect", "remove"])
@pytest.mark.parametrize("name", ["nowhere", "", "..", "a/b", "x" * 300])
def test_a_bundle_that_is_not_there_is_named(command: str, name: str, tmp_path: Path) -> None:
    result = run(*command.split(), name)
    assert result.status == 1
    assert refusal(result)


def test_a_directory_and_a_file_are_no_bundles(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "bundle.json" in refusal(run("inspect", tmp_path))
    assert "found a file" in refusal(run("complete", "text", "--model", tmp_path / "file"))
    assert tree(tmp_path) == ["file"]


# Prompts


def test_standard_input_that_is_not_utf8_is_refused(bundle: Path) -> None:
    message = refusal(run("complete", "-", "--model", bundle, stdin=b"caf\xe9 au lait"))
    assert "byte 0xe9 at position 3" in message


def test_an_argument_that_is_not_utf8_is_refused(bundle: Path) -> None:
    result = spawn("complete", os.fsdecode(b"caf\xe9"), "--model", bundle)
    assert "expected UTF-8" in refusal(result)


# Places


def test_an_output_below_a_file_cannot_be_written(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    message = refusal(run("convert", gguf, *CONTEXT, "-o", tmp_path / "file" / "bundle"))
    assert "could not be written, not a directory" in message
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_output_that_is_a_file_is_never_replaced(gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for option in ((), ("--replace",)):
        refusal(run("convert", gguf, *CONTEXT, "-o", tmp_path / "file", *option))
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_output_with_too_long_a_name_is_refused(gguf: Path, tmp_path: Path) -> None:
    assert "name too long" in refusal(run("convert", gguf, *CONTEXT, "-o", tmp_path / ("x" * 300)))
    assert tree(tmp_path) == []


@pytest.mark.parametrize("command", ["list", "pull", "convert", "remove tiny"])
def test_a_home_that_is_a_file_is_refused(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "home").write_text("in the way")
    monkeypatch.setenv("FOREWORD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    arguments = (gguf, *CONTEXT) if command == "convert" else ()
    refusal(run(*command.split(), *arguments))
    assert tree(tmp_path) == ["home"]


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_disk_that_fills_up_while_converting_leaves_nothing(
    gguf: Path, tmp_path: Path, output: Path
) -> None:
    result = spawn("convert", gguf, *CONTEXT, "-o", output, preexec_fn=limited)
    assert "could not be written, file too large: free some space" in refusal(result)
    assert tree(tmp_path) == []


def test_a_disk_without_room_for_packed_weights_does_not_stop_a_completion(
    bundle: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    arguments = ("complete", "the cat", "--model", bundle, "--threads", "1")
    result = spawn(*arguments, preexec_fn=limited, env={"FOREWORD_HOME": str(home)})
    assert (result.status, result.err) == (0, "")
    assert result.out == spawn(*arguments).out
    assert tree(home) == ["weights"]


# Streams


def to_full_disk(*arguments: str | Path) -> Result:
    with Path("/dev/full").open("w") as full:
        return spawn(*arguments, stdout=full)


def test_a_full_disk_under_stdout_is_one_line(bundle: Path) -> None:
    for arguments in (("list",), ("complete", "the", "--model", bundle), ("inspect", bundle)):
        assert "No space left on device" in refusal(to_full_disk(*arguments))


def test_a_reader_that_has_gone_ends_the_command_quietly(bundle: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = spawn("complete", "the", "--model", bundle, stdout=writer)
    os.close(writer)
    assert (result.status, result.err) == (1, "")


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_closed_standard_stream_is_no_failure(bundle: Path, descriptor: int) -> None:
    arguments = ("complete", "-", "--model", bundle, "--max-new-tokens", "4")
    result = spawn(*arguments, preexec_fn=lambda: os.close(descriptor))
    assert (result.status, result.err) == (0, "")


def test_a_terminal_that_cannot_spell_a_letter_shows_another(bundle: Path) -> None:
    arguments = ("complete", "the", "--model", bundle, "--temperature", "5", "--seed", "3")
    result = spawn(*arguments, env={"PYTHONIOENCODING": "ascii"})
    assert (result.status, result.err) == (0, "")
    assert "?" in result.out
