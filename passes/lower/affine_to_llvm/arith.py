"""`arith` and those operations of `math` that LLVM has instructions for, on scalars and vectors.

Arithmetic on `index` wraps like any i64; ranges are tracked through it where it provably does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import cast

from xdsl.dialects import math
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    VectorType,
    bf16,
    f32,
    i1,
    i16,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import arith, llvm
from passes.lower.affine_to_llvm.builder import (
    FAST_NONE,
    NO_OVERFLOW_FLAGS,
    NO_PROPERTIES,
    PREDICATES,
    Builder,
    Properties,
)
from passes.lower.affine_to_llvm.function import FunctionLowering, rule
from passes.lower.affine_to_llvm.index import INT64, Index
from passes.lower.affine_to_llvm.types import element_type, llvm_type, with_lanes_of

_FALSE = IntegerAttr(0, i1)

_UNORDERED = 14
"""`fcmp`'s predicate that holds when an operand is NaN."""

_WRAPPING: dict[type[Operation], type[Operation]] = {
    arith.AddiOp: llvm.AddOp,
    arith.SubiOp: llvm.SubOp,
    arith.MuliOp: llvm.MulOp,
    arith.ShLIOp: llvm.ShlOp,
}

_INTEGER: dict[type[Operation], type[Operation]] = {
    arith.DivUIOp: llvm.UDivOp,
    arith.DivSIOp: llvm.SDivOp,
    arith.RemUIOp: llvm.URemOp,
    arith.RemSIOp: llvm.SRemOp,
    arith.AndIOp: llvm.AndOp,
    arith.OrIOp: llvm.OrOp,
    arith.XOrIOp: llvm.XOrOp,
    arith.ShRUIOp: llvm.LShrOp,
    arith.ShRSIOp: llvm.AShrOp,
    arith.MinSIOp: llvm.SMinOp,
    arith.MaxSIOp: llvm.SMaxOp,
    arith.MinUIOp: llvm.UMinOp,
    arith.MaxUIOp: llvm.UMaxOp,
    math.CtPopOp: llvm.CtPopOp,
}

_FLOAT: dict[type[Operation], type[Operation]] = {
    arith.AddfOp: llvm.FAddOp,
    arith.SubfOp: llvm.FSubOp,
    arith.MulfOp: llvm.FMulOp,
    arith.DivfOp: llvm.FDivOp,
    arith.RemFOp: llvm.FRemOp,
    arith.NegfOp: llvm.FNegOp,
    arith.MaximumfOp: llvm.MaximumOp,
    arith.MinimumfOp: llvm.MinimumOp,
    arith.MaxnumfOp: llvm.VectorFMaxOp,
    arith.MinnumfOp: llvm.VectorFMinOp,
    math.SqrtOp: llvm.FSqrtOp,
    math.AbsFOp: llvm.FAbsOp,
    math.FloorOp: llvm.FFloorOp,
    math.CeilOp: llvm.FCeilOp,
    math.TruncOp: llvm.FTruncOp,
    math.RoundOp: llvm.RoundOp,
    math.RoundEvenOp: llvm.RoundEvenOp,
    math.FmaOp: llvm.FMAOp,
    math.CopySignOp: llvm.FCopySignOp,
}

_CASTS: dict[type[Operation], type[Operation]] = {
    arith.ExtSIOp: llvm.SExtOp,
    arith.ExtUIOp: llvm.ZExtOp,
    arith.TruncIOp: llvm.TruncOp,
    arith.SIToFPOp: llvm.SIToFPOp,
    arith.UIToFPOp: llvm.UIToFPOp,
    arith.FPToUIOp: llvm.FPToUIOp,
}

_TARGETS = {kind.name: target for kind, target in (_WRAPPING | _INTEGER | _FLOAT | _CASTS).items()}

_OVERFLOW_BITS = {arith.IntegerOverflowFlag.NSW: 1, arith.IntegerOverflowFlag.NUW: 2}


