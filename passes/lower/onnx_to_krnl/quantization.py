"""QuantizeLinear and DequantizeLinear, whose scales broadcast once `onnx-align-operands` ran, and
DynamicQuantizeLinear, which finds its scale by a pass over the data."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects import arith
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.elements import element_of_code
from dialects.onnx.types import element_type_of, f32, is_none
from passes.lower.index import Affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import pointwise, root
from passes.lower.onnx_to_krnl.scalars import (
    REDUCTION,
    Quantized,
    Scalar,
    Scalars,
    accumulator_type,
)

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
    return quantized(s, value, zero, element)


@pointwise("DequantizeLinear")
def dequantize_linear(s: Scalars, op: OnnxOp, operands: Operands) -> Scalar:
    """(x - zero point) * scale."""
    x, scale, zero = (*operands, None)[:3]
    assert x is not None and scale is not None
    element = element_type_of(op.results[0].type)
    kind = accumulator_type(element)
    before = s.quantized.get(x.value)
    if zero is not None and before is not None and before.zero == zero.value:
        # Adding 0 to what is -0 makes it the 0 that the integer is.
        x = s.add(before.steps, s.like(0, before.steps))
    elif zero is not None:
        wide = i32 if isinstance(x.element, IntegerType) else kind
        x = s.sub(s.cast(x, wide), s.cast(zero, wide))
    product = s.mul(s.cast(x, kind), s.cast(scale, kind))
    return s.cast(product, element)


def quantized(s: Scalars, value: Scalar, zero: Scalar | None, element: IntegerType) -> Scalar:
    """saturate(round_half_even(value) + zero point); NaN becomes the lowest number.

    Of at most 16 bits, the value is kept in range before it is rounded: that and the conversion
    are one instruction then, and limits of the integer are what machines pack with.
    """
    if element.width.data > 16 or value.element != f32:
        value = s.unary(math.RoundEvenOp, value)
        value = value if zero is None else s.add(value, s.cast(zero, value.element))
        return saturated(s, value, element)
    low, high = s.lowest(element), s.highest(element)
    limits = [s.cast(limit, f32) for limit in (low, high)]
    if zero is not None:
        limits = [s.sub(limit, s.cast(zero, f32)) for limit in limits]
    steps = s.unary(math.RoundEvenOp, bounded(s, value, *limits))
    whole = s.cast(steps, i32)
    if zero is not None:
        whole = s.add(whole, s.cast(zero, i32))
    whole = s.min(s.max(whole, s.cast(low, i32)), s.cast(high, i32))
    made = s.cast(whole, element)
    if zero is not None:
        s.quantized[made.value] = Quantized(steps, zero.value)
    return made


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
    return s.cast(bounded(s, value, low, high), element)


def bounded(s: Scalars, value: Scalar, low: Scalar, high: Scalar) -> Scalar:
    """The nearest number from low to high; low for NaN."""
    return s.binary(arith.MinnumfOp, s.binary(arith.MaxnumfOp, value, low), high)


@root("DynamicQuantizeLinear", fuses="none")
def dynamic_quantize_linear(k: Kernel, op: OnnxOp) -> None:
    """ui8 numbers, scale and zero point, so that 0 and all elements are in range.

    Two passes over the data: the smallest and largest element, then the numbers.
    """
    s, source = k.s, op.operands[0]
    y, y_scale, y_zero = op.results
    kind, element = k.element(source), k.element(y)
    assert isinstance(element, IntegerType)
    layout, dims = k.layout(source), k.dims(source)
    extents = [dims[axis] for axis in layout.loop_order]

    def extremes(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        x = k.read(source, k.logical(layout, taps))
        return [s.min(carried[0], x, REDUCTION), s.max(carried[1], x, REDUCTION)]

    low, high = k.reduce(extents, [s.highest(kind), s.lowest(kind)], extremes)
    none = s.const(0, kind)
    low, high = s.min(low, none), s.max(high, none)
    most = s.cast(s.highest(element), kind)
    scale = s.div(s.sub(high, low), most)
    place = s.min(s.max(s.sub(none, s.div(low, scale)), none), most)
    zero = s.cast(s.unary(math.RoundEvenOp, place), element)
    for result, value in ((y_scale, scale), (y_zero, zero)):
        if not is_none(result):
            k.give(result, [], value)

    def body(ivs: list[Affine]) -> None:
        entries = k.logical(layout, ivs)
        value = s.div(k.read(source, entries), scale)
        k.give(y, entries, quantized(s, value, zero, element))

    k.nest(extents, body)
