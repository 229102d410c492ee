"""The `affine` dialect: xDSL's operations plus those it lacks, in upstream MLIR's syntax.

Import every operation from here. `affine.parallel` and `affine.if` replace xDSL's, which have no
custom syntax; `affine.max` and `affine.prefetch` are added.

Attributes that the lowering to `llvm` reads: on `affine.for` the loop options listed in
`passes/lower/affine_to_llvm/control.py` and `outline`, on `affine.parallel` the integer `grain`,
the smallest number of iterations worth a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TypeVar

from xdsl.dialects.affine import (
    ApplyOp,
    ForOp,
    LoadOp,
    MinOp,
    StoreOp,
    VectorLoadOp,
    VectorStoreOp,
    YieldOp,
)
from xdsl.dialects.builtin import (
    I32,
    AffineMapAttr,
    AffineSetAttr,
    ArrayAttr,
    BoolAttr,
    DenseIntElementsAttr,
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    MemRefType,
    TensorType,
    i1,
    i32,
    i64,
)
from xdsl.ir import Attribute, Dialect, Region, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
    AffineSymExpr,
)
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser, UnresolvedOperand
from xdsl.parser.affine_parser import AffineParser
from xdsl.printer import Printer
from xdsl.traits import (
    MemoryReadEffect,
    MemoryWriteEffect,
    Pure,
    RecursivelySpeculatable,
    RecursiveMemoryEffect,
)
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.lexer import Span
from xdsl.utils.mlir_lexer import MLIRTokenKind

T = TypeVar("T")

OUTLINE = "outline"
"""Unit attribute of an `affine.for` without carried values: the loop becomes a function."""

_PRECEDENCE = dict.fromkeys(AffineBinaryOpKind, 20) | {AffineBinaryOpKind.Add: 10}


def _print_expr(
    printer: Printer, expr: AffineExpr, dims: int, operands: Sequence[SSAValue], outer: int = 0
) -> None:
    """Prints an expression with SSA values for its dimensions and symbols."""
    if isinstance(expr, AffineConstantExpr):
        printer.print_string(str(expr.value))
    elif isinstance(expr, AffineDimExpr):
        printer.print_ssa_value(operands[expr.position])
    elif isinstance(expr, AffineSymExpr):
        printer.print_string("symbol(")
        printer.print_ssa_value(operands[dims + expr.position])
        printer.print_string(")")
    elif isinstance(expr, AffineBinaryOpExpr):
        precedence = _PRECEDENCE[expr.kind]
        with printer.in_parens() if precedence < outer else nullcontext():
            _print_expr(printer, expr.lhs, dims, operands, precedence)
            printer.print_string(f" {expr.kind.get_token()} ")
            right = precedence if expr.kind is AffineBinaryOpKind.Add else precedence + 1
            _print_expr(printer, expr.rhs, dims, operands, right)
    else:
        raise ValueError(f"unknown affine expression {expr}")


class _SSAExpressionParser(AffineParser):
    """Parses expressions of SSA values. Plain ones become dimensions, `symbol(%x)` a symbol.

    `dims` and `symbols` list the values in the order of their first use.
    """

    def __init__(self, parser: Parser) -> None:
        super().__init__(parser._parser_state)
        self.dims: list[UnresolvedOperand] = []
        self.symbols: list[UnresolvedOperand] = []

    def parse_groups(self, combiner: str) -> list[list[AffineExpr]]:
        """`(expr, combiner(expr, ...), ...)`: one list of expressions for each element."""
        return self.parse_comma_separated_list(
            self.Delimiter.PAREN, lambda: self._parse_group(combiner)
        )

    def parse_map(self) -> AffineMap:
        """`[expr, ...]` as a map."""
        results = self.parse_comma_separated_list(
            self.Delimiter.SQUARE, lambda: self._parse_affine_expr(self._parse_value)
        )
        return self.map_of(results)

    def map_of(self, results: Sequence[AffineExpr]) -> AffineMap:
        """A map over the values seen so far."""
        return AffineMap(len(self.dims), len(self.symbols), tuple(results))

    def _parse_group(self, combiner: str) -> list[AffineExpr]:
        if self.parse_optional_keyword(combiner) is None:
            return [self._parse_affine_expr(self._parse_value)]
        return self.parse_comma_separated_list(
            self.Delimiter.PAREN, lambda: self._parse_affine_expr(self._parse_value)
        )

    def _parse_value(self) -> AffineExpr | None:
        if self.parse_optional_keyword("symbol") is not None:
            self.parse_punctuation("(")
            token = self._parse_token(MLIRTokenKind.PERCENT_IDENT, "expected an SSA value")
            self.parse_punctuation(")")
            return AffineExpr.symbol(self._position(self.symbols, token.span))
        token = self._parse_optional_token(MLIRTokenKind.PERCENT_IDENT)
        return token and AffineExpr.dimension(self._position(self.dims, token.span))

    @staticmethod
    def _position(values: list[UnresolvedOperand], span: Span) -> int:
        names = [value.span.text for value in values]
        if span.text in names:
            return names.index(span.text)
        values.append(UnresolvedOperand(span, 0))
        return len(values) - 1


def _resolve(parser: Parser, parsed: _SSAExpressionParser) -> list[SSAValue]:
    return [parser.resolve_operand(each, IndexType()) for each in parsed.dims + parsed.symbols]


def _ensure_yield(region: Region) -> Region:
    """Adds the terminator that the syntax leaves out."""
    block = region.block
    if not isinstance(block.last_op, YieldOp):
        block.add_op(YieldOp.create())
    return region


@irdl_op_definition
class IfOp(IRDLOperation):
    """Runs a region if all constraints of a set hold, else the other one (which may be empty)."""

    name = "affine.if"

    args = var_operand_def(IndexType)
    condition = prop_def(AffineSetAttr)
    then_region = region_def("single_block")
    else_region = region_def()
    res = var_result_def()

    traits = traits_def(RecursiveMemoryEffect(), RecursivelySpeculatable())

    def print(self, printer: Printer) -> None:
        dims = self.condition.data.num_dims
        printer.print_string(" ")
        printer.print_attribute(self.condition)
        with printer.in_parens():
            printer.print_list(self.args[:dims], printer.print_ssa_value)
        if len(self.args) > dims:
            with printer.in_square_brackets():
                printer.print_list(self.args[dims:], printer.print_ssa_value)
        if self.res:
            printer.print_string(" -> ")
            with printer.in_parens():
                printer.print_list(self.result_types, printer.print_attribute)
        yields = bool(self.res)
        printer.print_string(" ")
        printer.print_region(self.then_region, print_block_terminators=yields)
        if self.else_region.blocks:
            printer.print_string(" else ")
            printer.print_region(self.else_region, print_block_terminators=yields)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> IfOp:
        condition = parser.parse_attribute()
        if not isinstance(condition, AffineSetAttr):
            parser.raise_error("expected an affine set")

        operands = _parse_map_operands(parser)
        results: Sequence[Attribute] = ()
        if parser.parse_optional_punctuation("->"):
            results = _parse_types(parser)
        then_region = _ensure_yield(parser.parse_region())
        else_region = Region()
        if parser.parse_optional_keyword("else"):
            else_region = _ensure_yield(parser.parse_region())
        return cls.create(
            operands=operands,
            result_types=results,
            properties={"condition": condition},
            attributes=parser.parse_optional_attr_dict(),
            regions=[then_region, else_region],
        )


def _parse_types(parser: Parser) -> Sequence[Attribute]:
    types = parser.parse_optional_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)
    return [parser.parse_type()] if types is None else types


def _groups(sizes: Sequence[int]) -> DenseIntElementsAttr:
    return DenseIntOrFPElementsAttr.from_list(TensorType(i32, [len(sizes)]), sizes)


@irdl_op_definition
class ParallelOp(IRDLOperation):
    """A rectangle of iterations in any order, without reductions.

    Bounds are maps whose results are cut by the groups into one list for each dimension: the
    maximum of the lower ones, the minimum of the upper ones.

    `map_operands` are the lower map's operands followed by the upper map's.
    """

    name = "affine.parallel"

    map_operands = var_operand_def(IndexType)
    reductions = prop_def(ArrayAttr, default_value=ArrayAttr([]))
    lowerBoundsMap = prop_def(AffineMapAttr)
    lowerBoundsGroups = prop_def(DenseIntElementsAttr)
    upperBoundsMap = prop_def(AffineMapAttr)
    upperBoundsGroups = prop_def(DenseIntElementsAttr)
    steps = prop_def(ArrayAttr[IntegerAttr[IntegerType]])
    body = region_def("single_block")

    traits = traits_def(RecursiveMemoryEffect(), RecursivelySpeculatable())

    @property
    def lower_operands(self) -> Sequence[SSAValue]:
        """Operands of the lower bounds' map."""
        return self.map_operands[: _operand_count(self.lowerBoundsMap)]

    @property
    def upper_operands(self) -> Sequence[SSAValue]:
        """Operands of the upper bounds' map."""
        return self.map_operands[_operand_count(self.lowerBoundsMap) :]

    @property
    def lower_bounds(self) -> list[list[AffineExpr]]:
        """The expressions whose maximum is the lower bound, for each dimension."""
        return list(cut(self.lowerBoundsMap.data.results, self.lowerBoundsGroups))

    @property
    def upper_bounds(self) -> list[list[AffineExpr]]:
        """The expressions whose minimum is the upper bound, for each dimension."""
        return list(cut(self.upperBoundsMap.data.results, self.upperBoundsGroups))

    def verify_(self) -> None:
        expected = _operand_count(self.lowerBoundsMap) + _operand_count(self.upperBoundsMap)
        if len(self.map_operands) != expected:
            raise VerifyException(f"expected {expected} operands for the bounds")
        dims = len(self.body.block.args)
        if not len(self.lower_bounds) == len(self.upper_bounds) == len(self.steps) == dims:
            raise VerifyException("expected a lower bound, an upper bound and a step per dimension")

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        with printer.in_parens():
            printer.print_list(
                self.body.block.args,
                lambda arg: printer.print_block_argument(arg, print_type=False),
            )
        printer.print_string(" = ")
        _print_bounds(printer, self.lowerBoundsMap, self.lower_bounds, self.lower_operands, "max")
        printer.print_string(" to ")
        _print_bounds(printer, self.upperBoundsMap, self.upper_bounds, self.upper_operands, "min")
        steps = [step.value.data for step in self.steps]
        if any(step != 1 for step in steps):
            printer.print_string(" step ")
            with printer.in_parens():
                printer.print_list(steps, printer.print_int)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False, print_block_terminators=False)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> ParallelOp:
        ivs = parser.parse_comma_separated_list(
            parser.Delimiter.PAREN, lambda: parser.parse_argument(expect_type=False)
        )
        parser.parse_punctuation("=")
        operands: list[SSAValue] = []
        properties: dict[str, Attribute] = {}
        for name, combiner in (("lower", "max"), ("upper", "min")):
            expressions = _SSAExpressionParser(parser)
            groups = expressions.parse_groups(combiner)
            operands += _resolve(parser, expressions)
            bounds = expressions.map_of([expr for group in groups for expr in group])
            properties[f"{name}BoundsMap"] = AffineMapAttr(bounds)
            properties[f"{name}BoundsGroups"] = _groups([len(group) for group in groups])
            if name == "lower":
                parser.parse_keyword("to")
        steps = [1] * len(ivs)
        if parser.parse_optional_keyword("step"):
            steps = parser.parse_comma_separated_list(
                parser.Delimiter.PAREN, lambda: parser.parse_integer()
            )
        properties["steps"] = ArrayAttr([IntegerAttr(step, i64) for step in steps])
        properties["reductions"] = ArrayAttr([])
        body = parser.parse_region([iv.resolve(IndexType()) for iv in ivs])
        return cls.create(
            operands=operands,
            properties=properties,
            regions=[_ensure_yield(body)],
            attributes=parser.parse_optional_attr_dict(),
        )


