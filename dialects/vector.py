"""The `vector` dialect: xDSL's operations plus those that kernels need and it lacks.

Import every operation from here. Added, in upstream's syntax: `step`, `gather`, `scatter`,
`transpose`, `shape_cast`, `interleave`, `deinterleave`, `from_elements`, `contract`.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    DenseArrayBase,
    IndexType,
    IntegerType,
    MemRefType,
    StringAttr,
    VectorType,
    i64,
)
from xdsl.dialects.utils import EnumAttribute
from xdsl.dialects.vector import (
    BitcastOp,
    BroadcastOp,
    CombiningKindAttr,
    CombiningKindFlag,
    CreateMaskOp,
    ExtractOp,
    FMAOp,
    InsertOp,
    LoadOp,
    MaskedLoadOp,
    MaskedStoreOp,
    PrintOp,
    ReductionOp,
    ShuffleOp,
    StoreOp,
    TransferReadOp,
    TransferWriteOp,
)
from xdsl.ir import Attribute, Dialect
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.irdl import (
    IRDLOperation,
    VarConstraint,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, Pure
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.str_enum import StrEnum

_MASK = VectorType.constr(IntegerType(1))


def _vector(kind: Attribute) -> VectorType:
    return cast(VectorType, kind)


@irdl_op_definition
class StepOp(IRDLOperation):
    """The vector [0, 1, 2, ...]."""

    name = "vector.step"

    result = result_def(VectorType)

    traits = traits_def(Pure())
    assembly_format = "attr-dict `:` type($result)"

    def verify_(self) -> None:
        kind = _vector(self.result.type)
        if len(kind.get_shape()) != 1 or not isinstance(kind.element_type, IndexType):
            raise VerifyException("expected a one-dimensional vector of index")


@irdl_op_definition
class GatherOp(IRDLOperation):
    """Loads `base[offsets][... + indices[lane]]` where the mask is set, else takes `pass_thru`.

    The lane's index is added to the innermost offset.
    """

    name = "vector.gather"

    base = operand_def(MemRefType)
    offsets = var_operand_def(IndexType)
    indices = operand_def(VectorType)
    mask = operand_def(_MASK)
    pass_thru = operand_def(VectorType)
    result = result_def(VectorType)

    traits = traits_def(MemoryReadEffect())
    assembly_format = (
        "$base `[` $offsets `]` `[` $indices `]` `,` $mask `,` $pass_thru attr-dict `:`"
        " type($base) `,` type($indices) `,` type($mask) `,` type($pass_thru)"
        " `into` type($result)"
    )


@irdl_op_definition
class ScatterOp(IRDLOperation):
    """Stores lanes to `base[offsets][... + indices[lane]]` where the mask is set, in order."""

    name = "vector.scatter"

    base = operand_def(MemRefType)
    offsets = var_operand_def(IndexType)
    indices = operand_def(VectorType)
    mask = operand_def(_MASK)
    valueToStore = operand_def(VectorType)

    traits = traits_def(MemoryWriteEffect())
    assembly_format = (
        "$base `[` $offsets `]` `[` $indices `]` `,` $mask `,` $valueToStore attr-dict `:`"
        " type($base) `,` type($indices) `,` type($mask) `,` type($valueToStore)"
    )


@irdl_op_definition
class TransposeOp(IRDLOperation):
    """Permutes dimensions: dimension `i` of the result is `permutation[i]` of the operand."""

    name = "vector.transpose"

    vector = operand_def(VectorType)
    permutation = prop_def(DenseArrayBase.constr(i64))
    result = result_def(VectorType)

    traits = traits_def(Pure())

    def verify_(self) -> None:
        shape = _vector(self.vector.type).get_shape()
        order = self.permutation.get_values()
        if sorted(order) != list(range(len(shape))):
            raise VerifyException(f"{order} is no permutation of {len(shape)} dimensions")
        if _vector(self.result.type).get_shape() != tuple(shape[dim] for dim in order):
            raise VerifyException("the result's shape is not the permuted one")

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_ssa_value(self.vector)
        printer.print_string(", ")
        with printer.in_square_brackets():
            printer.print_list(self.permutation.get_values(), printer.print_int)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.vector.type)
        printer.print_string(" to ")
        printer.print_attribute(self.result.type)

    @classmethod
    def parse(cls, parser: Parser) -> TransposeOp:
        vector = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        order = parser.parse_comma_separated_list(
            parser.Delimiter.SQUARE, lambda: parser.parse_integer()
        )
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kind = parser.parse_type()
        parser.parse_keyword("to")
        return cls.create(
            operands=[parser.resolve_operand(vector, kind)],
            result_types=[parser.parse_type()],
            properties={"permutation": DenseArrayBase.from_list(i64, order)},
            attributes=attributes,
        )


@irdl_op_definition
class ShapeCastOp(IRDLOperation):
    """The same elements in row-major order, in another shape."""

    name = "vector.shape_cast"

    source = operand_def(VectorType)
    result = result_def(VectorType)

    traits = traits_def(Pure())
    assembly_format = "$source attr-dict `:` type($source) `to` type($result)"

    def verify_(self) -> None:
        before, after = _vector(self.source.type), _vector(self.result.type)
        if prod(before.get_shape()) != prod(after.get_shape()):
            raise VerifyException("the shapes differ in their number of elements")


@irdl_op_definition
class InterleaveOp(IRDLOperation):
    """[lhs[0], rhs[0], lhs[1], rhs[1], ...]"""

    name = "vector.interleave"

    T: ClassVar = VarConstraint("T", VectorType.constr())

    lhs = operand_def(T)
    rhs = operand_def(T)
    result = result_def(VectorType)

    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs attr-dict `:` type($lhs) `->` type($result)"


@irdl_op_definition
class DeinterleaveOp(IRDLOperation):
    """The even lanes and the odd lanes."""

    name = "vector.deinterleave"

    T: ClassVar = VarConstraint("T", VectorType.constr())

    source = operand_def(VectorType)
    res1 = result_def(T)
    res2 = result_def(T)

    traits = traits_def(Pure())
    assembly_format = "$source attr-dict `:` type($source) `->` type($res1)"


@irdl_op_definition
class FromElementsOp(IRDLOperation):
    """A vector of the given elements, in row-major order."""

    name = "vector.from_elements"

    elements = var_operand_def()
    dest = result_def(VectorType)

    traits = traits_def(Pure())

    def verify_(self) -> None:
        kind = _vector(self.dest.type)
        if len(self.elements) != prod(kind.get_shape()):
            raise VerifyException("expected one operand per element")
        if any(element.type != kind.element_type for element in self.elements):
            raise VerifyException("expected operands of the element type")

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_list(self.elements, printer.print_ssa_value)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.dest.type)

    @classmethod
    def parse(cls, parser: Parser) -> FromElementsOp:
        elements = parser.parse_comma_separated_list(
            parser.Delimiter.NONE, parser.parse_unresolved_operand
        )
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kind = parser.parse_type()
        element_types = [_vector(kind).element_type] * len(elements)
        return cls.create(
            operands=parser.resolve_operands(elements, element_types, parser.pos),
            result_types=[kind],
            attributes=attributes,
        )


class IteratorType(StrEnum):
    """What a dimension of a contraction is."""

    PARALLEL = "parallel"
    REDUCTION = "reduction"


@irdl_attr_definition
class IteratorTypeAttr(EnumAttribute[IteratorType]):
    """`#vector.iterator_type<parallel>`."""

    name = "vector.iterator_type"

    def print_parameter(self, printer: Printer) -> None:
        """The counterpart of ``parse_parameter``."""
        with printer.in_angle_brackets():
            printer.print_string(self.data)

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> IteratorType:
        """`<parallel>` or `<reduction>`."""
        with parser.in_angle_brackets():
            return IteratorType(parser.parse_identifier())


_LANE, _NUMBER = AffineExpr.dimension(0), AffineExpr.dimension(1)
_OPERAND_MAP = AffineMapAttr(AffineMap(2, 0, (_LANE, _NUMBER)))

DOT_PRODUCT: dict[str, Attribute] = {
    "indexing_maps": ArrayAttr(
        [_OPERAND_MAP, _OPERAND_MAP, AffineMapAttr(AffineMap(2, 0, (_LANE,)))]
    ),
    "iterator_types": ArrayAttr(
        [IteratorTypeAttr(IteratorType.PARALLEL), IteratorTypeAttr(IteratorType.REDUCTION)]
    ),
    "kind": CombiningKindAttr(CombiningKindFlag.ADD),
}
"""The properties of the only contraction that there is here."""


@irdl_op_definition
class ContractionOp(IRDLOperation):
    """acc[i] + sum over j of lhs[i, j] * rhs[i, j], extended to the accumulator's type as signed.

    Upstream's operation has any number of dimensions; this one is a dot product in each lane. The
    attribute ``short_pairs`` promises that sums of two neighbouring products fit 16 bits.
    """

    name = "vector.contract"

    T: ClassVar = VarConstraint("T", VectorType.constr())
    A: ClassVar = VarConstraint("A", VectorType.constr())

    lhs = operand_def(T)
    rhs = operand_def(T)
    acc = operand_def(A)
    result = result_def(A)
    indexing_maps = prop_def(ArrayAttr)
    iterator_types = prop_def(ArrayAttr)
    kind = prop_def(CombiningKindAttr)

    traits = traits_def(Pure())

    def verify_(self) -> None:
        shape, lanes = (_vector(value.type).get_shape() for value in (self.lhs, self.acc))
        if len(shape) != 2 or lanes != shape[:1]:
            raise VerifyException("expected operands of lanes by numbers, and a sum for each lane")
        if self.properties != DOT_PRODUCT:
            raise VerifyException("expected the sum over the second dimension of products")

    def print(self, printer: Printer) -> None:
        types = [cast(IteratorTypeAttr, kind) for kind in self.iterator_types]
        kinds = ArrayAttr([StringAttr(kind.data) for kind in types])
        printer.print_string(" ")
        entries = {**self.properties, "iterator_types": kinds, **self.attributes}
        printer.print_attr_dict(entries)
        printer.print_string(" ")
        printer.print_list(self.operands, printer.print_ssa_value)
        printer.print_string(" : ")
        printer.print_list((self.lhs.type, self.rhs.type), printer.print_attribute)
        printer.print_string(" into ")
        printer.print_attribute(self.acc.type)

    @classmethod
    def parse(cls, parser: Parser) -> ContractionOp:
        entries = parser.parse_optional_attr_dict()
        properties = {name: value for name, value in entries.items() if name in DOT_PRODUCT}
        kinds = properties.get("iterator_types")
        if isinstance(kinds, ArrayAttr):
            types = [IteratorTypeAttr(IteratorType(cast(StringAttr, kind).data)) for kind in kinds]
            properties["iterator_types"] = ArrayAttr(types)
        operands = parser.parse_comma_separated_list(
            parser.Delimiter.NONE, parser.parse_unresolved_operand
        )
        parser.parse_punctuation(":")
        types = parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_type)
        parser.parse_keyword("into")
        types.append(parser.parse_type())
        values = parser.resolve_operands(operands, types, parser.pos)
        return cls.create(
            operands=values,
            result_types=[types[-1]],
            properties=properties,
            attributes={name: value for name, value in entries.items() if name not in DOT_PRODUCT},
        )


Vector = Dialect(
    "vector",
    [
        BitcastOp,
        BroadcastOp,
        ContractionOp,
        CreateMaskOp,
        DeinterleaveOp,
        ExtractOp,
        FMAOp,
        FromElementsOp,
        GatherOp,
        InsertOp,
        InterleaveOp,
        LoadOp,
        MaskedLoadOp,
        MaskedStoreOp,
        PrintOp,
        ReductionOp,
        ScatterOp,
        ShapeCastOp,
        ShuffleOp,
        StepOp,
        StoreOp,
        TransferReadOp,
        TransferWriteOp,
        TransposeOp,
    ],
    [CombiningKindAttr, IteratorTypeAttr],
)

__all__ = [
    "DOT_PRODUCT",
    "BitcastOp",
    "BroadcastOp",
    "CombiningKindAttr",
    "CombiningKindFlag",
    "ContractionOp",
    "CreateMaskOp",
    "DeinterleaveOp",
    "ExtractOp",
    "FMAOp",
    "FromElementsOp",
    "GatherOp",
    "InsertOp",
    "InterleaveOp",
    "IteratorTypeAttr",
    "LoadOp",
    "MaskedLoadOp",
    "MaskedStoreOp",
    "PrintOp",
    "ReductionOp",
    "ScatterOp",
    "ShapeCastOp",
    "ShuffleOp",
    "StepOp",
    "StoreOp",
    "TransferReadOp",
    "TransferWriteOp",
    "TransposeOp",
    "Vector",
]
