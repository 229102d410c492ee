"""Loops of the host program: what iterations hand on, and what they stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import MemRefType, StringAttr, i64
from xdsl.ir import Region, SSAValue

from dialects import hal
from dialects.hal import size_strings
from dialects.onnx.dims import Dim, minimum, product, symbol, symbols_of
from dialects.onnx.locations import place_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.hal.plan_memory import element_bytes
from passes.lower.onnx_to_krnl.control.places import Control, equal_check, plain, sizes
from passes.lower.onnx_to_krnl.program import Place, ProgramBuilder
from runtime.errors import UnsupportedError


@dataclass(frozen=True)
class Carried:
    """A value that iterations hand on: its buffer, and where its size changes, the next one's."""

    argument: SSAValue
    following: SSAValue
    buffer: SSAValue
    spare: SSAValue | None = None


@dataclass(frozen=True)
class Stacked:
    """A value of which every iteration gives one slice, in a buffer that may have to grow."""

    value: SSAValue
    result: SSAValue
    buffer: SSAValue
    grows: bool
    backwards: bool = False


class Iteration(Control):
    """A loop of the host program: what it carries, what it stacks, and its counter.

    ``base`` is the number of slices in front of this loop's first in what it scans and stacks,
    ``length`` how many it has.
    """

    def __init__(self, b: ProgramBuilder, op: OnnxOp, base: Dim = 0, length: Dim = 0) -> None:
        super().__init__(b, op)
        self.base = base
        self.length = length
        self.carried: list[Carried] = []
        self.stacked: list[Stacked] = []
        self.changing: set[str] = set()
        self.counter = self.buffer_of(MemRefType(i64, []), [])
        self.step = symbol(self.fresh("step"))

    # In front of the loop -------------------------------------------------------------------

    def buffer_of(self, kind: MemRefType, dims: list[Dim]) -> SSAValue:
        """A buffer that is no tensor's."""
        made = hal.AllocOp.create(properties={"dims": size_strings(dims)}, result_types=[kind])
        self.b.add(made)
        return made.result

    def carry(
        self,
        argument: SSAValue,
        following: SSAValue,
        initial: tuple[SSAValue, Sequence[Dim]],
        result: SSAValue | None,
    ) -> SSAValue:
        """Sets up a carried value from its initial buffer and sizes; a result may lend its own."""
        b = self.b
        kind, dims = b.memref_type(argument)
        if not self.unknown(argument):
            own = result is None or is_none(result) or self.unknown(result)
            buffer = self.buffer_of(kind, dims) if own else b.alloc(result)  # type: ignore[arg-type]
            b.bind(argument, self.as_type(buffer, kind, dims))
            b.add(hal.CopyOp(initial[0], buffer))
            self.carried.append(Carried(argument, following, buffer))
            return buffer
        self.changing |= {n for d in sizes(argument) for n in symbols_of(d)} - b.known
        buffer, spare = self.declare(argument), self.declare(argument)
        b.bind(argument, buffer)
        b.add(hal.ReserveOp(buffer, initial[1]))
        b.add(hal.CopyOp(initial[0], buffer))
        self.bind_sizes([(sizes(argument), initial[1])])
        self.carried.append(Carried(argument, following, buffer, spare))
        return buffer

    def stack(self, value: SSAValue, result: SSAValue, backwards: bool = False) -> None:
        """Sets up a value of which every iteration gives a slice."""
        if is_none(result):
            return
        if not self.unknown(result):
            buffer = self.b.buffers[result] if result in self.b.buffers else self.b.alloc(result)
            self.stacked.append(Stacked(value, result, buffer, False, backwards))
            return
        if backwards or self.base != 0:
            raise UnsupportedError(
                "a scan output whose size only the data tell, stacked backwards or in batches",
                place_of(self.op.location, "krnl"),
            )
        buffer = self.declare(result)
        self.b.add(hal.ReserveOp(buffer, [0]))
        inner = sizes(result)[1:]
        self.bind_sizes([(inner, [0] * len(inner))])
        self.stacked.append(Stacked(value, result, buffer, True))

    # In the loop ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Opens an iteration: its number as a size, and where its results go."""
        b = self.b
        b.known |= self.changing
        self.read_counter(str(self.step))
        for entry in self.stacked:
            if not entry.grows and entry.value not in b.places:
                b.places[entry.value] = Place(self.slice_of(entry), False)
        for carried in self.carried:
            if carried.spare is not None and carried.following not in b.places:
                b.places[carried.following] = Place(carried.spare, True)

    def read_counter(self, name: str) -> None:
        """Gives a symbol the number in the counter."""
        self.b.add(hal.SymbolsOp(self.counter, size_strings([symbol(name)])))
        self.b.known.add(name)

    def offset(self, tensor: SSAValue, backwards: bool) -> Dim:
        """Bytes in front of this iteration's slice of a tensor."""
        kind, _ = self.b.memref_type(tensor)
        place = self.length - 1 - self.step if backwards else self.step
        inner = sizes(tensor)[2 if self.op.SINCE == 8 and self.op.OP_TYPE == "Scan" else 1 :]
        return (self.base + place) * product(inner) * element_bytes(kind.element_type)

    def slice_of(self, entry: Stacked) -> SSAValue:
        """This iteration's part of a stacked result."""
        kind, dims = self.b.memref_type(entry.value)
        offset = self.offset(entry.result, entry.backwards)
        return self.b.view_of(entry.buffer, kind, dims, offset)

    def scan(self, argument: SSAValue, tensor: SSAValue, backwards: bool) -> None:
        """Makes an argument this iteration's part of a tensor."""
        kind, dims = self.b.memref_type(argument)
        offset = self.offset(tensor, backwards)
        self.b.bind(argument, self.b.view_of(self.b.buffer(tensor), kind, dims, offset))

    def end(self) -> None:
        """Closes an iteration: hands its values on."""
        for entry in self.stacked:
            self.push(entry)
        staged = [self.staged(carried) for carried in self.carried]
        for carried, source in zip(self.carried, staged, strict=True):
            if carried.spare is None and source is not None:
                self.b.add(hal.CopyOp(source, carried.buffer))
        self.rebind()
        for carried in self.carried:
            if carried.spare is not None:
                self.b.add(hal.SwapOp(carried.buffer, carried.spare))

    def push(self, entry: Stacked) -> None:
        """Brings a slice to its stack, unless it was computed there."""
        b = self.b
        buffer = b.buffer(entry.value)
        if entry.grows:
            self.append(entry, buffer)
        elif (place := b.places.pop(entry.value, None)) is not None:
            b.add(hal.CopyOp(buffer, place.buffer))
        elif hal.root_of(buffer) is not hal.root_of(entry.buffer):
            b.add(hal.CopyOp(buffer, self.slice_of(entry)))

    def append(self, entry: Stacked, buffer: SSAValue) -> None:
        """Puts a slice on a stack of unknown size; all slices must have the size of the first."""
        inner, given = sizes(entry.result)[1:], sizes(entry.value)
        behind_first = minimum(self.step, 1)
        for known, size in zip(inner, given, strict=True):
            if known != size:
                self.b.add(equal_check(behind_first * known, behind_first * size, self.op))
        self.b.add(hal.AppendOp(buffer, entry.buffer, self.step))
        self.bind_sizes([(inner, given)])

    def staged(self, carried: Carried) -> SSAValue | None:
        """Where the next value is safe from what the others become; None: nothing changes."""
        b = self.b
        source = b.buffer(carried.following)
        root = hal.root_of(source)
        if carried.spare is not None:
            place = b.places.pop(carried.following, None)
            if place is not None or root is not carried.spare:
                self.deliver(carried.following, Place(carried.spare, True))
            return carried.spare
        for dim, size in zip(sizes(carried.argument), sizes(carried.following), strict=True):
            if dim != size:
                b.add(equal_check(dim, size, self.op))
        if root is hal.root_of(carried.buffer):
            return None
        if any(root is hal.root_of(other.buffer) for other in self.carried):
            copy = self.buffer_of(*b.memref_type(carried.following))
            b.add(hal.CopyOp(source, copy))
            return copy
        return source

    def rebind(self) -> None:
        """Gives the sizes that change their values of the next iteration, all at once."""
        names: list[str] = []
        values: list[Dim] = []
        for carried in self.carried:
            pairs = zip(sizes(carried.argument), sizes(carried.following), strict=True)
            for name, value in pairs:
                if symbols_of(name) & self.changing:
                    names.append(plain(name))
                    values.append(value)
        if names:
            self.b.add(hal.BindOp(names, values))

    # Behind the loop ------------------------------------------------------------------------

    def repeat(self, trips: Dim, region: Region, condition: SSAValue | None = None) -> None:
        """The loop itself."""
        made = hal.ForOp.create(
            operands=[self.counter, *([] if condition is None else [condition])],
            properties={"trips": StringAttr(str(trips))},
            regions=[region],
            location=self.op.location,
        )
        self.b.add(made)

    def finish(self, results: Sequence[SSAValue]) -> None:
        """Makes the carried values' and the stacks' buffers the results."""
        b = self.b
        for result, carried in zip(results, self.carried, strict=False):
            if result not in b.buffers and not is_none(result):
                self.finish_result(result, carried.buffer, sizes(carried.argument))
        if any(entry.grows for entry in self.stacked):
            count = symbol(self.fresh("count"))
            self.read_counter(str(count))
            for entry in self.stacked:
                if entry.grows:
                    dims = [count, *sizes(entry.result)[1:]]
                    self.finish_result(entry.result, entry.buffer, dims)

    def finish_result(self, result: SSAValue, buffer: SSAValue, dims: Sequence[Dim]) -> None:
        """Makes a buffer with these sizes a result."""
        b = self.b
        self.bind_sizes([(sizes(result), dims)])
        b.known |= {name for dim in sizes(result) for name in symbols_of(dim)}
        kind, own = b.memref_type(result)
        b.bind(result, self.as_type(buffer, kind, own))
