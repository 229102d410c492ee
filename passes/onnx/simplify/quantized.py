"""Quantized operators as sums of integer products and changes of scale.

    QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b)
        -> QuantizeLinear(Cast(ConvInteger(x, w, xz, wz) + b) * (xs * ws / ys), 1, yz)

Sums are exact in i32; the change of scale is one product in float32, rounded half to even, as in
ONNX Runtime. So one integer product serves all operators, and the rest is pointwise and fuses.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto
from xdsl.ir import SSAValue

from dialects.onnx.dims import product as product_of
from dialects.onnx.dims import sign
from dialects.onnx.ops import OnnxOp
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite

BYTES = ("int8", "uint8")
"""Element types of which integer operators make products."""


def aligned(r: Rewriter, value: SSAValue, trailing: int = 0) -> SSAValue:
    """A scale, zero point or bias so that it broadcasts.

    One element becomes a scalar, a vector gets ``trailing`` axes of 1; with more axes it stays.
    """
    dims = r.dims(value)
    if dims is None or (len(dims) > 1 and any(dim != 1 for dim in dims)):
        return value
    target = () if all(dim == 1 for dim in dims) else (*dims, *[1] * trailing)
    if target == dims:
        return value
    array = r.constant(value)
    if array is not None:
        return r.const(array.reshape(target))  # type: ignore[arg-type]
    return r.reshape(value, target) or value


def is_single(r: Rewriter, value: SSAValue) -> bool:
    """Whether a value is certain to have one element."""
    dims = r.dims(value)
    return dims is not None and all(dim == 1 for dim in dims)


def float32(r: Rewriter, value: SSAValue) -> SSAValue:
    """A number or tensor as float32."""
    array = r.constant(value)
    if r.dtype(value) == np.float32:
        return value
    if array is not None:
        return r.const(array.astype(np.float32))
    return r.make("Cast", value, to=TensorProto.FLOAT)


def product(r: Rewriter, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """lhs * rhs of scales in float32."""
    return _combined(r, "Mul", lhs, rhs)


def quotient(r: Rewriter, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """lhs / rhs of scales in float32."""
    return _combined(r, "Div", lhs, rhs)


def _combined(r: Rewriter, name: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    lhs, rhs = float32(r, lhs), float32(r, rhs)
    a, b = r.constant(lhs), r.constant(rhs)
    if a is None or b is None:
        return r.make(name, lhs, rhs)
    with np.errstate(all="ignore"):
        return r.const(np.asarray(a * b if name == "Mul" else a / b), "scale")


def dequantized(r: Rewriter, x: SSAValue, scale: SSAValue, zero: SSAValue | None) -> SSAValue:
    """(x - zero) * scale, of one scale."""
    return r.make("DequantizeLinear", x, aligned(r, scale), _zero(r, zero))


def quantized(
    r: Rewriter, value: SSAValue, scale: SSAValue | None, zero: SSAValue | None, like: SSAValue
) -> SSAValue:
    """saturate(round(value / scale) + zero), for a ``scale`` of None / 1.

    Without a zero point the result has the element type of ``like``.
    """
    if zero is None:
        zero = r.const(np.zeros((), r.dtype(like)), "zero_point")
    one = scale is None
    divisor = r.const(np.array(1, np.float32), "one") if one else aligned(r, scale)
    if is_single(r, zero):
        return r.make("QuantizeLinear", value, divisor, _zero(r, zero))
    # ONNX's QuantizeLinear has no zero points with axes of their own.
    dtype = r.dtype(zero)
    limits = np.iinfo(dtype)  # type: ignore[arg-type]
    whole = r.make("Round", value if one else r.make("Div", value, divisor))
    shifted = r.make("Add", whole, float32(r, zero))
    bounds = (r.number(float(bound), shifted) for bound in (limits.min, limits.max))
    return r.make("Cast", r.make("Clip", shifted, *bounds), to=_code(dtype))


def _zero(r: Rewriter, zero: SSAValue | None) -> SSAValue | None:
    return None if zero is None else aligned(r, zero)


def _code(dtype: np.dtype | None) -> int:
    return TensorProto.INT8 if dtype == np.int8 else TensorProto.UINT8


def rescaled(r: Rewriter, total: SSAValue, scale: SSAValue) -> SSAValue:
    """An i32 sum in units of ``scale`` as float32."""
    return r.make("Mul", r.make("Cast", total, to=TensorProto.FLOAT), scale)


def is_bytes(r: Rewriter, *values: SSAValue) -> bool:
    """Whether all values are tensors of i8 or ui8."""
    return all((dtype := r.dtype(v)) is not None and dtype.name in BYTES for v in values)


CONVOLUTION = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
"""The attributes of all convolutions."""


def integer_convolution(
    r: Rewriter,
    op: OnnxOp,
    data: SSAValue,
    weight: SSAValue,
    zeros: tuple[SSAValue | None, SSAValue | None],
    bias: SSAValue | None,
) -> SSAValue:
    """ConvInteger with the attributes of another convolution, plus a bias [M] in i32."""
    held = {**op.attributes, **op.properties}
    kept = {name: held[name] for name in CONVOLUTION if name in held}
    data_zero, weight_zero = zeros
    operands = [data, weight, _zero(r, data_zero), _zero(r, weight_zero)]
    total = r.build(r.class_of("ConvInteger"), operands, {}, kept)
    if bias is None:
        return total
    return r.make("Add", total, aligned(r, bias, len(r.dims(weight) or ()) - 2))


@rewrite("QLinearConv")
def qlinear_conv(r: Rewriter, op: OnnxOp) -> Replacement:
    """QLinearConv(x, w, b) -> ConvInteger(x, w) + b, requantized"""
    x, xs, xz, w, ws, wz, ys, yz = op.operands[:8]
    dims = r.dims(w)
    if dims is None:
        return None
    total = integer_convolution(r, op, x, w, (xz, wz), present(op, 8))
    per_channel = aligned(r, ws, len(dims) - 2)
    scale = quotient(r, product(r, aligned(r, xs), per_channel), aligned(r, ys))
    return quantized(r, rescaled(r, total, scale), None, yz, x)


def rows(r: Rewriter, value: SSAValue, matrix: SSAValue) -> SSAValue:
    """A scale or zero point with one element, or one for each row of a matrix."""
    return aligned(r, value, 1 if len(r.dims(matrix) or ()) > 1 else 0)


def transposed(r: Rewriter, matrix: SSAValue, wanted: bool) -> SSAValue:
    """A matrix, or its transposition."""
    array = r.constant(matrix)
    if not wanted:
        return matrix
    if array is not None:
        return r.const(np.ascontiguousarray(array.T), "transposed")
    return r.make("Transpose", matrix, perm=(1, 0))


@rewrite("QLinearMatMul")
def qlinear_matmul(r: Rewriter, op: OnnxOp) -> Replacement:
    """QLinearMatMul(a, b) -> MatMulInteger(a, b), requantized"""
    a, a_scale, az, b, b_scale, bz, y_scale, yz = op.operands
    if r.dims(a) is None or r.dims(b) is None:
        return None
    if not is_bytes(r, a, b):
        value = r.make("MatMul", dequantized(r, a, a_scale, az), dequantized(r, b, b_scale, bz))
        return quantized(r, value, y_scale, yz, a)
    total = r.make("MatMulInteger", a, b, az, bz)
    scale = product(r, rows(r, a_scale, a), aligned(r, b_scale))
    scale = quotient(r, scale, rows(r, y_scale, a))
    return quantized(r, rescaled(r, total, scale), None, rows(r, yz, a), a)


def is_not_zero(r: Rewriter, zero: SSAValue) -> bool:
    array = r.constant(zero)
    return array is None or bool(array.any())


@rewrite("QuantizeLinear", "DequantizeLinear")
def without_zero(r: Rewriter, op: OnnxOp) -> Replacement:
    """QuantizeLinear(x, s, 0) -> QuantizeLinear(x, s) to ui8; DequantizeLinear of any integers"""
    zero = present(op, 2)
    dtype = None if zero is None else r.dtype(zero)
    if zero is None or dtype is None or dtype.kind not in "iu" or is_not_zero(r, zero):
        return None
    if op.OP_TYPE == "QuantizeLinear" and (dtype != np.uint8 or op.get("output_dtype")):
        return None
    return r.like(op, list(op.operands[:2]))


@rewrite("QuantizeLinear")
def quantize_of_dequantized(r: Rewriter, op: OnnxOp) -> Replacement:
    """QuantizeLinear(DequantizeLinear(x, s, z), s, z) -> x, for bytes"""
    inner = r.producer(op.operands[0], "DequantizeLinear")
    if inner is None or r.dtype(inner.operands[0]) != r.dtype(op.results[0]):
        return None
    dtype, scale = r.dtype(op.results[0]), r.scalar(op.operands[1])
    if dtype is None or dtype.name not in BYTES or scale is None or not 1e-30 < scale < 1e30:
        return None
    zeros = [0 if present(each, 2) is None else r.scalar(each.operands[2]) for each in (op, inner)]
    same = scale == r.scalar(inner.operands[1]) and None not in zeros and zeros[0] == zeros[1]
    return inner.operands[0] if same else None


@rewrite("Gather")
def gather_of_dequantized(r: Rewriter, op: OnnxOp) -> Replacement:
    """Gather(DequantizeLinear(x, s, z), i) -> DequantizeLinear(Gather(x, i), s, z)

    Only what is taken of a table is dequantized then. Scales along the gathered axis, or of blocks
    along another one, are gathered, too.
    """
    inner = r.producer(op.operands[0], "DequantizeLinear")
    if inner is None:
        return None
    (x, scale), zero, index = inner.operands[:2], present(inner, 2), op.operands[1]
    dims, places, taken = r.dims(x), r.dims(index), r.dims(op.results[0])
    if dims is None or places is None or taken is None:
        return None
    if sign(product_of(taken) - product_of(dims)) == 1:
        return None
    axis = (op.get("axis") or 0) % len(dims)
    picked = r.like(op, [x, index])
    if is_single(r, scale):
        return r.like(
            inner, [picked, aligned(r, scale), _zero(r, zero)], axis=None, block_size=None
        )
    of_scale = inner.get("axis")
    of_scale = (1 if of_scale is None else of_scale) % len(dims)
    is_blocked = len(r.dims(scale) or ()) > 1
    if of_scale != axis:
        if is_blocked:
            scale, zero = (None if v is None else r.like(op, [v, index]) for v in (scale, zero))
        moved = of_scale + (len(places) - 1 if of_scale > axis else 0)
        return r.like(inner, [picked, scale, zero], axis=moved)
    if is_blocked or not is_bytes(r, x) or r.dtype(scale) != np.float32:
        return None
    of_rows = (None if v is None else aligned(r, v, len(dims) - 1 - axis) for v in (scale, zero))
    scales, zeros = (None if v is None else r.like(op, [v, index], axis=0) for v in of_rows)
    assert scales is not None
    numbers = float32(r, picked)
    if zeros is not None:
        numbers = r.make("Sub", numbers, float32(r, zeros))
    return r.make("Mul", numbers, scales)