@cache
def fast_math(flags: Attribute | None) -> Properties:
    """`arith`'s fast-math flags as the properties of an `llvm` operation."""
    if flags is None:
        return FAST_NONE
    return {"fastmathFlags": llvm.FastMathAttr(cast(arith.FastMathFlagsAttr, flags).data)}


@cache
def _overflow(flags: Attribute | None) -> Properties:
    if flags is None:
        return NO_OVERFLOW_FLAGS
    bits = sum(_OVERFLOW_BITS[flag] for flag in cast(arith.IntegerOverflowAttr, flags).data)
    return {"overflowFlags": IntegerAttr(bits, i32)}


def _lower(low: FunctionLowering, op: Operation, properties: Properties) -> SSAValue:
    operands = low.operands(op)
    result = low.builder.value(_TARGETS[op.name], operands, operands[0].type, properties)
    low.values[op.results[0]] = result
    return result


@rule(*_WRAPPING)
def lower_wrapping(low: FunctionLowering, op: Operation) -> None:
    if not isinstance(op.results[0].type, IndexType):
        _lower(low, op, _overflow(op.properties.get("overflowFlags")))
        return
    lhs, rhs = low.indices(op.operands)
    low.set_index(op.results[0], _index_arithmetic(low, op, lhs, rhs))


def _index_arithmetic(low: FunctionLowering, op: Operation, lhs: Index, rhs: Index) -> Index:
    """Folds and reuses where it cannot overflow; the plain instruction otherwise."""
    builder = low.builder
    (a, b), (c, d) = builder.range_of(lhs), builder.range_of(rhs)
    match op.name:
        case "arith.addi" if INT64[0] <= a + c and b + d <= INT64[1]:
            return builder.add(lhs, rhs)
        case "arith.subi" if INT64[0] <= a - d and b - c <= INT64[1]:
            return builder.sub(lhs, rhs)
        case "arith.muli":
            corners = [x * y for x in (a, b) for y in (c, d)]
            if INT64[0] <= min(corners) and max(corners) <= INT64[1]:
                return builder.mul(lhs, rhs)
    operands = (builder.index(lhs), builder.index(rhs))
    flags = _overflow(op.properties.get("overflowFlags"))
    return builder.value(_TARGETS[op.name], operands, i64, flags)


@rule(*_INTEGER)
def lower_integer(low: FunctionLowering, op: Operation) -> None:
    _lower(low, op, NO_PROPERTIES)


@rule(*_FLOAT)
def lower_float(low: FunctionLowering, op: Operation) -> None:
    """The instruction; bfloat16 is computed in float32 and rounded."""
    properties = fast_math(op.properties.get("fastmath"))
    kind = llvm_type(op.results[0].type)
    if element_type(kind) != bf16:
        _lower(low, op, properties)
        return
    wide = with_lanes_of(f32, kind)
    operands = [_extend(low.builder, value, wide) for value in low.operands(op)]
    result = low.builder.value(_TARGETS[op.name], operands, wide, properties)
    low.values[op.results[0]] = _truncate(low.builder, result, kind)


@rule(*_CASTS)
def lower_cast(low: FunctionLowering, op: Operation) -> None:
    result = op.results[0]
    target, kind = _TARGETS[op.name], llvm_type(result.type)
    low.values[result] = low.builder.value(target, low.operands(op), kind)


@rule(arith.FPToSIOp)
def lower_fptosi(low: FunctionLowering, op: arith.FPToSIOp) -> None:
    """Towards zero; a float32 that was rounded to even comes as an i32 by one instruction."""
    source, kind = op.operands[0], llvm_type(op.results[0].type)
    rounding, elements = source.owner, (element_type(source.type), element_type(kind))
    if isinstance(rounding, math.RoundEvenOp) and elements == (f32, i32):
        before = low.values[rounding.operands[0]]
        low.values[op.results[0]] = low.builder.value(llvm.LrintOp, (before,), kind)
        return
    (value,) = low.operands(op)
    low.values[op.results[0]] = low.builder.value(llvm.FPToSIOp, (value,), kind)


