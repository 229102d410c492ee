"""Pools against onnx.reference and onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numerics.harness import check, make_model, node_cases, one_node, run_case, run_model
from onnx import helper

KINDS = (
    *("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"),
    *("MaxUnpool", "MaxRoiPool", "RoiAlign"),
)

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def numbers(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("case", list(node_cases(*KINDS)), ids=lambda case: case.name)
def test_suite(case: Any) -> None:
    run_case(case)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_attributes(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    kind = data.draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"]))

    def draw(low: int, high: int, count: int = rank) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    size, kernel, strides, dilations = draw(1, 9), draw(1, 3), draw(1, 3), draw(1, 2)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
    room = [size[n] + pads[n] + pads[n + rank] - spans[n] for n in range(rank)]
    assume(min(room) >= 0)
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations, "pads": pads}
    if data.draw(st.booleans()):
        attributes["ceil_mode"] = 1
    if kind == "AveragePool" and data.draw(st.booleans()):
        attributes["count_include_pad"] = 1
    if kind == "LpPool":
        attributes["p"] = data.draw(st.integers(1, 3))
        # onnx.reference and onnxruntime count differently what hangs over.
        assume("ceil_mode" not in attributes)
    x = numbers(2, 3, *size)
    dims = {"x": ["n", "c", *"hwd"[:rank]]} if data.draw(st.booleans()) else None
    outputs = ["y", "i"] if kind == "MaxPool" and data.draw(st.booleans()) else ["y"]
    if len(outputs) > 1:
        attributes["storage_order"] = data.draw(st.integers(0, 1))
    made = one_node(
        kind, {"x": x}, opset=19, dims=dims, outputs=outputs, kernel_shape=kernel, **attributes
    )
    check(made, {"x": x}, reference=False, **CLOSE)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_auto_pad(kind: str, auto_pad: str) -> None:
    x = numbers(1, 2, 7, 8)
    for dims in (None, {"x": [1, 2, "h", "w"]}):
        made = one_node(
            kind,
            {"x": x},
            opset=11,
            dims=dims,
            kernel_shape=[3, 2],
            strides=[2, 3],
            auto_pad=auto_pad,
        )
        check(made, {"x": x}, reference=False, **CLOSE)


@pytest.mark.parametrize("opset", [1, 7, 8, 10, 11, 12, 19, 22])
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_versions(kind: str, opset: int) -> None:
    x = numbers(1, 20, 7, 7)
    # onnxruntime has no AveragePool of version 1, and onnx.reference counts its padding.
    is_first = opset == 1 and kind == "AveragePool"
    pads = [0 if is_first else 1] * 4
    made = one_node(kind, {"x": x}, opset=opset, kernel_shape=[3, 3], strides=[2, 2], pads=pads)
    check(made, {"x": x}, reference=opset >= 10 or is_first, **CLOSE)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.uint8])
def test_element_types(dtype: Any) -> None:
    x = (numbers(1, 3, 9, 9) * 9).astype(dtype)
    made = one_node("MaxPool", {"x": x}, opset=12, kernel_shape=[2, 2], pads=[1, 1, 0, 0])
    if dtype is np.float16:
        want = run_model(made, {"x": x})["y"].astype(np.float32)
        wide = {"x": x.astype(np.float32)}
        made = one_node("MaxPool", wide, opset=12, kernel_shape=[2, 2], pads=[1, 1, 0, 0])
        np.testing.assert_array_equal(run_model(made, wide)["y"], want)
    else:
        check(made, {"x": x}, reference=False)
    if x.dtype.kind == "f":
        made = one_node("AveragePool", {"x": x}, opset=12, kernel_shape=[4, 4])
        check(made, {"x": x}, onnxruntime=dtype is np.float64, rtol=2e-3, atol=2e-3)


def test_nan_wins() -> None:
    x = numbers(1, 1, 4, 4)
    x[0, 0, 1, 2] = np.nan
    made = one_node("MaxPool", {"x": x}, opset=12, kernel_shape=[2, 2], strides=[2, 2])
    got = run_model(made, {"x": x})["y"].ravel()
    assert np.isnan(got).tolist() == [False, True, False, False]


@pytest.mark.parametrize("kind", ["GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"])
def test_global_pools(kind: str) -> None:
    for shape in ((2, 3, 5), (1, 17, 4, 6), (2, 3, 2, 3, 4)):
        x = numbers(*shape)
        for dims in (None, {"x": list("ncdhw"[: len(shape)])}):
            made = one_node(kind, {"x": x}, opset=13, dims=dims)
            check(made, {"x": x}, reference=False, **CLOSE)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_channels_last_between_convolutions(kind: str) -> None:
    x, w = numbers(1, 16, 12, 11), numbers(16, 16, 3, 3)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node(kind, ["a"], ["b"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Conv", ["b", "w"], ["y"]),
    ]
    made = make_model(nodes, {"x": (np.float32, x.shape)}, {"w": w}, opset=13)
    check(made, {"x": x}, rtol=1e-3, atol=1e-3)


def test_max_unpool_of_what_a_pool_gave() -> None:
    x = numbers(1, 2, 6, 8)
    nodes = [
        helper.make_node("MaxPool", ["x"], ["a", "i"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["a", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    for dims in (x.shape, ["n", 2, "h", 8]):
        check(make_model(nodes, {"x": (np.float32, dims)}, opset=11), {"x": x}, reference=False)


REGIONS = np.array([[1, 1, 8, 9], [0, 0, 30, 20], [5, 6, 5, 6], [-9, -9, -5, -5]], np.float32)
IMAGES = np.array([0, 1, 1, 0])


def test_max_roi_pool() -> None:
    rois = np.concatenate([IMAGES[:, None].astype(np.float32), REGIONS], 1)
    feed = {"x": numbers(2, 3, 12, 14), "r": rois}
    made = one_node("MaxRoiPool", feed, opset=12, pooled_shape=[3, 4], spatial_scale=0.7)
    check(made, feed, reference=False)


@pytest.mark.parametrize("opset", [10, 16])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align(opset: int, samples: int) -> None:
    feed = {"x": numbers(2, 3, 12, 14), "r": REGIONS, "n": IMAGES}
    made = one_node(
        "RoiAlign",
        feed,
        opset=opset,
        dims={"r": ["k", 4], "n": ["k"]},
        output_height=3,
        output_width=4,
        spatial_scale=0.7,
        sampling_ratio=samples,
    )
    check(made, feed, reference=False, **CLOSE)
