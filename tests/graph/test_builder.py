"""The written file, read back with the schema alone: what every LiteRT reader relies on."""

from __future__ import annotations

import io
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from foreword.errors import UnsupportedModelError
from foreword.graph import writer as module
from foreword.graph.builder import ModelBuilder
from foreword.graph.spec import FloatArray
from foreword.graph.weights import Array, DType
from foreword.quantize.recipes import RECIPES
from tiny import CONTEXT, PREFILL, write_tiny_bundle
from tiny_gguf import HEAD_DIM, HEADS, KV_HEADS, LAYERS

FLOAT32, INT32 = schema.TensorType.FLOAT32, schema.TensorType.INT32
BUILT_IN = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int) and name not in ("CUSTOM", "DELEGATE")
}


@dataclass(frozen=True)
class File:
    """A written model: its bytes, and its tables as objects."""

    architecture: str
    data: bytes
    model: Any

    def tensors(self) -> Iterator[Any]:
        for subgraph in self.model.subgraphs:
            yield from subgraph.tensors

    def signature(self, side: str) -> dict[str, dict[str, tuple[tuple[int, ...], int]]]:
        """Shape and type by name, by signature, of `inputs` or `outputs`."""
        return {
            definition.signatureKey.decode(): {
                entry.name.decode(): shape_and_type(
                    self.model.subgraphs[definition.subgraphIndex].tensors[entry.tensorIndex]
                )
                for entry in getattr(definition, side)
            }
            for definition in self.model.signatureDefs
        }


def shape_and_type(tensor: Any) -> tuple[tuple[int, ...], int]:
    return tuple(int(extent) for extent in tensor.shape), tensor.type


@pytest.fixture(
    scope="module",
    params=[(a, t, r) for a in ("llama", "gpt2") for t in (True, False) for r in RECIPES],
    ids=lambda p: f"{p[0]}-{'tied' if p[1] else 'untied'}-{p[2]}",
)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> File:
    architecture, tied, recipe = request.param
    directory = tmp_path_factory.mktemp("tiny")
    path: Path = write_tiny_bundle(directory, architecture, tied, recipe)[1]
    data = (path / "model.tflite").read_bytes()
    return File(architecture, data, read(data))


