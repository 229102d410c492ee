"""Convolutions of size 1 whose results fill half a vector more: two rows side by side fill it."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from numerics.harness import VECTOR_UNITS, compile_for, make_model
from onnx import helper
from onnx.reference import ReferenceEvaluator

import compiler
from compiler.pipeline import Pipeline

WIDE = VECTOR_UNITS[1]


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def model_of(
    outputs: int, places: tuple[int, int], behind: str = "", images: int = 1, has_bias: bool = True
) -> onnx.ModelProto:
    """A window of three, which makes its images channels-last, then one of size 1."""
    weights = {"v": floats(32, 3, 3, 3), "w": floats(outputs, 32, 1, 1, seed=1)}
    bias = {"b": floats(outputs, seed=2)} if has_bias else {}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w", *bias], ["c"]),
    ]
    if behind == "residual":
        weights["r"] = floats(outputs, 3, 3, 3, seed=3)
        nodes.insert(0, helper.make_node("Conv", ["x", "r"], ["s"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Add", ["c", "s"], ["d"]))
        nodes.append(helper.make_node("Tanh", ["d"], ["y"]))
    elif behind == "scale":
        weights["u"] = floats(outputs, 3, *places, seed=3)
        nodes.append(helper.make_node("Conv", ["x", "u"], ["s"]))
        nodes.append(helper.make_node("Mul", ["c", "s"], ["y"]))
    elif behind == "padding":
        nodes.append(helper.make_node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2], pads=[1] * 4))
    else:
        nodes.append(helper.make_node("Relu", ["c"], ["y"]))
    shape = [images, 3, *places]
    return make_model(nodes, {"x": (np.float32, shape)}, weights | bias, ["y"])


def compare(model: onnx.ModelProto, unit: str) -> None:
    """Results are those of onnx.reference."""
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = floats(*shape, seed=5)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    got = compile_for(model, unit).run({"x": x})["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def has_pairs(model: onnx.ModelProto, outputs: int) -> bool:
    """Whether some nest goes over the columns of two rows, as one tile."""
    pipeline = Pipeline.default().until("lower-affine")
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{WIDE}}}")
    text = compiler.lower(model, to="krnl", passes=pipeline).as_text(elide=16)
    (text,) = (part for part in text.split("func.func ") if part.startswith("@conv1x1"))
    found = f"floordiv {outputs}, " in text and f" = 0 to {2 * outputs})" in text
    assert not (found and re.search(rf"krnl.block %\d+ {outputs}\n", text))
    return found


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("outputs", [8, 12, 20, 24, 40, 56, 72])
@pytest.mark.parametrize("places", [(6, 8), (5, 7), (2, 1), (1, 1)])
def test_any_number_of_columns_and_rows(unit: str, outputs: int, places: tuple[int, int]) -> None:
    compare(model_of(outputs, places), unit)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("behind", ["residual", "scale", "padding"])
def test_what_stands_behind(unit: str, behind: str) -> None:
    compare(model_of(24, (13, 14), behind, images=2), unit)
    compare(model_of(24, (13, 14), behind, has_bias=False), unit)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats(dtype: type) -> None:
    weights = {"v": floats(32, 3, 3, 3).astype(dtype), "w": floats(24, 32, 1, 1).astype(dtype)}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["y"]),
    ]
    model = make_model(nodes, {"x": (dtype, [1, 3, 8, 8])}, weights)
    x = floats(1, 3, 8, 8, seed=5).astype(dtype)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    got = compile_for(model, WIDE).run({"x": x})["y"]
    scale = np.abs(expected.astype(np.float64)).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=4e-3 * scale)


def test_rows_are_paired_where_that_fills_vectors() -> None:
    for outputs in (8, 24, 40, 56):
        assert has_pairs(model_of(outputs, (6, 8)), outputs)
        assert has_pairs(model_of(outputs, (6, 8), "residual"), outputs)
    assert not has_pairs(model_of(24, (5, 7)), 24), "an odd number of rows"
    assert not has_pairs(model_of(24, (6, 8), "scale"), 24), "a number for each column"
    for outputs in (16, 20, 32, 72):
        assert not has_pairs(model_of(outputs, (6, 8)), outputs)
