"""QuantizeLinear and DequantizeLinear, whose scales broadcast once `onnx-align-operands` ran."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects import arith
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.elements import element_of_code
from dialects.onnx.types import element_type_of
from passes.lower.onnx_to_krnl.registry import pointwise
from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars, accumulator_type

Operands = Sequence[Scalar | None]
i32 = IntegerType(32)


@pointwise("QuantizeLinear")
def quantize_linear(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """saturate(round_half_even(x / scale) + zero point)."""
    x, scale, zero = (*operands, None)[:3]
    assert x is not None and scale is not None
    code = op.get("precision")
    kind = accumulator_type(element_of_code(code) if code else scale.element)
    element = element_type_of(op.results[0].type)
    value = s.div(s.cast(x, kind), s.cast(scale, kind))
    if not isinstance(element, IntegerType):
        value = value if zero is None else s.add(value, s.cast(zero, kind))
        return s.cast(value, element, op.get("saturate") != 0)
    value = s.unary(math.RoundEvenOp, value)
    value = value if zero is None else s.add(value, s.cast(zero, kind))
    return saturated(s, value, element)


@pointwise("DequantizeLinear")
def dequantize_linear(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """(x - zero point) * scale."""
    x, scale, zero = (*operands, None)[:3]
    assert x is not None and scale is not None
    element = element_type_of(op.results[0].type)
    kind = accumulator_type(element)
    if zero is not None:
        wide = i32 if isinstance(x.element, IntegerType) else kind
        x = s.sub(s.cast(x, wide), s.cast(zero, wide))
    product = s.mul(s.cast(x, kind), s.cast(scale, kind))
    return s.cast(product, element)


def rounded(s: Scalars, value: Scalar, element: Attribute) -> Scalar:
    """A float as another type: for integers rounded half to even, at their limits where beyond."""
    if not isinstance(element, IntegerType):
        return s.cast(value, element)
    return saturated(s, s.unary(math.RoundEvenOp, value), element)


def saturated(s: Scalars, value: Scalar, element: Attribute) -> Scalar:
    """A whole number in a float as an integer, at the type's limits where it is beyond them.

    NaN becomes the lowest, as in onnxruntime. With a constant, maxnum is one instruction.
    """
    low, high = (s.cast(limit(element), value.element) for limit in (s.lowest, s.highest))
    bounded = s.binary(arith.MinnumfOp, s.binary(arith.MaxnumfOp, value, low), high)
    return s.cast(bounded, element)
