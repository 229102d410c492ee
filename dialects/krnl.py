"""The `krnl` dialect: loop nests whose schedule stands apart from their body.

A kernel computes with scalars, loop by loop. What the loops become (tiles, vectors, threads) is said
by schedule operations on loop handles; they may be added, changed or left out without touching the
body, and the result stays the same.

    kernel   ::= `func.func` @name (memref | index)* { statement* `func.return` }
    statement::= handles | schedule | iterate | scalar
    handles  ::= %l... `=` `krnl.define_loops` n
    schedule ::= %outer, %inner `=` `krnl.block` %l size      tile of `size` iterations
               | `krnl.permute` (%l...)                       order of these loops, outermost first
               | `krnl.unroll` %l                             all iterations side by side ("jammed")
               | `krnl.vectorize` %l lanes                    `lanes` iterations as one vector
               | `krnl.tensorize` (%rows, %columns) lanes     both at once: a register tile
               | `krnl.parallel` (%l...) grain                iterations shared out to threads
    iterate  ::= %r... `=` `krnl.iterate` `(` (%l `->` %iv `=` bound `to` bound),* `)`
                 [`iter_args` `(` (%acc `=` %init),* `)` `:` types] `{` statement* [`krnl.yield` %v...] `}`
    scalar   ::= %v `=` `krnl.load` %m[index,*] | `krnl.store` %v, %m[index,*]
               | %i `=` `krnl.index` [index] | arith | math | scf.if
    bound    ::= integer | %index
    index    ::= affine expression over loop variables and other index values

Loops without schedule run in the order of `krnl.iterate`. Iterations of loops that a schedule
reorders, vectorizes or runs in parallel must be independent of each other; a nest with `iter_args`
carries its values through its loops in their scheduled order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from xdsl.dialects.affine import _print_affine_map_of_ssa_ids
from xdsl.dialects.builtin import (
    AffineMapAttr,
    DenseArrayBase,
    IndexType,
    IntegerAttr,
    MemRefType,
    i64,
)
from xdsl.ir import (
    Attribute,
    Block,
    Dialect,
    Operation,
    ParametrizedAttribute,
    Region,
    SSAValue,
    TypeAttribute,
)
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import IsTerminator, NoMemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException

DYNAMIC = -(2**63)
"""Stands in a list of static bounds for a bound that is an operand."""

index = IndexType()


@irdl_attr_definition
class LoopType(ParametrizedAttribute, TypeAttribute):
    """A handle on a loop, `!krnl.loop`."""

    name = "krnl.loop"


loop = LoopType()


@cache
def integer(value: int) -> IntegerAttr:
    """A memoised i64 attribute."""
    return IntegerAttr(value, i64)


@cache
def integers(values: tuple[int, ...]) -> DenseArrayBase:
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
    size = prop_def(IntegerAttr)
    outer = result_def(LoopType)
    inner = result_def(LoopType)
    assembly_format = "$handle $size attr-dict"

    def __init__(self, handle: SSAValue, size: int) -> None:
        super().__init__(
            operands=[handle], result_types=[loop, loop], properties={"size": integer(size)}
        )

    def verify_(self) -> None:
        if self.size.value.data < 1:
            raise VerifyException("krnl.block needs a size of at least 1")


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
    """Runs `lanes` neighbouring iterations of an innermost loop as one vector; the tail is masked."""

    name = "krnl.vectorize"
    handle = operand_def(LoopType)
    lanes = prop_def(IntegerAttr)
    assembly_format = "$handle $lanes attr-dict"

    def __init__(self, handle: SSAValue, lanes: int) -> None:
        super().__init__(operands=[handle], properties={"lanes": integer(lanes)})


@irdl_op_definition
class TensorizeOp(IRDLOperation):
    """Runs a block of rows by columns as one register tile.

    Rows are unrolled, columns are vectors of `lanes`; reductions inside the tile keep one
    accumulator register for each (row, vector).
    """

    name = "krnl.tensorize"
    rows = operand_def(LoopType)
    columns = operand_def(LoopType)
    lanes = prop_def(IntegerAttr)
    assembly_format = "`(` $rows `,` $columns `)` $lanes attr-dict"

    def __init__(self, rows: SSAValue, columns: SSAValue, lanes: int) -> None:
        super().__init__(operands=[rows, columns], properties={"lanes": integer(lanes)})


@irdl_op_definition
class ParallelOp(IRDLOperation):
    """Shares the iterations of the outermost loops out to threads, `grain` or more to each."""

    name = "krnl.parallel"
    handles = var_operand_def(LoopType)
    grain = prop_def(IntegerAttr)
    assembly_format = "`(` $handles `)` $grain attr-dict"

    def __init__(self, handles: Sequence[SSAValue], grain: int = 1) -> None:
        super().__init__(operands=[handles], properties={"grain": integer(grain)})


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends an iteration and gives the next values of `iter_args`."""

    name = "krnl.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator())
    assembly_format = "attr-dict ($values^ `:` type($values))?"

    def __init__(self, values: Sequence[SSAValue] = ()) -> None:
        super().__init__(operands=[values])


