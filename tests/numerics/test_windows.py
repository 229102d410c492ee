"""Windows that every channel has for itself: depthwise convolutions and pools; their padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import VECTOR_UNITS, check, compile_for, make_model
from onnx import helper
from onnx.reference import ReferenceEvaluator

import compiler


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
@pytest.mark.parametrize("alone", [True, False])
def test_depthwise_convolutions(name: str, channels: int, alone: bool) -> None:
    """Row-major where one stands alone, else channels-last."""
    attributes = GEOMETRIES[name]
    weights = floats(channels, 1, *attributes["kernel_shape"], seed=1)
    result = "y" if alone else "c"
    nodes = [helper.make_node("Conv", ["x", "w", "b"], [result], group=channels, **attributes)]
    nodes += [] if alone else [helper.make_node("Relu", ["c"], ["y"])]
    x = floats(1, channels, 11, 34)
    model = make_model(
        nodes, {"x": (np.float32, x.shape)}, {"w": weights, "b": floats(channels, seed=2)}
    )
    check(model, {"x": x}, rtol=1e-4, atol=1e-4)


ALONE = {
    "whole vectors": ((2, 5, 12, 112), {"strides": [2, 2]}),
    "the last vectors repeat places": ((1, 5, 13, 57), {"strides": [2, 2]}),
    "masked": ((1, 5, 9, 28), {}),
    "stride 4": ((1, 3, 20, 150), {"strides": [4, 4]}),
    "stride 5": ((1, 3, 20, 150), {"strides": [5, 5]}),
    "one axis": ((2, 5, 70), {"strides": [2]}),
    "three axes": ((1, 3, 4, 5, 33), {}),
    "rows of any number": ((2, 5, "h", 40), {}),
}


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("name", ALONE)
def test_depthwise_convolutions_of_rows_of_places(name: str, unit: str) -> None:
    dims, attributes = ALONE[name]
    shape = [11 if dim == "h" else dim for dim in dims]
    weights = floats(shape[1], 1, *[3] * (len(shape) - 2), seed=1)
    pads = [1] * (2 * (len(shape) - 2))
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=shape[1], pads=pads, **attributes)
    model = make_model([node], {"x": (np.float32, list(dims))}, {"w": weights})
    network, reference = compile_for(model, unit), ReferenceEvaluator(model)
    x = floats(*shape)
    expected = np.asarray(reference.run(None, {"x": x})[0])  # type: ignore[index]
    np.testing.assert_allclose(network.run({"x": x})["y"], expected, rtol=1e-4, atol=1e-4)


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
        expected = np.asarray(reference.run(None, {"x": x})[0]) if x.size else x  # type: ignore[index]
        np.testing.assert_allclose(network.run({"x": x})["y"], expected, rtol=1e-4, atol=1e-4)


def padded_chain() -> tuple[list[Any], dict[str, np.ndarray]]:
    """Convolutions whose results the next one pads, one of them used without its padding too."""
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"], group=24, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w2"], ["d"]),
        helper.make_node("Add", ["d", "x"], ["e"]),
        helper.make_node("Conv", ["e", "w3"], ["f"], pads=[0, 1, 1, 2]),
        helper.make_node("Relu", ["f"], ["g"]),
        helper.make_node("Conv", ["g", "w4"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("ReduceMean", ["e", "axes"], ["z"]),
    ]
    constants = {
        "w0": floats(24, 10, 1, 1, seed=1),
        "w1": floats(24, 1, 3, 3, seed=2),
        "w2": floats(10, 24, 1, 1, seed=3),
        "w3": floats(20, 10, 3, 3, seed=4) / 8,
        "w4": floats(8, 20, 3, 3, seed=5),
        "axes": np.array([2, 3]),
    }
    return nodes, constants


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("sizes", [[2, 10, 13, 17], ["n", 10, "h", "w"], ["n", 10, 5, 14]])
def test_results_are_written_inside_of_their_padding(sizes: list[Any], unit: str) -> None:
    nodes, constants = padded_chain()
    model = make_model(nodes, {"x": (np.float32, sizes)}, constants, ("y", "z"))
    network, reference = compile_for(model, unit), ReferenceEvaluator(model)
    for shape in [(2, 10, 13, 17), (1, 10, 5, 14), (3, 10, 1, 3)]:
        if any(isinstance(d, int) and d != n for d, n in zip(sizes, shape, strict=True)):
            continue
        x = floats(*shape)
        got = network.run({"x": x})
        for name, expected in zip("yz", reference.run(None, {"x": x}), strict=True):
            np.testing.assert_allclose(got[name], np.asarray(expected), rtol=1e-3, atol=1e-3)  # type: ignore[arg-type]


PADS: dict[str, dict[str, Any]] = {
    "constant": {"pads": [0, 0, 2, 1, 0, 0, 1, 0], "value": 1.5},
    "of the batch": {"pads": [1, 0, 0, 1, 1, 0, 0, 1], "value": -1.0},
    "of channels": {"pads": [0, 1, 0, 0, 0, 2, 0, 0], "value": 0.5},
    "cutting off": {"pads": [0, 0, -1, 1, 0, 0, 1, -2], "value": 1.0},
    "edge": {"pads": [0, 0, 2, 1, 0, 0, 1, 0], "mode": "edge"},
}


@pytest.mark.parametrize("name", PADS)
@pytest.mark.parametrize("root", ["Conv", "MaxPool", "Concat"])
def test_pads_behind_other_roots(root: str, name: str) -> None:
    attributes = dict(PADS[name])
    x = floats(1, 6, 7, 9)
    constants = {"pads": np.array(attributes.pop("pads"))}
    if "value" in attributes:
        constants["value"] = np.array(attributes.pop("value"), np.float32)
    if root == "Conv":
        constants["w"] = floats(8, 6, 1, 1, seed=1)
        first = helper.make_node("Conv", ["x", "w"], ["a"])
    elif root == "MaxPool":
        first = helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[2, 2])
    else:
        first = helper.make_node("Concat", ["x", "x"], ["a"], axis=1)
    inputs = ["b", "pads", *(["value"] if "value" in constants else [])]
    nodes = [
        first,
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Pad", inputs, ["y"], **attributes),
    ]
    model = make_model(nodes, {"x": (np.float32, x.shape)}, constants)
    # onnx.reference knows no negative amounts.
    check(model, {"x": x}, rtol=1e-4, atol=1e-5, reference=name != "cutting off")


@pytest.mark.parametrize(
    ("channels", "groups", "outputs", "size"),
    [
        *[(32, 8, 32, 3), (16, 8, 16, 5), (10, 5, 10, 3), (6, 3, 12, 3), (32, 4, 32, 3)],
        # Several pieces of channels, each of which begins at a multiple of a vector.
        *[(128, 32, 128, 3), (256, 32, 256, 3)],
        # Groups that read fewer channels than they write: depthwise ones with a multiplier.
        *[(24, 24, 48, 3), (8, 8, 32, 3), (16, 8, 32, 3), (12, 4, 16, 1)],
    ],
)
@pytest.mark.parametrize("unit", VECTOR_UNITS)
def test_convolutions_in_narrow_groups(
    channels: int, groups: int, outputs: int, size: int, unit: str
) -> None:
    weights = floats(outputs, channels // groups, size, size, seed=1)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], group=groups, pads=[1] * 4, strides=[1, 2]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    x = floats(2, channels, 9, 20)
    model = make_model(nodes, {"x": (np.float32, x.shape)}, {"w": weights})
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})  # type: ignore[misc]
    got = compile_for(model, unit).run({"x": x})["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize("groups", [32, 64])
def test_channels_of_narrow_groups_are_shuffled_out_of_vectors(groups: int, unit: str) -> None:
    weights = floats(256, 256 // groups, 3, 3)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups)
    model = make_model([node], {"x": (np.float32, [1, 256, 30, 30])}, {"w": weights})
    pipeline = compiler.Pipeline.default().until("lower-llvm")
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    text = compiler.lower(model, to="affine", passes=pipeline).as_text(elide=16)
    (kernel,) = (part for part in text.split("func.func ") if part.startswith("@conv"))
    assert "vector.insert" not in kernel, "lane by lane"


@pytest.mark.parametrize("unit", VECTOR_UNITS)
@pytest.mark.parametrize(
    ("channels", "groups", "outputs", "pads"),
    [(256, 8, 256, 1), (256, 8, 256, 0), (96, 2, 64, 1), (512, 2, 48, 2), (256, 32, 512, 1)],
)
def test_convolutions_in_wide_groups(
    channels: int, groups: int, outputs: int, pads: int, unit: str
) -> None:
    """Packed group by group; where 256 channels lie 1 KB apart, the padded copy is, too."""
    weights = floats(outputs, channels // groups, 3, 2, seed=1)
    attributes = {"group": groups, "pads": [pads, 0, pads, pads], "dilations": [1, 2]}
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Conv", ["r", "w", "b"], ["c"], strides=[2, 1], **attributes),
        helper.make_node("Add", ["c", "c"], ["y"]),
    ]
    constants = {"w": weights, "b": floats(outputs, seed=2)}
    model = make_model(nodes, {"x": (np.float32, ["n", channels, "h", "w"])}, constants)
    network, reference = compile_for(model, unit), ReferenceEvaluator(model)
    for shape in [(2, channels, 7, 9), (1, channels, 3, 4)]:
        x = floats(*shape)
        expected = np.asarray(reference.run(None, {"x": x})[0])  # type: ignore[index]
        np.testing.assert_allclose(network.run({"x": x})["y"], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("rank", [1, 3])
def test_wide_groups_of_other_ranks(rank: int) -> None:
    weights = floats(256, 32, *[3] * rank, seed=1)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=8, auto_pad="SAME_UPPER")
    x = floats(1, 256, *[5] * rank)
    check(make_model([node], {"x": (np.float32, x.shape)}, {"w": weights}), {"x": x}, atol=1e-3)


POOLS: dict[str, dict[str, Any]] = {
    "inside": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "around": {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    "strides of 2": {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1], "strides": [2, 2]},
    "strides of 3": {"kernel_shape": [3, 2], "pads": [0, 1, 0, 1], "strides": [3, 3]},
    "strides of 4": {"kernel_shape": [2, 5], "pads": [1, 2, 0, 2], "strides": [1, 4]},
    "larger than the image": {"kernel_shape": [15, 3], "pads": [7, 1, 7, 1]},
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_pools_in_both_layouts(op_type: str, name: str) -> None:
    """Columns of an image are vectors where it is row-major, channels behind a convolution."""
    nodes = [
        helper.make_node(op_type, ["x"], ["y"], **POOLS[name]),
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node(op_type, ["c"], ["z"], **POOLS[name]),
    ]
    constants = {"w": floats(12, 3, 1, 1, seed=1)}
    x = floats(2, 3, 13, 43)
    model = make_model(nodes, {"x": (np.float32, x.shape)}, constants, ("y", "z"))
    # onnx.reference finds no element under some of the largest windows.
    check(model, {"x": x}, rtol=1e-4, atol=1e-4, reference=name != "larger than the image")


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_pools_of_any_size(op_type: str) -> None:
    node = helper.make_node(
        op_type, ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]
    )
    model = make_model([node], {"x": (np.float32, ["n", 5, "h", "w"])})
    shapes = [(1, 5, 1, 1), (2, 5, 2, 9), (1, 5, 20, 31)]
    check(model, *({"x": floats(*shape)} for shape in shapes))


@pytest.mark.parametrize(
    ("size", "kernel", "attributes"),
    [
        ((14, 14), 3, {"dilations": [12, 12], "pads": [12, 12, 12, 12]}),
        ((7, 9), 3, {"dilations": [6, 4], "pads": [6, 4, 6, 4]}),
        ((6, 20), 3, {"dilations": [5, 1], "pads": [3, 1, 7, 1]}),
        ((9, 16), 3, {"dilations": [4, 2], "pads": [4, 2, 4, 2], "strides": [2, 1]}),
        ((14, 15), 2, {"dilations": [20, 3], "pads": [10, 2, 12, 1]}),
        ((5, 16), 5, {"pads": [2, 2, 2, 2]}),
        ((30, 3), 3, {"dilations": [20, 1], "pads": [20, 1, 20, 1]}),
        ((4, 5, 16), 3, {"dilations": [3, 1, 1], "pads": [3, 1, 1, 3, 1, 1]}),
    ],
)
def test_taps_in_the_padding_are_left_out(
    size: tuple[int, ...], kernel: int, attributes: dict[str, Any]
) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 5, *size)).astype(np.float32)
    w = rng.standard_normal((19, 5, *(kernel,) * len(size))).astype(np.float32)
    b = rng.standard_normal(19).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    model = make_model([node], {"x": (np.float32, list(x.shape))}, {"w": w, "b": b})
    check(model, {"x": x}, atol=1e-5)


def test_padding_of_long_windows_is_the_kernels_own() -> None:
    w = np.ones((16, 8, 3, 3), np.float32)

    def text_of(dilation: int) -> str:
        pads = [dilation] * 4
        node = helper.make_node("Conv", ["x", "w"], ["y"], dilations=[dilation] * 2, pads=pads)
        model = make_model([node], {"x": (np.float32, [1, 8, 14, 14])}, {"w": w})
        passes = compiler.Pipeline.default().without("onnx-apply-winograd")
        return compiler.lower(
            model, to="onnx", passes=passes.until("onnx-form-dispatches")
        ).as_text()

    assert "pads = array<i64: 12, 0, 12, 0>" in text_of(12)
    assert "pads = array<i64: 0, 0, 0, 0>" in text_of(1)
