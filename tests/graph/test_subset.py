from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foreword.errors import BundleError
from foreword.graph import stored
from foreword.graph.description import GraphShape
from foreword.graph.spec import DecoderSpec
from foreword.graph.stored import read_model
from foreword.graph.subset import write_subset
from tiny import CONTEXT, graph_of_spec, write_tiny_bundle


@pytest.fixture(scope="module", params=["float32", "int8", "int4"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("subset")
    return write_tiny_bundle(directory, recipe=request.param)[1] / "model.tflite"


def described(path: Path) -> tuple[DecoderSpec, GraphShape]:
    return stored.described(*stored.open_model(path))


def weights(path: Path) -> dict[str, bytes]:
    data, model = stored.open_model(path)
    decode = model.Subgraphs(0)
    tensors = [decode.Tensors(i) for i in range(decode.TensorsLength())]
    return {
        (tensor.Name() or b"").decode(): stored.contents(data, model, tensor.Buffer()).tobytes()
        for tensor in tensors
        if tensor.Buffer() and b".weight" in (tensor.Name() or b"")
    }


def subset(model: Path, path: Path, prefill: tuple[int, ...]) -> Path:
    with path.open("wb") as file:
        write_subset(model, file, prefill)
    return path


@pytest.mark.parametrize("prefill", [(), (16,), (4, 16)])
def test_a_subset_computes_what_the_whole_model_does(
    model: Path, prefill: tuple[int, ...], tmp_path: Path
) -> None:
    part = subset(model, tmp_path / "part.tflite", prefill)
    spec, shape = described(part)
    assert shape == GraphShape(CONTEXT, prefill, verify=())
    whole = graph_of_spec(model, spec, GraphShape(CONTEXT, (4, 16), ()))
    few = graph_of_spec(part, spec, shape)
    for width in prefill:
        for graph in (whole, few):
            graph.run(f"prefill_{width}", list(range(1, width)), 0)
    position = max(prefill, default=1) - 1
    expected, found = (np.array(graph.run("decode", [7], position)) for graph in (whole, few))
    np.testing.assert_array_equal(found, expected)


def test_weights_are_copied_byte_by_byte_and_stand_once(model: Path, tmp_path: Path) -> None:
    parts = [subset(model, tmp_path / f"{len(p)}.tflite", p) for p in ((), (4, 16))]
    copied = weights(model)
    assert copied
    assert all(weights(part) == copied for part in parts)
    sizes = [part.stat().st_size for part in parts]
    assert sizes[1] - sizes[0] < sum(map(len, copied.values()))


def test_a_float_subset_can_still_be_read_back(tmp_path: Path) -> None:
    model = write_tiny_bundle(tmp_path)[1] / "model.tflite"
    part = subset(model, tmp_path / "part.tflite", (4,))
    name = "layers.0.q.weight"
    whole, few = read_model(model).decoder, read_model(part).decoder
    np.testing.assert_array_equal(few.load(name), whole.load(name))


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0TFL3" + b"\xff" * 40, b"hello" * 20])
def test_what_is_no_model_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="convert it again") as caught:
        subset(path, tmp_path / "part.tflite", ())
    assert "\n" not in str(caught.value)


def test_a_signature_that_is_not_there_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no signature prefill_5"):
        subset(model, tmp_path / "part.tflite", (5,))
