"""Unique, in two kernels: one sorts and numbers equal items, the other picks one of each.

`onnx-result-sizes` writes a Unique as these, because the number of different items has to be known
in between. Items are elements, or along an axis the parts of the operand. NaNs are equal, and last.

    %n, %place, %first, ... = terrace.sizes.UniqueGroups(%x)
    onnx.Symbols(%n) ["n"]
    %y, %indices, %counts = terrace.sizes.UniqueParts(%x, %place, %first)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.maps import remap
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.result_sizes import SIZES_DOMAIN
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.lower.onnx_to_krnl.scans import in_order

i64 = IntegerType(64)
PASSES = 48
"""Passes of the merge sort: enough for as many items as fit into memory."""


@dataclass(frozen=True)
class Items:
    """What a Unique compares: along ``axis`` parts with sizes ``inner``, else elements."""

    k: Kernel
    source: SSAValue
    axis: int | None

    @property
    def count(self) -> Dim:
        """Number of items."""
        dims = self.k.dims(self.source)
        return product(dims) if self.axis is None else dims[self.axis]

    @property
    def inner(self) -> list[Dim]:
        """Sizes of an item."""
        dims = self.k.dims(self.source)
        return [] if self.axis is None else [*dims[: self.axis], *dims[self.axis + 1 :]]

    def place(self, item: Affine, at: Sequence[Affine]) -> list[Affine]:
        """Where an element of an item stands in the operand."""
        if self.axis is None:
            dims = self.k.dims(self.source)
            return remap(self.k, [product(dims)], dims, [item])
        return [*at[: self.axis], item, *at[self.axis :]]

    def less(self, lhs: Affine, rhs: Affine) -> Scalar:
        """Whether an item comes before another one; parts are compared in row-major order."""
        k = self.k
        if self.axis is None:
            return self._before(*(k.read(self.source, self.place(i, [])) for i in (lhs, rhs)))

        def step(at: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            x, y = (k.read(self.source, self.place(i, at)) for i in (lhs, rhs))
            order = k.s.sub(*(k.s.cast(self._before(*pair), i64) for pair in ((y, x), (x, y))))
            decided = k.s.compare("ne", carried[0], k.s.like(0, carried[0]))
            return [k.s.select(decided, carried[0], order)]

        (order,) = k.reduce(self.inner, [k.s.const(0, i64)], step)
        return k.s.compare("lt", order, k.s.like(0, order))

    def _before(self, x: Scalar, y: Scalar) -> Scalar:
        s = self.k.s
        less = s.compare("lt", x, y)
        if not x.is_float:
            return less
        return s.bit_or(less, s.bit_and(s.is_nan(y), s.invert(s.is_nan(x))))


@root("UniqueGroups", fuses="none", epilogue=False, domain=SIZES_DOMAIN)
def unique_groups(k: Kernel, op: OnnxOp) -> None:
    """Results: sizes, place of each item in the result, whether it is the first, order, scratch."""
    items = Items(k, op.operands[0], op.get("axis"))
    sizes, place, first, order, scratch = op.results
    k.nest([items.count], lambda ivs: k.give(order, ivs, _number(k, ivs[0])))
    _sort(k, items, order, scratch)
    groups = _group(k, items, order, place, first)
    if not op.get("sorted"):
        _rank_by_first(k, items, place, first, scratch)
    count = _number(k, k.size(items.count))
    for number, is_groups in enumerate(op.get("counts_groups")):
        k.give(sizes, [affine(number)], groups if is_groups else count)


def _number(k: Kernel, entry: Affine) -> Scalar:
    return k.s.from_index(k.index_value(entry), i64)


def _stored(k: Kernel, value: SSAValue, place: Affine) -> Affine:
    """A number that this kernel wrote into one of its results."""
    return index_ops.from_scalar(k, k.read_output(value, [place]))


def _sort(k: Kernel, items: Items, order: SSAValue, scratch: SSAValue) -> None:
    """Stable merge sort, bottom up: runs of width 1, 2, 4, ... are merged in pairs."""
    count = k.size(items.count)

    def double(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        width = index_ops.minimum(k, index_ops.from_scalar(k, carried[0]), count)
        unsorted = k.compare_index("lt", width, count)
        pairs = index_ops.floordiv(k, count - 1, index_ops.maximum(k, width * 2, 1)) + 1
        pairs = index_ops.select(k, unsorted, pairs, affine(0))
        in_order(k, [pairs], lambda pair: _merge(k, items, order, scratch, pair[0], width))
        moved = index_ops.select(k, unsorted, count, affine(0))
        k.nest([moved], lambda at: k.give(order, at, _number(k, _stored(k, scratch, at[0]))))
        return [k.s.add(carried[0], carried[0])]

    k.reduce([PASSES], [k.s.const(1, i64)], double)


def _merge(
    k: Kernel, items: Items, order: SSAValue, scratch: SSAValue, pair: Affine, width: Affine
) -> None:
    """Merges two neighbouring runs into the scratch buffer; of equal items the left one first."""
    count = k.size(items.count)
    start = index_ops.product(k, pair, width * 2)
    middle = index_ops.minimum(k, start + width, count)
    end = index_ops.minimum(k, start + width * 2, count)

    def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        a, b = (index_ops.from_scalar(k, cursor) for cursor in carried)
        x, y = (_stored(k, order, index_ops.clamp(k, cursor, count)) for cursor in (a, b))
        left_is_empty = k.compare_index("ge", a, middle)
        sooner = k.s.bit_or(left_is_empty, items.less(y, x))
        takes_right = k.s.bit_and(k.compare_index("lt", b, end), sooner)
        k.give(scratch, ivs, _number(k, index_ops.select(k, takes_right, y, x)))
        right = k.s.cast(takes_right, i64)
        return [k.s.add(carried[0], k.s.sub(k.s.const(1, i64), right)), k.s.add(carried[1], right)]

    k.reduce([(start, end)], [_number(k, start), _number(k, middle)], step)


def _group(k: Kernel, items: Items, order: SSAValue, place: SSAValue, first: SSAValue) -> Scalar:
    """Numbers the runs of equal items, and says which item is the first of its run."""

    def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        item = _stored(k, order, ivs[0])
        before = _stored(k, order, index_ops.maximum(k, ivs[0] - 1, 0))
        starts = k.compare_index("eq", ivs[0], affine(0))
        new = k.s.bit_or(starts, items.less(before, item))
        groups = k.s.add(carried[0], k.s.cast(new, i64))
        k.give(place, [item], k.s.sub(groups, k.s.const(1, i64)))
        k.give(first, [item], new)
        return [groups]

    return k.reduce([items.count], [k.s.const(0, i64)], step)[0]


def _rank_by_first(
    k: Kernel, items: Items, place: SSAValue, first: SSAValue, scratch: SSAValue
) -> None:
    """Numbers the groups by their first items instead."""

    def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        group = _stored(k, place, ivs[0])
        new = k.read_output(first, ivs)
        k.run_if(new, lambda: k.give(scratch, [group], carried[0]))
        k.give(place, ivs, _number(k, _stored(k, scratch, group)))
        return [k.s.add(carried[0], k.s.cast(new, i64))]

    k.reduce([items.count], [k.s.const(0, i64)], step)


@root("UniqueParts", fuses="none", epilogue=False, domain=SIZES_DOMAIN)
def unique_parts(k: Kernel, op: OnnxOp) -> None:
    """Results: one item of each group, where it stood first, how many there are."""
    items = Items(k, op.operands[0], op.get("axis"))
    place, first = op.operands[1:3]
    y, indices, counts = op.results
    along = items.axis or 0
    if not is_none(counts):
        k.nest(list(k.dims(counts)), lambda ivs: k.give(counts, ivs, k.s.const(0, i64)))

    def step(ivs: list[Affine]) -> None:
        group = index_ops.read_index(k, place, ivs)

        def part(at: list[Affine]) -> None:
            element = k.read(op.operands[0], items.place(ivs[0], at))
            k.give(y, [*at[:along], group, *at[along:]], element)

        def pick() -> None:
            k.nest(items.inner, part)
            k.give(indices, [group], _number(k, ivs[0]))

        k.run_if(k.read(first, ivs), pick)
        if counts in k.outputs:
            k.give(counts, [group], _number(k, _stored(k, counts, group) + 1))

    in_order(k, [items.count], step)
