"""ConvTranspose against onnx.reference and onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numerics.harness import check, node_cases, one_node, run_case


def layer(
    data: tuple[int, ...],
    weights: tuple[int, ...],
    bias: bool = True,
    dims: Any = None,
    opset: int = 11,
    dtype: Any = np.float32,
    **attributes: Any,
):
    """A model of one layer with constant weights, and a feed."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (data, weights))
    constants = {"w": w}
    if bias:
        outputs = weights[1] * attributes.get("group", 1)
        constants["b"] = rng.standard_normal(outputs).astype(dtype)
    made = one_node(
        "ConvTranspose", {"x": x}, opset=opset, constants=constants, dims=dims, **attributes
    )
    return made, {"x": x}


@pytest.mark.parametrize("case", list(node_cases("ConvTranspose")), ids=lambda case: case.name)
def test_suite(case: Any) -> None:
    run_case(case)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_attributes(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    group = data.draw(st.sampled_from([1, 1, 2, 3]))
    depthwise = data.draw(st.booleans())
    inputs, outputs = (1, 1) if depthwise else data.draw(st.sampled_from([(2, 3), (5, 1), (3, 17)]))

    def draw(low: int, high: int, count: int = rank) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, strides, dilations, size = draw(1, 4), draw(1, 4), draw(1, 3), draw(1, 5)
    pads = draw(0, 2, 2 * rank)
    extra = [data.draw(st.integers(0, stride - 1)) for stride in strides]
    spans = [
        (n - 1) * s + (k - 1) * d + 1 + e
        for n, s, k, d, e in zip(size, strides, kernel, dilations, extra, strict=True)
    ]
    results = [span - pads[n] - pads[n + rank] for n, span in enumerate(spans)]
    assume(min(results) > 0)
    attributes: dict[str, Any] = {"pads": pads, "output_padding": extra}
    if data.draw(st.booleans()):
        attributes = {"output_shape": results, "output_padding": extra}
    dims = None
    if "pads" in attributes and data.draw(st.booleans()):
        dims = {"x": ["n", group * inputs, *"abc"[:rank]]}
    made, feed = layer(
        (2, group * inputs, *size),
        (group * inputs, outputs, *kernel),
        dims=dims,
        strides=strides,
        dilations=dilations,
        group=group,
        **attributes,
    )
    check(made, feed, reference=False, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad(auto_pad: str) -> None:
    made = layer((1, 3, 5, 4), (3, 2, 3, 4), auto_pad=auto_pad, strides=[2, 3])
    check(*made, rtol=1e-4, atol=1e-5)
    # Where the window is shorter than the stride onnxruntime gives another shape than ONNX says.
    made = layer((1, 1, 3), (1, 1, 2), auto_pad=auto_pad, strides=[5])
    check(*made, onnxruntime=auto_pad == "VALID", rtol=1e-4, atol=1e-5)


def test_sizes_that_a_run_knows() -> None:
    made, feed = layer(
        (1, 4, 6, 5),
        (4, 20, 3, 3),
        dims={"x": ["n", 4, "h", "w"]},
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    )
    rng = np.random.default_rng(1)
    more = [{"x": rng.standard_normal((2, 4, h, w), np.float32)} for h, w in ((1, 1), (3, 9))]
    check(made, feed, *more, rtol=1e-4, atol=1e-4)


def test_many_phases_are_a_loop() -> None:
    made = layer((1, 2, 3, 2), (2, 3, 16, 10), strides=[8, 5], pads=[4, 2, 4, 3])
    check(*made, rtol=1e-4, atol=1e-4)


def test_wide_channels_and_other_floats() -> None:
    check(*layer((1, 33, 4, 4), (33, 70, 2, 2), strides=[2, 2]), rtol=1e-4, atol=1e-4)
    made = layer((1, 3, 4), (3, 5, 3), strides=[2], dtype=np.float64)
    check(*made, rtol=1e-10, atol=1e-10)
    made = layer((1, 3, 4), (3, 5, 3), strides=[2], dtype=np.float16, bias=False)
    check(*made, onnxruntime=False, rtol=1e-2, atol=1e-2)


def test_weights_that_a_run_brings() -> None:
    rng = np.random.default_rng(2)
    feed = {
        "x": rng.standard_normal((2, 3, 4), np.float32),
        "w": rng.standard_normal((3, 6, 4), np.float32),
    }
    check(one_node("ConvTranspose", feed, opset=1, strides=[2]), feed, rtol=1e-4, atol=1e-5)
