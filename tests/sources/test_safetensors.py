"""Safetensors: every sound file gives its weights, every other one a SourceError of one line."""

from __future__ import annotations

import json
import os
import pickle
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from safetensors.numpy import save, save_file

from foreword.errors import SourceError, UnsupportedModelError
from foreword.sources.safetensors import SafetensorsCheckpoint
from tiny_hf import DTYPES, write_checkpoint, write_json

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, whose weights are written over and over."""
    return tmp_path_factory.mktemp("scratch")


def opened(folder: Path, data: bytes | None = None) -> SafetensorsCheckpoint:
    if data is not None:
        (folder / "model.safetensors").write_bytes(data)
    return SafetensorsCheckpoint(folder, {})


def refusal(folder: Path, data: bytes | None = None, kind: type[SourceError] = SourceError) -> str:
    with pytest.raises(SourceError) as caught:
        opened(folder, data)
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    return str(caught.value)


def file_of(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def row(
    shape: list[object], begin: object, end: object, dtype: object = "F32"
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


# Sound files

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
tensors = st.dictionaries(
    names.filter(lambda name: name != "__metadata__"),
    st.tuples(
        st.lists(st.integers(1, 7), max_size=4), st.sampled_from(sorted(DTYPES)), st.integers(0, 99)
    ),
    min_size=1,
    max_size=6,
)


@given(tensors=tensors, metadata=st.none() | st.dictionaries(names, names, max_size=2))
def test_every_tensor_reads_as_the_reference_library_wrote_it(
    scratch: Path,
    tensors: dict[str, tuple[list[int], str, int]],
    metadata: dict[str, str] | None,
) -> None:
    stored = {
        name: np.random.default_rng(seed).normal(size=shape).astype(DTYPES[dtype]).reshape(shape)
        for name, (shape, dtype, seed) in tensors.items()
    }
    checkpoint = opened(scratch, save(stored, metadata))
    assert checkpoint.shapes == {name: array.shape for name, array in stored.items()}
    for name, array in stored.items():
        values = checkpoint.load(name)
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        assert_array_equal(values, array.astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_16_bit_pattern_reads_as_its_type_means_it(tmp_path: Path, dtype: str) -> None:
    kind = np.dtype(DTYPES[dtype])
    patterns = np.arange(1 << 16, dtype=np.uint16)
    array = patterns.view(kind) if kind.itemsize == 2 else patterns.astype(kind)
    array = array[np.isfinite(array.astype(np.float32))]
    checkpoint = opened(tmp_path, save({"w": array}))
    assert_array_equal(checkpoint.load("w"), array.astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_read_in_many_chunks_is_whole(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foreword.sources.safetensors._CHUNK_BYTES", 1000)
    array = np.random.default_rng(0).normal(size=(7, 11, 31)).astype(DTYPES[dtype])
    assert_array_equal(opened(tmp_path, save({"w": array})).load("w"), array.astype(np.float32))


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_shards_read_as_one_checkpoint(tmp_path: Path, shards: int) -> None:
    arrays = {f"w{i}": np.full((i + 1, 3), i, np.float32) for i in range(5)}
    config = {"model_type": "any"}
    checkpoint = SafetensorsCheckpoint(
        write_checkpoint(tmp_path, config, arrays, shards=shards), config
    )
    assert checkpoint.metadata == config
    assert checkpoint.shapes == {name: array.shape for name, array in arrays.items()}
    for name, array in arrays.items():
        assert_array_equal(checkpoint.load(name), array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_loading_takes_the_result_and_a_few_megabytes(tmp_path: Path, dtype: str) -> None:
    array = np.zeros((1, 8 << 20), DTYPES[dtype])
    save_file({"w": array}, tmp_path / "model.safetensors")
    del array
    checkpoint = opened(tmp_path)
    tracemalloc.start()
    try:
        values = checkpoint.load("w")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert values.nbytes <= peak < values.nbytes + (4 << 20)


def test_tensors_of_whole_numbers_are_listed_and_no_weights(tmp_path: Path) -> None:
    # Checkpoints of GPT-NeoX carry their causal masks as such.
    stored = {"mask": np.ones((3, 3), bool), "ids": np.arange(4), "w": np.ones(2, np.float32)}
    checkpoint = opened(tmp_path, save(stored))
    assert checkpoint.shapes == {"mask": (3, 3), "ids": (4,), "w": (2,)}
    for name, kind in (("mask", "BOOL"), ("ids", "I64")):
        with pytest.raises(UnsupportedModelError, match=f"'{name}' is stored as '{kind}'"):
            checkpoint.load(name)
    assert_array_equal(checkpoint.load("w"), [1, 1])


# Damaged files


@pytest.fixture(scope="module")
def sound() -> tuple[dict[str, np.ndarray], bytes]:
    random = np.random.default_rng(3)
    arrays = {
        "model.a": random.normal(size=(4, 6)).astype(np.float32),
        "model.b": random.normal(size=(5,)).astype(np.float16),
        "model.c": random.normal(size=(2, 3)).astype(DTYPES["BF16"]),
    }
    return arrays, save(arrays, {"format": "pt"})


def attempt(folder: Path, data: bytes, arrays: dict[str, np.ndarray]) -> None:
    """Anything but a SourceError of one line, or the values stored, fails the test."""
    message = ""
    try:
        checkpoint = opened(folder, data)
        for name in arrays.keys() & checkpoint.shapes.keys():
            assert_array_equal(checkpoint.load(name), arrays[name].astype(np.float32))
    except SourceError as error:
        message = str(error)
    assert message.isprintable()


def header_bytes(data: bytes) -> int:
    return 8 + int(struct.unpack("<Q", data[:8])[0])


def test_a_file_cut_anywhere_is_refused(
    scratch: Path, sound: tuple[dict[str, np.ndarray], bytes]
) -> None:
    data = sound[1]
    for cut in range(len(data)):
        refusal(scratch, data[:cut])
    assert f"found {len(data) + 1}" in refusal(scratch, data + b"x")


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=3)
)
def test_damage_in_the_header_never_gives_other_values(
    scratch: Path,
    sound: tuple[dict[str, np.ndarray], bytes],
    flips: list[tuple[float, int]],
) -> None:
    arrays, data = sound
    damaged = bytearray(data)
    for place, flip in flips:
        damaged[int(place * header_bytes(data))] ^= flip
    attempt(scratch, bytes(damaged), arrays)


@pytest.mark.parametrize("flip", [1, 2, 16, 32, 128])
def test_a_flipped_bit_anywhere_in_the_header_never_gives_other_values(
    scratch: Path, sound: tuple[dict[str, np.ndarray], bytes], flip: int
) -> None:
    arrays, data = sound
    for at in range(header_bytes(data)):
        attempt(scratch, data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :], arrays)


@given(tail=st.binary(max_size=200), length=st.integers(0, 2**64 - 1) | st.integers(0, 200))
def test_random_bytes_never_give_a_traceback(scratch: Path, tail: bytes, length: int) -> None:
    attempt(scratch, struct.pack("<Q", length) + tail, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
numbers = st.integers(-1, 20) | st.sampled_from([2**31, 2**62, 2**63, 2**64, 10**30]) | json_values


@given(
    rows=st.dictionaries(
        st.text(max_size=4),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F16", "I8", "F4", "Q"]) | json_values,
                "shape": st.lists(numbers, max_size=3) | json_values,
                "data_offsets": st.lists(numbers, max_size=3) | json_values,
            }
        )
        | json_values,
        max_size=4,
    )
)
def test_no_header_gives_a_traceback(scratch: Path, rows: dict[str, object]) -> None:
    attempt(scratch, file_of(rows, bytes(16)), {})


def hostile() -> Iterator[tuple[str, bytes, str]]:
    yield "empty", b"", "not a safetensors file"
    yield "text", b"Once upon a time there was a text.", "not a safetensors file"
    yield "zip", b"PK\x03\x04" + bytes(100), "not a safetensors file"
    yield "lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "`git lfs pull`"
    yield "length", struct.pack("<Q", 2**64 - 1) + b"{}", "not a safetensors file"
    yield "long header", file_of(b" " * (17 << 20)), "announces 17825792 bytes, expected at most"
    yield "not JSON", file_of(b'{"w":}'), "header: expected a JSON object, found Expecting value"
    yield "not UTF-8", file_of(b'{"\xff":1}'), "'utf-8' codec can't decode"
    yield "list", file_of([1]), "found a list"
    yield "constant", file_of(b'{"w":NaN}'), "found NaN, which is not JSON"
    yield "twice", file_of(b'{"w":1,"w":1}'), "a key given twice"
    yield "deep", file_of(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nesting too deep"
    yield "digits", file_of(b'{"w":' + b"9" * 9999 + b"}"), "found Exceeds the limit"
    yield "no row", file_of({"w": 7}), "'w': expected a type, a shape and two offsets, found 7"
    yield "negative", file_of({"w": row([2], -8, 0)}, bytes(8)), "two offsets"
    yield "truth", file_of({"w": row([True], 0, 4)}, bytes(4)), "two offsets"
    yield "fraction", file_of({"w": row([1.0], 0, 4)}, bytes(4)), "two offsets"
    yield "nothing", file_of({"w": row([0, 4], 0, 0)}), "none of them 0"
    yield "dimensions", file_of({"w": row([1] * 9, 0, 4)}, bytes(4)), "at most 8 dimensions"
    shared = {"a": row([4], 0, 16), "b": row([4], 8, 24)}
    yield "overlap", file_of(shared, bytes(24)), "'b' lies at 8 to 24, expected 16 bytes from 16"
    same = {"a": row([4], 0, 16), "b": row([4], 0, 16)}
    yield "same place", file_of(same, bytes(16)), "'b' lies at 0 to 16, expected 16 bytes from 16"
    hole = {"a": row([1], 0, 4), "b": row([1], 8, 12)}
    yield "hole", file_of(hole, bytes(12)), "'b' lies at 8 to 12, expected 4 bytes from 4 on"
    yield "backwards", file_of({"w": row([2], 8, 0)}, bytes(8)), "'w' lies at 8 to 0"
    yield "size", file_of({"w": row([3], 0, 8)}, bytes(8)), "expected 12 bytes from 0 on"
    huge = {"w": row([1 << 40, 1 << 40], 0, 8)}
    yield "huge", file_of(huge, bytes(8)), "expected 4835703278458516698824704 bytes"
    yield "outside", file_of({"w": row([3], 0, 12)}, bytes(8)), "the file was cut short"
    yield "left over", file_of({"w": row([2], 0, 8)}, bytes(9)), "from its header, found"
    yield "escape", file_of({"\x1b[31m\ud800": row([3], 0, 8)}, bytes(8)), r"'\\x1b\[31m\\ud800'"


@pytest.mark.parametrize(("data", "found"), [pytest.param(d, f, id=n) for n, d, f in hostile()])
def test_a_file_that_cannot_be_true_is_refused(tmp_path: Path, data: bytes, found: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(SourceError, match=found):
        opened(tmp_path)
    assert refusal(tmp_path).startswith("model.safetensors: ")


def test_a_header_beyond_its_ceiling_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 1 << 40))
        file.truncate(1 << 41)
    assert "announces 1099511627776 bytes" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("kind", "bits"), [("F8_E4M3", 8), ("F8_E5M2", 8), ("F8_E8M0", 8), ("F6_E2M3", 6), ("F4", 4)]
)
def test_quantized_tensors_are_refused_when_the_file_is_opened(
    tmp_path: Path, kind: str, bits: int
) -> None:
    data = file_of({"w": row([8], 0, bits, kind)}, bytes(bits))
    message = refusal(tmp_path, data, UnsupportedModelError)
    assert f"'w' is stored as '{kind}', expected one of F32, F16, BF16, F64" in message
    assert "take the unquantized one" in message


def test_an_unknown_type_is_refused_by_name(tmp_path: Path) -> None:
    data = file_of({"w": row([2], 0, 8, "QQ")}, bytes(8))
    assert "stored as 'QQ'" in refusal(tmp_path, data, UnsupportedModelError)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_that_are_not_finite_are_refused_by_name(
    tmp_path: Path, dtype: str, value: float
) -> None:
    array = np.ones((4, 32), DTYPES[dtype])
    array[3, 17] = value
    checkpoint = opened(tmp_path, save({"h.0.w": array, "sound": np.ones(2, np.float32)}))
    with pytest.raises(SourceError, match=r"'h\.0\.w' holds values that are not finite"):
        checkpoint.load("h.0.w")
    assert_array_equal(checkpoint.load("sound"), [1, 1])


def test_a_number_too_large_for_float32_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, save({"w": np.array([1e39])}))
    with pytest.raises(SourceError, match="'w' holds values that are not finite"):
        checkpoint.load("w")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, save({"w": np.ones(2, np.float32)}))
    with pytest.raises(SourceError, match=r"'model\.norm\.weight' is missing"):
        checkpoint.load("model.norm.weight")


@pytest.mark.parametrize("change", ["cut", "longer", "replaced", "removed", "directory"])
def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path: Path, change: str) -> None:
    data = save({"w": np.ones((64, 64), np.float32)})
    checkpoint = opened(tmp_path, data)
    file = tmp_path / "model.safetensors"
    file.unlink()
    if change == "directory":
        file.mkdir()
    elif change != "removed":
        file.write_bytes({"cut": data[:-1], "longer": data + b"x", "replaced": bytes(9)}[change])
    with pytest.raises(SourceError, match=r"^'?model\.safetensors"):
        checkpoint.load("w")


def test_a_file_written_over_with_one_of_its_size_is_refused(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, save({"w": np.ones(64, np.float32)}))
    file = tmp_path / "model.safetensors"
    dated = file.stat().st_mtime_ns
    file.write_bytes(save({"w": np.zeros(64, np.float32)}))
    os.utime(file, ns=(dated, dated + 1_000_000_000))
    with pytest.raises(SourceError, match="changed while it was being read"):
        checkpoint.load("w")


def test_a_file_cut_while_a_tensor_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = opened(tmp_path, save({"w": np.ones(4 << 20, np.float32)}))
    isfinite = np.isfinite

    def cut(values: np.ndarray) -> np.ndarray:
        os.truncate(tmp_path / "model.safetensors", 5 << 20)
        return isfinite(values)

    monkeypatch.setattr(np, "isfinite", cut)
    with pytest.raises(SourceError, match="changed while it was being read"):
        checkpoint.load("w")


def test_what_is_no_file_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    assert "found a directory or a special file" in refusal(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    assert "found a directory or a special file" in refusal(tmp_path)


# Shards


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    arrays = {f"w{i}": np.full(3, i, np.float32) for i in range(4)}
    return write_checkpoint(tmp_path / "sharded", {}, arrays, shards=2)


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    message = refusal(sharded)
    assert message.startswith("'model-00002-of-00002.safetensors' is missing")
    assert message.endswith("get that file again")


def test_a_damaged_shard_is_named(sharded: Path) -> None:
    os.truncate(sharded / "model-00002-of-00002.safetensors", 170)
    assert refusal(sharded).startswith("model-00002-of-00002.safetensors: ")


def test_a_tensor_that_only_the_index_has_is_named(sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    first = index["weight_map"]["w0"]
    write_json(sharded / INDEX, {"weight_map": index["weight_map"] | {"lm_head": first}})
    assert f"expected tensor 'lm_head' in {first!r}" in refusal(sharded)
    write_json(sharded / INDEX, {"weight_map": index["weight_map"] | {"w1": first}})
    assert f"expected tensor 'w1' in {first!r}" in refusal(sharded)


def test_a_tensor_in_two_shards_is_named(sharded: Path) -> None:
    save_file({"w0": np.ones(1), "w1": np.ones(1)}, sharded / "model-00002-of-00002.safetensors")
    assert "tensor 'w0' is in another shard too" in refusal(sharded)


@pytest.mark.parametrize(
    "name",
    [
        *("../model.safetensors", "/etc/passwd", "a/b.safetensors", "a\\b.safetensors", ".."),
        *("c:b.safetensors", "a\0.safetensors", "a\n.safetensors", "model.bin", ""),
        *("x" * 300 + ".safetensors", 7, None, ["a.safetensors"]),
    ],
)
def test_an_index_can_name_nothing_but_safetensors_in_its_own_folder(
    tmp_path: Path, name: object
) -> None:
    save_file({"w": np.ones(2)}, tmp_path / "model.safetensors")
    folder = tmp_path / "folder"
    folder.mkdir()
    write_json(folder / INDEX, {"weight_map": {"w": name}})
    assert "expected names of safetensors files in the same folder" in refusal(folder)


@pytest.mark.parametrize(
    "index", [b"", b"[]", b"{}", b'{"weight_map":{}}', b'{"weight_map":[]}', b"\xff", b'{"a":NaN}']
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: bytes) -> None:
    (tmp_path / INDEX).write_bytes(index)
    assert refusal(tmp_path).startswith(f"{INDEX}: expected ")


# No safetensors


class Bomb:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "pytorch_model.bin",
            "pytorch_model-00001-of-00002.bin",
            "model.pt",
            "consolidated.00.pth",
        ),
        *("model.ckpt", "weights.pkl", "WEIGHTS.PICKLE"),
    ],
)
def test_a_pickle_is_refused_and_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    message = refusal(tmp_path, kind=UnsupportedModelError)
    assert message.startswith(f"'{name}' is a pickle, which can run code")
    assert "safe_serialization=True" in message
    # Under the right name it is opened, and is still nothing but bytes.
    (tmp_path / name).rename(tmp_path / "model.safetensors")
    assert "not a safetensors file" in refusal(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_safetensors_beside_a_pickle_are_taken(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert opened(tmp_path, save({"w": np.ones(2)})).shapes == {"w": (2,)}


def test_an_adapter_is_told_to_be_merged(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {})
    save_file({"w": np.ones(2)}, tmp_path / "adapter_model.safetensors")
    assert "found an adapter; merge it" in refusal(tmp_path, kind=UnsupportedModelError)


def test_a_folder_without_weights_is_told_what_was_expected(tmp_path: Path) -> None:
    assert f"expected weights in model.safetensors, or in shards listed in {INDEX}" in refusal(
        tmp_path
    )
