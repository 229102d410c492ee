"""`hal-plan-memory`: give every buffer of a run a place in one arena.

Requires a host program. Ensures that every `hal.alloc` whose size follows from the inputs' sizes
has an `offset` (bytes, a multiple of 64), such that no two buffers that live at the same time
overlap, and that the program says how large its arena is. Buffers of sizes that only data tell, and
those that control flow allocates later, stay on the heap.

    hal.alloc ["n"]   ==>   hal.alloc ["n"] {offset = "4096"}

The result of a kernel that reads each element where it writes it (`krnl.inplace`) takes over an
operand's buffer that nobody needs any more. Sizes known as numbers are placed by first fit, in
three orders of which the best is kept; symbolic ones share slots, each as large as the largest
buffer that is provably never larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AnyFloat,
    IntegerType,
    MemRefType,
    ModuleOp,
    StringAttr,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects import hal, krnl
from dialects.hal import root_of, sizes_of, whole_of
from dialects.onnx.dims import Dim, bounds, ceildiv, symbols_of

ALIGNMENT = 64
"""Bytes of a cache line, at which buffers begin."""


@dataclass
class Interval:
    """A buffer: its size in bytes and the operations between which it is needed."""

    ops: list[hal.AllocOp]
    size: Dim
    first: int
    last: int
    offset: Dim = 0

    def overlaps(self, other: Interval) -> bool:
        """Whether both are needed at some time."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class PlanMemory(ModulePass):
    """Places buffers in the arena."""

    name = "hal-plan-memory"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Plans every host program of the module."""
        inplace = {
            kernel.sym_name.data: krnl.inplace_arguments(kernel)
            for kernel in op.ops
            if isinstance(kernel, func.FuncOp)
        }
        for program in op.ops:
            if isinstance(program, hal.ProgramOp):
                plan(program, inplace)


def plan(program: hal.ProgramOp, inplace: Mapping[str, Sequence[int]]) -> None:
    """Plans one host program in place."""
    liveness = _Liveness(program)
    intervals = liveness.take_over(liveness.intervals(), inplace)
    static = [i for i in intervals if isinstance(i.size, int)]
    symbolic = [i for i in intervals if not isinstance(i.size, int)]
    total: Dim = _place_static(static)
    total = _place_symbolic(symbolic, total)
    for interval in intervals:
        for op in interval.ops:
            op.properties["offset"] = StringAttr(str(interval.offset))
    program.properties["arena_bytes"] = StringAttr(str(total))


def element_bytes(element: Attribute) -> int:
    """Bytes of one element in memory."""
    if isinstance(element, IntegerType):
        return max(1, element.width.data // 8)
    assert isinstance(element, AnyFloat)
    return element.bitwidth // 8


def byte_size(kind: MemRefType, dims: Sequence[Dim]) -> Dim:
    """Bytes of a buffer, rounded up to the alignment."""
    sizes = iter(dims)
    shape = [next(sizes) if d == DYNAMIC_INDEX else d for d in kind.get_shape()]
    size = prod(shape, start=1) * element_bytes(kind.element_type)
    return ceildiv(size, ALIGNMENT) * ALIGNMENT


class _Liveness:
    """Numbers the operations of a program and finds when each buffer is needed."""

    def __init__(self, program: hal.ProgramOp) -> None:
        self.program = program
        self.number: dict[Operation, int] = {}
        self.end: dict[Operation, int] = {}
        self.early = {
            name
            for op in program.body.block.ops
            if isinstance(op, hal.InputOp)
            for dim in sizes_of(op.dims)
            for name in symbols_of(dim)
        }
        self._walk(program.body.block)

    def _walk(self, block: Block) -> None:
        for op in block.ops:
            self.number[op] = len(self.number)
            for region in op.regions:
                for nested in region.blocks:
                    self._walk(nested)
            self.end[op] = len(self.number) - 1

    def intervals(self) -> list[Interval]:
        """The buffers that the arena can hold."""
        found: list[Interval] = []
        for op in self.number:
            if not isinstance(op, hal.AllocOp) or op.later is not None:
                continue
            dims = sizes_of(op.dims)
            if all(symbols_of(dim) <= self.early for dim in dims):
                kind = op.result.type
                assert isinstance(kind, MemRefType)
                last = self._last_use(op.result, op)
                found.append(Interval([op], byte_size(kind, dims), self.number[op], last))
        return found

    def take_over(
        self, intervals: list[Interval], inplace: Mapping[str, Sequence[int]]
    ) -> list[Interval]:
        """Joins the buffers of kernels that may work in place."""
        of_buffer: dict[SSAValue, Interval] = {i.ops[0].result: i for i in intervals}
        for op in self.number:
            if not isinstance(op, hal.DispatchOp):
                continue
            target = of_buffer.get(whole_of(op.buffers[-1]))
            if target is None:
                continue
            for place in inplace.get(op.callee.root_reference.data, ()):
                source = of_buffer.get(whole_of(op.buffers[place]))
                if source is not None and self._may_join(source, target, op):
                    source.ops += target.ops
                    source.last = target.last
                    of_buffer.update((made.result, source) for made in target.ops)
                    intervals.remove(target)
                    break
        return intervals

    def _may_join(self, source: Interval, target: Interval, op: Operation) -> bool:
        """Whether an operand dies where the result is born, in one run of operations."""
        same_block = all(made.parent is op.parent for made in (*source.ops, *target.ops))
        only_once = sum(root_of(b) is source.ops[-1].result for b in op.operands) == 1
        return (
            source is not target
            and same_block
            and only_once
            and source.size == target.size
            and source.last == self.number[op]
            and self._first_use(root_of(op.operands[-1])) == self.number[op]
        )

    def _first_use(self, buffer: SSAValue) -> int:
        """The first operation that reads or writes a buffer."""
        found = len(self.number)
        for use in buffer.uses:
            op = use.operation
            is_view = isinstance(op, hal.ViewOp)
            found = min(found, self._first_use(op.result) if is_view else self.number[op])
        return found

    def _last_use(self, buffer: SSAValue, owner: Operation) -> int:
        last = self.number[owner]
        for use in buffer.uses:
            op = use.operation
            last = max(last, self._end_around(op, owner))
            if isinstance(op, hal.ViewOp):
                last = max(last, self._last_use(op.result, owner))
        return last

    def _end_around(self, op: Operation, owner: Operation) -> int:
        """The end of an operation, or of a loop around it that the buffer was made outside of."""
        end = self.end[op]
        while op.parent is not owner.parent:
            parent = op.parent_op()
            assert parent is not None
            op = parent
            if isinstance(op, hal.ForOp):
                end = max(end, self.end[op])
        return end


_ORDERS: tuple[Callable[[Interval], tuple], ...] = (
    lambda i: (-_number(i.size), i.first),
    lambda i: (i.first, -_number(i.size)),
    lambda i: (i.first - i.last, -_number(i.size)),
)


def _number(size: Dim) -> int:
    assert isinstance(size, int)
    return size


def _place_static(intervals: list[Interval]) -> int:
    """First fit in several orders; gives the size of the smallest arena found."""
    best, offsets = None, []
    for order in _ORDERS:
        total = _first_fit(sorted(intervals, key=order))
        if best is None or total < best:
            best, offsets = total, [i.offset for i in intervals]
    for interval, offset in zip(intervals, offsets, strict=True):
        interval.offset = offset
    return best or 0


def _first_fit(intervals: list[Interval]) -> int:
    placed: list[Interval] = []
    total = 0
    for interval in intervals:
        size, offset = _number(interval.size), 0
        for other in sorted(placed, key=lambda i: _number(i.offset)):
            if interval.overlaps(other):
                if _number(other.offset) - offset >= size:
                    break
                offset = max(offset, _number(other.offset) + _number(other.size))
        interval.offset = offset
        placed.append(interval)
        total = max(total, offset + size)
    return total


def _place_symbolic(intervals: list[Interval], start: Dim) -> Dim:
    """Slots behind the static part; gives the whole arena's size."""
    slots: list[tuple[Dim, list[Interval]]] = []
    for interval in intervals:
        for number, (size, users) in enumerate(slots):
            if any(interval.overlaps(user) for user in users):
                continue
            larger = _provably_larger(size, interval.size)
            if larger is not None:
                slots[number] = (larger, [*users, interval])
                break
        else:
            slots.append((interval.size, [interval]))
    offset = start
    for size, users in slots:
        for user in users:
            user.offset = offset
        offset = offset + size
    return offset


def _provably_larger(a: Dim, b: Dim) -> Dim | None:
    """The larger of two sizes if one is never smaller than the other."""
    low, high = bounds(a - b)
    if low is not None and low >= 0:
        return a
    return b if high is not None and high <= 0 else None
