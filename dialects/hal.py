"""The `hal` dialect: the host program, which allocates buffers and dispatches kernels.

    program  ::= `hal.program` @name attributes {inputs, outputs, arena_bytes} { statement* }
    statement::= %x `=` `hal.input` n dims           argument n of the program
               | %y `=` `hal.output` n dims          result n: memory of the caller
               | %c `=` `hal.constant` {value}       a weight
               | %b `=` `hal.alloc` dims {offset}    memory of the run, planned: in the arena
               | %b `=` `hal.alloc` dims {later}     ... that control flow will give it
               | `hal.reserve` %b sizes              gives such a buffer memory
               | `hal.append` %s, %b, count          puts %s behind `count` slices in such a buffer
               | `hal.swap` %a, %b                   exchanges the memory of two such buffers
               | %v `=` `hal.view` %b dims {offset}  the bytes (from an offset) as another shape
               | `hal.dispatch` @kernel(%b...) sizes runs a kernel
               | `hal.copy` %from, %to               copies all bytes
               | `hal.clear` %b                      sets all bytes to 0
               | `hal.symbols` %b [name, ...]        names sizes that stand in a buffer of integers
               | `hal.bind` [name = size, ...]       gives symbols a value, all at once
               | `hal.give` %b, n                    the buffer is result n, of a size known now
               | `hal.check` lhs, rhs, message       the run fails unless two sizes are equal
               | `hal.check_range` %b sizes          ... unless indices in memory are inside sizes
               | `hal.if` %flag { ... } { ... }      branches on a boolean in memory
               | `hal.for` %n, trips, %flag { ... }  repeats while the flag holds, counting in %n
               | `hal.stamp` n                       notes the time at which the run comes by
    dims     ::= `[` size,* `]`                      sizes of the `?` of a result's memref, in order

Sizes are symbolic expressions (`dialects/onnx/dims.py`) over symbols that `hal.input`,
`hal.symbols` and `hal.bind` define; lowering computes them where they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    IntegerAttr,
    MemRefType,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Attribute, Dialect, Operation, Region, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import NoTerminator, SymbolOpInterface

from dialects.onnx.dims import Dim, parse_dim


def size_strings(dims: Sequence[Dim]) -> ArrayAttr[StringAttr]:
    """Sizes as an attribute."""
    return ArrayAttr([StringAttr(str(dim)) for dim in dims])


def sizes_of(attribute: Attribute | None) -> list[Dim]:
    """The sizes that an attribute lists."""
    if not isinstance(attribute, ArrayAttr):
        return []
    return [parse_dim(entry.data) for entry in attribute if isinstance(entry, StringAttr)]


def buffer_sizes(buffer: SSAValue) -> list[Dim]:
    """Sizes of a buffer's dynamic dimensions, as the operation that makes it says."""
    owner = buffer.owner
    return sizes_of(owner.properties.get("dims")) if isinstance(owner, Operation) else []


def number(value: int) -> IntegerAttr:
    """An i64 attribute."""
    return IntegerAttr(value, i64)


@irdl_op_definition
class ProgramOp(IRDLOperation):
    """The host program. ``inputs``, ``outputs``: a dictionary (name, element type, sizes) each."""

    name = "hal.program"
    sym_name = prop_def(SymbolNameConstraint())
    inputs = prop_def(ArrayAttr)
    outputs = prop_def(ArrayAttr)
    arena_bytes = opt_prop_def(StringAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), SymbolOpInterface())

    def __init__(self, inputs: ArrayAttr, outputs: ArrayAttr, body: Region) -> None:
        super().__init__(
            properties={"sym_name": StringAttr("main"), "inputs": inputs, "outputs": outputs},
            regions=[body],
        )


class _Buffer(IRDLOperation):
    """An operation whose result is a buffer, with the sizes of its dynamic dimensions."""

    dims = prop_def(ArrayAttr[StringAttr])
    result = result_def(MemRefType)


@irdl_op_definition
class InputOp(_Buffer):
    """Argument ``index``; where a dimension is a plain symbol not seen before, it defines it."""

    name = "hal.input"
    index = prop_def(IntegerAttr)


