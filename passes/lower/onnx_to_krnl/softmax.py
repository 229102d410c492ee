"""Softmax, LogSoftmax and Hardmax: what an element is among all along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute, SSAValue

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.lower.index import Affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.reductions import max_over
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import NUMBERS, REDUCTION, Scalar, accumulator_type

i64 = IntegerType(64)

STASHED_ELEMENTS = 1 << 16
"""Rows of at most this many elements keep their exponentials, instead of computing them twice."""


@dataclass(frozen=True)
class Rows:
    """The loops: ``outer`` over rows, ``axes`` over the elements of one, as they lie in memory.

    Before version 13 a row has all axes from `axis` on.
    """

    dims: tuple[Dim, ...]
    outer: list[int]
    axes: list[int]

    @staticmethod
    def of(k: Kernel, op: OnnxOp) -> Rows:
        """The rows of an operator with an attribute `axis`."""
        dims = k.dims(op.operands[0])
        order = k.layout(op.operands[0]).order
        axis = normalize_axis(op.get("axis"), len(dims)) if dims else 0
        inside = {axis} if op.SINCE >= 13 else set(range(axis, len(dims)))
        return Rows(dims, [a for a in order if a not in inside], [a for a in order if a in inside])

    @property
    def outer_extents(self) -> list[Dim]:
        """Sizes of the loops over rows."""
        return [self.dims[axis] for axis in self.outer]

    @property
    def extents(self) -> list[Dim]:
        """Sizes of the loops over a row."""
        return [self.dims[axis] for axis in self.axes]

    def at(self, ivs: Sequence[Affine], taps: Sequence[Affine]) -> list[Affine]:
        """Indices of an element."""
        found = dict(zip([*self.outer, *self.axes], [*ivs, *taps], strict=True))
        return [found[axis] for axis in range(len(self.dims))]

    @property
    def stash_size(self) -> int | None:
        """Elements of a row whose exponentials are kept; None where they are not."""
        total = product(self.extents)
        return total if isinstance(total, int) and total <= STASHED_ELEMENTS else None


@root("Softmax", "LogSoftmax")
def softmax(k: Kernel, op: OnnxOp) -> None:
    """exp(x - max) / sum(exp(x - max)), or its logarithm x - max - log(sum(...))."""
    source, result = op.operands[0], op.results[0]
    rows = Rows.of(k, op)
    element = k.element(result)
    kind = accumulator_type(element)
    logarithm = op.OP_TYPE == "LogSoftmax"
    # Across the innermost axis rows run side by side, as vectors, with no place for each of them.
    innermost = k.layout(source).order == (*rows.outer, *rows.axes)

    def body(ivs: list[Affine]) -> None:
        stash = _stash(k, rows, kind) if innermost and not logarithm else None

        def x(taps: Sequence[Affine]) -> Scalar:
            return k.s.cast(k.read(source, rows.at(ivs, taps)), kind)

        top = max_over(k, rows.extents, kind, x, NUMBERS)

        def add(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            power = k.s.exp_normal(k.s.sub(x(taps), top))
            if stash is not None:
                k.store(power, stash, taps)
            return [k.s.add(carried[0], power, REDUCTION)]

        (total,) = k.reduce(rows.extents, [k.s.const(0, kind)], add)
        scale = k.s.log(total) if logarithm else k.s.reciprocal(total)

        def last(taps: list[Affine]) -> None:
            if stash is not None:
                y = k.s.mul(k.load(stash, taps, kind), scale)
            else:
                y = k.s.sub(x(taps), top)
                y = k.s.sub(y, scale) if logarithm else k.s.mul(k.s.exp_normal(y), scale)
            k.give(result, rows.at(ivs, taps), k.s.cast(y, element))

        k.nest(rows.extents, last)

    k.nest(rows.outer_extents, body)


def _stash(k: Kernel, rows: Rows, kind: Attribute) -> SSAValue | None:
    """A buffer of the current thread for the exponentials of a row."""
    if rows.stash_size is None:
        return None
    return k.scratch([dim for dim in rows.extents if isinstance(dim, int)], kind)


@root("Hardmax")
def hardmax(k: Kernel, op: OnnxOp) -> None:
    """1 for the first largest element of a row, 0 for all others."""
    source, result = op.operands[0], op.results[0]
    rows = Rows.of(k, op)
    element = k.element(result)

    def body(ivs: list[Affine]) -> None:
        def x(taps: Sequence[Affine]) -> Scalar:
            return k.read(source, rows.at(ivs, taps))

        top = max_over(k, rows.extents, element, x)

        def place(taps: Sequence[Affine]) -> Scalar:
            linear = taps[0]
            for tap, dim in zip(taps[1:], rows.extents[1:], strict=True):
                linear = k.times(linear, dim) + tap
            return k.s.from_index(k.index_value(linear), i64)

        def find(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            is_top = k.s.invert(k.s.compare("lt", x(taps), top))
            here = k.s.select(is_top, place(taps), k.s.highest(i64))
            return [k.s.min(carried[0], here)]

        (first,) = k.reduce(rows.extents, [k.s.highest(i64)], find)

        def last(taps: list[Affine]) -> None:
            chosen = k.s.equal(place(taps), first)
            y = k.s.select(chosen, k.s.const(1, element), k.s.const(0, element))
            k.give(result, rows.at(ivs, taps), y)

        k.nest(rows.extents, last)

    k.nest(rows.outer_extents, body)
