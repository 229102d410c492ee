"""What `onnx-form-dispatches` knows of operators: what may stand where in a kernel, and pays."""

from __future__ import annotations

from dialects.onnx.constants import single_element
from dialects.onnx.dims import Dim
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.shape.helpers import permutation
from dialects.onnx.types import dims_of, layout_of
from passes.lower.onnx_to_krnl.registry import POINTWISE, key_of
from passes.onnx.groups import Group

CONTRACTIONS = frozenset(
    [
        "Conv",
        "WinogradConv",
        "StrassenMatMul",
        "SplitMatMul",
        "MatMul",
        "Gemm",
        "ConvTranspose",
        "ConvInteger",
        "MatMulInteger",
    ]
)
"""Roots that compute vectors of columns: behind them, columns must stay neighbours in memory."""

COSTLY = frozenset(
    [
        "Exp",
        "Log",
        "Tanh",
        "Erf",
        "Sigmoid",
        "Gelu",
        "Mish",
        "Softplus",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Acosh",
        "Atanh",
        "Pow",
        "Elu",
        "Selu",
        "Celu",
        "Swish",
    ]
)
"""Pointwise operators that are not worth computing twice."""

READ_ONCE = frozenset(
    [
        "ArgMax",
        "ArgMin",
        "Concat",
        "CumProd",
        "CumSum",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GlobalMaxPool",
        "Pad",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
    ]
)
"""Roots that read each element once: even costly operations may be computed in front of them."""


def result_dims(group: Group) -> tuple[Dim, ...] | None:
    """Sizes of the first result of a group's root."""
    assert group.root is not None
    return dims_of(group.root.results[0].type)


def weighs_columns(group: Group, product: OnnxOp) -> bool:
    """Whether a Softmax goes along the columns of a product's left-hand side, and is all of it.

    Some rows may be cleared behind it, as attention does with those that are masked altogether.
    """
    softmax, dims, right = group.root, result_dims(group), dims_of(product.operands[1].type)
    result = dims_of(product.results[0].type)
    if softmax is None or not dims or right is None or min(len(dims), len(right)) < 2:
        return False
    behind = [op for op in group.ops if group.is_behind(op)]
    is_whole = not behind or (len(behind) == 1 and _clears_rows(behind[0], softmax))
    is_last = softmax.get("axis") in (-1, len(dims) - 1)
    return is_whole and is_last and result == (*dims[:-1], right[-1]) and isinstance(right[-1], int)


def _clears_rows(op: OnnxOp, softmax: OnnxOp) -> bool:
    """Where(rows, 0, softmax)"""
    if op.OP_TYPE != "Where" or op.operands[2] is not softmax.results[0]:
        return False
    zero, rows = op.operands[1].owner, dims_of(op.operands[0].type)
    if not isinstance(zero, Const) or any(n != 1 for n in dims_of(zero.result.type) or ()):
        return False
    return bool(rows) and rows[-1] == 1 and single_element(zero) == 0


def keeps_neighbours(op: OnnxOp, root: OnnxOp) -> bool:
    """Whether a map behind a contraction leaves the innermost axis of its buffer innermost."""
    if root.OP_TYPE not in CONTRACTIONS:
        return True
    before, after = layout_of(op.operands[0].type), layout_of(op.results[0].type)
    rank = len(dims_of(op.results[0].type) or ())
    if op.OP_TYPE == "Identity":
        return (before or (rank - 1,))[-1] == (after or (rank - 1,))[-1]
    if op.OP_TYPE == "Transpose":
        perm = permutation(op.get("perm"), rank)
        return perm[(after or (rank - 1,))[-1]] == (before or (rank - 1,))[-1]
    return key_of(op) in POINTWISE or (before is None and after is None)
