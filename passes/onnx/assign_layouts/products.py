"""Layouts of products: packed right-hand sides."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, StringAttr, f32
from xdsl.ir import Operation, SSAValue

from dialects.krnl import integer
from dialects.onnx import ops
from dialects.onnx.constants import constant_of, make_const
from dialects.onnx.dims import Dim
from dialects.onnx.ops import Const, NoValue, OnnxOp
from dialects.onnx.shape.helpers import permutation
from dialects.onnx.types import dims_of, element_type_of, is_none, layout_of, none_type, tensor_type
from passes.krnl.tiles import CACHE_PERIOD, CACHE_WAYS, COPIED_COLUMNS, row_axis
from passes.onnx.assign_layouts.layouts import (
    Layouts,
    bits_of_element,
    columns_last,
    panel_of_order,
    set_layout,
)
from passes.onnx.editing import is_pointwise

WORTH_A_COPY = 64
"""Rows that make it worth copying the other operand of a product."""

LINE_BYTES = 64
"""A cache line."""

MOST_COPIED = 0.5
"""The part of the core's own cache that a product may fill with panels that it copies."""

PAGE_BYTES, MOST_PAGES = 4096, 32
"""A page of memory, and half as many of them as a core knows the addresses of without delay."""


def product(layouts: Layouts, op: OnnxOp) -> None:
    """Packs a right-hand side in panels, if it is constant or copied for the product anyway.

    Another one has its columns innermost.
    """
    fold_transposed(layouts, op, 1)
    value = op.operands[1]
    dims = dims_of(value.type)
    if dims is None or len(dims) < 2:
        layouts.row_major_operands(op)
        return
    rank = len(dims)
    row, column = rank - 2, rank - 1
    if op.OP_TYPE == "Gemm" and op.get("transB"):
        row, column = column, row
    rows = _rows(op, rank)
    transposed = _order_of_transposed(value)
    is_far_apart = is_scattered(layouts, value, rows, dims[row], dims[column])
    copies = _copies_itself(layouts, op)
    if rows == 1 and transposed is not None and transposed[-1] == row:
        # Read once, along the sum: as it lies there.
        set_layout(value, transposed)
    elif (
        isinstance(value.owner, Const)
        or _is_transposed_for(op, value)
        or (is_far_apart and not copies)
    ):
        order = (*range(rank - 2), column, row, column)
        layouts.convert(op, 1, order, layouts.panel(value, dims[column], rows))
    else:
        # Packing would cost a pass over the data: rows of neighbouring columns are enough.
        layouts.convert(op, 1, (*range(rank - 2), row, column))
        if is_far_apart:
            op.attributes["onnx.copied_panel"] = integer(layouts.panel(value, dims[column]))


def fold_transposed(layouts: Layouts, op: OnnxOp, number: int) -> None:
    """Takes a transposed constant as a view of the constant: packing reads any order."""
    transpose = op.operands[number].owner
    if not isinstance(transpose, OnnxOp) or transpose.OP_TYPE != "Transpose":
        return
    array = constant_of(transpose.operands[0], layouts.pool)
    if array is None or layout_of(transpose.operands[0].type):
        return
    perm = permutation(transpose.get("perm"), array.ndim)
    made = make_const(array.transpose(perm), layouts.pool, "transposed")
    assert op.parent is not None
    op.parent.insert_op_before(made, op)
    op.operands[number] = made.result
    if not list(transpose.results[0].uses):
        transpose.detach()
        transpose.erase()


def _copies_itself(layouts: Layouts, op: OnnxOp) -> bool:
    """Whether a product can copy its right-hand side panel by panel: no other one needs the copy,
    and the core's cache has room for a panel.
    """
    dims, result = dims_of(op.operands[1].type), dims_of(op.results[0].type)
    if op.OP_TYPE != "MatMul" or dims is None or result is None:
        return False
    if element_type_of(op.operands[1].type) != f32 or not isinstance(dims[-2], int):
        return False
    is_for_one = all(dim == 1 for dim in result[:-2]) or tuple(dims[:-2]) == tuple(result[:-2])
    return is_for_one and 4 * COPIED_COLUMNS * dims[-2] <= MOST_COPIED * layouts.l2_bytes


def is_scattered(layouts: Layouts, value: SSAValue, rows: Dim, depth: Dim, columns: Dim) -> bool:
    """Whether a panel's lines are so scattered that the first cache cannot hold them all.

    There is one for each step of the sum, a row's size from the next one, in those sets of the
    cache that multiples of this size reach, and soon in a page of its own. Many rows make up
    for the time of a copy.
    """
    if not (isinstance(rows, int) and isinstance(depth, int) and isinstance(columns, int)):
        return False
    row = columns * bits_of_element(value) // 8
    lines = CACHE_PERIOD // max(LINE_BYTES, gcd(row, CACHE_PERIOD))
    is_whole = columns <= layouts.panel(value, columns, rows)
    collides = depth >= CACHE_WAYS * lines or (row >= PAGE_BYTES and depth >= MOST_PAGES)
    return rows >= WORTH_A_COPY and collides and not is_whole


