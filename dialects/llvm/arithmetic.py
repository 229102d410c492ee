"""Instructions on values that xDSL lacks or restricts to scalars."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from xdsl.dialects.builtin import (
    AnyFloatConstr,
    IntegerAttr,
    IntegerType,
    SignlessIntegerConstraint,
    VectorType,
    i1,
    i64,
)
from xdsl.dialects.llvm import FastMathAttr, FCmpPredicateFlag
from xdsl.ir import Attribute
from xdsl.irdl import (
    AnyAttr,
    EqAttrConstraint,
    IRDLOperation,
    ParsePropInAttrDict,
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

FLOAT = AnyFloatConstr | VectorType.constr(AnyFloatConstr)
INTEGER = SignlessIntegerConstraint | VectorType.constr(SignlessIntegerConstraint)
BOOL = EqAttrConstraint(i1) | VectorType.constr(i1)

NO_FAST_MATH = FastMathAttr(None)


@irdl_op_definition
class FCmpOp(IRDLOperation):
    """Compares floats, lane by lane on vectors; ordered predicates are false on NaN."""

    name = "llvm.fcmp"

    T: ClassVar = VarConstraint("T", FLOAT)

    lhs = operand_def(T)
    rhs = operand_def(T)
    predicate = prop_def(IntegerAttr[IntegerType])
    fastmathFlags = prop_def(FastMathAttr, default_value=NO_FAST_MATH)
    res = result_def(BOOL)

    traits = traits_def(Pure())

    def print(self, printer: Printer) -> None:
        flag = FCmpPredicateFlag.from_int(self.predicate.value.data)
        printer.print_string(f' "{flag}" ')
        printer.print_list(self.operands, printer.print_ssa_value)
        attributes = dict(self.attributes)
        if self.fastmathFlags != NO_FAST_MATH:
            attributes["fastmathFlags"] = self.fastmathFlags
        printer.print_op_attributes(attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.lhs.type)

    @classmethod
    def parse(cls, parser: Parser) -> FCmpOp:
        predicate = FCmpPredicateFlag(parser.parse_str_literal())
        lhs = parser.parse_unresolved_operand()
        parser.parse_punctuation(",")
        rhs = parser.parse_unresolved_operand()
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        kind = parser.parse_type()
        result = VectorType(i1, kind.shape) if isinstance(kind, VectorType) else i1
        return cls.create(
            operands=parser.resolve_operands([lhs, rhs], [kind, kind], parser.pos),
            result_types=[result],
            properties={
                "predicate": IntegerAttr(predicate.to_int(), i64),
                "fastmathFlags": attributes.pop("fastmathFlags", NO_FAST_MATH),
            },
            attributes=attributes,
        )


@irdl_op_definition
class SelectOp(IRDLOperation):
    """`cond ? lhs : rhs`, lane by lane if the condition is a vector."""

    name = "llvm.select"

    T: ClassVar = VarConstraint("T", AnyAttr())

    cond = operand_def(BOOL)
    lhs = operand_def(T)
    rhs = operand_def(T)
    fastmathFlags = prop_def(FastMathAttr, default_value=NO_FAST_MATH)
    res = result_def(T)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$cond `,` $lhs `,` $rhs attr-dict `:` type($cond) `,` type($res)"


@irdl_op_definition
class ExtractElementOp(IRDLOperation):
    """One lane of a vector."""

    name = "llvm.extractelement"

    vector = operand_def(VectorType)
    position = operand_def(SignlessIntegerConstraint)
    res = result_def()

    traits = traits_def(Pure())

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_ssa_value(self.vector)
        with printer.in_square_brackets():
            printer.print_ssa_value(self.position)
            printer.print_string(" : ")
            printer.print_attribute(self.position.type)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.vector.type)

    @classmethod
    def parse(cls, parser: Parser) -> ExtractElementOp:
        vector = parser.parse_unresolved_operand()
        parser.parse_punctuation("[")
        position = parser.parse_unresolved_operand()
        parser.parse_punctuation(":")
        position_type = parser.parse_type()
        parser.parse_punctuation("]")
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        vector_type = parser.parse_type()
        if not isinstance(vector_type, VectorType):
            parser.raise_error("expected a vector type")
        return cls.create(
            operands=parser.resolve_operands(
                [vector, position], [vector_type, position_type], parser.pos
            ),
            result_types=[vector_type.element_type],
            attributes=attributes,
        )


class _CastOp(IRDLOperation, ABC):
    """A conversion between element types, lane by lane on vectors."""

    arg = operand_def()
    res = result_def()

    traits = traits_def(Pure())
    assembly_format = "$arg attr-dict `:` type($arg) `to` type($res)"


@irdl_op_definition
class FPToSIOp(_CastOp):
    """Float to signed integer, towards zero; out of range is poison."""

    name = "llvm.fptosi"


@irdl_op_definition
class FPToUIOp(_CastOp):
    """Float to unsigned integer, towards zero; out of range is poison."""

    name = "llvm.fptoui"


@irdl_op_definition
class UIToFPOp(_CastOp):
    """Unsigned integer to the nearest float."""

    name = "llvm.uitofp"


@irdl_op_definition
class FreezeOp(IRDLOperation):
    """Turns undef and poison into some fixed value."""

    name = "llvm.freeze"

    T: ClassVar = VarConstraint("T", AnyAttr())

    val = operand_def(T)
    res = result_def(T)

    traits = traits_def(Pure())
    assembly_format = "$val attr-dict `:` type($val)"


@irdl_op_definition
class PoisonOp(IRDLOperation):
    """A value that nobody may depend on."""

    name = "llvm.mlir.poison"

    res = result_def(Attribute)

    traits = traits_def(Pure())
    assembly_format = "attr-dict `:` type($res)"
