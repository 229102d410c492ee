"""The `arith` dialect: xDSL's operations plus those that kernels need and it lacks.

Import every operation from here. `arith.cmpi`, `arith.cmpf` and `arith.select` replace xDSL's,
which know no vectors of conditions, and the conversions those that know no vectors at all;
`arith.remf` and `arith.index_castui` are added.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar, Self

from xdsl.dialects.arith import (
    CMPF_COMPARISON_OPERATIONS,
    CMPI_COMPARISON_OPERATIONS,
    AddfOp,
    AddiOp,
    AddUIExtendedOp,
    AndIOp,
    ArithConstantMaterializationInterface,
    BitcastOp,
    CeilDivSIOp,
    CeilDivUIOp,
    ConstantOp,
    DivfOp,
    DivSIOp,
    DivUIOp,
    ExtFOp,
    FastMathFlag,
    FastMathFlagsAttr,
    FloorDivSIOp,
    IndexCastOp,
    IntegerOverflowAttr,
    IntegerOverflowFlag,
    MaximumfOp,
    MaxnumfOp,
    MaxSIOp,
    MaxUIOp,
    MinimumfOp,
    MinnumfOp,
    MinSIOp,
    MinUIOp,
    MulfOp,
    MuliOp,
    MulSIExtendedOp,
    MulUIExtendedOp,
    NegfOp,
    OrIOp,
    RemSIOp,
    RemUIOp,
    ShLIOp,
    ShRSIOp,
    ShRUIOp,
    SubfOp,
    SubiOp,
    TruncFOp,
    XOrIOp,
)
from xdsl.dialects.builtin import (
    AnyFloatConstr,
    ContainerType,
    IndexTypeConstr,
    IntegerAttr,
    IntegerType,
    SignlessIntegerConstraint,
    VectorType,
    i1,
    i64,
)
from xdsl.ir import Attribute, Dialect, Operation, SSAValue
from xdsl.irdl import (
    AnyAttr,
    EqAttrConstraint,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

_INDEX_LIKE = (
    SignlessIntegerConstraint
    | IndexTypeConstr
    | VectorType.constr(SignlessIntegerConstraint)
    | VectorType.constr(IndexTypeConstr)
)
_CONDITIONS = EqAttrConstraint(i1) | VectorType.constr(i1)
_FLOAT_LIKE = AnyFloatConstr | VectorType.constr(AnyFloatConstr)


class _ComparisonOp(IRDLOperation, ABC):
    """A comparison, lane by lane on vectors. `PREDICATES` lists the predicates by their number."""

    PREDICATES: ClassVar[Sequence[str]]

    def __init__(
        self,
        lhs: Operation | SSAValue,
        rhs: Operation | SSAValue,
        predicate: int | str,
        fastmath: FastMathFlagsAttr | None = None,
    ) -> None:
        if isinstance(predicate, str):
            predicate = self.PREDICATES.index(predicate)
        properties: dict[str, Attribute] = {"predicate": IntegerAttr(predicate, i64)}
        if fastmath is not None:
            properties["fastmath"] = fastmath
        kind = _conditions(SSAValue.get(lhs).type)
        super().__init__(operands=[lhs, rhs], result_types=[kind], properties=properties)

    def print(self, printer: Printer) -> None:
        predicate = self.properties["predicate"]
        assert isinstance(predicate, IntegerAttr)
        printer.print_string(f" {self.PREDICATES[predicate.value.data]}, ")
        printer.print_list(self.operands, printer.print_ssa_value)
        fastmath = self.properties.get("fastmath")
        if isinstance(fastmath, FastMathFlagsAttr) and fastmath.data:
            printer.print_string(" fastmath")
            fastmath.print_parameter(printer)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.operands[0].type)

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        predicate = parser.parse_identifier()
        if predicate not in cls.PREDICATES:
            parser.raise_error(f"unknown predicate '{predicate}' of {cls.name}")
        parser.parse_punctuation(",")
        lhs = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        rhs = parser.parse_unresolved_operand()
        fastmath = None
        if parser.parse_optional_keyword("fastmath"):
            fastmath = FastMathFlagsAttr(FastMathFlagsAttr.parse_parameter(parser))
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kind = parser.parse_type()
        lhs, rhs = parser.resolve_operands([lhs, rhs], [kind, kind], parser.pos)
        op = cls(lhs, rhs, predicate, fastmath)
        op.attributes |= attributes
        return op


def has_flag(op: Operation, flag: FastMathFlag) -> bool:
    """Whether an operation of `arith` or `math` has a fast-math flag."""
    flags = op.properties.get("fastmath")
    return isinstance(flags, FastMathFlagsAttr) and flag in flags.data


def _conditions(kind: Attribute) -> Attribute:
    """i1, or a vector of as many."""
    return VectorType(i1, kind.shape) if isinstance(kind, VectorType) else i1


@irdl_op_definition
class CmpiOp(_ComparisonOp):
    """Compares integers; the predicate says whether they are read as signed."""

    name = "arith.cmpi"
    PREDICATES: ClassVar = tuple(CMPI_COMPARISON_OPERATIONS)

    T: ClassVar = VarConstraint("T", _INDEX_LIKE)

    lhs = operand_def(T)
    rhs = operand_def(T)
    predicate = prop_def(IntegerAttr)
    result = result_def(_CONDITIONS)

    traits = traits_def(Pure())


@irdl_op_definition
class CmpfOp(_ComparisonOp):
    """Compares floats; ordered predicates (`o..`) are false on NaN, unordered ones true."""

    name = "arith.cmpf"
    PREDICATES: ClassVar = tuple(CMPF_COMPARISON_OPERATIONS)

    T: ClassVar = VarConstraint("T", _FLOAT_LIKE)

    lhs = operand_def(T)
    rhs = operand_def(T)
    predicate = prop_def(IntegerAttr)
    fastmath = prop_def(FastMathFlagsAttr, default_value=FastMathFlagsAttr("none"))
    result = result_def(_CONDITIONS)

    traits = traits_def(Pure())


@irdl_op_definition
class SelectOp(IRDLOperation):
    """`cond ? lhs : rhs`, lane by lane if the condition is a vector."""

    name = "arith.select"

    T: ClassVar = VarConstraint("T", AnyAttr())

    cond = operand_def(_CONDITIONS)
    lhs = operand_def(T)
    rhs = operand_def(T)
    result = result_def(T)

    traits = traits_def(Pure())

    def __init__(
        self, cond: Operation | SSAValue, lhs: Operation | SSAValue, rhs: Operation | SSAValue
    ) -> None:
        super().__init__(operands=[cond, lhs, rhs], result_types=[SSAValue.get(lhs).type])

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_list(self.operands, printer.print_ssa_value)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        if self.cond.type != i1:
            printer.print_attribute(self.cond.type)
            printer.print_string(", ")
        printer.print_attribute(self.result.type)

    @classmethod
    def parse(cls, parser: Parser) -> SelectOp:
        cond = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        lhs = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        rhs = parser.parse_unresolved_operand()
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kinds = [parser.parse_type()]
        if parser.parse_optional_punctuation(","):
            kinds.append(parser.parse_type())
        condition = kinds[0] if len(kinds) == 2 else i1
        return cls.create(
            operands=parser.resolve_operands(
                [cond, lhs, rhs], [condition, kinds[-1], kinds[-1]], parser.pos
            ),
            result_types=[kinds[-1]],
            attributes=attributes,
        )


@irdl_op_definition
class RemFOp(IRDLOperation):
    """C's `fmod`: the remainder of a truncated division, with the sign of the dividend."""

    name = "arith.remf"

    T: ClassVar = VarConstraint("T", _FLOAT_LIKE)

    lhs = operand_def(T)
    rhs = operand_def(T)
    result = result_def(T)
    fastmath = prop_def(FastMathFlagsAttr, default_value=FastMathFlagsAttr("none"))

    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs (`fastmath` `` $fastmath^)? attr-dict `:` type($result)"


