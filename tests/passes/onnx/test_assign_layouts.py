"""Layouts that the pass `onnx-assign-layouts` chooses."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numerics.harness import check, make_model
from onnx import helper

import compiler
from compiler.pipeline import Pipeline


def lowered(
    channels: int, groups: int, pads: int, columns: int = 9, strides: int = 1, last: bool = False
) -> str:
    """A grouped convolution with its layouts, ``last`` or before a Relu."""
    weights = np.zeros((channels, channels // groups, 3, 3), np.float32)
    attributes = {"group": groups, "pads": [pads] * 4, "strides": [strides] * 2}
    nodes = [helper.make_node("Conv", ["x", "w"], ["y" if last else "c"], **attributes)]
    nodes += [] if last else [helper.make_node("Relu", ["c"], ["y"])]
    model = make_model(nodes, {"x": (np.float32, [1, channels, 9, columns])}, {"w": weights})
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    return compiler.lower(model, "onnx", passes=passes).as_text()


def layouts(*sizes: int, **options: Any) -> list[str]:
    """The types of a grouped convolution's data and weights."""
    text = lowered(*sizes, **options)
    (line,) = (line for line in text.splitlines() if "onnx.Conv." in line)
    types = line[line.rindex(" : (") : line.rindex(" -> ")]
    return re.findall(r"#onnx\.tensor<\[.*?\], (.*?)>>", types)


@pytest.mark.parametrize(
    ("channels", "groups", "pads", "data", "weights"),
    [
        # Groups of whole vectors are packed, in panels that none of two share.
        (80, 2, 0, "[0, 2, 3, 1]", "[0, 2, 3, 1, 0], 8"),
        (64, 2, 1, "[0, 2, 3, 1]", "[0, 2, 3, 1, 0], 16"),
        # 256 floats are 1 KB: places collide in caches, so the padded copy goes group by group.
        (256, 8, 1, "[0, 1, 2, 3, 1], 32", "[0, 2, 3, 1, 0], 16"),
        (256, 8, 0, "[0, 2, 3, 1]", "[0, 2, 3, 1, 0], 16"),
        # No vectors of a single group.
        (24, 2, 1, "[0, 2, 3, 1]", "[2, 3, 1, 0]"),
        (256, 256, 1, "[0, 2, 3, 1]", "[2, 3, 1, 0]"),
    ],
)
def test_groups(channels: int, groups: int, pads: int, data: str, weights: str) -> None:
    assert layouts(channels, groups, pads)[:2] == [data, weights]


def test_a_depthwise_convolution_that_stands_alone_stays_row_major() -> None:
    assert layouts(8, 8, 1, columns=8, last=True) == []
    assert "onnx.Pad" not in lowered(8, 8, 1, columns=8, last=True), "its kernel pads each plane"
    assert layouts(8, 8, 1, columns=8) != [], "what follows is computed channels-last"
    assert layouts(8, 8, 1, columns=7, last=True) != [], "shorter than a vector"
    assert layouts(8, 8, 1, columns=80, strides=5, last=True) != [], "too far apart for shuffles"
    assert layouts(8, 4, 1, columns=8, last=True) != [], "several channels a group"


