"""Quantized products as LiteRT computes them, against NumPy with the weights dequantized."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from foreword.graph import ops
from foreword.graph.builder import ModelBuilder
from foreword.graph.spec import FloatArray
from foreword.graph.weights import Array
from foreword.quantize.prepare import encoder

NAME = "layers.0.up.weight"


@dataclass
class Product:
    """A model of one product, and the weight it holds as float64."""

    data: bytes
    weight: NDArray[np.float64]


def make(values: FloatArray, recipe: str, tokens: int, bias: FloatArray | None) -> Product:
    store = encoder(recipe)
    dtype = store.dtype(NAME, values.shape)
    kept: list[NDArray[np.float64]] = []

    def produce(out: Array) -> FloatArray | None:
        scales = store.encode(NAME, values, out)
        assert scales is not None
        steps = out
        if dtype == "int4":
            pairs = np.stack([out & 0xF, out >> 4], axis=1).reshape(values.shape)
            steps = (pairs ^ 8).astype(np.int8) - 8
        by_row = scales.reshape(len(values), -1).astype(np.float64)
        kept.append(steps * np.repeat(by_row, values.shape[1] // by_row.shape[1], axis=1))
        return scales

    def copy_bias(out: Array) -> None:
        out[...] = bias

    builder = ModelBuilder("product")
    block = store.block(NAME, values.shape)
    weight = builder.weight(NAME, values.shape, dtype, produce, block)
    vector = None if bias is None else builder.weight("bias", bias.shape, "float32", copy_bias)
    g = builder.subgraph("product")
    x = g.input("x", (1, tokens, values.shape[1]), "float32")
    y = ops.fully_connected(g, x, g.weight(weight), None if vector is None else g.weight(vector))
    g.output("y", y)
    output = io.BytesIO()
    builder.write(output)
    return Product(output.getvalue(), kept[0])


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("tokens", [1, 3, 8])
@pytest.mark.parametrize(
    "shape", [(64, 64), (33, 62), (7, 6), (1, 2), (65, 63), (6, 5), (300, 256)], ids=str
)
@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_a_quantized_product_is_that_of_its_weights(
    recipe: str, shape: tuple[int, int], tokens: int, bias: bool
) -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(shape, dtype=np.float32)
    x = random.standard_normal((1, tokens, shape[1]), dtype=np.float32)
    vector = random.standard_normal(shape[0], dtype=np.float32) if bias else None
    product = make(values, recipe, tokens, vector)
    interpreter = Interpreter(model_content=product.data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    assert found.shape == (1, tokens, shape[0])
    expected = x[0] @ product.weight.T + (0 if vector is None else vector)
    # The inputs are rounded to 255 steps of their range, token by token.
    step = (x.max(axis=2).clip(0) - x.min(axis=2).clip(None, 0)) / 255
    most = 0.51 * step[0][:, None] * np.abs(product.weight).sum(axis=1)
    assert (np.abs(found[0] - expected) <= most + 1e-5).all()


@pytest.mark.parametrize("shape", [(64, 64), (64, 62), (64, 63)], ids=str)
@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_quantized_products_run_in_xnnpack(recipe: str, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    interpreter = Interpreter(model_content=make(values, recipe, 1, None).data)
    interpreter.allocate_tensors()
    assert "DELEGATE" in [operator["op_name"] for operator in interpreter._get_ops_details()]