@irdl_op_definition
class IndexCastUIOp(IRDLOperation):
    """Between `index` and an integer type, extending with zeros or truncating."""

    name = "arith.index_castui"

    input = operand_def(_INDEX_LIKE)
    result = result_def(_INDEX_LIKE)

    traits = traits_def(Pure())
    assembly_format = "$input attr-dict `:` type($input) `to` type($result)"


class _Conversion(IRDLOperation, ABC):
    """A conversion of a scalar or of every lane of a vector; xDSL's convert scalars only."""

    input = operand_def()
    result = result_def()

    traits = traits_def(Pure())
    assembly_format = "$input attr-dict `:` type($input) `to` type($result)"

    def __init__(self, operand: SSAValue | Operation, target_type: Attribute) -> None:
        super().__init__(operands=[operand], result_types=[target_type])


class _IntegerResize(_Conversion, ABC):
    """Between integers of different widths."""

    WIDENS: ClassVar[bool] = True

    def verify_(self) -> None:
        before, after = (_width(value.type) for value in (self.input, self.result))
        if before == after or (after > before) is not self.WIDENS:
            raise VerifyException(f"{self.name} cannot go from {before} to {after} bits")


def _width(kind: Attribute) -> int:
    element = kind.get_element_type() if isinstance(kind, ContainerType) else kind
    if not isinstance(element, IntegerType):
        raise VerifyException(f"expected an integer or a vector of them, got {kind}")
    return element.width.data


