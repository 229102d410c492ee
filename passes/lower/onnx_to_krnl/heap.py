"""The best elements of a row, in order: a heap that is sorted where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import SSAValue

from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.scalars import Scalar, i1
from passes.lower.onnx_to_krnl.scans import in_order

i64 = IntegerType(64)

DEEPEST = 40
"""Levels of the largest heap."""


@dataclass
class Heap:
    """A heap of the best elements so far, the worst of them on top (J. W. J. Williams, Algorithm
    232, 1964), in a result's buffer.

    ``entries`` gives the indices of a place of the heap in ``result``, ``source`` an element of the
    row. The heap holds their indices or, unless it ``has_indices``, the elements.
    """

    k: Kernel
    result: SSAValue
    entries: Callable[[Affine], list[Affine]]
    source: Callable[[Affine], Scalar]
    has_indices: bool
    largest: bool = True
    levels: Affine = field(init=False)

    def select(self, size: Affine, length: Affine) -> None:
        """The best ``size`` of ``length`` elements in order, of equal ones the first first.

        Fills the heap, lets everything else pass by it, and sorts it.
        """
        k = self.k
        self.levels = self._levels(size)
        in_order(k, [size], lambda ivs: self.insert(ivs[0]))
        if size.terms or size.constant:
            in_order(k, [(size, length)], lambda ivs: self.pass_by(ivs[0], size))
        in_order(k, [size - 1], lambda ivs: self.take(size - 1 - ivs[0]))

    def held(self, place: Affine) -> Scalar:
        """What stands at a place of the heap."""
        return self.k.read_output(self.result, self.entries(place))

    def hold(self, place: Affine, item: Scalar) -> None:
        """Puts something at a place of the heap."""
        self.k.write_output(self.result, self.entries(place), item)

    def worse(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Whether one element of the heap comes behind another in the result."""
        k, order = self.k, "lt" if self.largest else "gt"
        if not self.has_indices:
            return k.s.compare(order, lhs, rhs)
        a, b = (self.source(index_ops.from_scalar(k, each)) for each in (lhs, rhs))
        tie = k.s.bit_and(k.s.equal(a, b), k.s.compare("gt", lhs, rhs))
        return k.s.bit_or(k.s.compare(order, a, b), tie)

    # Steps ----------------------------------------------------------------------------------

    def _levels(self, size: Affine) -> Affine:
        """How deep a heap is."""
        k = self.k
        if not size.terms:
            return affine(max(1, size.constant.bit_length()))

        def level(_: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            count, rest = carried
            more = k.s.cast(k.s.compare("gt", rest, k.s.const(0, i64)), i64)
            return [k.s.add(count, more), k.s.shift_right(rest, k.s.const(1, i64))]

        start = [k.s.const(0, i64), k.s.from_index(k.index_value(size), i64)]
        return k.index_of(k.s.to_index(k.reduce([DEEPEST], start, level)[0]), 0, DEEPEST)

    def _item(self, place: Affine) -> Scalar:
        """An element of the row as the heap holds it."""
        if self.has_indices:
            return self.k.s.from_index(self.k.index_value(place), i64)
        return self.source(place)

    def insert(self, place: Affine) -> None:
        """Adds the element at ``place``, which is also the heap's size, and lets it rise."""
        k, item = self.k, self._item(place)

        def level(_: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            at, rising = carried
            here = k.index_of(k.s.to_index(at), 0)
            parent = index_ops.maximum(k, (here - 1) // 2, 0)
            above = self.held(parent)
            rises = k.s.bit_and(rising, k.s.compare("gt", at, k.s.const(0, i64)))
            rises = k.s.bit_and(rises, self.worse(item, above))
            k.run_if(rises, lambda: self.hold(here, above))
            up = k.s.from_index(k.index_value(parent), i64)
            return [k.s.select(rises, up, at), rises]

        self.hold(place, item)
        start = k.s.from_index(k.index_value(place), i64)
        at, _ = k.reduce([self.levels], [start, k.s.const(True, i1)], level)
        self.hold(k.index_of(k.s.to_index(at), 0), item)

    def pass_by(self, place: Affine, size: Affine) -> None:
        """Replaces the worst element by the one at ``place`` if that is better."""
        item = self._item(place)
        better = self.worse(self.held(affine(0)), item)
        self.k.run_if(better, lambda: self.sink(item, size))

    def take(self, last: Affine) -> None:
        """Moves the worst element behind the rest of the heap."""
        item, worst = self.held(last), self.held(affine(0))
        self.hold(last, worst)
        self.sink(item, last)

    def sink(self, item: Scalar, size: Affine) -> None:
        """Puts an element on top of a heap of ``size`` elements and lets it sink."""
        k = self.k
        end = k.s.from_index(k.index_value(size), i64)

        def level(_: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            at, sinking = carried
            here = k.index_of(k.s.to_index(at), 0)
            left = index_ops.minimum(k, here * 2 + 1, index_ops.maximum(k, size - 1, 0))
            right = index_ops.minimum(k, here * 2 + 2, index_ops.maximum(k, size - 1, 0))
            pair = self.held(left), self.held(right)
            goes_left = self.worse(*pair)
            child = index_ops.select(k, goes_left, left, right)
            below = k.s.select(goes_left, *pair)
            inside = k.s.compare("lt", k.s.from_index(k.index_value(here * 2 + 1), i64), end)
            sinks = k.s.bit_and(k.s.bit_and(sinking, inside), self.worse(below, item))
            k.run_if(sinks, lambda: self.hold(here, below))
            down = k.s.from_index(k.index_value(child), i64)
            return [k.s.select(sinks, down, at), sinks]

        at, _ = k.reduce([self.levels], [k.s.const(0, i64), k.s.const(True, i1)], level)
        self.hold(k.index_of(k.s.to_index(at), 0), item)