def read(data: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def kv_heads(file: File) -> int:
    return KV_HEADS if file.architecture == "llama" else HEADS


def test_it_is_a_tflite_file_of_the_current_version(file: File) -> None:
    assert schema.Model.ModelBufferHasIdentifier(file.data, 0)
    assert file.model.version == 3


def test_every_buffer_begins_at_a_multiple_of_sixteen_bytes(file: File) -> None:
    model = schema.Model.GetRootAs(file.data, 0)
    starts = []
    for i in range(model.BuffersLength()):
        table = model.Buffers(i)._tab
        field = table.Offset(4)  # Buffer.data, the first field of the table
        if field:
            starts.append(table.Vector(field))
            assert len(file.data) >= starts[-1] + table.VectorLen(field)
    assert len(starts) > LAYERS
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_the_inputs_are_those_of_the_graph_contract(file: File) -> None:
    heads = kv_heads(file)
    found = file.signature("inputs")
    widths = {"decode": 1, **{f"prefill_{t}": t for t in PREFILL}}
    widths |= {f"verify_{t}": t for t in (2, 5, 8)}
    assert list(found) == list(widths)
    for name, width in widths.items():
        expected: dict[str, tuple[tuple[int, ...], int]] = {
            "tokens": ((1, width), INT32),
            "input_pos": ((width,), INT32),
            "mask": ((1, 1, 1, CONTEXT), FLOAT32),
        }
        for i in range(LAYERS):
            expected[f"kv_cache_k_{i}"] = ((1, heads, CONTEXT, HEAD_DIM), FLOAT32)
            expected[f"kv_cache_v_{i}"] = ((1, heads, HEAD_DIM, CONTEXT), FLOAT32)
        assert found[name] == expected


def test_the_outputs_are_those_of_the_graph_contract(file: File) -> None:
    heads = kv_heads(file)
    vocabulary = 299
    widths = {"decode": 1, **{f"prefill_{t}": t for t in PREFILL}, "verify_8": 8}
    found = file.signature("outputs")
    for name, width in widths.items():
        expected: dict[str, tuple[tuple[int, ...], int]] = {}
        for i in range(LAYERS):
            expected[f"kv_slice_k_{i}"] = ((1, heads, width, HEAD_DIM), FLOAT32)
            expected[f"kv_slice_v_{i}"] = ((1, heads, width, HEAD_DIM), FLOAT32)
        if not name.startswith("prefill"):
            expected["logits"] = ((1, width, vocabulary), FLOAT32)
        assert found[name] == expected


def test_signature_and_subgraph_agree_on_inputs_and_outputs(file: File) -> None:
    for definition in file.model.signatureDefs:
        subgraph = file.model.subgraphs[definition.subgraphIndex]
        for side in ("inputs", "outputs"):
            indices = [entry.tensorIndex for entry in getattr(definition, side)]
            assert sorted(indices) == sorted(getattr(subgraph, side).tolist())


def test_only_built_in_operators_are_used(file: File) -> None:
    for code in file.model.operatorCodes:
        assert code.customCode is None
        assert code.builtinCode in BUILT_IN
        assert code.deprecatedBuiltinCode == min(code.builtinCode, 127)


def test_every_tensor_an_operator_reads_is_known_by_then(file: File) -> None:
    for subgraph in file.model.subgraphs:
        filled = [
            i
            for i, t in enumerate(subgraph.tensors)
            if file.model.buffers[t.buffer].data is not None
        ]
        known = {-1, *subgraph.inputs.tolist(), *filled}
        for operator in subgraph.operators:
            assert set(operator.inputs.tolist()) <= known
            known |= set(operator.outputs.tolist())
        assert set(subgraph.outputs.tolist()) <= known


def test_a_weight_is_one_buffer_for_every_signature(file: File) -> None:
    uses: dict[bytes, set[int]] = {}
    for tensor in file.tensors():
        if tensor.buffer and tensor.name:
            uses.setdefault(tensor.name, set()).add(tensor.buffer)
    assert b"embedding" in uses
    assert {len(buffers) for buffers in uses.values()} == {1}


def test_no_data_is_in_the_file_twice(file: File) -> None:
    contents = Counter(
        bytes(np.asarray(buffer.data, np.uint8).tobytes())
        for buffer in file.model.buffers
        if buffer.data is not None and len(buffer.data) > 16
    )
    assert max(contents.values()) == 1


def test_data_has_the_size_its_tensors_say(file: File) -> None:
    sizes = {FLOAT32: 4, INT32: 4, schema.TensorType.FLOAT16: 2, schema.TensorType.INT8: 1}
    sizes[schema.TensorType.INT4] = 0.5
    for tensor in file.tensors():
        data = file.model.buffers[tensor.buffer].data
        if data is not None:
            assert len(data) == np.prod(tensor.shape) * sizes[tensor.type]


def test_buffer_zero_is_empty_and_stands_for_computed_tensors(file: File) -> None:
    assert file.model.buffers[0].data is None
    for tensor in file.tensors():
        assert (tensor.buffer == 0) == (file.model.buffers[tensor.buffer].data is None)


def never(out: Array) -> FloatArray | None:
    raise AssertionError("nothing was to be encoded")


def ones(out: Array) -> FloatArray | None:
    out[...] = 1
    return np.ones(len(out), np.float32)


@pytest.mark.parametrize(
    ("dtype", "count", "size"),
    [("float32", 3, "3.0"), ("float16", 5, "2.5"), ("int8", 9, "2.3"), ("int4", 17, "2.1")],
)
def test_a_model_above_two_gib_is_refused_before_any_weight_is_read(
    dtype: DType, count: int, size: str
) -> None:
    builder = ModelBuilder("large")
    for i in range(count):
        builder.weight(f"w{i}", (1 << 14, 1 << 14), dtype, never)
    output = io.BytesIO()
    tracemalloc.start()
    try:
        with pytest.raises(
            UnsupportedModelError, match=rf"{size} GiB, a \.tflite file holds 2 GiB"
        ):
            builder.write(output)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert output.getvalue() == b""


def test_scales_and_constants_count_towards_two_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST_FILE_BYTES", 1 << 16)
    for rows, constant in ((1 << 14, 1), (1, 1 << 14)):
        builder = ModelBuilder("large")
        builder.weight("w", (rows, 1), "int8", never)
        builder.subgraph("decode").constant(np.zeros(constant, np.float32))
        with pytest.raises(UnsupportedModelError, match="holds 2 GiB with all else"):
            builder.write(io.BytesIO())


def test_a_model_that_is_too_large_by_its_tables_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flatbuffers.Builder, "MAX_BUFFER_SIZE", 1 << 12)
    monkeypatch.setattr(module, "_LARGEST_FILE_BYTES", 1 << 12)
    builder = ModelBuilder("large")
    subgraph = builder.subgraph("decode")
    for i in range(100):
        subgraph.input(f"input_{i}", (1,), "int32")
    output = io.BytesIO()
    with pytest.raises(UnsupportedModelError, match="holds 2 GiB with all else"):
        builder.write(output)
    assert output.getvalue() == b""