@irdl_op_definition
class ExtSIOp(_IntegerResize):
    """To a wider integer, repeating the sign."""

    name = "arith.extsi"


@irdl_op_definition
class ExtUIOp(_IntegerResize):
    """To a wider integer, with zeros."""

    name = "arith.extui"


@irdl_op_definition
class TruncIOp(_IntegerResize):
    """To a narrower integer, by its low bits."""

    name = "arith.trunci"
    WIDENS: ClassVar[bool] = False


@irdl_op_definition
class FPToSIOp(_Conversion):
    """From a float to a signed integer, towards zero."""

    name = "arith.fptosi"


@irdl_op_definition
class FPToUIOp(_Conversion):
    """From a float to an unsigned integer, towards zero."""

    name = "arith.fptoui"


@irdl_op_definition
class SIToFPOp(_Conversion):
    """From a signed integer to a float."""

    name = "arith.sitofp"


@irdl_op_definition
class UIToFPOp(_Conversion):
    """From an unsigned integer to a float."""

    name = "arith.uitofp"


Arith = Dialect(
    "arith",
    [
        AddUIExtendedOp,
        AddfOp,
        AddiOp,
        AndIOp,
        BitcastOp,
        CeilDivSIOp,
        CeilDivUIOp,
        CmpfOp,
        CmpiOp,
        ConstantOp,
        DivSIOp,
        DivUIOp,
        DivfOp,
        ExtFOp,
        ExtSIOp,
        ExtUIOp,
        FPToSIOp,
        FPToUIOp,
        FloorDivSIOp,
        IndexCastOp,
        IndexCastUIOp,
        MaxSIOp,
        MaxUIOp,
        MaximumfOp,
        MaxnumfOp,
        MinSIOp,
        MinUIOp,
        MinimumfOp,
        MinnumfOp,
        MulSIExtendedOp,
        MulUIExtendedOp,
        MulfOp,
        MuliOp,
        NegfOp,
        OrIOp,
        RemFOp,
        RemSIOp,
        RemUIOp,
        SIToFPOp,
        SelectOp,
        ShLIOp,
        ShRSIOp,
        ShRUIOp,
        SubfOp,
        SubiOp,
        TruncFOp,
        TruncIOp,
        UIToFPOp,
        XOrIOp,
    ],
    [
        FastMathFlagsAttr,
        IntegerOverflowAttr,
    ],
    [ArithConstantMaterializationInterface()],
)

__all__ = [
    "CMPF_COMPARISON_OPERATIONS",
    "CMPI_COMPARISON_OPERATIONS",
    "AddUIExtendedOp",
    "AddfOp",
    "AddiOp",
    "AndIOp",
    "Arith",
    "BitcastOp",
    "CeilDivSIOp",
    "CeilDivUIOp",
    "CmpfOp",
    "CmpiOp",
    "ConstantOp",
    "DivSIOp",
    "DivUIOp",
    "DivfOp",
    "ExtFOp",
    "ExtSIOp",
    "ExtUIOp",
    "FPToSIOp",
    "FPToUIOp",
    "FastMathFlag",
    "FastMathFlagsAttr",
    "FloorDivSIOp",
    "IndexCastOp",
    "IndexCastUIOp",
    "IntegerOverflowAttr",
    "IntegerOverflowFlag",
    "MaxSIOp",
    "MaxUIOp",
    "MaximumfOp",
    "MaxnumfOp",
    "MinSIOp",
    "MinUIOp",
    "MinimumfOp",
    "MinnumfOp",
    "MulSIExtendedOp",
    "MulUIExtendedOp",
    "MulfOp",
    "MuliOp",
    "NegfOp",
    "OrIOp",
    "RemFOp",
    "RemSIOp",
    "RemUIOp",
    "SIToFPOp",
    "SelectOp",
    "ShLIOp",
    "ShRSIOp",
    "ShRUIOp",
    "SubfOp",
    "SubiOp",
    "TruncFOp",
    "TruncIOp",
    "UIToFPOp",
    "XOrIOp",
]