@pytest.mark.parametrize(
    ("channels", "size", "pads", "is_moved"),
    [
        (3, (14, 15), 1, False),
        (4, (9, 10), 2, False),
        (5, (14, 15), 1, True),  # many planes
        (3, (30, 30), 1, True),  # planes of 4096 bytes
        (3, (14, 15), 0, True),  # no copy is made for padding
    ],
)
def test_few_padded_channels_stay_in_planes(
    channels: int, size: tuple[int, int], pads: int, is_moved: bool
) -> None:
    weights = np.random.default_rng(0).standard_normal((16, channels, 3, 3), np.float32)
    attributes = {"pads": [pads] * 4, "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], **attributes),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    model = make_model(nodes, {"x": (np.float32, [2, channels, *size])}, {"w": weights})
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    (line,) = (line for line in text.splitlines() if "onnx.Conv." in line)
    data = line[line.rindex(" : (") :].split(">", 1)[0]
    assert ("0, 2, 3, 1" in data) == is_moved
    check(model)


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "is_copied"),
    [
        (64, 512, 64, True),
        (64, 512, 512, True),
        (8, 512, 64, False),  # few rows to make up for the copy
        (64, 64, 64, False),  # all lines of a panel fit their sets
        (64, 512, 16, False),  # one panel, without gaps
        (64, 400, 66, False),  # rows of 264 bytes go to all sets
    ],
)
def test_a_scattered_operand_is_copied_to_panels(
    rows: int, depth: int, columns: int, is_copied: bool
) -> None:
    inputs = {"x": (np.float32, [rows, depth]), "z": (np.float32, [depth, columns])}
    model = make_model([helper.make_node("MatMul", ["x", "z"], ["y"])], inputs, {})
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    assert ("onnx.copied_panel" in text) == is_copied
    assert "onnx.Identity" not in text, "the product copies it"
    check(model)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 70, 512), (512, 64)),  # one matrix for several products
        ((2, 1, 70, 512), (3, 512, 64)),
        ((70, 9000), (9000, 32)),  # a panel that the core's cache has no room for
    ],
)
def test_another_scattered_operand_is_copied_once(
    left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    inputs = {"x": (np.float32, list(left)), "z": (np.float32, list(right))}
    model = make_model([helper.make_node("MatMul", ["x", "z"], ["y"])], inputs, {})
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    assert ("onnx.Identity" in text, "onnx.copied_panel" in text) == (True, False)
    check(model)


@pytest.mark.parametrize(("rows", "is_view"), [(1, True), (2, False)])
@pytest.mark.parametrize("perm", [[0, 1, 3, 2], [0, 2, 3, 1]])
def test_keys_of_a_single_query_are_read_where_they_lie(
    perm: list[int], rows: int, is_view: bool
) -> None:
    keys = [2, 3, 70, 40] if perm[1] == 1 else [2, 70, 3, 40]
    nodes = [
        helper.make_node("Transpose", ["k"], ["t"], perm=perm),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    inputs = {"x": (np.float32, [2, 3, rows, 40]), "k": (np.float32, keys)}
    model = make_model(nodes, inputs, {})
    text = compiler.lower(model, "krnl", target="haswell").as_text()
    assert (text.count("krnl.kernel") == 1) == is_view
    check(model)


@pytest.mark.parametrize("with_bias", [False, True])
def test_a_convolution_of_size_one_that_stands_alone_is_a_product(with_bias: bool) -> None:
    generator = np.random.default_rng(0)
    constants = {"w": generator.standard_normal((70, 20, 1, 1), np.float32)}
    constants |= {"b": generator.standard_normal(70, np.float32)} if with_bias else {}
    node = helper.make_node("Conv", ["x", *constants], ["y"])
    model = make_model([node], {"x": (np.float32, [2, 20, 9, 7])}, constants)
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    assert "onnx.MatMul" in text and "onnx.Conv" not in text
    assert "#onnx.tensor" not in text, "all is row-major"
    check(model)


def test_volumes_are_not_padded_with_planes() -> None:
    weights = np.random.default_rng(0).standard_normal((8, 4, 3, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[2] * 6, dilations=[2] * 3)
    model = make_model([node], {"x": (np.float32, [1, 4, 6, 7, 9])}, {"w": weights})
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    assert "pads = array<i64: 2, 0, 0, 2, 0, 0>" in text
    assert "tensor<1x4x6x11x13xf32" in text
    check(model)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [1], [0, 3]], ids=str)
def test_a_reduction_reads_what_stands_channels_last(axes: list[int], keepdims: int) -> None:
    weights = {
        "w": np.random.default_rng(0).standard_normal((24, 3, 3, 3), np.float32),
        "axes": np.array(axes, np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("ReduceMean", ["c", "axes"], ["m"], keepdims=keepdims),
        helper.make_node("Sqrt", ["m"], ["r"]),
        helper.make_node("Abs", ["r"], ["y"]),
    ]
    model = make_model(nodes, {"x": (np.float32, [2, 3, 9, 10])}, weights)
    passes = Pipeline.default("haswell").until("onnx-form-dispatches")
    text = compiler.lower(model, "onnx", passes=passes).as_text()
    (line,) = (line for line in text.splitlines() if "onnx.ReduceMean." in line)
    assert "[0, 2, 3, 1]" in line.split("->")[0], "nothing is moved in front of it"
    check(model)
