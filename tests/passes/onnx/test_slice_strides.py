"""onnx-slice-strides: which convolutions lose their strides, and that numbers stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import check, make_model
from onnx import helper

import compiler
from compiler.pipeline import Pipeline

RANDOM = np.random.default_rng(8)


def operators_of(model: Any) -> str:
    """The text after the pass."""
    passes = Pipeline.default().until("onnx-check-indices")
    return compiler.lower(model, to="onnx", passes=passes).as_text()


def convolution(
    size: tuple[int, ...], kernel: int = 1, outputs: int = 8, **attributes: Any
) -> tuple[Any, dict[str, np.ndarray]]:
    """A model of one convolution of 6 channels with a bias, and its input."""
    rank = len(size)
    x = RANDOM.standard_normal((2, 6, *size)).astype(np.float32)
    groups = attributes.get("group", 1)
    w = RANDOM.standard_normal((outputs, 6 // groups, *(kernel,) * rank)).astype(np.float32)
    b = RANDOM.standard_normal(outputs).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    model = make_model([node], {"x": (np.float32, list(x.shape))}, {"w": w, "b": b})
    return model, {"x": x}


@pytest.mark.parametrize(
    ("size", "strides"),
    [((9,), [2]), ((8, 9), [2, 2]), ((7, 10), [1, 3]), ((5, 6, 7), [2, 1, 2]), ((3, 3), [4, 4])],
)
def test_places_are_taken_first(size: tuple[int, ...], strides: list[int]) -> None:
    model, feed = convolution(size, strides=strides)
    text = operators_of(model)
    assert "onnx.Slice" in text
    assert f"strides = array<i64: {', '.join(map(str, strides))}>" not in text
    check(model, feed, atol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "kernel"),
    [
        ({"strides": [1, 1]}, 1),
        ({"strides": [2, 2]}, 3),
        ({"strides": [2, 2], "group": 2}, 1),
        ({"strides": [2, 2], "pads": [1, 0, 0, 1]}, 1),
    ],
)
def test_others_stay(attributes: dict[str, Any], kernel: int) -> None:
    model, feed = convolution((9, 8), kernel, **attributes)
    assert "onnx.Slice" not in operators_of(model)
    check(model, feed, atol=1e-5)


def test_sizes_may_be_unknown() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2])
    w = RANDOM.standard_normal((8, 6, 1, 1)).astype(np.float32)
    model = make_model([node], {"x": (np.float32, ["n", 6, "h", "w"])}, {"w": w})
    assert "onnx.Slice" in operators_of(model)
    for shape in ((1, 6, 5, 8), (2, 6, 4, 1)):
        check(model, {"x": RANDOM.standard_normal(shape).astype(np.float32)})


def test_integers() -> None:
    w = RANDOM.integers(-128, 128, (8, 6, 1, 1)).astype(np.int8)
    x = RANDOM.integers(0, 256, (1, 6, 7, 8)).astype(np.uint8)
    node = helper.make_node("ConvInteger", ["x", "w", "z"], ["y"], strides=[2, 3])
    constants = {"w": w, "z": np.array(7, np.uint8)}
    model = make_model([node], {"x": (np.uint8, list(x.shape))}, constants)
    assert "onnx.Slice" in operators_of(model)
    check(model, {"x": x})
