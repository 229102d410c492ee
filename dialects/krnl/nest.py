"""`krnl.iterate`: a loop nest with its bounds and its body."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import I64, DenseArrayBase, IndexType, i64
from xdsl.ir import Attribute, Block, BlockArgument, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import IsTerminator
from xdsl.utils.exceptions import VerifyException

from dialects.krnl.schedule import LoopType, integers, loop

DYNAMIC = -(2**63)
"""Stands in a list of static bounds for a bound that is an operand."""

Bound = int | SSAValue
index = IndexType()


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
    first). Block arguments are the induction variables, then the carried values. `contraction`
    marks a nest as a sum of products, by (row loop, column loop): the schedule pass tiles these
    two.
    """

    name = "krnl.iterate"
    loops = var_operand_def(LoopType)
    bounds = var_operand_def(IndexType)
    inits = var_operand_def()
    lower = prop_def(DenseArrayBase.constr(i64))
    upper = prop_def(DenseArrayBase.constr(i64))
    contraction = opt_prop_def(DenseArrayBase.constr(i64))
    res = var_result_def()
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        loops: Sequence[SSAValue],
        bounds: Sequence[tuple[Bound, Bound]],
        inits: Sequence[SSAValue] = (),
        body: Region | None = None,
        contraction: tuple[int, ...] | None = None,
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
    def extents(self) -> list[tuple[Bound, Bound]]:
        """Lower and upper bound of every loop."""
        dynamic = iter(self.bounds)
        lower = [next(dynamic) if b == DYNAMIC else b for b in self.lower.get_values()]
        upper = [next(dynamic) if b == DYNAMIC else b for b in self.upper.get_values()]
        return list(zip(lower, upper, strict=True))

    @property
    def induction_variables(self) -> tuple[BlockArgument, ...]:
        """The loop variables, in the order of ``loops``."""
        return tuple(self.body.block.args[: len(self.loops)])

    def verify_(self) -> None:
        count = len(self.loops)
        static = [*self.lower.get_values(), *self.upper.get_values()]
        if len(self.lower) != count or len(self.upper) != count:
            raise VerifyException("krnl.iterate needs a lower and an upper bound for every loop")
        if static.count(DYNAMIC) != len(self.bounds):
            raise VerifyException("krnl.iterate needs an operand for every dynamic bound")
        types = [v.type for v in self.inits]
        if [a.type for a in self.body.block.args] != [index] * count + types:
            raise VerifyException(
                "krnl.iterate's block arguments are its variables, then iter_args"
            )
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or [v.type for v in last.values] != types:
            raise VerifyException(
                "krnl.iterate's body ends in krnl.yield of iter_args' next values"
            )
        if [r.type for r in self.results] != types:
            raise VerifyException("krnl.iterate's results are the last values of iter_args")
        axes = () if self.contraction is None else self.contraction.get_values()
        if self.contraction is not None and not (
            len(axes) == 2 and axes[0] != axes[1] and all(0 <= axis < count for axis in axes)
        ):
            raise VerifyException("krnl.iterate's contraction names two of its loops")

    @classmethod
    def parse(cls, parser: Parser) -> IterateOp:
        def loop_range() -> tuple[SSAValue, Parser.Argument, tuple[Bound, Bound]]:
            handle = parser.resolve_operand(parser.parse_unresolved_operand(), loop)
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
            contraction = tuple(axes)
        region = parser.parse_region(arguments)
        if not region.block.ops or not isinstance(region.block.last_op, YieldOp):
            region.block.add_op(YieldOp())
        return IterateOp([r[0] for r in ranges], [r[2] for r in ranges], inits, region, contraction)

    def print(self, printer: Printer) -> None:
        count = len(self.loops)
        arguments = self.body.block.args
        items = list(zip(self.loops, arguments[:count], self.extents, strict=True))

        def loop_range(item: tuple[SSAValue, SSAValue, tuple[Bound, Bound]]) -> None:
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


def _static(bounds: Sequence[Bound]) -> DenseArrayBase[I64]:
    return integers(tuple(b if isinstance(b, int) else DYNAMIC for b in bounds))


def _parse_bound(parser: Parser) -> Bound:
    operand = parser.parse_optional_operand(index)
    return parser.parse_integer() if operand is None else operand


def _print_bound(printer: Printer, bound: Bound) -> None:
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
