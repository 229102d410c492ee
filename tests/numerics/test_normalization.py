"""Normalisations against onnx.reference and onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numerics.harness import check, make_model, node_cases, one_node, run_case, run_model
from onnx import helper

import compiler

KINDS = (
    *("LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization"),
    *("BatchNormalization", "MeanVarianceNormalization", "LpNormalization", "LRN"),
)

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tolerance(dtype: Any) -> dict[str, float]:
    """How close results of an element type have to be."""
    if dtype is np.float16:
        return {"rtol": 1e-2, "atol": 1e-2}
    return {"rtol": 1e-10, "atol": 1e-10} if dtype is np.float64 else CLOSE


@pytest.mark.parametrize("case", list(node_cases(*KINDS)), ids=lambda case: case.name)
def test_suite(case: Any) -> None:
    run_case(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_normalization(dtype: Any, axis: int) -> None:
    x = numbers(3, 4, 37, dtype=dtype)
    tail = x.shape[axis:]
    weights = {"s": numbers(*tail, dtype=dtype, seed=1), "b": numbers(*tail, dtype=dtype, seed=2)}
    for dims in (None, {"x": ["n", *x.shape[1:]]}):
        made = one_node(
            "LayerNormalization", {"x": x}, opset=17, dims=dims, constants=weights, axis=axis
        )
        check(made, {"x": x}, onnxruntime=dtype is not np.float16, **tolerance(dtype))
    made = one_node(
        "LayerNormalization",
        {"x": x},
        opset=17,
        constants={"s": weights["s"]},
        outputs=["y", "m", "d"],
        axis=axis,
        epsilon=0.1,
    )
    if dtype is np.float32:
        check(made, {"x": x}, onnxruntime=False, **CLOSE)


@pytest.mark.parametrize("axis", [-1, 1])
def test_rms_normalization(axis: int) -> None:
    x = numbers(3, 4, 37)
    scale = {"s": numbers(*x.shape[axis:], seed=1)}
    made = one_node("RMSNormalization", {"x": x}, opset=23, constants=scale, axis=axis)
    check(made, {"x": x}, onnxruntime=False, **CLOSE)


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 5, 4, 6), (1, 20, 3, 2, 4)])
@pytest.mark.parametrize("opset", [6, 22])
def test_instance_normalization(shape: tuple[int, ...], opset: int) -> None:
    x = numbers(*shape)
    weights = {"s": numbers(shape[1], seed=1), "b": numbers(shape[1], seed=2)}
    made = one_node("InstanceNormalization", {"x": x}, opset=opset, constants=weights)
    check(made, {"x": x}, onnxruntime=opset < 22, **CLOSE)


@pytest.mark.parametrize(
    ("kind", "count", "attributes"),
    [
        ("InstanceNormalization", 5, {}),
        ("LayerNormalization", 0, {"axis": 2}),
        ("GroupNormalization", 5, {"num_groups": 1}),
        ("MeanVarianceNormalization", 0, {}),
    ],
)
def test_axes_side_by_side_have_one_loop(kind: str, count: int, attributes: Any) -> None:
    x = numbers(2, 5, 6, 7)
    weights = {n: numbers(count, seed=i) for i, n in enumerate("sb")} if count else {}
    if kind == "LayerNormalization":
        weights = {n: numbers(6, 7, seed=i) for i, n in enumerate("sb")}
    node = helper.make_node(kind, ["x", *weights], ["c"], **attributes)
    nodes = [node, helper.make_node("Add", ["c", "row"], ["y"])]
    weights["row"] = numbers(7, seed=3)
    made = make_model(nodes, {"x": (np.float32, x.shape)}, weights, opset=21)
    assert "0 to 42" in compiler.lower(made, to="krnl").as_text()
    check(made, {"x": x}, onnxruntime=False, **CLOSE)


@pytest.mark.parametrize("opset", [18, 21])
def test_group_normalization(opset: int) -> None:
    x = numbers(2, 12, 5, 3)
    weights = {n: numbers(4 if opset == 18 else 12, seed=i) for i, n in enumerate("sb")}
    for dims in (None, {"x": ["n", 12, "h", "w"]}):
        made = one_node(
            "GroupNormalization", {"x": x}, opset=opset, dims=dims, constants=weights, num_groups=4
        )
        check(made, {"x": x}, onnxruntime=False, **CLOSE)


@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batch_normalization_with_statistics_that_a_run_brings(opset: int) -> None:
    feed = {"x": numbers(2, 5, 4, 3)}
    feed |= {name: np.abs(numbers(5, seed=i)) + 0.1 for i, name in enumerate("sbmv")}
    made = one_node("BatchNormalization", feed, opset=opset, dims={"x": ["n", 5, "h", "w"]})
    # onnx.reference trains in versions 7 and 9.
    check(made, feed, reference=opset >= 14, **CLOSE)


def test_batch_normalization_of_every_place() -> None:
    feed = {"x": numbers(2, 3, 4)}
    feed |= {name: np.abs(numbers(3, 4, seed=i)) + 0.1 for i, name in enumerate("sbmv")}
    x, scale, bias, mean, variance = feed.values()
    made = one_node("BatchNormalization", feed, opset=7, spatial=0)
    want = (x - mean) / np.sqrt(variance + 1e-5) * scale + bias
    np.testing.assert_allclose(run_model(made, feed)["y"], want, **CLOSE)


@pytest.mark.parametrize("p", [1, 2])
def test_lp_normalization(p: int) -> None:
    x = numbers(3, 4, 5)
    x[1, :, 2] = 0
    for axis in (0, 1, -1):
        made = one_node("LpNormalization", {"x": x}, opset=1, p=p, axis=axis)
        check(made, {"x": x}, reference=False, **CLOSE)


def test_mean_variance_normalization() -> None:
    x = numbers(2, 3, 4, 5)
    for attributes in ({}, {"axes": [1, -1]}):
        made = one_node("MeanVarianceNormalization", {"x": x}, opset=13, **attributes)
        check(made, {"x": x}, **CLOSE)


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_local_response_normalization(size: int) -> None:
    x = numbers(2, 7, 3, 4)
    made = one_node("LRN", {"x": x}, opset=13, size=size, alpha=0.3, beta=0.6, bias=1.5)
    # onnx.reference leaves the last channel of a window out.
    sums = np.zeros_like(x)
    for channel in range(7):
        window = slice(max(0, channel - (size - 1) // 2), channel + size // 2 + 1)
        sums[:, channel] = np.square(x[:, window]).sum(1)
    want = x / (1.5 + 0.3 / size * sums) ** 0.6
    np.testing.assert_allclose(run_model(made, {"x": x})["y"], want, **CLOSE)


def test_normalizations_behind_a_convolution_keep_channels_last() -> None:
    kinds = [
        ("InstanceNormalization", ["s", "b"], {}),
        ("LRN", [], {"size": 3, "alpha": 0.1}),
        ("BatchNormalization", ["s", "b", "b2", "s2"], {}),
    ]
    x = numbers(1, 3, 8, 9)
    constants = {"w": numbers(20, 3, 3, 3)}
    constants |= {
        n: np.abs(numbers(20, seed=i)) + 0.1 for i, n in enumerate(["s", "b", "b2", "s2"])
    }
    for kind, operands, attributes in kinds:
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["a"]),
            helper.make_node(kind, ["a", *operands], ["c"], **attributes),
            helper.make_node("Relu", ["c"], ["d"]),
            helper.make_node("Conv", ["d", "v"], ["y"]),
        ]
        weights = {**constants, "v": numbers(4, 20, 1, 1, seed=5)}
        made = make_model(nodes, {"x": (np.float32, x.shape)}, weights, opset=15)
        check(made, {"x": x}, reference=kind != "LRN", rtol=1e-3, atol=1e-3)
