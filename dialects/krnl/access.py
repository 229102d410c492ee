"""Elements of memory, and index values, at affine expressions of loop variables."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.affine import _print_affine_map_of_ssa_ids
from xdsl.dialects.builtin import AffineMapAttr, IndexType, MemRefType
from xdsl.ir import Attribute, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import NoMemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException

index = IndexType()


def _parse_indices(parser: Parser) -> tuple[AffineMapAttr, list[SSAValue]]:
    """`[affine expressions over %values]`, with every value a dimension of the map."""
    parsed, operands = parser.parse_affine_map_of_ssa_ids()
    dims = [AffineExpr.dimension(i) for i in range(parsed.num_symbols)]
    results = tuple(e.replace_dims_and_symbols([], dims) for e in parsed.results)
    return AffineMapAttr(AffineMap(len(dims), 0, results)), list(operands)


def _verify_map(op: LoadOp | StoreOp | IndexOp, results: int) -> None:
    map = op.map.data
    if map.num_dims != len(op.indices) or map.num_symbols:
        raise VerifyException(f"{op.name} needs an index value for every dimension of its map")
    if len(map.results) != results:
        raise VerifyException(f"{op.name} needs {results} indices, not {len(map.results)}")


def _verify_access(op: LoadOp | StoreOp, kind: Attribute, element: Attribute) -> None:
    assert isinstance(kind, MemRefType)
    _verify_map(op, len(kind.get_shape()))
    if kind.element_type != element:
        raise VerifyException(f"{op.name} takes or gives {kind.element_type} here, not {element}")


@irdl_op_definition
class LoadOp(IRDLOperation):
    """Reads an element at affine indices of loop variables and other index values."""

    name = "krnl.load"
    memref = operand_def(MemRefType)
    indices = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    result = result_def()

    def __init__(self, memref: SSAValue, indices: Sequence[SSAValue], map: AffineMapAttr) -> None:
        assert isinstance(memref.type, MemRefType)
        super().__init__(
            operands=[memref, indices],
            properties={"map": map},
            result_types=[memref.type.element_type],
        )

    def verify_(self) -> None:
        _verify_access(self, self.memref.type, self.result.type)

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

    def verify_(self) -> None:
        _verify_access(self, self.memref.type, self.value.type)

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

    def verify_(self) -> None:
        _verify_map(self, 1)

    @classmethod
    def parse(cls, parser: Parser) -> IndexOp:
        map, operands = _parse_indices(parser)
        return IndexOp(operands, map)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        _print_affine_map_of_ssa_ids(printer, self.map.data, self.indices)
