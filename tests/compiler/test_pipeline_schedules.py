"""A product's schedule changed from Python: the result stays right (see docs/krnl.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from onnx import helper
from sample_models import graph_model
from xdsl.ir import Operation, SSAValue

import compiler
from dialects import krnl

ROWS, DEPTH, COLUMNS = 50, 70, 128


def unscheduled() -> tuple[compiler.Lowered, np.ndarray]:
    """A product on the `krnl` stage without a schedule, and its weights."""
    weights = np.random.default_rng(0).standard_normal((DEPTH, COLUMNS), np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    model = graph_model("g", [node], {"x": [ROWS, DEPTH]}, ["y"], {"w": weights})
    passes = compiler.Pipeline.default().until("krnl-schedule")
    return compiler.lower(model, to="krnl", passes=passes), weights


def nest_of(low: compiler.Lowered) -> krnl.IterateOp:
    return next(
        op
        for op in low.module.walk()
        if isinstance(op, krnl.IterateOp) and op.contraction is not None
    )


Schedule = Callable[[SSAValue, SSAValue], Sequence[Operation]]


def nothing(rows: SSAValue, columns: SSAValue) -> Sequence[Operation]:
    return []


def other_order(rows: SSAValue, columns: SSAValue) -> Sequence[Operation]:
    return [krnl.PermuteOp([columns, rows])]


def scalar_tiles(rows: SSAValue, columns: SSAValue) -> Sequence[Operation]:
    tall, wide = krnl.BlockOp(rows, 8), krnl.BlockOp(columns, 32)
    order = krnl.PermuteOp([wide.outer, tall.outer, wide.inner, tall.inner])
    return [tall, wide, order]


def register_tile(height: int, width: int, lanes: int) -> Schedule:
    def make(rows: SSAValue, columns: SSAValue) -> Sequence[Operation]:
        tall, wide = krnl.BlockOp(rows, height), krnl.BlockOp(columns, width)
        order = krnl.PermuteOp([tall.outer, wide.outer, tall.inner, wide.inner])
        return [tall, wide, order, krnl.TensorizeOp(tall.inner, wide.inner, lanes)]

    return make


def threads(rows: SSAValue, columns: SSAValue) -> Sequence[Operation]:
    tall = krnl.BlockOp(rows, 7)
    return [tall, krnl.ParallelOp([tall.outer], 1)]


@pytest.mark.parametrize(
    "make",
    [
        nothing,
        other_order,
        scalar_tiles,
        register_tile(4, 32, 8),
        register_tile(1, 64, 16),
        register_tile(6, 16, 4),
        threads,
    ],
)
def test_the_result_stays_right(make: Schedule) -> None:
    low, weights = unscheduled()
    nest = nest_of(low)
    block = nest.parent
    assert block is not None
    block.insert_ops_before(list(make(*nest.loops)), nest)
    x = np.random.default_rng(1).standard_normal((ROWS, DEPTH), np.float32)
    np.testing.assert_allclose(low.compile()(x), x @ weights, rtol=1e-4, atol=1e-4)


def test_our_schedule_only_adds_operations() -> None:
    low, weights = unscheduled()
    before = nest_of(low)
    body = str(before.body)
    low.run("krnl-schedule{vector-bits=256 registers=16}")
    assert nest_of(low) is before
    assert str(before.body) == body
    made = [op.name for op in before.parent.ops if op.name != "krnl.define_loops"]  # type: ignore
    assert "krnl.tensorize" in made and "krnl.block" in made
    x = np.random.default_rng(1).standard_normal((ROWS, DEPTH), np.float32)
    np.testing.assert_allclose(low.compile()(x), x @ weights, rtol=1e-4, atol=1e-4)


def test_a_schedule_can_be_edited_as_text() -> None:
    low, weights = unscheduled()
    low.run("krnl-schedule{vector-bits=512 registers=32}")
    text = low.as_text()
    edited = text.replace("krnl.tensorize", "// krnl.tensorize", 1)
    assert edited != text
    from compiler.ir_text import new_context, parse_module

    ctx = new_context()
    plain = compiler.Lowered(parse_module(edited, ctx), ctx, low.target)
    x = np.random.default_rng(1).standard_normal((ROWS, DEPTH), np.float32)
    np.testing.assert_allclose(plain.compile()(x), x @ weights, rtol=1e-4, atol=1e-4)