@irdl_op_definition
class IterateOp(IRDLOperation):
    """A loop nest: binds loop handles to bounds and holds the body.

    `lower` and `upper` are the bounds, DYNAMIC where the next of `bounds` says it (all lower ones
    first). Block arguments are the induction variables, then the carried values. `contraction` marks a
    nest as a sum of products, by (row loop, column loop): the schedule pass tiles these two.
    """

    name = "krnl.iterate"
    loops = var_operand_def(LoopType)
    bounds = var_operand_def(IndexType)
    inits = var_operand_def()
    lower = prop_def(DenseArrayBase)
    upper = prop_def(DenseArrayBase)
    contraction = opt_prop_def(DenseArrayBase)
    res = var_result_def()
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        loops: Sequence[SSAValue],
        bounds: Sequence[tuple[int | SSAValue, int | SSAValue]],
        inits: Sequence[SSAValue] = (),
        body: Region | None = None,
        contraction: tuple[int, int] | None = None,
    ) -> None:
        lower, upper = [b[0] for b in bounds], [b[1] for b in bounds]
        types = [v.type for v in inits]
        if body is None:
            body = Region(Block(arg_types=[index] * len(loops) + types))
        properties: dict[str, Attribute] = {"lower": _static(lower), "upper": _static(upper)}
        if contraction is not None:
            properties["contraction"] = integers(contraction)
        super().__init__(
            operands=[loops, [b for b in (*lower, *upper) if not isinstance(b, int)], inits],
            result_types=[types],
            properties=properties,
            regions=[body],
        )

    @property
    def extents(self) -> list[tuple[int | SSAValue, int | SSAValue]]:
        """Lower and upper bound of every loop."""
        dynamic = iter(self.bounds)
        lower = [next(dynamic) if b == DYNAMIC else b for b in self.lower.get_values()]
        upper = [next(dynamic) if b == DYNAMIC else b for b in self.upper.get_values()]
        return list(zip(lower, upper, strict=True))

    @property
    def induction_variables(self) -> tuple[SSAValue, ...]:
        """The loop variables, in the order of ``loops``."""
        return tuple(self.body.block.args[: len(self.loops)])

    def verify_(self) -> None:
        count = len(self.loops)
        if len(self.lower) != count or len(self.upper) != count:
            raise VerifyException("krnl.iterate needs a lower and an upper bound for every loop")
        if [a.type for a in self.body.block.args] != [index] * count + [v.type for v in self.inits]:
            raise VerifyException(
                "krnl.iterate's block arguments are its variables, then iter_args"
            )

    @classmethod
    def parse(cls, parser: Parser) -> IterateOp:
        def loop_range() -> tuple[SSAValue, Parser.Argument, tuple[int | SSAValue, int | SSAValue]]:
            handle = parser.parse_operand()
            parser.parse_punctuation("->")
            variable = parser.parse_argument(expect_type=False).resolve(index)
            parser.parse_punctuation("=")
            lower = _parse_bound(parser)
            parser.parse_keyword("to")
            return handle, variable, (lower, _parse_bound(parser))

        ranges = parser.parse_comma_separated_list(Parser.Delimiter.PAREN, loop_range)
        inits, arguments = [], [r[1] for r in ranges]
        if parser.parse_optional_keyword("iter_args"):
            carried = parser.parse_comma_separated_list(
                Parser.Delimiter.PAREN, lambda: _parse_carried(parser)
            )
            inits = [value for _, value in carried]
            arguments += [argument for argument, _ in carried]
        contraction = None
        if parser.parse_optional_keyword("contraction"):
            axes = parser.parse_comma_separated_list(
                Parser.Delimiter.PAREN, lambda: parser.parse_integer()
            )
            contraction = (axes[0], axes[1])
        region = parser.parse_region(arguments)
        if not region.block.ops or not isinstance(region.block.last_op, YieldOp):
            region.block.add_op(YieldOp())
        return IterateOp([r[0] for r in ranges], [r[2] for r in ranges], inits, region, contraction)

    def print(self, printer: Printer) -> None:
        count = len(self.loops)
        arguments = self.body.block.args
        items = list(zip(self.loops, arguments[:count], self.extents, strict=True))

        def loop_range(item: tuple[SSAValue, SSAValue, tuple]) -> None:
            printer.print_ssa_value(item[0])
            printer.print_string(" -> ")
            printer.print_ssa_value(item[1])
            printer.print_string(" = ")
            _print_bound(printer, item[2][0])
            printer.print_string(" to ")
            _print_bound(printer, item[2][1])

        def carried(item: tuple[SSAValue, SSAValue]) -> None:
            printer.print_ssa_value(item[0])
            printer.print_string(" = ")
            printer.print_ssa_value(item[1])
            printer.print_string(" : ")
            printer.print_attribute(item[1].type)

        printer.print_string(" (")
        printer.print_list(items, loop_range)
        printer.print_string(")")
        if self.inits:
            printer.print_string(" iter_args(")
            printer.print_list(list(zip(arguments[count:], self.inits, strict=True)), carried)
            printer.print_string(")")
        if self.contraction is not None:
            axes = ", ".join(str(axis) for axis in self.contraction.get_values())
            printer.print_string(f" contraction({axes})")
        printer.print_string(" ")
        printer.print_region(
            self.body, print_entry_block_args=False, print_block_terminators=bool(self.inits)
        )


