"""`onnx-slice-strides`: strides out of convolutions with a kernel of size 1.

Requires inferred shapes and products of integers; runs before parameters are bound. Ensures that no
convolution with a kernel of size 1, without padding and groups, has strides: the places that it
would read are taken first, so that what is left is one product of matrices, of all places at once.

    %1 = Conv(%x, %w) {strides = 2}   ==>   %s = Slice(%x) : every second row and column
                                            %1 = Conv(%s, %w)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.constants import pool_of
from dialects.onnx.ops import OnnxOp
from passes.onnx.editing import has_strides, is_pointwise, replace_value
from passes.onnx.simplify import opset_of
from passes.onnx.simplify.rewriter import Rewriter


@dataclass(frozen=True)
class SliceStrides(ModulePass):
    """Puts a Slice in front of convolutions that skip places."""

    name = "onnx-slice-strides"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place."""
        rewriter = Rewriter(pool_of(ctx), opset_of(op))
        for node in list(op.walk()):
            if isinstance(node, OnnxOp) and _skips_places(rewriter, node):
                rewriter.at, rewriter.made = node, []
                replace_value(node.results[0], _dense(rewriter, node))
                assert node.parent is not None
                node.parent.erase_op(node)


def _skips_places(r: Rewriter, op: OnnxOp) -> bool:
    """Whether a convolution has a kernel of size 1, strides, and nothing else."""
    if op.DOMAIN or op.OP_TYPE not in ("Conv", "ConvInteger"):
        return False
    if r.dims(op.operands[1]) is None or r.dims(op.operands[0]) is None:
        return False
    return has_strides(op) and is_pointwise(op)


def _dense(r: Rewriter, op: OnnxOp) -> SSAValue:
    """The convolution of the places that it reads."""
    strides = op.get("strides")
    count = len(strides)
    operands = [
        np.zeros(count, np.int64),
        np.full(count, np.iinfo(np.int64).max, np.int64),
        np.arange(2, 2 + count, dtype=np.int64),
        np.array(strides, np.int64),
    ]
    made = [r.const(array, "slice") for array in operands]
    places = r.make("Slice", op.operands[0], *made)
    return r.like(op, [places, *op.operands[1:]], strides=(1,) * count)
