"""Opening GGUF files: every sound one gives its weights, every other one a SourceError."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFEndian, GGUFReader, GGUFWriter
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from foreword.errors import ForewordError, SourceError, UnsupportedModelError
from foreword.graph.spec import weight_shapes
from foreword.sources.gguf import GgufCheckpoint, open_gguf
from foreword.sources.model import SourceModel
from ggml_blocks import BLOCKS
from tiny_gguf import TinyGguf, write_gguf, write_tiny_gguf

QUANTS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyGguf:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", quant="Q4_0")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file, written over and over."""
    return tmp_path_factory.mktemp("scratch") / "damaged.gguf"


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Opens a tiny model with changed metadata and gives the message of its refusal."""

    def refused(
        changes: dict[str, object], error: type[SourceError] = SourceError, **options: str
    ) -> str:
        def mutate(metadata: dict[str, object], tensors: object) -> None:
            metadata.update(changes)
            for key in [key for key, value in metadata.items() if value is None]:
                del metadata[key]

        path = write_tiny_gguf(tmp_path / "changed.gguf", mutate=mutate, **options).path
        with pytest.raises(error) as caught:
            open_gguf(path)
        assert type(caught.value) is error
        return one_line(caught.value, path)

    return refused


def one_line(error: ForewordError, path: Path) -> str:
    message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


def load_all(model: SourceModel) -> None:
    for name in weight_shapes(model.decoder.spec):
        model.decoder.load(name)


def header_end(path: Path) -> int:
    return int(GGUFReader(path).data_offset)


# Sound files


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_complete_file_gives_every_weight_of_its_spec(
    tmp_path: Path, architecture: str, tied: bool
) -> None:
    tiny = write_tiny_gguf(tmp_path / "My model.Q8.gguf", architecture, tied, "Q8_0")
    model = open_gguf(tiny.path)
    assert (model.family, model.name, model.license) == (architecture, "My model.Q8", "cc0-1.0")
    assert model.sha256 is None
    assert model.decoder.spec.output.tied is tied
    for name, shape in weight_shapes(model.decoder.spec).items():
        weight = model.decoder.load(name)
        assert (weight.shape, weight.dtype) == (shape, np.float32)
        assert weight.flags.c_contiguous
    assert_array_equal(model.decoder.load("embedding"), tiny.arrays["token_embd.weight"])


@pytest.mark.parametrize("quant", QUANTS)
def test_every_tensor_reads_back_as_it_was_stored(tmp_path: Path, quant: str) -> None:
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf", quant=quant)
    checkpoint = GgufCheckpoint(tiny.path)
    assert checkpoint.shapes == {name: array.shape for name, array in tiny.arrays.items()}
    for name, array in tiny.arrays.items():
        loaded = checkpoint.load(name)
        assert loaded.dtype == np.float32
        assert_array_equal(loaded, array)


@pytest.mark.parametrize(("kind", "block", "block_bytes", "scales", "reference"), BLOCKS)
def test_every_quantized_type_reads_as_its_definition_says(
    tmp_path: Path,
    kind: str,
    block: int,
    block_bytes: int,
    scales: tuple[int, ...],
    reference: Callable[[bytes], list[float]],
) -> None:
    random = np.random.default_rng(7)
    raw = random.integers(0, 256, (6, 2, block_bytes), dtype=np.uint8)
    for offset in scales:
        halves = random.normal(0, 0.1, (6, 2, 1)).astype("<f2")
        raw[..., offset : offset + 2] = halves.view(np.uint8)
    writer = GGUFWriter(tmp_path / "blocks.gguf", "llama")
    writer.add_tensor("w", raw.reshape(6, -1), raw_dtype=GGMLQuantizationType[kind])
    finish(writer)
    loaded = GgufCheckpoint(tmp_path / "blocks.gguf").load("w")
    expected = [[x for part in row for x in reference(part.tobytes())] for row in raw]
    assert loaded.shape == (6, 2 * block)
    assert_allclose(loaded, np.array(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("quant", ["F32", "Q8_0"])
def test_a_tensor_read_in_many_chunks_is_whole(
    tmp_path: Path, quant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foreword.sources.gguf._CHUNK_BYTES", 1000)
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf", quant=quant)
    for name, array in tiny.arrays.items():
        assert_array_equal(GgufCheckpoint(tiny.path).load(name), array)


def test_metadata_has_the_values_that_were_written(tiny: TinyGguf) -> None:
    metadata = GgufCheckpoint(tiny.path).metadata
    assert metadata.keys() == tiny.metadata.keys()
    for key, value in tiny.metadata.items():
        found = metadata[key]
        assert type(found) is type(value)
        assert found == (pytest.approx(value) if isinstance(value, float) else value)


def test_every_kind_of_metadata_value_is_read(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "kinds.gguf", "llama")
    for kind, value in [
        *(("uint8", 255), ("int8", -128), ("uint16", 65535), ("int16", -32768)),
        *(("uint32", 2**32 - 1), ("int32", -(2**31)), ("uint64", 2**64 - 1), ("int64", -(2**63))),
        *(("float32", 0.5), ("float64", 0.1), ("bool", True), ("string", "Ünïcödé")),
    ]:
        getattr(writer, f"add_{kind}")(kind, value)
    writer.add_array("truths", [True, False])
    writer.add_array("texts", ["a", "ß"])
    writer.add_array("bytes", b"\x00\xff")
    finish(writer)
    metadata = dict(GgufCheckpoint(tmp_path / "kinds.gguf").metadata)
    assert metadata.pop("float64") == 0.1
    assert metadata == {
        "general.architecture": "llama",
        **{"uint8": 255, "int8": -128, "uint16": 65535, "int16": -32768},
        **{"uint32": 2**32 - 1, "int32": -(2**31), "uint64": 2**64 - 1, "int64": -(2**63)},
        **{"float32": 0.5, "bool": True, "string": "Ünïcödé"},
        **{"truths": [True, False], "texts": ["a", "ß"], "bytes": [0, 255]},
    }


@pytest.mark.parametrize("alignment", [8, 32, 4096])
def test_any_alignment_of_the_data_is_followed(tmp_path: Path, alignment: int) -> None:
    random = np.random.default_rng(0)
    arrays = {f"w{i}": random.normal(size=(3, 5)).astype(np.float32) for i in range(3)}
    writer = GGUFWriter(tmp_path / "aligned.gguf", "llama")
    writer.add_custom_alignment(alignment)
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    finish(writer)
    checkpoint = GgufCheckpoint(tmp_path / "aligned.gguf")
    for name, array in arrays.items():
        assert_array_equal(checkpoint.load(name), array)


def test_opening_prints_nothing(tiny: TinyGguf, capfd: pytest.CaptureFixture[str]) -> None:
    load_all(open_gguf(tiny.path))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("found", "licence"),
    [
        (None, "unknown"),
        ("", "unknown"),
        (7, "unknown"),
        ("mit\nor\tnot", "mit or not"),
        ("\x1b[31mred", "unknown"),
        ("x" * 200, "x" * 100),
    ],
)
def test_the_licence_is_one_short_printable_line(
    tmp_path: Path, found: object, licence: str
) -> None:
    def mutate(metadata: dict[str, object], tensors: object) -> None:
        del metadata["general.license"]
        if found is not None:
            metadata["general.license"] = found

    tiny = write_tiny_gguf(tmp_path / "tiny.gguf", mutate=mutate)
    assert open_gguf(tiny.path).license == licence


# Files that are not GGUF at all


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "not a GGUF file"),
        (b"GG", "not a GGUF file"),
        (b"Once upon a time there was a text file.", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
        (b"GGUF", "header does not end"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(100), "version 1;"),
        (b"GGUF" + struct.pack("<I", 4) + bytes(100), "version 4;"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(100), "big-endian"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=found) as caught:
        open_gguf(path)
    one_line(caught.value, path)


def test_a_file_that_is_not_there_or_not_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    cases = {"missing": "nothing of that name", "": "a directory", "pipe": "special file"}
    for name, found in (cases | {"loop": ".", "x" * 300: "."}).items():
        path = tmp_path / name
        with pytest.raises(SourceError, match=found) as caught:
            open_gguf(path)
        one_line(caught.value, path)


def test_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "big.gguf", "llama", endianess=GGUFEndian.BIG)
    writer.add_tensor("w", np.zeros((2, 32), np.float32))
    finish(writer)
    with pytest.raises(UnsupportedModelError, match="big-endian"):
        open_gguf(tmp_path / "big.gguf")


# Damaged files


def test_a_file_cut_anywhere_is_refused(tiny: TinyGguf, scratch: Path) -> None:
    data = tiny.path.read_bytes()
    end = header_end(tiny.path)
    cuts = {*range(0, 700), *range(700, end, 37), *range(end - 200, end + 40)}
    cuts |= {*range(end, len(data), 4099), len(data) - 1}
    for cut in sorted(cuts):
        scratch.write_bytes(data[:cut])
        with pytest.raises(SourceError):
            open_gguf(scratch)


def attempt(path: Path, data: bytes) -> None:
    """Open and load; anything but success or a ForewordError of one line fails the test."""
    path.write_bytes(data)
    message = ""
    try:
        load_all(open_gguf(path))
    except ForewordError as error:
        message = str(error)
    assert message.isprintable()


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_anywhere_never_gives_a_traceback(
    tiny: TinyGguf, scratch: Path, place: float, flip: int
) -> None:
    data = bytearray(tiny.path.read_bytes())
    data[int(place * len(data))] ^= flip
    attempt(scratch, data)


def test_a_flipped_byte_in_the_header_never_gives_a_traceback(
    tiny: TinyGguf, scratch: Path
) -> None:
    data = tiny.path.read_bytes()
    random = np.random.default_rng(0)
    # The first 900 bytes and the last are metadata and tensors, between them is vocabulary.
    end = header_end(tiny.path)
    for at in {*range(4, 900), *range(900, end - 1200, 23), *range(end - 1200, end)}:
        damaged = bytearray(data)
        damaged[at] ^= int(random.integers(1, 256))
        attempt(scratch, damaged)


@pytest.mark.parametrize("value", [0, 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1])
def test_no_number_in_the_header_makes_it_allocate_or_loop_for_ever(
    tiny: TinyGguf, scratch: Path, value: int
) -> None:
    data = tiny.path.read_bytes()
    end = header_end(tiny.path)
    for at in {*range(8, 300), *range(300, end, 61), *range(end - 400, end - 8)}:
        attempt(scratch, data[:at] + struct.pack("<Q", value) + data[at + 8 :])


@given(tail=st.binary(max_size=300), version=st.sampled_from([2, 3]))
def test_random_bytes_behind_the_magic_never_give_a_traceback(
    scratch: Path, tail: bytes, version: int
) -> None:
    attempt(scratch, b"GGUF" + struct.pack("<I", version) + tail)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: bytes, dims: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return text(name) + shape + struct.pack("<IQ", kind, offset)


def file_of(entries: list[bytes], tensors: list[bytes], data: int = 4096) -> bytes:
    counts = struct.pack("<IQQ", 3, len(tensors), len(entries))
    return b"GGUF" + counts + b"".join(entries + tensors) + bytes(data)


def hostile() -> Iterator[tuple[str, bytes, str]]:
    one = struct.pack("<I", 1)
    yield "duplicate key", file_of([entry(b"k", 4, one)] * 2, []), "'k' is there twice"
    yield "duplicate tensor", file_of([], [tensor(b"w", (8,))] * 2), "'w' is there twice"
    shared = [tensor(b"a", (16,)), tensor(b"b", (16,), offset=32)]
    yield "shared bytes", file_of([], shared), "'b' begins at 32, expected a multiple of 32 from 64"
    yield "askew", file_of([], [tensor(b"w", (8,), offset=4)]), "begins at 4, expected a multiple"
    yield "outside", file_of([], [tensor(b"w", (8,), offset=1 << 40)]), "'w' ends at byte"
    yield "huge", file_of([], [tensor(b"w", (1 << 40, 1 << 40))]), "'w' ends at byte"
    wraps = [tensor(b"w", (1 << 32, 1 << 32, 1 << 32))]
    yield "product wraps round", file_of([], wraps), "'w' ends at byte"
    yield "empty tensor", file_of([], [tensor(b"w", (0, 8))]), r"shape \[8, 0\]"
    yield "no dimensions", file_of([], [tensor(b"w", ())]), "has 0 dimensions"
    yield "five dimensions", file_of([], [tensor(b"w", (1,) * 5)]), "has 5 dimensions"
    yield "part of a block", file_of([], [tensor(b"w", (33,), kind=8)]), "multiple of 32"
    yield "unknown type", file_of([], [tensor(b"w", (32,), kind=99)]), "type number 99, .* Q6_K"
    yield "unsupported type", file_of([], [tensor(b"w", (256,), kind=10)]), "Q2_K, .* F32"
    yield "name not UTF-8", file_of([], [tensor(b"\xff", (8,))]), "not UTF-8"
    yield "value not UTF-8", file_of([entry(b"k", 8, text(b"\xc3"))], []), "not UTF-8"
    yield "unknown kind", file_of([entry(b"k", 13, one)], []), "type 13"
    yield "list of lists", file_of([entry(b"k", 9, struct.pack("<IQ", 9, 1))], []), "type 9"
    yield "truth value", file_of([entry(b"k", 7, b"\x02")], []), "neither 0 nor 1"
    for length in (1 << 20, 1 << 62, (1 << 64) - 1):
        for kind in (0, 7, 8, 12):
            value = struct.pack("<IQ", kind, length)
            name = f"list of {length} of kind {kind}"
            yield name, file_of([entry(b"k", 9, value)], []), "header does not end"
    for alignment in (0, 3, 1 << 31):
        value = entry(b"general.alignment", 4, struct.pack("<I", alignment))
        yield f"alignment {alignment}", file_of([value], []), f"found {alignment};"
    many = struct.pack("<IQQ", 3, 1 << 40, 0) + bytes(100)
    yield "many tensors", b"GGUF" + many, "announces 1099511627776 tensors"
    many = struct.pack("<IQQ", 3, 0, 1 << 40) + bytes(100)
    yield "many entries", b"GGUF" + many, "announces 1099511627776 metadata entries"


@pytest.mark.parametrize(("data", "found"), [pytest.param(d, f, id=n) for n, d, f in hostile()])
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, data: bytes, found: str) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=found) as caught:
        open_gguf(path)
    one_line(caught.value, path)


def test_a_header_beyond_its_ceiling_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry(b"k", 8, b""))
    with path.open("ab") as file:
        file.write(struct.pack("<Q", 1 << 40))
        file.truncate(1 << 41)
    with pytest.raises(SourceError, match="header does not end"):
        open_gguf(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("quant", ["F32", "F16", "BF16"])
def test_weights_that_are_not_finite_are_refused_by_name(
    tmp_path: Path, quant: str, value: float
) -> None:
    array = np.ones((4, 32), np.float32)
    array[3, 17] = value
    write_gguf(tmp_path / "w.gguf", {"general.architecture": "llama"}, {"blk.w": array}, quant)
    with pytest.raises(SourceError, match=r"'blk\.w' holds values that are not finite"):
        GgufCheckpoint(tmp_path / "w.gguf").load("blk.w")


def test_a_missing_tensor_is_named(tiny: TinyGguf) -> None:
    with pytest.raises(SourceError, match=r"'blk\.9\.attn_q\.weight' is missing"):
        GgufCheckpoint(tiny.path).load("blk.9.attn_q.weight")


@pytest.mark.parametrize("change", ["cut", "longer", "replaced", "removed", "directory"])
def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path: Path, change: str) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf").path
    model = open_gguf(path)
    data = path.read_bytes()
    path.unlink()
    if change == "directory":
        path.mkdir()
    elif change != "removed":
        path.write_bytes({"cut": data[:-1], "longer": data + b"x", "replaced": bytes(9)}[change])
    with pytest.raises(SourceError):
        model.decoder.load("embedding")


# Sound files of kinds there is no code for


def test_an_unsupported_architecture_is_told_the_supported_ones(
    refused: Callable[..., str],
) -> None:
    message = refused({}, UnsupportedModelError, architecture="bert")
    assert "architecture 'bert': an encoder" in message
    assert "Foreword reads gpt2, llama, " in message


@pytest.mark.parametrize(
    "name", ["checkpoint", "__init__", "../llama", "llama.read", "os", "x" * 999, "a\nb"]
)
def test_no_architecture_name_reaches_a_module_that_is_no_family(
    refused: Callable[..., str], name: str
) -> None:
    assert "unknown here" in refused({}, UnsupportedModelError, architecture=name)


def test_a_file_without_an_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.gguf"
    path.write_bytes(file_of([], [tensor(b"w", (8,))]))
    with pytest.raises(SourceError, match=r"'general\.architecture': expected a name, found None"):
        open_gguf(path)


def test_one_part_of_a_split_model_is_refused(refused: Callable[..., str]) -> None:
    assert "one of 3 parts" in refused({"split.count": 3}, UnsupportedModelError)


def test_more_blocks_than_tensors_are_refused_at_once(refused: Callable[..., str]) -> None:
    assert "found 4294967295" in refused({"llama.block_count": 2**32 - 1})
    assert "no more layers than" in refused({"llama.block_count": 1 << 20})


def test_a_tokenizer_of_another_size_than_the_embedding_is_refused(
    tmp_path: Path, tiny: TinyGguf
) -> None:
    def mutate(metadata: dict[str, object], tensors: dict[str, np.ndarray]) -> None:
        tensors["token_embd.weight"] = tensors["token_embd.weight"][:-1]

    path = write_tiny_gguf(tmp_path / "short.gguf", mutate=mutate).path
    tokens = len(tiny.arrays["token_embd.weight"])
    with pytest.raises(SourceError, match=f"{tokens} tokens and the embedding {tokens - 1} rows"):
        open_gguf(path)


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