def _static(bounds: Sequence[int | SSAValue]) -> DenseArrayBase:
    return integers(tuple(b if isinstance(b, int) else DYNAMIC for b in bounds))


def _parse_bound(parser: Parser) -> int | SSAValue:
    operand = parser.parse_optional_operand(index)
    return parser.parse_integer() if operand is None else operand


def _print_bound(printer: Printer, bound: int | SSAValue) -> None:
    if isinstance(bound, int):
        printer.print_string(str(bound))
    else:
        printer.print_ssa_value(bound)


def _parse_carried(parser: Parser) -> tuple[Parser.Argument, SSAValue]:
    argument = parser.parse_argument(expect_type=False)
    parser.parse_punctuation("=")
    value = parser.parse_unresolved_operand()
    parser.parse_punctuation(":")
    kind = parser.parse_type()
    return argument.resolve(kind), parser.resolve_operand(value, kind)


def _parse_indices(parser: Parser) -> tuple[AffineMapAttr, list[SSAValue]]:
    """`[affine expressions over %values]`, with every value a dimension of the map."""
    parsed, operands = parser.parse_affine_map_of_ssa_ids()
    dims = [AffineExpr.dimension(i) for i in range(parsed.num_symbols)]
    results = tuple(e.replace_dims_and_symbols([], dims) for e in parsed.results)
    return AffineMapAttr(AffineMap(len(dims), 0, results)), list(operands)


@irdl_op_definition
class LoadOp(IRDLOperation):
    """Reads an element at affine indices of loop variables and other index values."""

    name = "krnl.load"
    memref = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    result = result_def()
    traits = traits_def()

    def __init__(self, memref: SSAValue, indices: Sequence[SSAValue], map: AffineMapAttr) -> None:
        assert isinstance(memref.type, MemRefType)
        super().__init__(
            operands=[memref, indices],
            properties={"map": map},
            result_types=[memref.type.element_type],
        )

    @classmethod
    def parse(cls, parser: Parser) -> LoadOp:
        memref = parser.parse_unresolved_operand()
        map, operands = _parse_indices(parser)
        parser.parse_punctuation(":")
        return LoadOp(parser.resolve_operand(memref, parser.parse_type()), operands, map)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_ssa_value(self.memref)
        _print_affine_map_of_ssa_ids(printer, self.map.data, self.indices)
        printer.print_string(" : ")
        printer.print_attribute(self.memref.type)


@irdl_op_definition
class StoreOp(IRDLOperation):
    """Writes an element at affine indices of loop variables and other index values."""

    name = "krnl.store"
    value = operand_def()
    memref = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)

    def __init__(
        self, value: SSAValue, memref: SSAValue, indices: Sequence[SSAValue], map: AffineMapAttr
    ) -> None:
        super().__init__(operands=[value, memref, indices], properties={"map": map})

    @classmethod
    def parse(cls, parser: Parser) -> StoreOp:
        value = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        memref = parser.parse_unresolved_operand()
        map, operands = _parse_indices(parser)
        parser.parse_punctuation(":")
        kind = parser.parse_type()
        assert isinstance(kind, MemRefType)
        stored = parser.resolve_operand(value, kind.element_type)
        return StoreOp(stored, parser.resolve_operand(memref, kind), operands, map)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_ssa_value(self.value)
        printer.print_string(", ")
        printer.print_ssa_value(self.memref)
        _print_affine_map_of_ssa_ids(printer, self.map.data, self.indices)
        printer.print_string(" : ")
        printer.print_attribute(self.memref.type)


@irdl_op_definition
class IndexOp(IRDLOperation):
    """An affine expression of loop variables as an index value."""

    name = "krnl.index"
    indices = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    result = result_def(IndexType)
    traits = traits_def(Pure(), NoMemoryEffect())

    def __init__(self, indices: Sequence[SSAValue], map: AffineMapAttr) -> None:
        super().__init__(operands=[indices], properties={"map": map}, result_types=[index])

    @classmethod
    def parse(cls, parser: Parser) -> IndexOp:
        map, operands = _parse_indices(parser)
        return IndexOp(operands, map)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        _print_affine_map_of_ssa_ids(printer, self.map.data, self.indices)


SCHEDULE_OPS: tuple[type[Operation], ...] = (
    BlockOp,
    PermuteOp,
    UnrollOp,
    VectorizeOp,
    TensorizeOp,
    ParallelOp,
)
"""Operations that say how loops run, and nothing of what they compute."""

Krnl = Dialect(
    "krnl",
    [
        DefineLoopsOp,
        *SCHEDULE_OPS,
        IterateOp,
        YieldOp,
        LoadOp,
        StoreOp,
        IndexOp,
    ],
    [LoopType],
)
