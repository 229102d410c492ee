"""Loop handles, and the operations that say how their loops run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from xdsl.dialects.builtin import I64, DenseArrayBase, IntegerAttr, i64
from xdsl.ir import Operation, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException


@irdl_attr_definition
class LoopType(ParametrizedAttribute, TypeAttribute):
    """A handle on a loop, `!krnl.loop`."""

    name = "krnl.loop"


loop = LoopType()


@cache
def integer(value: int) -> IntegerAttr[I64]:
    """A memoised i64 attribute."""
    return IntegerAttr(value, i64)


@cache
def integers(values: tuple[int, ...]) -> DenseArrayBase[I64]:
    """A memoised i64 array attribute."""
    return DenseArrayBase.from_list(i64, values)


@irdl_op_definition
class DefineLoopsOp(IRDLOperation):
    """Makes loop handles, to be bound to bounds by one `krnl.iterate`."""

    name = "krnl.define_loops"
    loops = var_result_def(LoopType)

    def __init__(self, count: int) -> None:
        super().__init__(result_types=[[loop] * count])

    @classmethod
    def parse(cls, parser: Parser) -> DefineLoopsOp:
        return DefineLoopsOp(parser.parse_integer())

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {len(self.results)}")


@irdl_op_definition
class BlockOp(IRDLOperation):
    """Splits a loop: `for i in 0..n` -> `for o in 0..n step size: for i in o..min(o + size, n)`."""

    name = "krnl.block"
    handle = operand_def(LoopType)
    size = prop_def(IntegerAttr[I64])
    outer = result_def(LoopType)
    inner = result_def(LoopType)
    assembly_format = "$handle $size attr-dict"

    def __init__(self, handle: SSAValue, size: int) -> None:
        super().__init__(
            operands=[handle], result_types=[loop, loop], properties={"size": integer(size)}
        )

    def verify_(self) -> None:
        _verify_positive(self, "size", self.size)


@irdl_op_definition
class PermuteOp(IRDLOperation):
    """Puts loops of one nest in this order, in the places that they hold together."""

    name = "krnl.permute"
    handles = var_operand_def(LoopType)
    assembly_format = "`(` $handles `)` attr-dict"

    def __init__(self, handles: Sequence[SSAValue]) -> None:
        super().__init__(operands=[handles])


@irdl_op_definition
class UnrollOp(IRDLOperation):
    """Runs all iterations of an innermost block side by side, jammed into loops further in."""

    name = "krnl.unroll"
    handle = operand_def(LoopType)
    assembly_format = "$handle attr-dict"

    def __init__(self, handle: SSAValue) -> None:
        super().__init__(operands=[handle])


@irdl_op_definition
class VectorizeOp(IRDLOperation):
    """Runs `lanes` neighbouring iterations of an innermost loop as a vector; the tail is masked.

    All vectors of the inner loop of a block run side by side.
    """

    name = "krnl.vectorize"
    handle = operand_def(LoopType)
    lanes = prop_def(IntegerAttr[I64])
    assembly_format = "$handle $lanes attr-dict"

    def __init__(self, handle: SSAValue, lanes: int) -> None:
        super().__init__(operands=[handle], properties={"lanes": integer(lanes)})

    def verify_(self) -> None:
        _verify_positive(self, "number of lanes", self.lanes)


@irdl_op_definition
class TensorizeOp(IRDLOperation):
    """Runs a block of rows by columns as one register tile.

    Rows are unrolled, columns are vectors of `lanes`; reductions inside the tile keep one
    accumulator register for each (row, vector).
    """

    name = "krnl.tensorize"
    rows = operand_def(LoopType)
    columns = operand_def(LoopType)
    lanes = prop_def(IntegerAttr[I64])
    assembly_format = "`(` $rows `,` $columns `)` $lanes attr-dict"

    def __init__(self, rows: SSAValue, columns: SSAValue, lanes: int) -> None:
        super().__init__(operands=[rows, columns], properties={"lanes": integer(lanes)})

    def verify_(self) -> None:
        _verify_positive(self, "number of lanes", self.lanes)


@irdl_op_definition
class ParallelOp(IRDLOperation):
    """Shares the iterations of the outermost loops out to threads, `grain` or more to each."""

    name = "krnl.parallel"
    handles = var_operand_def(LoopType)
    grain = prop_def(IntegerAttr[I64])
    assembly_format = "`(` $handles `)` $grain attr-dict"

    def __init__(self, handles: Sequence[SSAValue], grain: int = 1) -> None:
        super().__init__(operands=[handles], properties={"grain": integer(grain)})

    def verify_(self) -> None:
        _verify_positive(self, "grain", self.grain)


@irdl_op_definition
class OutlineOp(IRDLOperation):
    """Makes a loop nest inside of another one a function of its own.

    Registers are allocated for it alone then, and not for what the loops around it need elsewhere.
    """

    name = "krnl.outline"
    handle = operand_def(LoopType)
    assembly_format = "$handle attr-dict"

    def __init__(self, handle: SSAValue) -> None:
        super().__init__(operands=[handle])


def _verify_positive(op: IRDLOperation, what: str, value: IntegerAttr[I64]) -> None:
    if value.value.data < 1:
        raise VerifyException(f"{op.name} needs a {what} of at least 1")


SCHEDULE_OPS: tuple[type[Operation], ...] = (
    BlockOp,
    PermuteOp,
    UnrollOp,
    VectorizeOp,
    TensorizeOp,
    ParallelOp,
    OutlineOp,
)
"""Operations that say how loops run, and nothing of what they compute."""
