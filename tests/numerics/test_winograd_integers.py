"""Convolutions of bytes by Winograd's filtering: equal to direct sums, whatever the numbers."""

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

FORMS = ((2, 1), (4, 1), (2, 2))
"""Tiles and strides."""
UNITS = ("vector-bits=256 registers=16", "vector-bits=512 registers=32")
Layer = tuple[int, int, int, int, tuple[int, int, int, int]]


def random(dtype: type, *shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers of the whole range of a type."""
    limits = np.iinfo(dtype)
    generator = np.random.default_rng(seed)
    return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def conv_model(
    x: np.ndarray, weights: np.ndarray, zero: int = 0, **attributes: Any
) -> onnx.ModelProto:
    """One convolution, of data with a zero point."""
    constants = {"w": weights, "z": np.array(zero, x.dtype)}
    node = helper.make_node("ConvInteger", ["x", "w", "z"], ["y"], **attributes)
    return make_model([node], {"x": (x.dtype, x.shape)}, constants)


def pipeline_of(tile: int, unit: str = UNITS[0]) -> Pipeline:
    """Passes that take tiles of a size for a vector unit; one of 512 bits is made of instructions
    that any machine has.
    """
    chosen = f"onnx-apply-winograd{{tile={tile} group=2 {unit}}}"
    pipeline = Pipeline.default().replace("onnx-apply-winograd", chosen)
    for name in ("onnx-assign-layouts", "krnl-schedule"):
        pipeline = pipeline.replace(name, f"{name}{{{unit}}}")
    if unit == UNITS[0]:
        return pipeline
    return pipeline.replace("lower-llvm", "lower-llvm{dot-products=none}")


def compiled(model: onnx.ModelProto, tile: int, unit: str = UNITS[0]) -> Network:
    """The model with its convolution by tiles, which is checked."""
    network = compiler.compile(model, passes=pipeline_of(tile, unit), cache=False)
    assert any("winograd" in entry["name"] for entry in network.program.manifest["kernels"])
    return network


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("form", FORMS)
def test_odd_sizes(form: tuple[int, int], unit: str) -> None:
    layers: list[Layer] = [
        (2, 5, 7, 7, (1, 1, 1, 1)),
        (18, 70, 4, 9, (1, 0, 2, 1)),
        (32, 16, 1, 1, (1, 1, 1, 1)),
        (4, 5, 14, 3, (1, 1, 1, 1)),
        (10, 200, 7, 9, (1, 1, 1, 1)),
    ]
    compare(form, unit, np.uint8, 0, layers)


@settings(max_examples=2, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    dtype=st.sampled_from([np.uint8, np.int8]),
    zero=st.integers(0, 127),
    layers=st.lists(
        st.tuples(
            st.integers(1, 10).map(lambda pairs: 2 * pairs),
            st.integers(1, 80),
            st.integers(1, 13),
            st.integers(1, 13),
            st.tuples(*[st.integers(1, 3)] * 4),
        ),
        min_size=2,
        max_size=2,
    ),
)
def test_any_sizes(form: tuple[int, int], dtype: type, zero: int, layers: list[Layer]) -> None:
    compare(form, UNITS[0], dtype, zero, layers)


def compare(form: tuple[int, int], unit: str, dtype: type, zero: int, layers: list[Layer]) -> None:
    """Compares convolutions, all in one model, with sums in int64."""
    tile, stride = form
    nodes, inputs, exact = [], {}, {}
    constants: dict[str, np.ndarray] = {"z": np.array(zero, dtype)}
    for n, (channels, outputs, height, width, pads) in enumerate(layers):
        # One image of few tiles is one block, whose data all groups of channels share.
        x = random(dtype, 1 + n % 2, channels, height, width)
        w = random(np.int8, outputs, channels, 3, 3, seed=n + 1)
        node = helper.make_node("ConvInteger", [f"x{n}", f"w{n}", "z"], [f"y{n}"], pads=pads)
        node.attribute.append(helper.make_attribute("strides", [stride, stride]))
        nodes.append(node)
        inputs[f"x{n}"] = x
        constants[f"w{n}"] = w
        exact[f"y{n}"] = exact_conv(x, w, pads, zero)[..., ::stride, ::stride]
    signature = {name: (x.dtype, x.shape) for name, x in inputs.items()}
    model = make_model(nodes, signature, constants, list(exact))
    got = compiled(model, tile, unit).run(inputs)
    for name, expected in exact.items():
        np.testing.assert_array_equal(got[name], expected)


@pytest.mark.parametrize(("tile", "stride"), FORMS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_extremes(tile: int, stride: int, dtype: type) -> None:
    limits = np.iinfo(dtype)
    channels, size = 22, 9
    numbers = [limits.min, limits.max, 0]
    checkered = np.indices((1, channels, size, size)).sum(0) % 2 * int(limits.max)
    data = [np.full((1, channels, size, size), n) for n in numbers] + [checkered, checkered[::-1]]
    kernels = [np.full((4, channels, 3, 3), n) for n in (-128, 127)]
    kernels.append(np.indices((4, channels, 3, 3)).sum(0) % 2 * 255 - 128)
    weights = np.concatenate(kernels).astype(np.int8)
    x = np.concatenate(data).astype(dtype)
    strides = (stride, stride)
    network = compiled(conv_model(x, weights, pads=(1, 1, 1, 1), strides=strides), tile)
    expected = exact_conv(x, weights, (1, 1, 1, 1), 0)[..., ::stride, ::stride]
    np.testing.assert_array_equal(network.run({"x": x})["y"], expected)


@pytest.mark.parametrize("zero", [0, 3])
def test_dilations(zero: int) -> None:
    x, weights = random(np.uint8, 2, 6, 13, 11), random(np.int8, 20, 6, 3, 3, seed=1)
    pads = (3, 3, 3, 3)
    network = compiled(conv_model(x, weights, zero, pads=pads, dilations=(3, 3)), 4)
    expected = exact_conv(x, weights, pads, zero, dilation=3)
    np.testing.assert_array_equal(network.run({"x": x})["y"], expected)


def test_sums_that_might_not_fit_are_direct() -> None:
    """4 x 4 tiles have 6 bits less for results: more channels than 115 of all 127 are too many."""
    for channels, is_transformed in [(114, True), (116, False)]:
        x = np.full((1, channels, 5, 5), 255, np.uint8)
        weights = np.full((3, channels, 3, 3), 127, np.int8)
        model = conv_model(x, weights)
        network = compiler.compile(model, passes=pipeline_of(4), cache=False)
        names = [entry["name"] for entry in network.program.manifest["kernels"]]
        assert any("winograd" in name for name in names) == is_transformed
        np.testing.assert_array_equal(
            network.run({"x": x})["y"], exact_conv(x, weights, (0,) * 4, 0)
        )


def test_sizes_that_only_a_run_knows() -> None:
    weights = random(np.int8, 20, 8, 3, 3, seed=1)
    node = helper.make_node("ConvInteger", ["x", "w"], ["y"], auto_pad="SAME_UPPER")
    model = make_model([node], {"x": (np.uint8, ["n", 8, "h", "w"])}, {"w": weights})
    network = compiled(model, 4)
    for sizes in [(1, 8, 5, 7), (0, 8, 4, 4), (3, 8, 1, 30)]:
        x = random(np.uint8, *sizes)
        got = network.run({"x": x})["y"]
        np.testing.assert_array_equal(got, exact_conv(x, weights, (1,) * 4, 0))


@pytest.mark.parametrize(
    ("group", "channels", "is_transformed"), [(2, 64, True), (4, 64, False), (2, 63, False)]
)
def test_only_pairs_are_transformed(group: int, channels: int, is_transformed: bool) -> None:
    x, weights = random(np.uint8, 1, channels, 40, 40), random(np.int8, 64, channels, 3, 3)
    model = conv_model(x, weights, pads=(1, 1, 1, 1))
    chosen = f"onnx-apply-winograd{{group={group} vector-bits=256 registers=16}}"
    passes = Pipeline.default().replace("onnx-apply-winograd", chosen)
    low = compiler.lower(model, to="onnx", passes=passes.until("onnx-pack-integers"))
    assert ("WinogradConv" in low.as_text()) == is_transformed
