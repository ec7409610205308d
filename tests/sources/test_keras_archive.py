"""Preset directories and `.keras` files without Keras: the same model, or a refusal in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreword.errors import OutputError, SourceError, UnsupportedModelError
from foreword.graph.spec import weight_shapes
from foreword.sources.keras_archive import open_keras, open_preset, shard_names
from foreword.sources.keras_weights import KerasWeights
from foreword.sources.model import SourceModel
from tiny_keras import (
    ROWS,
    backbone_config,
    edit_json,
    serialized,
    weights,
    write_h5,
    write_json,
    write_keras,
    write_preset,
)

H5 = "model.weights.h5"


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    return write_preset(tmp_path / "tiny.1")


def assert_same(first: SourceModel, second: SourceModel) -> None:
    assert first.decoder.spec == second.decoder.spec
    assert first.tokenizer == second.tokenizer
    for name in weight_shapes(first.decoder.spec):
        assert np.array_equal(first.decoder.load(name), second.decoder.load(name)), name


def refusal(open_: Callable[[], object], kind: type[Exception] = SourceError) -> str:
    with pytest.raises(kind) as caught:
        open_()
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 700
    return message


def test_a_preset_is_opened_with_all_it_says(preset: Path) -> None:
    model = open_preset(preset)
    assert (model.name, model.family, model.license, model.sha256) == (
        *("tiny.1", "gpt2", "unknown"),
        None,
    )
    assert (model.tokenizer.start, model.tokenizer.end) == (259, (259,))
    assert model.tokenizer.prepend_start
    embedding = model.decoder.load("embedding")
    assert np.array_equal(embedding, weights()["reversible_embedding/vars/0"])
    assert embedding.dtype == np.float32


def test_nothing_of_keras_is_imported(preset: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from foreword.sources.keras_archive import "
        f"open_preset; open_preset(Path({str(preset)!r})); "
        "print({'keras', 'keras_hub', 'tensorflow'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_keras_file_is_the_same_model_as_its_preset(
    preset: Path, tmp_path: Path, compression: int
) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path, compression)
    (tmp_path / "staging").mkdir()
    model = open_keras(path, tmp_path / "staging")
    assert model.name == "m"
    assert_same(model, open_preset(preset))


def test_shards_and_the_names_of_old_keras_are_the_same_model(preset: Path, tmp_path: Path) -> None:
    whole = open_preset(preset)
    sharded = Path(shutil.copytree(preset, tmp_path / "sharded"))
    (sharded / H5).unlink()
    names = sorted(weights())
    table: dict[str, object] = {}
    for index, part in enumerate((names[::2], names[1::2])):
        file = f"model_{index:05}.weights.h5"
        write_h5(sharded / file, {name: weights()[name] for name in part})
        table |= {f"/layers/{name.rsplit('/', 1)[0]}": [file] for name in part}
    table["/layers/layer_normalization/vars"] = ["model_00000.weights.h5", "model_00001.weights.h5"]
    write_json(sharded / "model.weights.json", {"weight_map": table})
    assert_same(open_preset(sharded), whole)
    (sharded / "model_00001.weights.h5").unlink()
    assert "model_00001.weights.h5: expected a file of weights, found nothing" in refusal(
        lambda: open_preset(sharded)
    )
    old = Path(shutil.copytree(preset, tmp_path / "old"))
    write_h5(old / H5, weights(), "_layer_checkpoint_dependencies/")
    assert_same(open_preset(old), whole)


@pytest.mark.parametrize(
    ("stored", "exact"), [("<f8", True), ("<f2", False), (">f4", True), ("bfloat16", False)]
)
def test_every_floating_point_type_is_read_as_float32(
    tmp_path: Path, stored: str, exact: bool
) -> None:
    values = np.arange(-600, 600, dtype=np.float32).reshape(60, 20) / 7
    with h5py.File(tmp_path / H5, "w") as file:
        if stored == "bfloat16":
            upper = (values.view(np.uint32) >> 16).astype(np.uint16)
            file.create_dataset("layers/a/vars/0", data=upper.view("V2")).attrs["dtype"] = stored
            expected = (upper.astype(np.uint32) << 16).view(np.float32)
        else:
            file["layers/a/vars/0"] = values.astype(stored)
            expected = values.astype(stored).astype(np.float32)
    loaded = KerasWeights([tmp_path / H5], {}).load("a/0")
    assert loaded.dtype == np.float32
    assert loaded.flags.c_contiguous
    assert np.array_equal(loaded, expected)
    assert np.array_equal(loaded, values) == exact


def test_a_tensor_larger_than_a_chunk_and_a_scalar_are_read_whole(tmp_path: Path) -> None:
    large = np.arange(3_000_001, dtype=np.float32).reshape(-1, 1)
    write_h5(tmp_path / H5, {"a/vars/0": large, "a/vars/1": np.float32(7)})
    checkpoint = KerasWeights([tmp_path / H5], {})
    assert np.array_equal(checkpoint.load("a/0"), large)
    assert checkpoint.load("a/1") == 7


def test_inner_layers_keep_their_place(tmp_path: Path) -> None:
    write_h5(tmp_path / H5, {"a/layers/b/vars/0": np.ones(3)})
    assert dict(KerasWeights([tmp_path / H5], {}).shapes) == {"a/layers/b/0": (3,)}


# Bad input


def test_a_value_that_is_not_finite_is_named(preset: Path) -> None:
    tensors = weights()
    tensors["transformer_decoder_1/_feedforward_output_dense/vars/0"][3, 1] = np.nan
    write_h5(preset / H5, tensors)
    model = open_preset(preset)
    message = refusal(lambda: model.decoder.load("layers.1.down.weight"))
    assert "transformer_decoder_1/_feedforward_output_dense/0' holds values that are not" in message


def test_a_file_changed_since_it_was_opened_is_refused(preset: Path) -> None:
    model = open_preset(preset)
    write_h5(preset / H5, weights(seed=1))
    os.utime(preset / H5, (1, 1))
    assert "the file changed while it was being read" in refusal(
        lambda: model.decoder.load("embedding")
    )


def remove(name: str) -> Callable[[Path], object]:
    return lambda preset: (preset / name).unlink()


def edit(name: str, **changes: object) -> Callable[[Path], object]:
    return lambda preset: edit_json(preset / name, **changes)


def write(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda preset: (preset / name).write_bytes(data)


def tensors(**changes: object) -> Callable[[Path], object]:
    """Change tensors, named with dots for slashes; None removes one."""

    def change(preset: Path) -> None:
        found: dict[str, object] = dict(weights())
        found |= {name.replace(".", "/"): values for name, values in changes.items()}
        kept = {name: values for name, values in found.items() if values is not None}
        write_h5(preset / H5, kept)

    return change


def truncated(preset: Path) -> None:
    os.truncate(preset / H5, 9000)


def quantized(preset: Path) -> None:
    policy = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}
    policies = {"class_name": "DTypePolicyMap", "config": {"policy_map": {"embedding": policy}}}
    edit_json(preset / "config.json", dtype=policies)


def of_class(file: str, name: str) -> Callable[[Path], object]:
    def change(preset: Path) -> None:
        document = json.loads((preset / file).read_text())
        write_json(preset / file, document | {"class_name": name})

    return change


BAD: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "no config": (remove("config.json"), SourceError, "expected a config.json"),
    "no tokenizer": (remove("tokenizer.json"), SourceError, "save the CausalLM with its prep"),
    "no weights": (remove(H5), SourceError, f"{H5}: expected a file of weights, found nothing"),
    "no vocabulary": (remove("assets/tokenizer/vocabulary.json"), SourceError, "vocabulary.json"),
    "no merges": (remove("assets/tokenizer/merges.txt"), SourceError, "merges.txt"),
    "config is text": (write("config.json", b"hello"), SourceError, "expected a JSON object"),
    "config is deep": (write("config.json", b"[" * 10**5), SourceError, "nesting too deep"),
    "config is a list": (write("config.json", b"[]"), SourceError, "found a list"),
    "no class": (write("config.json", b'{"config": {}}'), SourceError, "'class_name'"),
    "inner config": (
        write("config.json", b'{"class_name": "GPT2Backbone", "config": 3}'),
        SourceError,
        "'config': expected an object, found 3",
    ),
    "encoder": (of_class("config.json", "BertBackbone"), UnsupportedModelError, "an encoder"),
    "vision": (
        of_class("config.json", "PaliGemmaBackbone"),
        UnsupportedModelError,
        "images and text",
    ),
    "another tokenizer": (
        of_class("tokenizer.json", "BertTokenizer"),
        UnsupportedModelError,
        "'BertTokenizer': Foreword reads BloomTokenizer, ",
    ),
    "quantized": (quantized, UnsupportedModelError, "as it was before quantize()"),
    "integers": (
        tensors(**{"reversible_embedding.vars.0": np.ones((ROWS, 16), np.int8)}),
        UnsupportedModelError,
        "reversible_embedding/0' holds int8",
    ),
    "missing tensor": (
        tensors(**{"position_embedding.vars.0": None}),
        SourceError,
        "position_embedding",
    ),
    "misshapen tensor": (
        tensors(**{"layer_normalization.vars.0": np.ones(15, np.float32)}),
        SourceError,
        "layer_normalization/0",
    ),
    "strange tensor": (
        tensors(**{"surprise.vars.0": np.ones(4, np.float32)}),
        UnsupportedModelError,
        "surprise/0",
    ),
    "fewer rows than tokens": (
        lambda preset: (
            edit_json(preset / "config.json", vocabulary_size=200),
            tensors(**{"reversible_embedding.vars.0": np.ones((200, 16), np.float32)})(preset),
        ),
        SourceError,
        "mismatched vocabulary sizes: the tokenizer has 260 tokens and the embedding 200 rows",
    ),
    "truncated": (truncated, SourceError, f"{H5}: cannot be read as an HDF5 file"),
    "not hdf5": (write(H5, b"x" * 5000), SourceError, f"{H5}: cannot be read as an HDF5 file"),
    "empty weights": (write(H5, b""), SourceError, f"{H5}: cannot be read as an HDF5 file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_preset_is_refused_with_its_path(preset: Path, case: str) -> None:
    harm, kind, said = BAD[case]
    harm(preset)
    message = refusal(lambda: open_preset(preset), kind)
    assert message.startswith(f"{preset}: ")
    assert said in message


def link(root: h5py.File) -> None:
    root["layers/x/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(root: h5py.File) -> None:
    root["layers/x"] = h5py.SoftLink("/layers")


def external_data(root: h5py.File) -> None:
    root.create_dataset("layers/x/vars/0", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual_data(root: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", (4,))
    root.create_virtual_dataset("layers/x/vars/0", layout)


def chunked_data(root: h5py.File) -> None:
    root.create_dataset("layers/x/vars/0", (1 << 40,), "f4", chunks=(1 << 10,))


def absent_data(root: h5py.File) -> None:
    root.create_dataset("layers/x/vars/0", (1 << 40,), "f4")


def objects(root: h5py.File) -> None:
    root.create_dataset("layers/x/vars/0", data=["a", "b"])


def named_type(root: h5py.File) -> None:
    root["layers/x"] = np.dtype("f4")


def circle(root: h5py.File) -> None:
    root["layers/x/y"] = root["layers"]


@pytest.mark.parametrize(
    "harm",
    [
        *(link, soft_link, external_data, virtual_data, chunked_data, absent_data),
        *(objects, named_type, circle),
    ],
    ids=lambda harm: harm.__name__,
)
def test_only_plain_data_inside_the_file_is_read(
    preset: Path, harm: Callable[[h5py.File], None]
) -> None:
    with h5py.File(preset / H5, "a") as root:
        harm(root)
    assert H5 in refusal(lambda: open_preset(preset))


@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("h5") / H5
    content = bytearray(write_h5(path, {"a/vars/0": np.ones(8, np.float32)}).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    path.write_bytes(content)
    try:
        checkpoint = KerasWeights([path], {})
        for name in checkpoint.shapes:
            checkpoint.load(name)
    except SourceError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "table",
    [
        *({}, {"weight_map": {}}, {"weight_map": 3}, {"weight_map": {"a": 3}}),
        *({"weight_map": {"a": "../model_00000.weights.h5"}}, {"weight_map": {"a": [["b"]]}}),
    ],
)
def test_a_table_of_shards_names_files_of_the_directory(table: dict[str, object]) -> None:
    assert "model.weights.json" in refusal(lambda: shard_names(table))


def rewritten(path: Path, change: Callable[[zipfile.ZipFile, str, bytes], None]) -> Path:
    """Write the archive again, each member as `change` writes it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            change(archive, name, content)
    return path