@rule(arith.ExtFOp)
def lower_extf(low: FunctionLowering, op: arith.ExtFOp) -> None:
    (value,) = low.operands(op)
    low.values[op.result] = _extend(low.builder, value, llvm_type(op.result.type))


def _extend(builder: Builder, value: SSAValue, kind: Attribute) -> SSAValue:
    """LLVM's fpext; from bfloat16 by the bits, so that LLVM keeps computing in float32.

    It moves functions like floor before an fpext, and lacks the instructions to do them there.
    """
    if element_type(value.type) != bf16:
        return builder.value(llvm.FPExtOp, (value,), kind)
    words, single = with_lanes_of(i32, kind), with_lanes_of(f32, kind)
    bits = builder.value(llvm.BitcastOp, (value,), with_lanes_of(i16, kind))
    wide = builder.value(llvm.ZExtOp, (bits,), words)
    high = builder.value(llvm.ShlOp, (wide, builder.integer(16, words)), words, NO_OVERFLOW_FLAGS)
    result = builder.value(llvm.BitcastOp, (high,), single)
    return result if single == kind else builder.value(llvm.FPExtOp, (result,), kind)


@rule(arith.TruncFOp)
def lower_truncf(low: FunctionLowering, op: arith.TruncFOp) -> None:
    (value,) = low.operands(op)
    low.values[op.result] = _truncate(low.builder, value, llvm_type(op.result.type))


def _truncate(builder: Builder, value: SSAValue, kind: Attribute) -> SSAValue:
    """LLVM's fptrunc; to bfloat16 by the bits, as most machines lack the instruction.

    LLVM would call a function that not every compiler's runtime library has. Half of the last
    place is added (less when the kept part is even) and the rest cut off; NaNs are made quiet.
    """
    if element_type(kind) != bf16 or element_type(value.type) != f32:
        return builder.value(llvm.FPTruncOp, (value,), kind)
    words, halves = with_lanes_of(i32, kind), with_lanes_of(i16, kind)
    bools = with_lanes_of(i1, kind)
    bits = builder.value(llvm.BitcastOp, (value,), words)
    kept = builder.value(llvm.LShrOp, (bits, builder.integer(16, words)), words)
    odd = builder.value(llvm.AndOp, (kept, builder.integer(1, words)), words)
    half = builder.value(llvm.AddOp, (odd, builder.integer(0x7FFF, words)), words)
    raised = builder.value(llvm.AddOp, (bits, half), words)
    rounded = builder.value(llvm.LShrOp, (raised, builder.integer(16, words)), words)
    quiet = builder.value(llvm.OrOp, (kept, builder.integer(0x40, words)), words)
    unordered = {"predicate": IntegerAttr(_UNORDERED, i64), **FAST_NONE}
    is_nan = builder.value(llvm.FCmpOp, (value, value), bools, unordered)
    chosen = builder.value(llvm.SelectOp, (is_nan, quiet, rounded), words, FAST_NONE)
    short = builder.value(llvm.TruncOp, (chosen,), halves)
    return builder.value(llvm.BitcastOp, (short,), kind)


@rule(arith.ConstantOp)
def lower_constant(low: FunctionLowering, op: arith.ConstantOp) -> None:
    value, kind = op.value, llvm_type(op.result.type)
    if isinstance(value, IntegerAttr) and kind == i64:
        low.values[op.result] = low.builder.integer(value.value.data)
        return
    if isinstance(value, DenseIntOrFPElementsAttr):
        value = DenseIntOrFPElementsAttr(cast(VectorType[IntegerType], kind), value.data)
    low.values[op.result] = low.builder.constant(value, kind)


