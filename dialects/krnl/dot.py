"""`krnl.dot`: one step of a sum of products of short integers that stand packed in longer ones."""

from __future__ import annotations

from xdsl.dialects.builtin import I32, IntegerType, Signedness, UnitAttr, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import NoMemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class DotOp(IRDLOperation):
    """acc + sum of lhs[j] * rhs[j], modulo 2^32, of the numbers that `lhs` and `rhs` hold.

    The first number stands in the lowest bits. `lhs_element` and `rhs_element` are the types of
    the numbers, which say how they are extended: i8, ui8 or i16. Both operands hold as many.
    The attribute ``short_pairs`` promises that sums of two neighbouring products fit 16 bits.
    """

    name = "krnl.dot"
    acc = operand_def(I32)
    lhs = operand_def(IntegerType)
    rhs = operand_def(IntegerType)
    lhs_element = prop_def(IntegerType)
    rhs_element = prop_def(IntegerType)
    result = result_def(I32)
    traits = traits_def(Pure(), NoMemoryEffect())
    assembly_format = (
        "$acc `,` $lhs `of` $lhs_element `,` $rhs `of` $rhs_element attr-dict `:`"
        " type($lhs) `,` type($rhs)"
    )

    def __init__(
        self,
        acc: SSAValue,
        lhs: SSAValue,
        rhs: SSAValue,
        elements: tuple[Attribute, Attribute],
        short_pairs: bool = False,
    ) -> None:
        super().__init__(
            operands=[acc, lhs, rhs],
            properties={"lhs_element": elements[0], "rhs_element": elements[1]},
            attributes={"short_pairs": UnitAttr()} if short_pairs else {},
            result_types=[i32],
        )

    @property
    def group(self) -> int:
        """How many numbers an operand holds."""
        assert isinstance(self.lhs.type, IntegerType)
        return self.lhs.type.width.data // self.lhs_element.width.data

    def verify_(self) -> None:
        for value, element in ((self.lhs, self.lhs_element), (self.rhs, self.rhs_element)):
            assert isinstance(value.type, IntegerType)
            width = element.width.data
            unsigned = element.signedness.data is Signedness.UNSIGNED
            if (width, unsigned) not in ((8, False), (8, True), (16, False)):
                raise VerifyException(f"krnl.dot multiplies i8, ui8 and i16, not {element}")
            if value.type.width.data != self.group * width:
                raise VerifyException("krnl.dot takes operands that hold equally many numbers")