def _operand_count(bounds: AffineMapAttr) -> int:
    return bounds.data.num_dims + bounds.data.num_symbols


def cut(results: Sequence[T], groups: DenseIntElementsAttr) -> Iterator[list[T]]:
    """What belongs to the results of a bound's map, one list for each dimension."""
    remaining = iter(results)
    for size in groups.get_values():
        yield [next(remaining) for _ in range(int(size))]


def _print_bounds(
    printer: Printer,
    bounds: AffineMapAttr,
    groups: Sequence[Sequence[AffineExpr]],
    operands: Sequence[SSAValue],
    combiner: str,
) -> None:
    dims = bounds.data.num_dims

    def print_expr(expr: AffineExpr) -> None:
        _print_expr(printer, expr, dims, operands)

    def print_group(group: Sequence[AffineExpr]) -> None:
        if len(group) == 1:
            print_expr(group[0])
            return
        printer.print_string(combiner)
        with printer.in_parens():
            printer.print_list(group, print_expr)

    with printer.in_parens():
        printer.print_list(groups, print_group)


@irdl_op_definition
class MaxOp(IRDLOperation):
    """The greatest result of a map."""

    name = "affine.max"

    arguments = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    result = result_def(IndexType)

    traits = traits_def(Pure())

    def verify_(self) -> None:
        if len(self.arguments) != _operand_count(self.map):
            raise VerifyException(f"expected {_operand_count(self.map)} operands for the map")

    def print(self, printer: Printer) -> None:
        dims = self.map.data.num_dims
        printer.print_string(" ")
        printer.print_attribute(self.map)
        with printer.in_parens():
            printer.print_list(self.arguments[:dims], printer.print_ssa_value)
        if len(self.arguments) > dims:
            with printer.in_square_brackets():
                printer.print_list(self.arguments[dims:], printer.print_ssa_value)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> MaxOp:
        bounds = parser.parse_attribute()
        if not isinstance(bounds, AffineMapAttr):
            parser.raise_error("expected an affine map")
        return cls.create(
            operands=_parse_map_operands(parser),
            result_types=[IndexType()],
            properties={"map": bounds},
            attributes=parser.parse_optional_attr_dict(),
        )