@rule(arith.BitcastOp)
def lower_bitcast(low: FunctionLowering, op: arith.BitcastOp) -> None:
    (value,) = low.operands(op)
    kind = llvm_type(op.result.type)
    same = value.type == kind
    low.values[op.result] = value if same else low.builder.value(llvm.BitcastOp, (value,), kind)


@rule(arith.IndexCastOp, arith.IndexCastUIOp)
def lower_index_cast(low: FunctionLowering, op: arith.IndexCastOp | arith.IndexCastUIOp) -> None:
    (value,) = low.operands(op)
    extension = llvm.SExtOp if op.name == "arith.index_cast" else llvm.ZExtOp
    low.values[op.result] = resize(low.builder, value, llvm_type(op.result.type), extension)


def resize(
    builder: Builder, value: SSAValue, kind: Attribute, extension: type[Operation]
) -> SSAValue:
    """An integer in another width, extended as told or truncated."""
    old = cast(IntegerType, element_type(value.type)).width.data
    new = cast(IntegerType, element_type(kind)).width.data
    if old == new:
        return value
    return builder.value(extension if old < new else llvm.TruncOp, (value,), kind)


@rule(arith.CmpiOp)
def lower_cmpi(low: FunctionLowering, op: arith.CmpiOp) -> None:
    lhs, rhs = low.operands(op)
    kind = with_lanes_of(i1, lhs.type)
    properties = {"predicate": op.predicate}
    low.values[op.result] = low.builder.value(llvm.ICmpOp, (lhs, rhs), kind, properties)


@rule(arith.CmpfOp)
def lower_cmpf(low: FunctionLowering, op: arith.CmpfOp) -> None:
    lhs, rhs = low.operands(op)
    if element_type(lhs.type) == bf16:
        wide = with_lanes_of(f32, lhs.type)
        lhs, rhs = _extend(low.builder, lhs, wide), _extend(low.builder, rhs, wide)
    kind = with_lanes_of(i1, lhs.type)
    properties = {"predicate": op.predicate, **fast_math(op.properties.get("fastmath"))}
    low.values[op.result] = low.builder.value(llvm.FCmpOp, (lhs, rhs), kind, properties)


@rule(arith.SelectOp)
def lower_select(low: FunctionLowering, op: arith.SelectOp) -> None:
    """The instruction; bfloat16 is chosen by its bits, which LLVM would convert otherwise."""
    builder = low.builder
    condition, lhs, rhs = low.operands(op)
    kind = lhs.type
    if element_type(kind) != bf16:
        low.values[op.result] = builder.value(llvm.SelectOp, (condition, lhs, rhs), kind, FAST_NONE)
        return
    bits = with_lanes_of(i16, kind)
    values = [builder.value(llvm.BitcastOp, (value,), bits) for value in (lhs, rhs)]
    chosen = builder.value(llvm.SelectOp, (condition, *values), bits, FAST_NONE)
    low.values[op.result] = builder.value(llvm.BitcastOp, (chosen,), kind)


@rule(arith.FloorDivSIOp, arith.CeilDivSIOp)
def lower_signed_rounding_division(low: FunctionLowering, op: Operation) -> None:
    """The truncated quotient, corrected by one where the signs say so and a rest remains."""
    builder = low.builder
    lhs, rhs = low.operands(op)
    kind, bools = lhs.type, with_lanes_of(i1, lhs.type)
    floor = isinstance(op, arith.FloorDivSIOp)
    quotient = builder.value(llvm.SDivOp, (lhs, rhs), kind)
    rest = builder.value(llvm.SRemOp, (lhs, rhs), kind)
    zero = builder.integer(0, kind)
    inexact = builder.value(llvm.ICmpOp, (rest, zero), bools, PREDICATES["ne"])
    signs = builder.value(llvm.XOrOp, (lhs, rhs), kind)
    wanted = PREDICATES["slt" if floor else "sge"]
    rounded = builder.value(llvm.ICmpOp, (signs, zero), bools, wanted)
    wrong = builder.value(llvm.AndOp, (inexact, rounded), bools)
    # A true i1 sign-extends to -1, which is what floor has to add.
    step = builder.value(llvm.SExtOp, (wrong,), kind)
    kind_of_step = llvm.AddOp if floor else llvm.SubOp
    low.values[op.results[0]] = builder.value(kind_of_step, (quotient, step), kind)


