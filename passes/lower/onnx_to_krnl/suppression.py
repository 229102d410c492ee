"""NonMaxSuppression, in two kernels: one selects boxes, the other lists them.

`onnx-result-sizes` writes a NonMaxSuppression as these, because the number of selected boxes has to
be known in between. With B batches, C classes and N boxes:

    %n, %order, %first, %counts, %chosen = terrace.sizes.SuppressBoxes(%boxes, %scores, ...)
    onnx.Symbols(%n) ["selected"]
    %y = terrace.sizes.ListBoxes(%order, %first, %counts, %chosen)

``order`` [B, C, N] has the selected boxes of each class in the order of their choice, ``first``
[B, C] the row of the result at which a class starts, ``counts`` [B, C] how many rows it has.
``chosen`` [5, N] has the corners and areas of a class's selected boxes; it is an operand because
only results that have users have memory.

The boxes of a class are sorted by their scores, of equal ones the first first. Each is compared
with those that are selected already, as vectors, and selected if it overlaps none of them: as many
comparisons as boxes times selected ones, at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerType

from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.heap import Heap
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.result_sizes import SIZES_DOMAIN
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar
from passes.lower.onnx_to_krnl.scans import in_order

i64 = IntegerType(64)


@root("SuppressBoxes", fuses="none", epilogue=False, domain=SIZES_DOMAIN)
def suppress_boxes(k: Kernel, op: OnnxOp) -> None:
    """Results: number of selected boxes, order, first rows, counts, scratch."""
    total, _, first, counts, _ = op.results
    batches, classes, _ = k.dims(op.operands[1])

    def one(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        count = _Class(k, op, ivs).select()
        k.give(first, ivs, carried[0])
        k.give(counts, ivs, count)
        return [k.s.add(carried[0], count)]

    (selected,) = k.reduce([batches, classes], [k.s.const(0, i64)], one)
    k.give(total, [affine(0)], selected)


@dataclass
class _Class:
    """The selection for one class of one batch."""

    k: Kernel
    op: OnnxOp
    at: list[Affine]

    def __post_init__(self) -> None:
        k = self.k
        self.boxes, self.scores = self.op.operands[:2]
        self.order, self.chosen = self.op.results[1], self.op.results[4]
        self.element = k.element(self.scores)
        self.length = k.size(k.dims(self.scores)[2])

    def operand(self, number: int) -> Scalar | None:
        """A number that an operand holds, None where it is absent."""
        value = self.op.operands[number]
        if is_none(value):
            return None
        return self.k.read(value, [affine(0)] * len(self.k.dims(value)))

    def select(self) -> Scalar:
        """Chooses boxes until none is left or enough are chosen; gives their number."""
        k = self.k
        heap = Heap(k, self.order, lambda place: [*self.at, place], self.rank, has_indices=True)
        heap.select(self.length, self.length)
        most, least, threshold = self.operand(2), self.operand(4), self.operand(3)
        limit = k.s.const(0, i64) if most is None else most
        overlap = k.s.const(0, self.element) if threshold is None else threshold

        def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            number = carried[0]
            box = index_ops.from_scalar(k, heap.held(ivs[0]))
            score = self.score(box)
            good = k.s.equal(score, score) if least is None else k.s.compare("gt", score, least)
            good = k.s.bit_and(good, k.s.compare("lt", number, limit))
            chosen = index_ops.select(k, good, k.index_of(k.s.to_index(number), 0), affine(0))
            far = k.s.compare("gt", self.largest_overlap(box, chosen), overlap)
            stays = k.s.bit_and(good, k.s.invert(far))
            k.run_if(stays, lambda: self.choose(box, number))
            return [k.s.add(number, k.s.cast(stays, i64))]

        return k.reduce([self.length], [k.s.const(0, i64)], step)[0]

    def score(self, box: Affine) -> Scalar:
        """How good a box is."""
        return self.k.read(self.scores, [*self.at, box])

    def rank(self, box: Affine) -> Scalar:
        """What the boxes are sorted by: NaN, which has no place in an order, comes last."""
        k, score = self.k, self.score(box)
        return k.s.select(k.s.equal(score, score), score, k.s.lowest(self.element))

    def choose(self, box: Affine, number: Scalar) -> None:
        """Lists a box, and its corners and area for the comparison with others."""
        k = self.k
        place = index_ops.from_scalar(k, number)
        k.give(self.order, [*self.at, place], k.s.from_index(k.index_value(box), i64))
        for row, entry in enumerate(self.shape(box)):
            k.give(self.chosen, [affine(row), place], entry)

    def largest_overlap(self, box: Affine, count: Affine) -> Scalar:
        """The largest overlap of a box with the first ``count`` chosen ones."""
        k, own = self.k, self.shape(box)

        def compare(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            other = tuple(k.read_output(self.chosen, [affine(row), ivs[0]]) for row in range(5))
            return [k.s.max(carried[0], self.overlap(own, other), REDUCTION)]

        return k.reduce([count], [k.s.lowest(self.element)], compare)[0]

    def shape(self, box: Affine) -> tuple[Scalar, ...]:
        """(low, high) of the first axis, then of the second, and the area."""
        s, corners = self.k.s, self.corners(box)
        return *corners, s.mul(s.sub(corners[1], corners[0]), s.sub(corners[3], corners[2]))

    def corners(self, box: Affine) -> tuple[Scalar, ...]:
        """(low, high) of the first axis, then of the second."""
        k, s = self.k, self.k.s
        a, b, c, d = (k.read(self.boxes, [self.at[0], box, affine(n)]) for n in range(4))
        if not self.op.get("center_point_box"):
            return s.min(a, c), s.max(a, c), s.min(b, d), s.max(b, d)
        half = s.const(0.5, self.element)
        width, height = s.mul(c, half), s.mul(d, half)
        return s.sub(a, width), s.add(a, width), s.sub(b, height), s.add(b, height)

    def overlap(self, x: tuple[Scalar, ...], y: tuple[Scalar, ...]) -> Scalar:
        """The common part of two boxes over all that they cover; 0 where one has no area."""
        s = self.k.s
        zero = s.const(0, self.element)
        first, second = (
            s.max(s.sub(s.min(x[i + 1], y[i + 1]), s.max(x[i], y[i])), zero) for i in (0, 2)
        )
        common = s.mul(first, second)
        covered = s.sub(s.add(x[4], y[4]), common)
        has_area = s.bit_and(*(s.compare("gt", area, zero) for area in (x[4], y[4])))
        ratio = s.div(common, covered)
        return s.select(s.bit_and(has_area, s.compare("gt", covered, zero)), ratio, zero)


@root("ListBoxes", fuses="none", epilogue=False, domain=SIZES_DOMAIN)
def list_boxes(k: Kernel, op: OnnxOp) -> None:
    """Rows (batch, class, box) of the classes in order."""
    order, first, counts = op.operands[:3]
    batches, classes, length = k.dims(order)

    def of_class(ivs: list[Affine]) -> None:
        start = index_ops.read_index(k, first, ivs)
        count = index_ops.minimum(k, index_ops.read_index(k, counts, ivs), k.size(length))

        def row(place: list[Affine]) -> None:
            entries = [k.s.from_index(k.index_value(iv), i64) for iv in ivs]
            entries.append(k.read(order, [*ivs, place[0]]))
            for column, entry in enumerate(entries):
                k.give(op.results[0], [start + place[0], affine(column)], entry)

        in_order(k, [count], row)

    in_order(k, [batches, classes], of_class)
