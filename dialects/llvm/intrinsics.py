"""LLVM's arithmetic intrinsics as operations `llvm.intr.<name>`, as upstream has them."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from xdsl.dialects.builtin import BoolAttr, SignlessIntegerConstraint, VectorType
from xdsl.dialects.llvm import FastMathAttr
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure

from dialects.llvm.arithmetic import FLOAT, INTEGER, NO_FAST_MATH

_CALL_FORMAT = "`(` operands `)` attr-dict `:` functional-type(operands, results)"


class FloatUnaryIntrinsic(IRDLOperation, ABC):
    """One float (or vector of floats) to the same type."""

    T: ClassVar = VarConstraint("T", FLOAT)

    arg = operand_def(T)
    fastmathFlags = prop_def(FastMathAttr, default_value=NO_FAST_MATH)
    res = result_def(T)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _CALL_FORMAT


class FloatBinaryIntrinsic(IRDLOperation, ABC):
    """Two floats (or vectors of floats) to the same type."""

    T: ClassVar = VarConstraint("T", FLOAT)

    lhs = operand_def(T)
    rhs = operand_def(T)
    fastmathFlags = prop_def(FastMathAttr, default_value=NO_FAST_MATH)
    res = result_def(T)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _CALL_FORMAT


class IntUnaryIntrinsic(IRDLOperation, ABC):
    """One integer (or vector of integers) to the same type."""

    T: ClassVar = VarConstraint("T", INTEGER)

    arg = operand_def(T)
    res = result_def(T)

    traits = traits_def(Pure())
    assembly_format = _CALL_FORMAT


class IntBinaryIntrinsic(IRDLOperation, ABC):
    """Two integers (or vectors of integers) to the same type."""

    T: ClassVar = VarConstraint("T", INTEGER)

    lhs = operand_def(T)
    rhs = operand_def(T)
    res = result_def(T)

    traits = traits_def(Pure())
    assembly_format = _CALL_FORMAT


class FunnelShiftIntrinsic(IRDLOperation, ABC):
    """Shifts the concatenation of two integers."""

    T: ClassVar = VarConstraint("T", INTEGER)

    high = operand_def(T)
    low = operand_def(T)
    amount = operand_def(T)
    res = result_def(T)

    traits = traits_def(Pure())
    assembly_format = _CALL_FORMAT


class IntReduction(IRDLOperation, ABC):
    """The combination of all lanes of a vector of integers."""

    T: ClassVar = VarConstraint("T", SignlessIntegerConstraint)

    vector = operand_def(VectorType.constr(T))
    res = result_def(T)

    traits = traits_def(Pure())


class FloatReduction(IRDLOperation, ABC):
    """The combination of all lanes of a vector of floats."""

    vector = operand_def(VectorType)
    fastmathFlags = prop_def(FastMathAttr, default_value=NO_FAST_MATH)
    res = result_def()

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _CALL_FORMAT


@irdl_op_definition
class FTanhOp(FloatUnaryIntrinsic):
    name = "llvm.intr.tanh"


@irdl_op_definition
class FTruncOp(FloatUnaryIntrinsic):
    name = "llvm.intr.trunc"


@irdl_op_definition
class RoundOp(FloatUnaryIntrinsic):
    """To the nearest integer, halves away from zero."""

    name = "llvm.intr.round"


@irdl_op_definition
class RoundEvenOp(FloatUnaryIntrinsic):
    """To the nearest integer, halves to even."""

    name = "llvm.intr.roundeven"


@irdl_op_definition
class RintOp(FloatUnaryIntrinsic):
    """To an integer in the current rounding mode."""

    name = "llvm.intr.rint"


@irdl_op_definition
class NearbyintOp(FloatUnaryIntrinsic):
    """As rint, without raising inexact."""

    name = "llvm.intr.nearbyint"


@irdl_op_definition
class MaximumOp(FloatBinaryIntrinsic):
    """The greater; NaN if either is NaN; +0 over -0."""

    name = "llvm.intr.maximum"


@irdl_op_definition
class MinimumOp(FloatBinaryIntrinsic):
    """The smaller; NaN if either is NaN; -0 over +0."""

    name = "llvm.intr.minimum"


@irdl_op_definition
class FMulAddOp(IRDLOperation):
    """a * b + c, fused where that is faster."""

    name = "llvm.intr.fmuladd"

    T: ClassVar = VarConstraint("T", FLOAT)

    a = operand_def(T)
    b = operand_def(T)
    c = operand_def(T)
    fastmathFlags = prop_def(FastMathAttr, default_value=NO_FAST_MATH)
    res = result_def(T)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = _CALL_FORMAT


@irdl_op_definition
class SMaxOp(IntBinaryIntrinsic):
    name = "llvm.intr.smax"


@irdl_op_definition
class SMinOp(IntBinaryIntrinsic):
    name = "llvm.intr.smin"


@irdl_op_definition
class UMaxOp(IntBinaryIntrinsic):
    name = "llvm.intr.umax"


@irdl_op_definition
class UMinOp(IntBinaryIntrinsic):
    name = "llvm.intr.umin"


@irdl_op_definition
class SAddSatOp(IntBinaryIntrinsic):
    name = "llvm.intr.sadd.sat"


@irdl_op_definition
class SSubSatOp(IntBinaryIntrinsic):
    name = "llvm.intr.ssub.sat"


@irdl_op_definition
class UAddSatOp(IntBinaryIntrinsic):
    name = "llvm.intr.uadd.sat"


@irdl_op_definition
class USubSatOp(IntBinaryIntrinsic):
    name = "llvm.intr.usub.sat"


@irdl_op_definition
class FshlOp(FunnelShiftIntrinsic):
    name = "llvm.intr.fshl"


@irdl_op_definition
class FshrOp(FunnelShiftIntrinsic):
    name = "llvm.intr.fshr"


@irdl_op_definition
class CtPopOp(IntUnaryIntrinsic):
    """The number of set bits."""

    name = "llvm.intr.ctpop"


@irdl_op_definition
class ByteSwapOp(IntUnaryIntrinsic):
    name = "llvm.intr.bswap"


@irdl_op_definition
class BitReverseOp(IntUnaryIntrinsic):
    name = "llvm.intr.bitreverse"


@irdl_op_definition
class LrintOp(IRDLOperation):
    """The nearest integer in the current rounding mode (halves to even) as an integer."""

    name = "llvm.intr.lrint"

    val = operand_def(FLOAT)
    res = result_def(INTEGER)

    traits = traits_def(Pure())
    assembly_format = _CALL_FORMAT


@irdl_op_definition
class CountLeadingZerosOp(IRDLOperation):
    name = "llvm.intr.ctlz"

    T: ClassVar = VarConstraint("T", INTEGER)

    arg = operand_def(T)
    is_zero_poison = prop_def(BoolAttr)
    res = result_def(T)

    traits = traits_def(Pure())


@irdl_op_definition
class CountTrailingZerosOp(IRDLOperation):
    name = "llvm.intr.cttz"

    T: ClassVar = VarConstraint("T", INTEGER)

    arg = operand_def(T)
    is_zero_poison = prop_def(BoolAttr)
    res = result_def(T)

    traits = traits_def(Pure())


@irdl_op_definition
class AbsOp(IRDLOperation):
    """Absolute value of a signed integer."""

    name = "llvm.intr.abs"

    T: ClassVar = VarConstraint("T", INTEGER)

    arg = operand_def(T)
    is_int_min_poison = prop_def(BoolAttr)
    res = result_def(T)

    traits = traits_def(Pure())


@irdl_op_definition
class VectorReduceAddOp(IntReduction):
    name = "llvm.intr.vector.reduce.add"


@irdl_op_definition
class VectorReduceMulOp(IntReduction):
    name = "llvm.intr.vector.reduce.mul"


@irdl_op_definition
class VectorReduceAndOp(IntReduction):
    name = "llvm.intr.vector.reduce.and"


@irdl_op_definition
class VectorReduceOrOp(IntReduction):
    name = "llvm.intr.vector.reduce.or"


@irdl_op_definition
class VectorReduceXorOp(IntReduction):
    name = "llvm.intr.vector.reduce.xor"


@irdl_op_definition
class VectorReduceSMaxOp(IntReduction):
    name = "llvm.intr.vector.reduce.smax"


@irdl_op_definition
class VectorReduceSMinOp(IntReduction):
    name = "llvm.intr.vector.reduce.smin"


@irdl_op_definition
class VectorReduceUMaxOp(IntReduction):
    name = "llvm.intr.vector.reduce.umax"


@irdl_op_definition
class VectorReduceUMinOp(IntReduction):
    name = "llvm.intr.vector.reduce.umin"


@irdl_op_definition
class VectorReduceFMaxOp(FloatReduction):
    """maxnum over the lanes."""

    name = "llvm.intr.vector.reduce.fmax"


@irdl_op_definition
class VectorReduceFMinOp(FloatReduction):
    """minnum over the lanes."""

    name = "llvm.intr.vector.reduce.fmin"


@irdl_op_definition
class VectorReduceFMaximumOp(FloatReduction):
    """maximum over the lanes: NaN if any lane is NaN."""

    name = "llvm.intr.vector.reduce.fmaximum"


@irdl_op_definition
class VectorReduceFMinimumOp(FloatReduction):
    """minimum over the lanes: NaN if any lane is NaN."""

    name = "llvm.intr.vector.reduce.fminimum"
