"""Roots that select elements by their order: ArgMax, ArgMin, TopK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, i1

i32, i64 = IntegerType(32), IntegerType(64)

DEEPEST = 40
"""Levels of a heap whose size only a run knows."""


@root("ArgMax", "ArgMin")
def arg_extreme(k: Kernel, op: OnnxOp) -> None:
    """Where the largest or smallest element along an axis is, the first or the last of equal ones.

    In two passes, the extreme and then its index, for both run as vectors. NaN is the extreme.
    """
    source, result = op.operands[0], op.results[0]
    dims = k.dims(source)
    axis = normalize_axis(op.get("axis"), len(dims))
    kept = [a for a in range(len(dims)) if a != axis]
    keeps = len(k.dims(result)) == len(dims)
    element = k.element(source)
    is_max, last = op.OP_TYPE == "ArgMax", bool(op.get("select_last_index"))
    # Indices of 32 bits fill twice as many lanes; an axis longer than that has none of its own.
    small = isinstance(dims[axis], int) and int(dims[axis]) < 1 << 31  # type: ignore[arg-type]
    kind = i32 if small else i64

    def body(ivs: list[Affine]) -> None:
        def x(taps: Sequence[Affine]) -> Scalar:
            at = dict(zip([*kept, axis], [*ivs, *taps], strict=True))
            return k.read(source, [at[a] for a in range(len(dims))])

        def extreme(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            combine = k.s.max if is_max else k.s.min
            return [combine(carried[0], x(taps), REDUCTION)]

        first = k.s.lowest(element) if is_max else k.s.highest(element)
        (found,) = k.reduce([dims[axis]], [first], extreme)

        def place(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            beaten = k.s.compare("lt" if is_max else "gt", x(taps), found)
            here = k.s.from_index(k.index_value(taps[0]), kind)
            worst = k.s.const(-1, kind) if last else k.s.highest(kind)
            here = k.s.select(beaten, worst, here)
            return [k.s.max(carried[0], here) if last else k.s.min(carried[0], here)]

        worst = k.s.const(-1, kind) if last else k.s.highest(kind)
        (chosen,) = k.reduce([dims[axis]], [worst], place)
        at = dict(zip(kept, ivs, strict=True))
        entries = [at.get(a, affine(0)) for a in range(len(dims)) if keeps or a in at]
        k.give(result, entries, k.s.cast(chosen, k.element(result)))

    k.nest([dims[a] for a in kept], body)


@root("TopK", fuses="none", epilogue=False)
def top_k(k: Kernel, op: OnnxOp) -> None:
    """The k largest or smallest elements along an axis in order, the first of equal ones first.

    A heap of the best so far, the worst of them on top (J. W. J. Williams, Algorithm 232, 1964),
    stands where the result will be; sorted in place it is the result.
    """
    dims = k.dims(op.operands[0])
    axis = normalize_axis(op.get("axis"), len(dims))
    outer = [a for a in range(len(dims)) if a != axis]
    k.nest([dims[a] for a in outer], lambda ivs: _Heap(k, op, axis, outer, ivs).run())


@dataclass
class _Heap:
    """The heap of one row: of indices, or of values where nobody wants the indices."""

    k: Kernel
    op: OnnxOp
    axis: int
    outer: list[int]
    ivs: list[Affine]

    def __post_init__(self) -> None:
        k = self.k
        values, indices = self.op.results[:2]
        self.values = values if values in k.outputs else None
        self.indices = indices if indices in k.outputs else None
        self.element = k.element(values)
        self.kind = i64 if self.indices is not None else self.element
        # The attribute is younger than the operator; at first only the largest could be asked for.
        self.largest = self.op.get("largest") != 0
        self.size = k.size(k.dims(values)[self.axis])
        self.length = k.size(k.dims(self.op.operands[0])[self.axis])

    @property
    def levels(self) -> int:
        """How deep the heap is."""
        return DEEPEST if self.size.terms else max(1, self.size.constant.bit_length())

    def run(self) -> None:
        """Fills the heap, lets everything pass by it, and sorts it."""
        self.in_order((affine(0), self.size), self.insert)
        self.in_order((self.size, self.length), self.pass_by)
        self.in_order((affine(0), self.size - 1), lambda n: self.take(self.size - 1 - n))
        if self.values is not None and self.indices is not None:
            self.in_order((affine(0), self.size), self.fetch)

    # Elements -------------------------------------------------------------------------------

    def entries(self, place: Affine) -> list[Affine]:
        """Indices of an element of the row."""
        at = {**dict(zip(self.outer, self.ivs, strict=True)), self.axis: place}
        return [at[axis] for axis in range(len(at))]

    def element_at(self, place: Affine) -> Scalar:
        """An element of the row as the heap holds it."""
        if self.indices is not None:
            return self.k.s.from_index(self.k.index_value(place), i64)
        return self.source(place)

    def source(self, place: Affine) -> Scalar:
        """An element of the row."""
        value = self.op.operands[0]
        at = self.k.place(value, self.entries(place))
        return self.k.load(self.k.buffers[value], at, self.element)

    def held(self, place: Affine) -> Scalar:
        """What stands at a place of the heap."""
        return self.k.read_output(self.heap, self.entries(place))

    def hold(self, place: Affine, item: Scalar) -> None:
        """Puts something at a place of the heap."""
        self.k.write_output(self.heap, self.entries(place), item)

    @property
    def heap(self) -> SSAValue:
        """The result in whose buffer the heap stands."""
        heap = self.indices if self.indices is not None else self.values
        assert heap is not None
        return heap

    def worse(self, lhs: Scalar, rhs: Scalar) -> Scalar:
        """Whether one element of the heap comes behind another in the result."""
        k, order = self.k, "lt" if self.largest else "gt"
        if self.indices is None:
            return k.s.compare(order, lhs, rhs)
        a = self.source(index_ops.from_scalar(k, lhs))
        b = self.source(index_ops.from_scalar(k, rhs))
        tie = k.s.bit_and(k.s.equal(a, b), k.s.compare("gt", lhs, rhs))
        return k.s.bit_or(k.s.compare(order, a, b), tie)

    # Steps ----------------------------------------------------------------------------------

    def in_order(self, bounds: tuple[Affine, Affine], body: Callable[[Affine], None]) -> None:
        """A loop whose iterations follow each other."""

        def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            body(ivs[0])
            return carried

        self.k.reduce([bounds], [self.k.s.const(0, i64)], step)

    def insert(self, place: Affine) -> None:
        """Adds the element at ``place``, which is also the heap's size, and lets it rise."""
        k, item = self.k, self.element_at(place)

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

    def pass_by(self, place: Affine) -> None:
        """Replaces the worst element by the one at ``place`` if that is better."""
        item = self.element_at(place)
        better = self.worse(self.held(affine(0)), item)
        if not self.size.terms and self.size.constant == 0:
            return
        self.k.run_if(better, lambda: self.sink(item, self.size))

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

    def fetch(self, place: Affine) -> None:
        """Writes the value that an index stands for."""
        assert self.values is not None
        value = self.source(index_ops.from_scalar(self.k, self.held(place)))
        self.k.write_output(self.values, self.entries(place), value)
