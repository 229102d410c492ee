"""The order of loops behind which a result changes its layout."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numerics.harness import check, make_model
from onnx import helper

import compiler

SIZE = [1, 16, 6, 5]


@pytest.mark.parametrize("operator", ["Concat", "Resize"])
def test_loops_go_in_the_order_in_which_the_result_is_stored(operator: str) -> None:
    # Row-major operands, as the inputs are, in front of a convolution, which is channels-last.
    if operator == "Concat":
        front = helper.make_node("Concat", ["x", "z"], ["t"], axis=1)
    else:
        front = helper.make_node("Resize", ["x", "", "scales"], ["t"], mode="linear")
    channels = 32 if operator == "Concat" else 16
    constants = {"w": np.ones((8, channels, 3, 3), np.float32) / 72}
    constants |= {"scales": np.array([1, 1, 2, 2], np.float32)} if operator == "Resize" else {}
    inputs = {"x": (np.float32, SIZE)} | ({"z": (np.float32, SIZE)} if operator == "Concat" else {})
    nodes = [front, helper.make_node("Conv", ["t", "w"], ["y"])]
    model = make_model(nodes, inputs, constants)
    text = compiler.lower(
        model, to="krnl", passes=compiler.Pipeline.default().until("krnl-schedule")
    ).as_text()
    kernel = text[text.index(f"func.func @{operator.lower()}") :]
    kernel = kernel[: kernel.index("func.return")]
    # Channels are the innermost loop, and neighbours in the buffer.
    loops = re.findall(r"krnl.iterate \((.*)\) \{", kernel)
    innermost = re.findall(r"-> (%\w+) = 0 to", loops[-1])[-1]
    stores = re.findall(r"krnl.store %\w+, %out0\[(.*)\]", kernel)
    assert stores
    assert all(re.search(rf"(, |^){innermost}( \+ \d+)?$", store) for store in stores[-1:])
    rng = np.random.default_rng(0)
    check(model, {name: rng.standard_normal(SIZE).astype(np.float32) for name in inputs}, atol=1e-5)


def test_loops_go_in_the_order_in_which_a_reshaped_result_is_stored() -> None:
    """Images of a detector's scales: channels-last, behind one another, as rows of boxes."""
    shape = np.array([1, 48, 48])
    constants = {name: np.ones((24, 3, 1, 1), np.float32) * (n + 1) for n, name in enumerate("vw")}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"]),
        helper.make_node("Conv", ["x", "w"], ["b"]),
        helper.make_node("Concat", ["a", "b"], ["t"], axis=1),
        helper.make_node("Reshape", ["t", "shape"], ["y"]),
    ]
    model = make_model(nodes, {"x": (np.float32, [1, 3, 6, 8])}, constants | {"shape": shape})
    text = compiler.lower(
        model, to="krnl", passes=compiler.Pipeline.default().until("krnl-schedule")
    ).as_text()
    kernel = text[text.index("func.func @concat") :]
    kernel = kernel[: kernel.index("func.return")]
    # Channels are an outer loop, and lie side by side where they are read.
    innermost = [loops[-1] for loops in re.findall(r"(?:-> (%\w+) = 0 to \w+,? ?)+\)", kernel)]
    assert len(innermost) == 2
    loads = re.findall(r"krnl.load %\w+\[(.*)\]", kernel)
    assert len(loads) == 2 and not any(load.endswith(last) for load in loads for last in innermost)
    x = np.random.default_rng(0).standard_normal((1, 3, 6, 8)).astype(np.float32)
    check(model, {"x": x}, atol=1e-5)
