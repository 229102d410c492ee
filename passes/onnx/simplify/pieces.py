"""Pieces of what was computed at once: the queries, keys and values of one product."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import permutation
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite

Range = tuple[int, int]
"""The first element of a piece along an axis, and the one behind its last."""


@rewrite("Gather")
def element_of_view(r: Rewriter, op: OnnxOp) -> Replacement:
    """Gather(Transpose(x), 1) -> Transpose(Gather(x, 1)); of a Reshape -> Reshape(Slice(x))"""
    found, result = _element(r, op), r.dims(op.results[0])
    view = r.producer(op.operands[0], "Transpose", "Reshape")
    if found is None or view is None or result is None:
        return None
    source, before = view.operands[0], _before(r, view, *found)
    if before is None:
        return None
    axis, (start, end) = before
    if view.OP_TYPE == "Transpose":
        perm = permutation(view.get("perm"), len(result) + 1)
        piece = r.like(op, [source, op.operands[1]], axis=axis)
        rest = [place - (place > axis) for place in perm if place != axis]
        return r.make("Transpose", piece, perm=tuple(rest))
    if end - start == 1:
        return r.reshape(r.like(op, [source, r.const(np.array(start))], axis=axis), result)
    bounds = [r.const([n], "bound") for n in (start, end, axis)]
    return r.reshape(r.make("Slice", source, *bounds), result)


def _element(r: Rewriter, op: OnnxOp) -> tuple[int, Range] | None:
    """The axis and element of which a Gather takes all, if that is a single constant one."""
    index, dims = r.constant(op.operands[1]), r.dims(op.operands[0])
    if index is None or index.ndim or dims is None:
        return None
    axis = (op.get("axis") or 0) % len(dims)
    size, at = dims[axis], int(index)
    if not isinstance(size, int) or not -size <= at < size:
        return None
    return axis, (at % size, at % size + 1)


def _before(r: Rewriter, view: OnnxOp, axis: int, part: Range) -> tuple[int, Range] | None:
    """The axis of a view's operand, and its elements, that are some of the view's along an axis."""
    source, dims = r.dims(view.operands[0]), r.dims(view.results[0])
    if source is None or dims is None:
        return None
    if view.OP_TYPE == "Transpose":
        return permutation(view.get("perm"), len(dims))[axis], part
    if not all(isinstance(dim, int) for dim in (*source, *dims)):
        return None
    sizes, made = np.array(source, np.int64), np.array(dims, np.int64)
    for place, size in enumerate(sizes):
        behind, inner = sizes[place + 1 :].prod(), made[axis + 1 :].prod()
        if size > 1 and behind and sizes[:place].prod() == made[:axis].prod():
            times = int(inner // behind)
            if times * behind == inner and times * made[axis] == size:
                return place, (part[0] * times, part[1] * times)
    return None


@rewrite("Split", "Slice")
def piece_of_product(r: Rewriter, op: OnnxOp) -> Replacement:
    """Split(MatMul(x, w) + b) -> MatMul(x, w1) + b1, MatMul(x, w2) + b2: no piece is copied"""
    value = op.operands[0]
    ranges, product = _column_ranges(r, op), _Product.behind(r, value)
    if ranges is None or product is None:
        return None
    taken = _taken(r, value, [])
    if taken is None:
        return None
    taken = sorted(set(taken))
    if any(a[1] > b[0] for a, b in pairwise(taken)):
        return None
    pieces = [product.piece(r, each) for each in ranges]
    return None if None in pieces else [piece for piece in pieces if piece is not None]


def _taken(r: Rewriter, value: SSAValue, views: list[OnnxOp]) -> list[Range] | None:
    """The columns that are taken of a value, behind some views; None if all of them may be."""
    found: list[Range] = []
    for use in value.uses:
        user = use.operation
        if not isinstance(user, OnnxOp) or not r.is_local(user) or user.DOMAIN or use.index:
            return None
        if user.OP_TYPE in ("Transpose", "Reshape"):
            ranges = _taken(r, user.results[0], [*views, user])
        elif user.OP_TYPE == "Gather":
            ranges = _gathered_columns(r, user, views)
        else:
            ranges = None if views else _column_ranges(r, user)
        if ranges is None:
            return None
        found += ranges
    return found


def _gathered_columns(r: Rewriter, op: OnnxOp, views: list[OnnxOp]) -> list[Range] | None:
    """Which columns of the value in front of some views a Gather takes."""
    found = _element(r, op)
    for view in reversed(views):
        if found is None:
            return None
        found = _before(r, view, *found)
    dims = r.dims((views[0] if views else op).operands[0])
    if found is None or dims is None or found[0] != len(dims) - 1:
        return None
    return [found[1]]


def _column_ranges(r: Rewriter, op: OnnxOp) -> list[Range] | None:
    """What a Split or Slice takes of the last axis; None for other ones."""
    dims = r.dims(op.operands[0])
    if dims is None or len(dims) < 2 or not isinstance(dims[-1], int):
        return None
    last, size = len(dims) - 1, dims[-1]
    if op.OP_TYPE == "Split":
        sizes = [(r.dims(result) or (None,))[-1] for result in op.results]
        if (op.get("axis") or 0) % len(dims) != last or not all(isinstance(n, int) for n in sizes):
            return None
        ends = accumulate((n for n in sizes if isinstance(n, int)), initial=0)
        return list(pairwise(ends))
    if op.OP_TYPE != "Slice" or op.SINCE < 10 or present(op, 3) is None:
        return None
    bounds = [r.constant(operand) for operand in op.operands[1:4]]
    step = present(op, 4)
    if any(bound is None or bound.size != 1 for bound in bounds):
        return None
    if step is not None and r.scalar(step) != 1:
        return None
    start, end, axis = (int(bound.item()) for bound in bounds if bound is not None)
    start, end, _ = slice(start, end).indices(size)
    return [(start, end)] if axis % len(dims) == last and start < end else None


@dataclass(frozen=True)
class _Product:
    """A MatMul or Gemm with constant weights, its columns along ``axis``, and a Gemm's ``bias``;
    the ``addend`` of an Add behind it, and how that is reshaped.
    """

    op: OnnxOp
    weights: np.ndarray
    axis: int
    bias: np.ndarray | None
    addend: np.ndarray | None
    reshapes: list[OnnxOp]

    @staticmethod
    def behind(r: Rewriter, value: SSAValue) -> _Product | None:
        """What makes a value, whose columns stay its last axis."""
        reshapes: list[OnnxOp] = []
        while (reshape := r.producer(value, "Reshape")) is not None:
            before, after = r.dims(reshape.operands[0]), r.dims(value)
            if not before or not after or before[-1] != after[-1]:
                return None
            reshapes.insert(0, reshape)
            value = reshape.operands[0]
            if not r.used_once(value):
                return None
        addend, addition = None, r.producer(value, "Add")
        if addition is not None:
            sides = [r.constant(operand) for operand in addition.operands]
            number = 0 if sides[0] is not None else 1
            addend, value = sides[number], addition.operands[1 - number]
            if addend is None or addend.ndim != 1 or not r.used_once(value):
                return None
        op = r.producer(value, "MatMul", "Gemm")
        weights = None if op is None else r.constant(op.operands[1])
        dims = r.dims(value)
        if op is None or weights is None or weights.ndim != 2 or dims is None:
            return None
        columns, is_gemm = dims[-1], op.OP_TYPE == "Gemm"
        axis = 0 if is_gemm and op.get("transB") else 1
        given = present(op, 2) if is_gemm else None
        bias = None if given is None else r.constant(given)
        if given is not None and bias is None:
            return None
        vectors = [vector for vector in (bias, addend) if vector is not None]
        if weights.shape[axis] != columns or any(v.shape != (columns,) for v in vectors):
            return None
        return _Product(op, weights, axis, bias, addend, reshapes) if r.is_local(op) else None

    def piece(self, r: Rewriter, columns: Range) -> SSAValue | None:
        """Some of the columns."""
        part = slice(*columns)
        weights = self.weights[part] if self.axis == 0 else self.weights[:, part]
        operands = [self.op.operands[0], r.const(np.ascontiguousarray(weights), "weights")]
        if self.bias is not None:
            operands.append(r.const(self.bias[part], "bias"))
        made: SSAValue | None = r.like(self.op, operands)
        if self.addend is not None:
            made = r.make("Add", made, r.const(self.addend[part], "bias"))
        for reshape in self.reshapes:
            dims = r.dims(reshape.results[0])
            assert dims is not None and made is not None
            made = r.reshape(made, (*dims[:-1], columns[1] - columns[0]))
            if made is None:
                return None
        return made