def product_of_places(
    layouts: Layouts, op: OnnxOp, dims: Sequence[Dim], weights: Sequence[Dim], result: Sequence[Dim]
) -> bool:
    """Makes a convolution with a kernel of size 1 the product of its weights with the data.

    So its operands and result need no other layout. Done for constant weights and known sizes.
    """
    arrays = [None if is_none(v) else constant_of(v, layouts.pool) for v in op.operands[1:]]
    if op.OP_TYPE != "Conv" or arrays[0] is None or not is_pointwise(op):
        return False
    if len(arrays) > 1 and arrays[1] is None and not is_none(op.operands[2]):
        return False
    if not all(isinstance(dim, int) for dim in dims) or tuple(dims[2:]) != tuple(result[2:]):
        return False
    images, channels, *sizes = (dim for dim in dims if isinstance(dim, int))
    outputs, element = arrays[0].shape[0], element_type_of(op.results[0].type)
    matrix = make_const(arrays[0].reshape(outputs, channels), layouts.pool, "weights")
    data = _reshaped(op.operands[0], (images, channels, prod(sizes)))
    kind = tensor_type(element, (images, outputs, prod(sizes)))
    multiplied = ops.class_of_schema_version("", "MatMul", 13).create(
        operands=[matrix.result, data[-1].results[0]], result_types=[kind]
    )
    made: list[Operation] = [matrix, *data, multiplied]
    if len(arrays) > 1 and arrays[1] is not None:
        bias = make_const(arrays[1].reshape(outputs, 1), layouts.pool, "bias")
        add = ops.class_of_schema_version("", "Add", 14)
        operands = [multiplied.results[0], bias.result]
        made += [bias, add.create(operands=operands, result_types=[kind])]
    made += _reshaped(made[-1].results[0], tuple(result))
    assert op.parent is not None
    for each in made:
        each.location = op.location
    op.parent.insert_ops_before(made, op)
    made[-1].results[0].name_hint = op.results[0].name_hint
    op.results[0].replace_all_uses_with(made[-1].results[0])
    op.parent.erase_op(op)
    product(layouts, multiplied)
    return True


def strassen_product(layouts: Layouts, op: OnnxOp) -> None:
    """Packed weights; a result whose columns are neighbours, as the data's are."""
    layouts.convert(op, 1, (1, 0, 1), op.get("panel"))
    layouts.convert(op, 2, None)
    set_layout(op.results[0], columns_last(op.results[0], op.get("axis")))


def _reshaped(value: SSAValue, dims: tuple[Dim, ...]) -> list[Operation]:
    """A Reshape to known sizes, and what it needs."""
    absent = NoValue.create(result_types=[none_type])
    sizes = ArrayAttr([StringAttr(str(dim)) for dim in dims])
    reshape = ops.class_of_schema_version("", "Reshape", 14).create(
        operands=[value, absent.result],
        result_types=[tensor_type(element_type_of(value.type), dims)],
        attributes={"onnx.parameters": DictionaryAttr({"1": sizes})},
    )
    return [absent, reshape]


def _is_transposed_for(op: OnnxOp, value: SSAValue) -> bool:
    """Whether a product's operand is a transposition, or computed of one, that nothing else uses.

    Its elements are put into another order in any case: attention's keys.
    """
    while value.has_one_use() and isinstance(owner := value.owner, OnnxOp):
        if owner.OP_TYPE == "Transpose":
            rank = len(dims_of(value.type) or ())
            perm = permutation(owner.get("perm"), rank)
            return perm[-1] != rank - 1 and value.owner.parent is op.parent
        if owner.OP_TYPE not in ("Mul", "Div") or value.type != owner.operands[0].type:
            return False
        value = owner.operands[0]
    return False


def _order_of_transposed(value: SSAValue) -> tuple[int, ...] | None:
    """The layout in which a transposition that has one user is a view; None where there is none."""
    owner, dims = value.owner, dims_of(value.type)
    if not isinstance(owner, OnnxOp) or owner.OP_TYPE != "Transpose" or not value.has_one_use():
        return None
    rank = len(dims or ())
    before = layout_of(owner.operands[0].type) or tuple(range(rank))
    perm = permutation(owner.get("perm"), rank)
    return None if panel_of_order(before) else tuple(perm.index(axis) for axis in before)


def _rows(op: OnnxOp, rank: int) -> Dim:
    """How many rows a product has that meet the same right-hand side, which is of some rank."""
    lhs, result = dims_of(op.operands[0].type), dims_of(op.results[0].type)
    if lhs is None or result is None or len(lhs) == 1:
        return 1
    if op.OP_TYPE != "Gemm" and rank == 2:
        return lhs[row_axis(lhs)]
    return result[-2]