@irdl_op_definition
class OutputOp(_Buffer):
    """Result ``index``, in memory that the caller gives."""

    name = "hal.output"
    index = prop_def(IntegerAttr)


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A constant, mapped or kept by the runtime; ``value`` is dense or a dense_resource.

    Of one that is ``selected`` from, like a table of embeddings, a run reads a few parts.
    """

    name = "hal.constant"
    value = prop_def(AnyAttr())
    selected = opt_prop_def(UnitAttr)
    result = result_def(MemRefType)


@irdl_op_definition
class AllocOp(_Buffer):
    """Memory of the run: at ``offset`` of the arena (bytes), or without one from the heap.

    A buffer that several regions or iterations make, in different sizes, is allocated ``later``:
    this operation only declares it, `hal.reserve` and `hal.append` give it memory.
    """

    name = "hal.alloc"
    offset = opt_prop_def(StringAttr)
    later = opt_prop_def(UnitAttr)


@irdl_op_definition
class ReserveOp(IRDLOperation):
    """Gives a buffer that is allocated later memory for all of ``dims``, instead of what it had."""

    name = "hal.reserve"
    buffer = operand_def(MemRefType)
    dims = prop_def(ArrayAttr[StringAttr])

    def __init__(self, buffer: SSAValue, dims: Sequence[Dim]) -> None:
        super().__init__(operands=[buffer], properties={"dims": size_strings(dims)})


@irdl_op_definition
class AppendOp(IRDLOperation):
    """Copies a slice behind ``count`` slices of its size in a buffer that is allocated later.

    The buffer grows as it must. Appending in turn, from a count of 0, makes a stack.
    """

    name = "hal.append"
    slice = operand_def(MemRefType)
    buffer = operand_def(MemRefType)
    count = prop_def(StringAttr)

    def __init__(self, slice: SSAValue, buffer: SSAValue, count: Dim) -> None:
        super().__init__(operands=[slice, buffer], properties={"count": StringAttr(str(count))})


@irdl_op_definition
class SwapOp(IRDLOperation):
    """Exchanges the memory of two buffers that are allocated later."""

    name = "hal.swap"
    lhs = operand_def(MemRefType)
    rhs = operand_def(MemRefType)

    def __init__(self, lhs: SSAValue, rhs: SSAValue) -> None:
        super().__init__(operands=[lhs, rhs])


@irdl_op_definition
class ViewOp(_Buffer):
    """The bytes of a buffer, from ``offset`` (bytes) on, as another shape (and element type)."""

    name = "hal.view"
    source = operand_def(MemRefType)
    offset = opt_prop_def(StringAttr)


@irdl_op_definition
class DispatchOp(IRDLOperation):
    """Runs a kernel on buffers and sizes; it writes the last ``written`` buffers."""

    name = "hal.dispatch"
    callee = prop_def(SymbolRefAttr)
    sizes = prop_def(ArrayAttr[StringAttr])
    written = prop_def(IntegerAttr)
    buffers = var_operand_def(MemRefType)

    def __init__(
        self,
        callee: str,
        reads: Sequence[SSAValue],
        writes: Sequence[SSAValue],
        sizes: Sequence[Dim],
    ) -> None:
        super().__init__(
            operands=[[*reads, *writes]],
            properties={
                "callee": SymbolRefAttr(callee),
                "sizes": size_strings(sizes),
                "written": number(len(writes)),
            },
        )


@irdl_op_definition
class CopyOp(IRDLOperation):
    """Copies all bytes of a buffer to another one of the same size."""

    name = "hal.copy"
    source = operand_def(MemRefType)
    target = operand_def(MemRefType)

    def __init__(self, source: SSAValue, target: SSAValue) -> None:
        super().__init__(operands=[source, target])


@irdl_op_definition
class ClearOp(IRDLOperation):
    """Sets all bytes of a buffer to 0."""

    name = "hal.clear"
    buffer = operand_def(MemRefType)


@irdl_op_definition
class SymbolsOp(IRDLOperation):
    """Gives symbols the integers that stand in a buffer; an entry that is no symbol is skipped."""

    name = "hal.symbols"
    source = operand_def(MemRefType)
    symbols = prop_def(ArrayAttr[StringAttr])
    unsigned = opt_prop_def(AnyAttr())

    def __init__(self, source: SSAValue, symbols: ArrayAttr[StringAttr]) -> None:
        super().__init__(operands=[source], properties={"symbols": symbols})


@irdl_op_definition
class BindOp(IRDLOperation):
    """Gives symbols values that are computed from others; needed where branches differ."""

    name = "hal.bind"
    symbols = prop_def(ArrayAttr[StringAttr])
    values = prop_def(ArrayAttr[StringAttr])

    def __init__(self, symbols: Sequence[str], values: Sequence[Dim]) -> None:
        super().__init__(
            properties={
                "symbols": ArrayAttr([StringAttr(s) for s in symbols]),
                "values": size_strings(values),
            }
        )


@irdl_op_definition
class GiveOp(IRDLOperation):
    """Hands a buffer to the caller as result ``index``, with its sizes."""

    name = "hal.give"
    source = operand_def(MemRefType)
    index = prop_def(IntegerAttr)
    dims = prop_def(ArrayAttr[StringAttr])

    def __init__(self, source: SSAValue, index: int, dims: ArrayAttr[StringAttr]) -> None:
        super().__init__(operands=[source], properties={"index": number(index), "dims": dims})


@irdl_op_definition
class CheckOp(IRDLOperation):
    """Ends the run with a message unless ``lhs == rhs``; ``broadcast`` also accepts a 1."""

    name = "hal.check"
    lhs = prop_def(StringAttr)
    rhs = prop_def(StringAttr)
    message = prop_def(StringAttr)
    broadcast = opt_prop_def(AnyAttr())


@irdl_op_definition
class CheckRangeOp(IRDLOperation):
    """Ends the run unless the smallest and largest index in memory fit ``sizes``.

    The buffer holds the smallest index of each component, then the largest of each (i64).
    """

    name = "hal.check_range"
    source = operand_def(MemRefType)
    sizes = prop_def(ArrayAttr[StringAttr])

    def __init__(self, source: SSAValue, sizes: ArrayAttr[StringAttr]) -> None:
        super().__init__(operands=[source], properties={"sizes": sizes})


@irdl_op_definition
class IfOp(IRDLOperation):
    """Runs one of two regions, by a boolean (one byte) in memory."""

    name = "hal.if"
    condition = operand_def(MemRefType)
    then = region_def("single_block")
    otherwise = region_def("single_block")
    traits = traits_def(NoTerminator())


@irdl_op_definition
class ForOp(IRDLOperation):
    """Repeats a region while fewer than ``trips`` iterations ran and a boolean (optional) holds.

    ``counter`` is an i64 in memory that holds the iteration's number while the region runs, and the
    number of iterations after it. The region updates the condition.
    """

    name = "hal.for"
    counter = operand_def(MemRefType)
    trips = prop_def(StringAttr)
    condition = opt_operand_def(MemRefType)
    body = region_def("single_block")
    traits = traits_def(NoTerminator())


@irdl_op_definition
class StampOp(IRDLOperation):
    """Notes the time in the run's trace: an event with the number ``event``."""

    name = "hal.stamp"
    event = prop_def(IntegerAttr)

    def __init__(self, event: int) -> None:
        super().__init__(properties={"event": number(event)})


def root_of(buffer: SSAValue) -> SSAValue:
    """The buffer that a view is of."""
    while isinstance(buffer.owner, ViewOp):
        buffer = buffer.owner.source
    return buffer


def whole_of(buffer: SSAValue) -> SSAValue:
    """The buffer that a view shows all of; the view itself if it begins behind its first byte."""
    while isinstance(buffer.owner, ViewOp) and buffer.owner.offset is None:
        buffer = buffer.owner.source
    return buffer


Hal = Dialect(
    "hal",
    [
        ProgramOp,
        InputOp,
        OutputOp,
        ConstantOp,
        AllocOp,
        ReserveOp,
        AppendOp,
        SwapOp,
        ViewOp,
        DispatchOp,
        CopyOp,
        ClearOp,
        SymbolsOp,
        BindOp,
        GiveOp,
        CheckOp,
        CheckRangeOp,
        IfOp,
        ForOp,
        StampOp,
    ],
)
