"""What `onnx-form-dispatches` knows of operators: what may stand where in a kernel, and pays."""

from __future__ import annotations

from math import prod

from xdsl.ir import SSAValue

from dialects.onnx.constants import single_element
from dialects.onnx.dims import Dim, numbers_of
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.shape.helpers import normalize_axis, permutation
from dialects.onnx.types import dims_of, is_tensor, layout_of, panel_of
from passes.lower.onnx_to_krnl.convolution_chain import (
    MOST_BETWEEN,
    bands_of,
    what_lies_between,
)
from passes.lower.onnx_to_krnl.place_reduction import MOST_TOTALS
from passes.lower.onnx_to_krnl.reductions import REDUCTIONS, known_axes
from passes.lower.onnx_to_krnl.registry import POINTWISE, key_of
from passes.onnx.assign_layouts.layouts import channels_last
from passes.onnx.bind_parameters import parameter
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


def goes_along(group: Group, op: OnnxOp, cache_bytes: int) -> bool:
    """Whether a depthwise convolution may go along with the one of a group, and gains.

    Both are of channels-last images of known sizes without padding of their own. All of what lies
    between for some channels is small; or all of it is larger than the core's cache, so that it
    would be written to memory and read again, and some rows of it are small.
    """
    first, between = group.root, op.operands[0]
    assert first is not None
    pads = [parameter(each, 1) for each in group.ops if each.OP_TYPE == "Pad"]
    if not all(isinstance(amount, int) for given in pads for amount in given or ()):
        return False
    values = [first.results[0], between, op.results[0]]
    if any(layout_of(value.type) != channels_last(4) for value in values):
        return False
    if not all(_is_known(value) for value in (*values, *first.operands[:2], op.operands[1])):
        return False
    if any(any(each.get("pads") or ()) for each in (first, op)) or first.get("group") != 1:
        return False
    if not panel_of(first.operands[1].type):
        return False
    computed, padded, result = (dims_of(value.type) or () for value in values)
    if computed[:2] != padded[:2] or not padded[1:2] == result[1:2] == (op.get("group"),):
        return False
    lying = what_lies_between(first, op, cache_bytes)
    nbytes = prod(numbers_of(padded[1:])) * lying.element_bytes
    return lying.buffer_bytes <= MOST_BETWEEN and (lying.is_whole or nbytes > cache_bytes)


def reduces_places(group: Group, op: OnnxOp, cache_bytes: int) -> bool:
    """Whether a reduction goes over all places of what a depthwise convolution behind another one
    computes and stores, and may go along.
    """
    convolutions = [each for each in group.ops if each.OP_TYPE == "Conv"]
    if op.OP_TYPE not in REDUCTIONS or len(convolutions) != 2 or group.reduced is not None:
        return False
    value, second = op.operands[0], convolutions[1]
    users = [use.operation for use in value.uses]
    is_stored = any(user is not op and user not in group.ops for user in users)
    if not is_stored or group.paths.get(value) != (second.results[0],):
        return False
    if known_axes(op, 4) != [2, 3] or layout_of(value.type) != channels_last(4):
        return False
    results = (dims_of(op.results[0].type) or ())[:2]
    if not all(isinstance(size, int) for size in results):
        return False
    bands = bands_of(second, what_lies_between(convolutions[0], second, cache_bytes))
    return bands * prod(numbers_of(results)) <= MOST_TOTALS


def _is_known(value: SSAValue) -> bool:
    """Whether a value has two spatial axes, and all its sizes are numbers but for the first."""
    dims = dims_of(value.type) or ()
    return len(dims) == 4 and all(isinstance(size, int) for size in dims[1:])


def _clears_rows(op: OnnxOp, softmax: OnnxOp) -> bool:
    """Where(rows, 0, softmax)"""
    if op.OP_TYPE != "Where" or op.operands[2] is not softmax.results[0]:
        return False
    zero, rows = op.operands[1].owner, dims_of(op.operands[0].type)
    if not isinstance(zero, Const) or any(n != 1 for n in dims_of(zero.result.type) or ()):
        return False
    return bool(rows) and rows[-1] == 1 and single_element(zero) == 0


def _picks_neighbours(op: OnnxOp) -> bool:
    """Whether a Gather goes along the innermost axis."""
    dims = dims_of(op.operands[0].type) if op.operands else None
    if op.OP_TYPE != "Gather" or dims is None:
        return False
    return normalize_axis(op.get("axis") or 0, len(dims)) == len(dims) - 1


def _may_be_broadcast(value: SSAValue, op: OnnxOp) -> bool:
    """Whether an operand's innermost size is another one than the result's, by name."""
    dims, result = (dims_of(v.type) if is_tensor(v.type) else () for v in (value, op.results[0]))
    if not dims or not result:
        return False
    return not isinstance(dims[-1], int) and dims[-1] != result[-1]


def keeps_neighbours(op: OnnxOp, root: OnnxOp) -> bool:
    """Whether neighbours of what an operation behind a contraction computes are computed of such.

    A map must leave the innermost axis of its buffer innermost, and data must not say which of its
    elements is meant; nor may it be for a run to find out whether an operand has one or many.
    """
    if root.OP_TYPE not in CONTRACTIONS:
        return True
    if op.OP_TYPE in ("GatherElements", "GatherND") or _picks_neighbours(op):
        return False
    if key_of(op) in POINTWISE and any(_may_be_broadcast(value, op) for value in op.operands):
        return False
    before, after = layout_of(op.operands[0].type), layout_of(op.results[0].type)
    rank = len(dims_of(op.results[0].type) or ())
    if op.OP_TYPE == "Identity":
        return (before or (rank - 1,))[-1] == (after or (rank - 1,))[-1]
    if op.OP_TYPE == "Transpose":
        perm = permutation(op.get("perm"), rank)
        return perm[(after or (rank - 1,))[-1]] == (before or (rank - 1,))[-1]
    return key_of(op) in POINTWISE or (before is None and after is None)
