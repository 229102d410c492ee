"""The `math` dialect: xDSL's operations plus those of upstream's that it lacks.

Added, in upstream's syntax: `math.erfc` and `math.sincos`. Everything else is xDSL's own.
"""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects import math as upstream
from xdsl.dialects.arith import FastMathFlagsAttr
from xdsl.dialects.builtin import AnyFloat, container_of
from xdsl.ir import Dialect
from xdsl.irdl import (
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure, SameOperandsAndResultType


@irdl_op_definition
class ErfcOp(upstream.FloatingPointLikeUnaryMathOperation):
    """The complementary error function 1 - erf(x): `%y = math.erfc %x : f32`."""

    name = "math.erfc"

    traits = traits_def(Pure(), SameOperandsAndResultType())


@irdl_op_definition
class SincosOp(IRDLOperation):
    """Sine and cosine of one operand: `%sin, %cos = math.sincos %x : f32`."""

    name = "math.sincos"

    T: ClassVar = VarConstraint("T", container_of(AnyFloat))

    operand = operand_def(T)
    sin = result_def(T)
    cos = result_def(T)
    fastmath = prop_def(FastMathFlagsAttr, default_value=FastMathFlagsAttr("none"))

    traits = traits_def(Pure())

    assembly_format = "$operand (`fastmath` `` $fastmath^)? attr-dict `:` type($operand)"


Math = Dialect("math", [*upstream.Math.operations, ErfcOp, SincosOp])
