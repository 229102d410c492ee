"""Convolutions by Winograd's filtering against direct ones, onnx.reference and onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numerics.harness import exact_conv, make_model
from onnx import helper

import compiler
from compiler.pipeline import Pipeline
from runtime.network import Network

TILES = (2, 4)
UNITS = ("vector-bits=256 registers=16", "vector-bits=512 registers=32")
BOUND = {2: 2e-6, 4: 8e-6}
"""The largest error of a result, as a part of the largest result, for up to 512 channels."""


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def conv_model(
    weights: np.ndarray, sizes: list[Any], bias: np.ndarray | None = None, **attributes: Any
) -> onnx.ModelProto:
    """One convolution."""
    constants = {"w": weights} | ({} if bias is None else {"b": bias})
    node = helper.make_node("Conv", ["x", *constants], ["y"], **attributes)
    return make_model([node], {"x": (weights.dtype, sizes)}, constants)


def error(got: np.ndarray, exact: np.ndarray) -> float:
    """The largest error as a part of the largest number."""
    return float(np.abs(got - exact).max(initial=0) / max(np.abs(exact).max(initial=0), 1e-30))


def compiled(model: onnx.ModelProto, tile: int, unit: str = UNITS[0]) -> Network:
    """The model with all convolutions by tiles of a size (0: direct), for a vector unit."""
    pipeline = Pipeline.default()
    chosen = f"onnx-apply-winograd{{tile={tile} {unit}}}" if tile else ""
    pipeline = pipeline.replace("onnx-apply-winograd", chosen)
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    return compiler.compile(model, passes=pipeline, cache=False)


def is_transformed(model: onnx.ModelProto, passes: Pipeline | None = None) -> bool:
    """Whether some convolution is done by tiles."""
    passes = Pipeline.default() if passes is None else passes
    text = compiler.lower(model, to="onnx", passes=passes.until("onnx-assign-layouts")).as_text()
    return "WinogradConv" in text


STRIDES = (1, 2)
Layer = tuple[int, int, int, int, tuple[int, int, int, int]]
SIZES: list[Layer] = [
    # channels, outputs, height, width, pads
    (3, 5, 7, 7, (1, 1, 1, 1)),
    (8, 16, 13, 13, (0, 0, 0, 0)),
    (17, 70, 4, 9, (1, 0, 2, 1)),
    (9, 24, 1, 1, (1, 1, 1, 1)),
    (1, 100, 3, 14, (0, 2, 0, 0)),
    (6, 30, 14, 5, (1, 1, 1, 1)),
    (5, 200, 7, 9, (1, 1, 1, 1)),
]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("tile", "unit"), [(2, UNITS[0]), (4, UNITS[0]), (4, UNITS[1])])
def test_odd_sizes(tile: int, unit: str, stride: int) -> None:
    compare(tile, unit, stride, SIZES)


@settings(max_examples=3, deadline=None)
@given(
    tile=st.sampled_from(TILES),
    unit=st.sampled_from(UNITS),
    stride=st.sampled_from(STRIDES),
    layers=st.lists(
        st.tuples(
            st.integers(1, 20),
            st.integers(1, 80),
            st.integers(1, 13),
            st.integers(1, 13),
            st.tuples(*[st.integers(1, 3)] * 4),
        ),
        min_size=2,
        max_size=2,
    ),
)
def test_any_sizes(tile: int, unit: str, stride: int, layers: list[Layer]) -> None:
    compare(tile, unit, stride, layers)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("dilation", [2, 3, 6])
def test_dilations(dilation: int, unit: str) -> None:
    around = (dilation,) * 4
    more = [(12, 20, 5, 26, around), (7, 9, 30, 3, around), (4, 8, 1, 1, around)]
    fitting = [entry for entry in SIZES if min(entry[2:4]) > 2 * dilation]
    compare(4, unit, 1, [*more, *fitting], dilation)


def compare(tile: int, unit: str, stride: int, layers: list[Layer], dilation: int = 1) -> None:
    """Compares convolutions, all in one model, with what float64 gives."""
    nodes, inputs, constants, exact = [], {}, {}, {}
    for n, (channels, outputs, height, width, pads) in enumerate(layers):
        # One image of few tiles is one block, whose data all groups of channels share.
        x = floats(1 + n % 2, channels, height, width)
        w, b = floats(outputs, channels, 3, 3, seed=1), floats(outputs, seed=2)
        node = helper.make_node("Conv", [f"x{n}", f"w{n}", f"b{n}"], [f"y{n}"], pads=pads)
        for name, steps in (("strides", stride), ("dilations", dilation)):
            node.attribute.append(helper.make_attribute(name, [steps, steps]))
        nodes.append(node)
        inputs[f"x{n}"] = x
        constants |= {f"w{n}": w, f"b{n}": b}
        whole = exact_conv(x, w, pads, dilation=dilation)
        exact[f"y{n}"] = whole[..., ::stride, ::stride] + b[:, None, None]
    signature = {name: (x.dtype, x.shape) for name, x in inputs.items()}
    model = make_model(nodes, signature, constants, list(exact))
    got = compiled(model, tile, unit).run(inputs)
    for name, expected in exact.items():
        assert got[name].shape == expected.shape
        assert error(got[name], expected) < BOUND[tile]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("tile", TILES)
def test_error_bound_with_many_channels(tile: int, stride: int) -> None:
    weights, x = floats(32, 512, 3, 3, seed=1), floats(1, 512, 8 * stride, 8 * stride)
    exact = exact_conv(x, weights, (1, 1, 1, 1))[..., ::stride, ::stride]
    strides = (stride, stride)
    model = conv_model(weights, list(x.shape), pads=(1, 1, 1, 1), strides=strides)
    found = {n: error(compiled(model, n).run({"x": x})["y"], exact) for n in (0, tile)}
    assert found[tile] < BOUND[tile]
    assert found[tile] < 4 * found[0]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("tile", TILES)
def test_sizes_that_only_a_run_knows(tile: int, stride: int) -> None:
    weights, apart = floats(20, 9, 3, 3, seed=1), tile // 2 if stride == 1 else 1
    padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if stride == 1 else {"pads": (1,) * 4}
    padding["dilations"] = (apart, apart)
    model = conv_model(weights, ["n", 9, "h", "w"], strides=(stride, stride), **padding)
    network = compiled(model, tile)
    for sizes in [(1, 9, 5, 7), (2, 9, 8, 8), (0, 9, 4, 4), (3, 9, 1, 30)]:
        x = floats(*sizes)
        got = network.run({"x": x})["y"]
        exact = exact_conv(x, weights, (apart,) * 4, dilation=apart)[..., ::stride, ::stride]
        assert got.shape == exact.shape
        assert error(got, exact) < BOUND[tile]


@pytest.mark.parametrize("tile", TILES)
def test_what_stands_behind_is_fused(tile: int) -> None:
    weights = {"v": floats(8, 6, 3, 3, seed=1), "w": floats(8, 8, 3, 3, seed=2)}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=(1, 1, 1, 1)),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["a", "s"], ["m"]),
        helper.make_node("Conv", ["m", "w"], ["c"], pads=(1, 1, 1, 1)),
        helper.make_node("Add", ["c", "m"], ["r"]),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    model = make_model(nodes, {"x": (np.float32, [2, 6, 9, 10])}, weights)
    x = floats(2, 6, 9, 10)
    network = compiled(model, tile)
    kernels = [entry["name"] for entry in network.program.manifest["kernels"]]
    assert sum("winograd" in name for name in kernels) == 2
    assert not any(name.startswith(("sigmoid", "mul", "add", "relu")) for name in kernels)
    expected = compiled(model, 0).run({"x": x})["y"]
    assert error(network.run({"x": x})["y"], expected) < BOUND[tile]


def test_weights_in_common_are_transformed_once() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=(1, 1, 1, 1)),
        helper.make_node("Conv", ["a", "w"], ["y"], pads=(1, 1, 1, 1)),
    ]
    weights = floats(8, 8, 3, 3, seed=1)
    model = make_model(nodes, {"x": (np.float32, [1, 8, 8, 8])}, {"w": weights})
    network = compiled(model, 4)
    assert len(network.program.manifest["constants"]) == 1
    x = floats(1, 8, 8, 8)
    expected = exact_conv(exact_conv(x, weights, (1,) * 4), weights, (1,) * 4)
    assert error(network.run({"x": x})["y"], expected) < 3 * BOUND[4]


def test_nothing_but_a_tile_suffers_from_infinity() -> None:
    x = floats(1, 4, 16, 16)
    x[0, 0, 1, 1] = np.inf
    weights = floats(8, 4, 3, 3, seed=1)
    got = compiled(conv_model(weights, [1, 4, 16, 16]), 4).run({"x": x})["y"]
    exact = exact_conv(x, weights, (0,) * 4)
    assert not np.isfinite(got[:, :, :2, :2]).any()
    outside = np.s_[:, :, 4:, 4:]
    assert error(got[outside], exact[outside]) < BOUND[4]


def test_large_layers_are_transformed_and_may_be_left_direct() -> None:
    model = conv_model(floats(64, 64, 3, 3), [1, 64, 56, 56], pads=(1, 1, 1, 1))
    assert is_transformed(model)
    assert not is_transformed(model, Pipeline.default().without("onnx-apply-winograd"))
    apart = {"pads": (2,) * 4, "dilations": (2, 2)}
    assert is_transformed(conv_model(floats(64, 64, 3, 3), [1, 64, 56, 56], **apart))
    weights = floats(128, 128, 3, 3)
    assert is_transformed(conv_model(weights, [1, 128, 56, 56], pads=(1,) * 4, strides=(2, 2)))


@pytest.mark.parametrize(
    "change",
    [
        {"strides": (3, 3)},
        {"strides": (1, 2)},
        {"dilations": (1, 2)},
        {"dilations": (2, 2), "strides": (2, 2)},
        {"group": 2},
        {"kernel": (5, 5)},
        {"dtype": np.float64},
        {"dtype": np.float16},
        {"channels": 3},
    ],
)
def test_other_convolutions_stay_direct(change: dict[str, Any]) -> None:
    kernel, dtype = change.pop("kernel", (3, 3)), change.pop("dtype", np.float32)
    channels = change.pop("channels", 64)
    weights = floats(64, channels // change.get("group", 1), *kernel).astype(dtype)
    assert not is_transformed(conv_model(weights, [1, channels, 56, 56], **change))


def test_unknown_tiles_are_refused() -> None:
    with pytest.raises(compiler.InputError, match="no tiles of 3"):
        compiled(conv_model(floats(8, 8, 3, 3), [1, 8, 8, 8]), 3)