def test_a_weight_is_written_to_its_place_without_a_copy() -> None:
    builder = ModelBuilder("memory")
    for i in range(4):
        builder.weight(f"w{i}", (1 << 11, 1 << 10), "int8", ones)
    output = Counting()
    tracemalloc.start()
    try:
        builder.write(output)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert output.size > 8 << 20


class Counting(io.RawIOBase):
    """A file that keeps nothing but the number of bytes written."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


def test_equal_constants_share_a_buffer_over_signatures_and_types_do_not() -> None:
    builder = ModelBuilder("constants")
    one, two = builder.subgraph("decode"), builder.subgraph("prefill_8")
    zeros = np.zeros((2, 2), np.float32)
    first = one.constant(zeros)
    assert one.constant(zeros.copy()) == first
    two.constant(zeros)
    two.constant(zeros.astype(np.int32))
    two.constant(zeros.reshape(4))
    output = io.BytesIO()
    builder.write(output)
    model = read(output.getvalue())
    buffers = [[tensor.buffer for tensor in subgraph.tensors] for subgraph in model.subgraphs]
    assert buffers == [[1], [1, 2, 3]]


def test_progress_counts_the_bytes_of_the_weights() -> None:
    builder = ModelBuilder("weights")
    for name in "ab":
        builder.weight(name, (3, 5), "int8", ones)
    seen: list[tuple[int, int]] = []
    builder.write(io.BytesIO(), lambda done, total: seen.append((done, total)))
    assert seen == [(15, 30), (30, 30)]


@pytest.mark.parametrize(
    ("dtype", "scales"), [("int8", None), ("int8", 5), ("int4", 1), ("float32", 3)]
)
def test_an_encoder_that_breaks_its_word_is_caught(dtype: DType, scales: int | None) -> None:
    def wrong(out: Array) -> FloatArray | None:
        return None if scales is None else np.ones(scales, np.float32)

    builder = ModelBuilder("weights")
    builder.weight("a", (3, 4), dtype, wrong)
    with pytest.raises(TypeError, match="encoder gave scales"):
        builder.write(io.BytesIO())


def test_a_file_is_the_same_where_its_tables_take_more_room_than_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def written() -> bytes:
        builder = ModelBuilder("tables")
        builder.weight("w", (3, 5), "int8", ones)
        subgraph = builder.subgraph("decode")
        for i in range(100):
            subgraph.input(f"input_{i}", (1,), "int32")
        output = io.BytesIO()
        builder.write(output)
        return output.getvalue()

    expected = written()
    monkeypatch.setattr(module, "_TABLES_BYTES", 1)
    assert written() == expected