def task(archive: zipfile.ZipFile, name: str, document: object) -> None:
    archive.writestr(name, json.dumps(document))


def without_preprocessor(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    parts = {"backbone": backbone_config(), "preprocessor": None}
    task(archive, name, serialized("GPT2CausalLM", parts))


def a_backbone(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    task(archive, name, backbone_config())


def without_tokenizer(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    parts = {"backbone": backbone_config(), "preprocessor": serialized("P", {})}
    task(archive, name, serialized("GPT2CausalLM", parts))


@pytest.mark.parametrize(
    ("replace", "said"),
    [
        (without_preprocessor, "set causal_lm.preprocessor and save it again"),
        (a_backbone, "expected a KerasHub CausalLM, found 'GPT2Backbone'"),
        (without_tokenizer, "expected a tokenizer in the preprocessor"),
    ],
)
def test_a_keras_file_of_something_else_is_refused(
    tmp_path: Path, replace: Callable[[zipfile.ZipFile, str, bytes], None], said: str
) -> None:
    def change(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        if name == "config.json":
            replace(archive, name, content)
        else:
            archive.writestr(name, content)

    path = rewritten(write_keras(tmp_path / "m.keras", tmp_path), change)
    (tmp_path / "s").mkdir()
    message = refusal(lambda: open_keras(path, tmp_path / "s"))
    assert message.startswith(f"{path}: ")
    assert said in message


@pytest.mark.parametrize("member", ["config.json", H5, "assets/preprocessor/tokenizer/merges.txt"])
def test_a_keras_file_without_a_part_is_refused(tmp_path: Path, member: str) -> None:
    def change(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        if name != member:
            archive.writestr(name, content)

    path = rewritten(write_keras(tmp_path / "m.keras", tmp_path), change)
    (tmp_path / "s").mkdir()
    assert Path(member).name in refusal(lambda: open_keras(path, tmp_path / "s"))


def test_a_part_given_twice_or_too_large_is_refused(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/elsewhere/merges.txt", "")
    (tmp_path / "s").mkdir()
    assert "merges.txt is in the file twice" in refusal(lambda: open_keras(path, tmp_path / "s"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", " " * (17 << 20))
    assert "config.json: expected at most" in refusal(lambda: open_keras(path, tmp_path / "s"))


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_keras_file_is_refused(tmp_path: Path, part: float) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path)
    os.truncate(path, int(path.stat().st_size * part))
    (tmp_path / "s").mkdir()
    assert "a zip archive" in refusal(lambda: open_keras(path, tmp_path / "s"))


def test_damage_inside_a_keras_file_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(weights()["reversible_embedding/vars/0"].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    (tmp_path / "s").mkdir()
    assert "Bad CRC-32" in refusal(lambda: open_keras(path, tmp_path / "s"))


def test_a_full_disk_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "m.keras", tmp_path)
    message = refusal(lambda: open_keras(path, tmp_path / "nowhere"), OutputError)
    assert "cannot be written" in message


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.keras")
    assert "found a directory or a device" in refusal(
        lambda: open_keras(tmp_path / "pipe.keras", tmp_path)
    )
    assert "nothing of that name" in refusal(lambda: open_keras(tmp_path / "no.keras", tmp_path))