def _parse_map_operands(parser: Parser) -> list[SSAValue]:
    """`(dims)[symbols]`, either of them optional."""

    def parse_index() -> SSAValue:
        return parser.parse_operand(IndexType())

    dims = parser.parse_optional_comma_separated_list(parser.Delimiter.PAREN, parse_index)
    symbols = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, parse_index)
    return [*(dims or ()), *(symbols or ())]


@irdl_op_definition
class PrefetchOp(IRDLOperation):
    """Asks for the cache line of an element. `localityHint` 0 (used once) .. 3 (keep it)."""

    name = "affine.prefetch"

    memref = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    isWrite = prop_def(BoolAttr)
    localityHint = prop_def(IntegerAttr[I32])
    isDataCache = prop_def(BoolAttr)
    map = prop_def(AffineMapAttr)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())

    def print(self, printer: Printer) -> None:
        affine_map = self.map.data
        printer.print_string(" ")
        printer.print_ssa_value(self.memref)
        with printer.in_square_brackets():
            printer.print_list(
                affine_map.results,
                lambda expr: _print_expr(printer, expr, affine_map.num_dims, self.indices),
            )
        access = "write" if self.isWrite.value.data else "read"
        cache = "data" if self.isDataCache.value.data else "instr"
        printer.print_string(f", {access}, locality<{self.localityHint.value.data}>, {cache}")
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.memref.type)

    @classmethod
    def parse(cls, parser: Parser) -> PrefetchOp:
        memref = parser.parse_unresolved_operand()
        expressions = _SSAExpressionParser(parser)
        affine_map = expressions.parse_map()
        parser.parse_punctuation(",")
        access = parser.parse_identifier()
        parser.parse_punctuation(",")
        parser.parse_keyword("locality")
        with parser.in_angle_brackets():
            locality = parser.parse_integer()
        parser.parse_punctuation(",")
        cache = parser.parse_identifier()
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        return cls.create(
            operands=[
                parser.resolve_operand(memref, parser.parse_type()),
                *_resolve(parser, expressions),
            ],
            properties={
                "isWrite": IntegerAttr(access == "write", i1),
                "localityHint": IntegerAttr(locality, i32),
                "isDataCache": IntegerAttr(cache == "data", i1),
                "map": AffineMapAttr(affine_map),
            },
            attributes=attributes,
        )


Affine = Dialect(
    "affine",
    [
        ApplyOp,
        ForOp,
        IfOp,
        LoadOp,
        MaxOp,
        MinOp,
        ParallelOp,
        PrefetchOp,
        StoreOp,
        VectorLoadOp,
        VectorStoreOp,
        YieldOp,
    ],
    [],
)

__all__ = [
    "Affine",
    "ApplyOp",
    "ForOp",
    "IfOp",
    "LoadOp",
    "MaxOp",
    "MinOp",
    "ParallelOp",
    "PrefetchOp",
    "StoreOp",
    "VectorLoadOp",
    "VectorStoreOp",
    "YieldOp",
    "cut",
]
