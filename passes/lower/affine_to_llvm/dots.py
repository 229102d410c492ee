"""`vector.contract`: a dot product of short integers in each lane, as one instruction where there
is one.

    pmaddwd    i32 += i16 * i16 + i16 * i16          SSE2, AVX2, AVX-512BW
    pmaddubsw  i16 = u8 * i8 + u8 * i8, saturated    SSSE3, AVX2, AVX-512BW
    vpdpbusd   i32 += four times u8 * i8             AVX-VNNI, AVX-512 VNNI

Sums are those of the portable form, modulo 2^32: pmaddubsw is taken only where the operation says
that pairs of products fit 16 bits (`short_pairs`), pmaddwd by ones then adds up its sums.
"""

from __future__ import annotations

from functools import reduce

from xdsl.dialects.builtin import IntegerType, StringAttr, VectorType, i8, i16, i32
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import arith, llvm, vector
from passes.lower.affine_to_llvm.builder import NO_OVERFLOW_FLAGS, Builder
from passes.lower.affine_to_llvm.constants import i32_array, vector_of
from passes.lower.affine_to_llvm.function import FunctionLowering, rule
from passes.lower.affine_to_llvm.types import element_type, lanes
from passes.lower.affine_to_llvm.vectors import select_lanes

PMADDUBSW = {4: "ssse3.pmadd.ub.sw.128", 8: "avx2.pmadd.ub.sw", 16: "avx512.pmaddubs.w.512"}
PMADDWD = {4: "sse2.pmadd.wd", 8: "avx2.pmadd.wd", 16: "avx512.pmaddw.d.512"}
VPDPBUSD = {4: "avx512.vpdpbusd.128", 8: "avx512.vpdpbusd.256", 16: "avx512.vpdpbusd.512"}
"""LLVM's intrinsics by the number of 32-bit lanes."""


@rule(vector.ContractionOp)
def lower_contraction(low: FunctionLowering, op: vector.ContractionOp) -> None:
    """Chooses by the pass's `dot-products`, the shape and what the operands are extended from."""
    builder, known = low.builder, low.module.dot_products
    lhs, rhs, acc = low.operands(op)
    count = lanes(acc.type)
    group = lanes(lhs.type) // count
    is_i32 = element_type(acc.type) == i32
    narrow = [_extended(low, op.lhs, arith.ExtUIOp), _extended(low, op.rhs, arith.ExtSIOp)]
    if known == "vpdpbusd" and is_i32 and group == 4 and count in VPDPBUSD and all(narrow):
        operands = [acc, *(value for value in narrow if value is not None)]
        low.values[op.result] = _intrinsic(builder, VPDPBUSD[count], operands, acc.type)
        return
    is_short = "short_pairs" in op.attributes and all(narrow)
    if known != "none" and is_i32 and group == 4 and count in PMADDUBSW and is_short:
        operands = [value for value in narrow if value is not None]
        total = _fours(builder, operands, acc.type)
    elif known != "none" and is_i32 and count in PMADDWD and element_type(lhs.type) == i16:
        total = _pairs(builder, lhs, rhs, acc.type)
    else:
        total = _products(builder, lhs, rhs, acc.type)
    low.values[op.result] = builder.value(llvm.AddOp, (acc, total), acc.type, NO_OVERFLOW_FLAGS)


def _extended(low: FunctionLowering, value: SSAValue, by: type[Operation]) -> SSAValue | None:
    """The bytes that a value is extended from by an operation of this kind."""
    owner = value.owner
    if isinstance(owner, by) and element_type(owner.operands[0].type) == i8:
        return low.values[owner.operands[0]]
    return None


def _intrinsic(builder: Builder, name: str, operands: list[SSAValue], kind: Attribute) -> SSAValue:
    properties = {
        "intrin": StringAttr(f"llvm.x86.{name}"),
        "fastmathFlags": llvm.NO_FAST_MATH,
        "op_bundle_sizes": i32_array(),
        "operandSegmentSizes": i32_array(len(operands), 0),
    }
    return builder.value(llvm.CallIntrinsicOp, operands, kind, properties)


def _pairs(builder: Builder, lhs: SSAValue, rhs: SSAValue, kind: Attribute) -> SSAValue:
    """Sums of pairs by pmaddwd; of larger groups pair by pair."""
    count = lanes(kind)
    group = lanes(lhs.type) // count
    sums = [
        _intrinsic(
            builder,
            PMADDWD[count],
            [select_lanes(builder, v, _part(count, group, first, 2)) for v in (lhs, rhs)],
            kind,
        )
        for first in range(0, group - group % 2, 2)
    ]
    return _sum(builder, sums, kind)


def _fours(builder: Builder, operands: list[SSAValue], kind: Attribute) -> SSAValue:
    """Sums of four products of bytes: pmaddubsw, then pairs of what that gives."""
    count = lanes(kind)
    words = vector_of(i16, 2 * count)
    pairs = _intrinsic(builder, PMADDUBSW[count], operands, words)
    ones = builder.integer(1, words)
    return _intrinsic(builder, PMADDWD[count], [pairs, ones], kind)


def _products(builder: Builder, lhs: SSAValue, rhs: SSAValue, kind: Attribute) -> SSAValue:
    """Sums of products of the lanes as they come, which any target has instructions for."""
    element, count = element_type(kind), lanes(kind)
    group = lanes(lhs.type) // count
    wide = vector_of(element, count * group)
    extended = [_wide(builder, value, wide) for value in (lhs, rhs)]
    products = builder.value(llvm.MulOp, extended, wide, NO_OVERFLOW_FLAGS)
    parts = [select_lanes(builder, products, _part(count, group, j, 1)) for j in range(group)]
    return _sum(builder, parts, kind)


def _wide(builder: Builder, value: SSAValue, kind: VectorType) -> SSAValue:
    same = element_type(value.type) == kind.element_type
    assert isinstance(element_type(value.type), IntegerType)
    return value if same else builder.value(llvm.SExtOp, (value,), kind)


def _part(count: int, group: int, first: int, width: int) -> list[int]:
    """The lanes of `width` numbers of every group, from number `first` on."""
    return [lane * group + first + j for lane in range(count) for j in range(width)]


def _sum(builder: Builder, parts: list[SSAValue], kind: Attribute) -> SSAValue:
    def add(lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return builder.value(llvm.AddOp, (lhs, rhs), kind, NO_OVERFLOW_FLAGS)

    return reduce(add, parts)
