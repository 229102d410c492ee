"""Sums of products by labels as the operators that they are.

    %y = Einsum(%q, %k) {equation = "bhid,bhjd->bhij"}
      ==>   %t = Transpose(%k) {perm = [0, 1, 3, 2]}
            %y = MatMul(%q, %t)

Labels of two operands are of four kinds, as those of a product of matrices are: of both operands
and the result (batches), of both only (summed), of the first and the result (rows), of the second
and the result (columns). Axes are brought into that order and those of a kind made one; where
nothing is summed, the product is one of elements. Products of three and more operands, diagonals
and labels of different sizes stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.equations import Labels, parse
from passes.onnx.simplify.rewriter import Replacement, Rewriter, rewrite

MULTIPLIED = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint32", "uint64")
"""Types of which there are products of matrices."""


@dataclass(frozen=True)
class _Term:
    """A value and the labels of its axes, none of them twice."""

    value: SSAValue
    labels: Labels

    def summed(self, r: Rewriter, kept: set[str]) -> _Term:
        """Without the axes of labels that are not ``kept``."""
        axes = [axis for axis, label in enumerate(self.labels) if label not in kept]
        if not axes:
            return self
        labels = tuple(label for label in self.labels if label in kept)
        return _Term(r.make("ReduceSum", self.value, r.const(axes), keepdims=0), labels)

    def ordered(self, r: Rewriter, order: Labels) -> SSAValue:
        """The value with its axes in the order of their labels there."""
        labels = [label for label in order if label in self.labels]
        perm = tuple(map(self.labels.index, labels))
        moves = perm != tuple(range(len(perm)))
        return r.make("Transpose", self.value, perm=perm) if moves else self.value


@rewrite("Einsum")
def einsum(r: Rewriter, op: OnnxOp) -> Replacement:
    """Einsum(x) -> Transpose(ReduceSum(x)), Einsum(x, y) -> MatMul(x, y) or Mul(x, y)"""
    dims, dtype = [r.dims(value) or () for value in op.operands], r.dtype(op.results[0])
    if len(dims) > 2 or dtype is None or dtype.name not in MULTIPLIED:
        return None
    if r.dims(op.results[0]) is None:
        return None
    equation = parse(op.get("equation"), list(map(len, dims)))
    sizes: dict[str, Dim] = {}
    for labels, own in zip(equation.terms, dims, strict=True):
        is_plain = len(set(labels)) == len(labels)
        if not is_plain or any(
            sizes.setdefault(n, size) != size for n, size in zip(labels, own, strict=True)
        ):
            return None
    result, first = equation.result, _Term(op.operands[0], equation.terms[0])
    if len(dims) == 1:
        return first.summed(r, set(result)).ordered(r, result)
    second = _Term(op.operands[1], equation.terms[1])
    left = first.summed(r, {*result, *second.labels})
    right = second.summed(r, {*result, *first.labels})
    if {*left.labels, *right.labels} <= set(result):
        return _of_elements(r, left, right, result, sizes)
    # The columns of a product of matrices lie along its last axis.
    swapped = result and result[-1] not in right.labels
    return (
        _of_matrices(r, right, left, result, sizes)
        if swapped
        else _of_matrices(r, left, right, result, sizes)
    )


def _of_elements(
    r: Rewriter, left: _Term, right: _Term, result: Labels, sizes: Mapping[str, Dim]
) -> SSAValue | None:
    """The product where nothing is summed: each operand has sizes of 1 for the other's labels."""
    factors = []
    for term in (left, right):
        own = [sizes[label] if label in term.labels else None for label in result]
        # Sizes of 1 in front are broadcasting's.
        while own and own[0] is None:
            del own[0]
        dims = [1 if size is None else size for size in own]
        factor = _reshaped(r, term.ordered(r, result), dims)
        if factor is None:
            return None
        factors.append(factor)
    return r.make("Mul", *factors)


def _of_matrices(
    r: Rewriter, left: _Term, right: _Term, result: Labels, sizes: Mapping[str, Dim]
) -> SSAValue | None:
    """The product of matrices, in the order of the result."""
    batches = tuple(n for n in result if n in left.labels and n in right.labels)
    rows, columns = (
        tuple(n for n in result if n in term.labels and n not in batches) for term in (left, right)
    )
    summed = tuple(n for n in left.labels if n not in result)
    # Without batches rows may stay several axes: numpy's matmul takes them so.
    groups = [rows] if batches else [(n,) for n in rows]
    outer = [sizes[n] for n in batches]
    lhs = _reshaped(
        r,
        left.ordered(r, (*batches, *rows, *summed)),
        [*outer, *(_size(group, sizes) for group in groups), _size(summed, sizes)],
    )
    rhs = _reshaped(
        r,
        right.ordered(r, (*batches, *summed, *columns)),
        [*outer, _size(summed, sizes), _size(columns, sizes)],
    )
    if lhs is None or rhs is None:
        return None
    order = (*batches, *rows, *columns)
    made = _reshaped(r, r.make("MatMul", lhs, rhs), [sizes[n] for n in order])
    return None if made is None else _Term(made, order).ordered(r, result)


def _size(labels: Labels, sizes: Mapping[str, Dim]) -> Dim:
    return product(sizes[label] for label in labels)


def _reshaped(r: Rewriter, value: SSAValue, dims: Sequence[Dim]) -> SSAValue | None:
    return value if r.dims(value) == tuple(dims) else r.reshape(value, dims)
