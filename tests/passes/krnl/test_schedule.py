"""krnl-schedule: which lanes vectors get."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from numerics.harness import channel_shuffle, make_model
from onnx import helper
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, i64

import compiler
from passes.krnl.schedule import TUNED, ScheduleKrnl


def test_a_kernel_may_be_tuned_to_another_machine() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = {"w": np.ones((64, 96), np.float32)}
    model = make_model([node], {"x": (np.float32, [60, 64])}, weights)
    passes = compiler.Pipeline.default("haswell").until("krnl-schedule")
    low = compiler.lower(model, to="krnl", passes=passes, target="haswell")
    (kernel,) = (op for op in low.module.ops if "krnl.kernel" in op.attributes)
    kernel.attributes[TUNED] = DictionaryAttr({"registers": IntegerAttr(8, i64)})
    ScheduleKrnl(vector_bits=256, registers=16, explain=True).apply(low.ctx, low.module)
    text = low.as_text()
    assert '"measured: registers = 8"' in text
    assert re.search(r"krnl.block %\w+ 2\n", text), "two rows of two vectors fit eight registers"


def lanes_of(dtype: type, columns: int) -> int:
    """Lanes in which the largest numbers of columns are found, for vectors of 256 bits."""
    node = helper.make_node("ReduceMax", ["x", "axes"], ["y"], keepdims=0)
    model = make_model([node], {"x": (dtype, [9, columns])}, {"axes": np.array([0])})
    passes = compiler.Pipeline.default()
    low = compiler.lower(model, to="krnl", passes=passes.until("krnl-schedule"))
    ScheduleKrnl(vector_bits=256, registers=16).apply(low.ctx, low.module)
    text = low.as_text()
    found = re.search(r"krnl.vectorize %\S+ (\d+)", text)
    assert found, text
    return int(found[1])


@pytest.mark.parametrize(
    ("dtype", "columns", "lanes"),
    [
        (np.uint8, 64, 32),
        (np.uint8, 48, 16),
        (np.uint8, 40, 8),
        (np.float16, 64, 8),
        (np.float32, 64, 8),
        (np.int64, 64, 4),
    ],
)
def test_short_integers_fill_vectors_that_need_no_mask(
    dtype: type, columns: int, lanes: int
) -> None:
    assert lanes_of(dtype, columns) == lanes


def test_a_product_and_a_window_inside_of_a_loop_are_functions() -> None:
    weights = {
        "v": np.ones((32, 8, 1, 1), np.float32),
        "w": np.ones((32, 1, 3, 3), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["y"], group=32, pads=[1, 1, 1, 1]),
    ]
    sizes = {"x": (np.float32, [1, 8, 30, 30])}
    passes = compiler.Pipeline.default().replace(
        "onnx-form-dispatches", "onnx-form-dispatches{cache-bytes=0}"
    )

    def scheduled(model: onnx.ModelProto) -> str:
        low = compiler.lower(model, to="krnl", passes=passes.until("krnl-schedule"))
        ScheduleKrnl().apply(low.ctx, low.module)
        return low.as_text()

    text = scheduled(make_model(nodes, sizes, weights))
    assert text.count("krnl.outline") == 3, "rows before the first window, rows behind, windows"
    text = scheduled(make_model(nodes[:1], sizes, {"v": weights["v"]}, ["a"]))
    assert "krnl.tensorize" in text and "krnl.outline" not in text


def schedule_of_concat(places: int) -> str:
    """Of half of a row-major image, and a channels-last one, put together in row-major order."""
    model = channel_shuffle(32, places)
    passes = compiler.Pipeline.default().until("krnl-schedule")
    low = compiler.lower(model, to="krnl", passes=passes)
    ScheduleKrnl().apply(low.ctx, low.module)
    text = low.as_text(elide=16)
    (kernel,) = (part for part in text.split("func.func ") if "concat" in part.split("(")[0])
    return kernel


@pytest.mark.parametrize(("places", "lanes"), [(28, 16), (14, 8), (7, 0)])
def test_loops_go_along_what_is_stored(places: int, lanes: int) -> None:
    same, other = schedule_of_concat(places).split("krnl.define_loops")[1:]
    # Row-major to row-major: the loop over places is the innermost. It was that over channels.
    handles = re.search(r"krnl.permute\((.*)\)", same)
    bound = re.search(r"krnl.iterate \((.*)\) \{", same)
    assert handles and bound
    innermost = handles[1].split(", ")[-1]
    assert re.search(rf"{innermost} -> %\d+ = 0 to {places}\b", bound[1])
    # Channels-last to row-major: squares in registers, of half a vector where a row is short.
    tiles = re.findall(r"krnl.tensorize\(.*\) (\d+)", other)
    assert tiles == ([str(lanes)] if lanes else [])
