"""Windows that every channel has for itself: depthwise convolutions of many geometries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import VECTOR_UNITS, check, compile_for, make_model
from onnx import helper
from onnx.reference import ReferenceEvaluator


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


GEOMETRIES: dict[str, dict[str, Any]] = {
    "3x3": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    "5x5": {"kernel_shape": [5, 5], "pads": [2, 2, 2, 2]},
    "a loop of 81 taps": {"kernel_shape": [9, 9], "pads": [4, 4, 4, 4]},
    "stride 2": {"kernel_shape": [3, 3], "pads": [0, 1, 1, 0], "strides": [2, 2]},
    "dilated": {"kernel_shape": [3, 2], "pads": [2, 1, 2, 1], "dilations": [2, 2]},
    "high and narrow": {"kernel_shape": [5, 1]},
}


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("channels", [3, 20])
def test_depthwise_convolutions(name: str, channels: int) -> None:
    attributes = GEOMETRIES[name]
    weights = floats(channels, 1, *attributes["kernel_shape"], seed=1)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=channels, **attributes)
    x = floats(1, channels, 11, 17)
    model = make_model(
        [node], {"x": (np.float32, x.shape)}, {"w": weights, "b": floats(channels, seed=2)}
    )
    check(model, {"x": x}, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
def test_depthwise_convolutions_of_any_size(unit: str) -> None:
    """Tiles of a dynamic number of rows, and columns that go in pieces."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], group=264, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    model = make_model(
        nodes, {"x": (np.float32, ["n", 264, "h", "w"])}, {"w": floats(264, 1, 3, 3, seed=1)}
    )
    network, reference = compile_for(model, unit), ReferenceEvaluator(model)
    for shape in [(1, 264, 1, 1), (2, 264, 4, 5), (1, 264, 3, 14), (0, 264, 2, 2)]:
        x = floats(*shape)
        (expected,) = reference.run(None, {"x": x}) if x.size else [x]
        np.testing.assert_allclose(network.run({"x": x})["y"], expected, rtol=1e-4, atol=1e-4)