@rule(arith.CeilDivUIOp)
def lower_ceildivui(low: FunctionLowering, op: arith.CeilDivUIOp) -> None:
    """(lhs - 1) / rhs + 1, or 0 for 0."""
    builder = low.builder
    lhs, rhs = low.operands(op)
    kind = lhs.type
    zero, one = builder.integer(0, kind), builder.integer(1, kind)
    less = builder.value(llvm.SubOp, (lhs, one), kind)
    quotient = builder.value(llvm.UDivOp, (less, rhs), kind)
    more = builder.value(llvm.AddOp, (quotient, one), kind)
    bools = with_lanes_of(i1, kind)
    empty = builder.value(llvm.ICmpOp, (lhs, zero), bools, PREDICATES["eq"])
    low.values[op.result] = builder.value(llvm.SelectOp, (empty, zero, more), kind, FAST_NONE)


@rule(arith.AddUIExtendedOp)
def lower_addui_extended(low: FunctionLowering, op: arith.AddUIExtendedOp) -> None:
    lhs, rhs = low.operands(op)
    total = low.builder.value(llvm.AddOp, (lhs, rhs), lhs.type)
    bools = with_lanes_of(i1, lhs.type)
    low.values[op.sum] = total
    low.values[op.overflow] = low.builder.value(llvm.ICmpOp, (total, lhs), bools, PREDICATES["ult"])


@rule(arith.MulUIExtendedOp, arith.MulSIExtendedOp)
def lower_mul_extended(low: FunctionLowering, op: Operation) -> None:
    """The product in twice the width, cut into its halves."""
    builder = low.builder
    signed = isinstance(op, arith.MulSIExtendedOp)
    operands: Sequence[SSAValue] = low.operands(op)
    kind = operands[0].type
    width = cast(IntegerType, element_type(kind)).width.data
    wide = with_lanes_of(IntegerType(2 * width), kind)
    extension = llvm.SExtOp if signed else llvm.ZExtOp
    operands = [builder.value(extension, (operand,), wide) for operand in operands]
    product = builder.value(llvm.MulOp, operands, wide)
    high = builder.value(llvm.LShrOp, (product, builder.integer(width, wide)), wide)
    low.values[op.results[0]] = builder.value(llvm.TruncOp, (product,), kind)
    low.values[op.results[1]] = builder.value(llvm.TruncOp, (high,), kind)


@rule(math.AbsIOp)
def lower_absi(low: FunctionLowering, op: math.AbsIOp) -> None:
    (value,) = low.operands(op)
    properties = {"is_int_min_poison": _FALSE}
    low.values[op.result] = low.builder.value(llvm.AbsOp, (value,), value.type, properties)


@rule(math.CountLeadingZerosOp)
def lower_ctlz(low: FunctionLowering, op: math.CountLeadingZerosOp) -> None:
    (value,) = low.operands(op)
    properties = {"is_zero_poison": _FALSE}
    low.values[op.result] = low.builder.value(
        llvm.CountLeadingZerosOp, (value,), value.type, properties
    )


@rule(math.CountTrailingZerosOp)
def lower_cttz(low: FunctionLowering, op: math.CountTrailingZerosOp) -> None:
    (value,) = low.operands(op)
    properties = {"is_zero_poison": _FALSE}
    low.values[op.result] = low.builder.value(
        llvm.CountTrailingZerosOp, (value,), value.type, properties
    )
