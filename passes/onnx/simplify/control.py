"""Loops that run never or once."""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.onnx.editing import replace_value
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite


@rewrite("Loop")
def short_loop(r: Rewriter, op: OnnxOp) -> Replacement:
    """Loop(0 times, x) -> x; Loop(once, x) -> its body, when nothing is stacked"""
    carried = list(op.operands[2:])
    if len(op.results) != len(carried):
        return None
    trips = None if present(op, 0) is None else r.scalar(op.operands[0])
    goes_on = 1.0 if present(op, 1) is None else r.scalar(op.operands[1])
    if trips == 0 or goes_on == 0:
        return carried
    return _body(r, op, carried) if trips == 1 and goes_on else None


def _body(r: Rewriter, op: OnnxOp, carried: list[SSAValue]) -> list[SSAValue] | None:
    block = op.regions[0].block
    last = block.last_op
    if last is None or any(is_none(value) for value in carried):
        return None
    first = [r.const(np.array(0, np.int64), "iteration"), r.const(np.array(True), "condition")]
    mapping = dict(zip(block.args, [*first, *carried], strict=True))
    for argument, value in mapping.items():
        replace_value(argument, value)
    yielded = list(last.operands)[1:]
    block.erase_op(last)
    r.adopt(list(block.ops))
    return yielded
