"""NonMaxSuppression, in two kernels: one selects boxes, the other lists them.

`onnx-result-sizes` writes a NonMaxSuppression as these, because the number of selected boxes has to
be known in between. With B batches, C classes and N boxes:

    %n, %order, %first, %counts, %state = terrace.sizes.SuppressBoxes(%boxes, %scores, ...)
    onnx.Symbols(%n) ["selected"]
    %y = terrace.sizes.ListBoxes(%order, %first, %counts, %state)

``order`` [B, C, N] has the selected boxes of each class in the order of their choice, ``first``
[B, C] the row of the result at which a class starts, ``counts`` [B, C] how many rows it has.
``state`` [B, C, N] says which boxes are dropped; it is an operand because only results that have
users have memory. The best box is chosen, of equal ones the first, and all that overlap it are
dropped, until none is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerType

from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.result_sizes import SIZES_DOMAIN
from passes.lower.onnx_to_krnl.scalars import Scalar, i1
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
        self.order, self.dropped = self.op.results[1], self.op.results[4]
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
        self.start()
        most = self.operand(2)
        limit = affine(0) if most is None else index_ops.from_scalar(k, most)
        limit = index_ops.minimum(k, index_ops.maximum(k, limit, 0), self.length)
        threshold = self.operand(3)
        overlap = k.s.const(0, self.element) if threshold is None else threshold

        def step(_: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            number, goes_on = carried
            rest = index_ops.select(k, goes_on, self.length, affine(0))
            best = self.best(rest)
            found = k.s.compare("ge", best, k.s.const(0, i64))
            chosen = index_ops.maximum(k, index_ops.from_scalar(k, best), 0)
            k.run_if(found, lambda: self.choose(chosen, number))
            dropping = index_ops.select(k, found, self.length, affine(0))
            self.drop(chosen, dropping, overlap)
            return [k.s.add(number, k.s.cast(found, i64)), found]

        initial = [k.s.const(0, i64), k.s.const(True, i1)]
        return k.reduce([limit], initial, step)[0]

    def start(self) -> None:
        """Drops the boxes that score too little; NaN does."""
        k, least = self.k, self.operand(4)

        def mark(ivs: list[Affine]) -> None:
            score = k.read(self.scores, [*self.at, ivs[0]])
            good = k.s.equal(score, score) if least is None else k.s.compare("gt", score, least)
            k.give(self.dropped, [*self.at, ivs[0]], k.s.invert(good))

        in_order(k, [self.length], mark)

    def best(self, length: Affine) -> Scalar:
        """The box with the highest score that is left, -1 without one."""
        k = self.k

        def better(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            place, highest = carried
            score = k.read(self.scores, [*self.at, ivs[0]])
            left = k.s.invert(k.read_output(self.dropped, [*self.at, ivs[0]]))
            none = k.s.compare("lt", place, k.s.const(0, i64))
            wins = k.s.bit_and(left, k.s.bit_or(none, k.s.compare("gt", score, highest)))
            here = k.s.from_index(k.index_value(ivs[0]), i64)
            return [k.s.select(wins, here, place), k.s.select(wins, score, highest)]

        start = [k.s.const(-1, i64), k.s.lowest(self.element)]
        return k.reduce([length], start, better)[0]

    def choose(self, box: Affine, number: Scalar) -> None:
        """Lists a box and drops it."""
        k = self.k
        place = index_ops.from_scalar(k, number)
        k.give(self.order, [*self.at, place], k.s.from_index(k.index_value(box), i64))
        k.give(self.dropped, [*self.at, box], k.s.const(True, i1))

    def drop(self, chosen: Affine, length: Affine, threshold: Scalar) -> None:
        """Drops the boxes that overlap the chosen one by more than the threshold."""
        k = self.k
        own = self.corners(chosen)

        def compare(ivs: list[Affine]) -> None:
            far = k.s.compare("gt", self.overlap(own, self.corners(ivs[0])), threshold)
            place = [*self.at, ivs[0]]
            k.run_if(far, lambda: k.give(self.dropped, place, k.s.const(True, i1)))

        in_order(k, [length], compare)

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
        areas = [s.mul(s.sub(b[1], b[0]), s.sub(b[3], b[2])) for b in (x, y)]
        covered = s.sub(s.add(areas[0], areas[1]), common)
        has_area = s.bit_and(*(s.compare("gt", area, zero) for area in areas))
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
