"""Branches, `switch` and the loop annotations that a latch branch may carry."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Self

from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntElementsAttr,
    IntegerType,
    i1,
    i32,
)
from xdsl.ir import Attribute, Data
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    successor_def,
    traits_def,
    var_operand_def,
    var_successor_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import IsTerminator, Pure


class _OptionsAttr(Data[tuple[tuple[str, Attribute], ...]], ABC):
    """An attribute printed as upstream's `struct` directive: `<key = value, ...>`.

    `KEYS` maps each of MLIR's keys to the kind of its value, or to None for plain attributes.
    """

    KEYS: ClassVar[dict[str, type[_OptionsAttr] | None]]

    @classmethod
    def of(cls, options: dict[str, Attribute]) -> Self:
        """Builds the attribute from the keys that are present."""
        unknown = options.keys() - cls.KEYS.keys()
        if unknown:
            raise ValueError(f"{cls.name} has no option {sorted(unknown)}")
        return cls(tuple((key, options[key]) for key in cls.KEYS if key in options))

    @property
    def options(self) -> dict[str, Attribute]:
        """The keys that are present, with their values."""
        return dict(self.data)

    def print_parameter(self, printer: Printer) -> None:
        def print_option(option: tuple[str, Attribute]) -> None:
            key, value = option
            printer.print_string(f"{key} = ")
            if isinstance(value, _OptionsAttr):
                value.print_parameter(printer)
            else:
                printer.print_attribute(value)

        with printer.in_angle_brackets():
            printer.print_list(self.data, print_option)

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[tuple[str, Attribute], ...]:
        def parse_option() -> tuple[str, Attribute]:
            key = parser.parse_identifier()
            if key not in cls.KEYS:
                parser.raise_error(f"unknown option '{key}' of {cls.name}")
            parser.parse_punctuation("=")
            kind = cls.KEYS[key]
            if kind is None:
                return key, parser.parse_attribute()
            # Upstream elides the name of a nested attribute when it prints one.
            nested = parser.parse_optional_attribute()
            return key, nested or kind(kind.parse_parameter(parser))

        return tuple(parser.parse_comma_separated_list(parser.Delimiter.ANGLE, parse_option))


@irdl_attr_definition
class LoopVectorizeAttr(_OptionsAttr):
    """How LLVM's loop vectorizer treats a loop."""

    name = "llvm.loop_vectorize"
    KEYS = {"disable": None, "predicateEnable": None, "scalableEnable": None, "width": None}


@irdl_attr_definition
class LoopInterleaveAttr(_OptionsAttr):
    """How many iterations the loop vectorizer interleaves."""

    name = "llvm.loop_interleave"
    KEYS = {"count": None}


@irdl_attr_definition
class LoopUnrollAttr(_OptionsAttr):
    """How LLVM unrolls a loop."""

    name = "llvm.loop_unroll"
    KEYS = {"disable": None, "count": None, "runtimeDisable": None, "full": None}


@irdl_attr_definition
class LoopAnnotationAttr(_OptionsAttr):
    """What LLVM is told about a loop, carried by its latch's branch."""

    name = "llvm.loop_annotation"
    KEYS = {
        "disableNonforced": None,
        "vectorize": LoopVectorizeAttr,
        "interleave": LoopInterleaveAttr,
        "unroll": LoopUnrollAttr,
        "mustProgress": None,
    }


@irdl_op_definition
class BrOp(IRDLOperation):
    """Unconditional branch; the operands become the successor's block arguments."""

    name = "llvm.br"

    arguments = var_operand_def()
    loop_annotation = opt_prop_def(LoopAnnotationAttr)
    successor = successor_def()

    traits = traits_def(IsTerminator(), Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$successor (`(` $arguments^ `:` type($arguments) `)`)? attr-dict"


@irdl_op_definition
class CondBrOp(IRDLOperation):
    """Conditional branch with the block arguments of either successor."""

    name = "llvm.cond_br"

    cond = operand_def(i1)
    then_arguments = var_operand_def()
    else_arguments = var_operand_def()
    branch_weights = opt_prop_def(DenseArrayBase.constr(i32))
    loop_annotation = opt_prop_def(LoopAnnotationAttr)
    then_block = successor_def()
    else_block = successor_def()

    traits = traits_def(IsTerminator(), Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "$cond (`weights` `(` $branch_weights^ `)`)? `,`"
        " $then_block (`(` $then_arguments^ `:` type($then_arguments) `)`)? `,`"
        " $else_block (`(` $else_arguments^ `:` type($else_arguments) `)`)?"
        " attr-dict"
    )


@irdl_op_definition
class SwitchOp(IRDLOperation):
    """Branch on an integer. `case_operands` holds the block arguments of all cases in order, cut by
    `case_operand_segments`."""

    name = "llvm.switch"

    value = operand_def(IntegerType)
    default_operands = var_operand_def()
    case_operands = var_operand_def()
    case_values = opt_prop_def(DenseIntElementsAttr)
    case_operand_segments = prop_def(DenseArrayBase.constr(i32))
    default_destination = successor_def()
    case_destinations = var_successor_def()

    traits = traits_def(IsTerminator(), Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
