"""Quantized operators of ONNX Runtime's domain as standard ones.

Products and global means are exact sums of integers; what ONNX Runtime computes in float32 between
two quantizations (sums, activations, pools) is computed so here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from xdsl.ir import Attribute, SSAValue

from dialects.onnx.ops import OnnxOp, class_of_schema_version
from dialects.onnx.shape import NodeShapes, infer_types
from dialects.onnx.shape.custom import MS
from passes.onnx.simplify.quantized import (
    aligned,
    dequantized,
    float32,
    integer_convolution,
    product,
    quantized,
    quotient,
    rescaled,
    rows,
    transposed,
)
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite


@rewrite("QuantizeLinear", "DequantizeLinear", domain=MS)
def linear(r: Rewriter, op: OnnxOp) -> Replacement:
    """The standard operators, which take the same types and any axis since opset 21"""
    name = NodeShapes(op, r).op_type
    kept = {"axis": op.attributes["axis"]} if "axis" in op.attributes else {}
    operands = [op.operands[0], op.operands[1], present(op, 2)]
    return r.build(class_of_schema_version("", name, 21), operands, {}, kept)


@rewrite("QLinearAdd", domain=MS)
def qlinear_add(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized sum of dequantized operands"""
    a, b = (dequantized(r, op.operands[i], op.operands[i + 1], present(op, i + 2)) for i in (0, 3))
    return quantized(r, r.make("Add", a, b), op.operands[6], present(op, 7), op.operands[0])


@rewrite("QLinearMul", domain=MS)
def qlinear_mul(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized product; that of the integers is exact"""
    a, b = (_centered(r, op.operands[i], present(op, i + 2)) for i in (0, 3))
    scale = product(r, aligned(r, op.operands[1]), aligned(r, op.operands[4]))
    scale = quotient(r, scale, aligned(r, op.operands[6]))
    value = rescaled(r, r.make("Mul", a, b), scale)
    return quantized(r, value, None, present(op, 7), op.operands[0])


def _centered(r: Rewriter, value: SSAValue, zero: SSAValue | None) -> SSAValue:
    """value - zero in i32."""
    wide = r.make("Cast", value, to=TensorProto.INT32)
    if zero is None or r.scalar(zero) == 0:
        return wide
    return r.make("Sub", wide, r.make("Cast", aligned(r, zero), to=TensorProto.INT32))


def _around(r: Rewriter, op: OnnxOp, name: str, **attributes: Any) -> Replacement:
    """Dequantize, a standard operator, quantize."""
    value = dequantized(r, op.operands[0], op.operands[1], present(op, 2))
    value = r.make(name, value, **attributes)
    return quantized(r, value, op.operands[3], present(op, 4), op.operands[0])


@rewrite("QLinearSigmoid", domain=MS)
def qlinear_sigmoid(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized sigmoid of a dequantized operand"""
    return _around(r, op, "Sigmoid")


@rewrite("QLinearLeakyRelu", domain=MS)
def qlinear_leaky_relu(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized LeakyRelu of a dequantized operand"""
    alpha = op.get("alpha")
    return _around(r, op, "LeakyRelu", alpha=0.01 if alpha is None else float(alpha))


@rewrite("QLinearSoftmax", domain=MS)
def qlinear_softmax(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized Softmax of a dequantized operand; attribute `opset` says of which version"""
    value = dequantized(r, op.operands[0], op.operands[1], present(op, 2))
    version = 13 if op.get("opset") >= 13 else 11
    cls, axis = class_of_schema_version("", "Softmax", version), op.get("axis")
    value = r.build(cls, [value], {"axis": axis})
    return quantized(r, value, op.operands[3], present(op, 4), op.operands[0])


@rewrite("QLinearReduceMean", domain=MS)
def qlinear_reduce_mean(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized mean of a dequantized operand"""
    value = dequantized(r, op.operands[0], op.operands[1], present(op, 2))
    cls = class_of_schema_version("", "ReduceMean", 13)
    keep = op.get("keepdims")
    axes = op.get("axes")
    attributes = {
        "axes": None if axes is None else tuple(axes),
        "keepdims": 1 if keep is None else keep,
    }
    value = r.build(cls, [value], attributes)
    return quantized(r, value, op.operands[3], present(op, 4), op.operands[0])


@rewrite("QLinearWhere", domain=MS)
def qlinear_where(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized choice of dequantized operands"""
    condition, *rest = op.operands
    x, y = (dequantized(r, *rest[i : i + 3]) for i in (0, 3))
    return quantized(r, r.make("Where", condition, x, y), rest[6], rest[7], rest[0])


@rewrite("QLinearConcat", domain=MS)
def qlinear_concat(r: Rewriter, op: OnnxOp) -> Replacement:
    """Operands, each quantized anew, joined"""
    scale, zero, *parts = op.operands
    pieces = [
        quantized(r, dequantized(r, *parts[i : i + 3]), scale, zero, parts[i])
        for i in range(0, len(parts), 3)
    ]
    return r.make("Concat", *pieces, axis=op.get("axis"))


def _channels_first(r: Rewriter, op: OnnxOp, value: SSAValue) -> SSAValue:
    rank = len(r.dims(value) or ())
    if not op.get("channels_last"):
        return value
    return r.make("Transpose", value, perm=(0, rank - 1, *range(1, rank - 1)))


def _as_given(r: Rewriter, op: OnnxOp, value: SSAValue) -> SSAValue:
    rank = len(r.dims(value) or ())
    if not op.get("channels_last"):
        return value
    return r.make("Transpose", value, perm=(0, *range(2, rank), 1))


@rewrite("QLinearGlobalAveragePool", domain=MS)
def qlinear_global_average_pool(r: Rewriter, op: OnnxOp) -> Replacement:
    """Exact sum of the integers * (x scale / (y scale * elements)), quantized"""
    x, x_scale, xz, y_scale, yz = op.operands
    if r.dims(x) is None:
        return None
    data = _channels_first(r, op, x)
    axes = tuple(range(2, len(r.dims(data) or ())))
    total = r.build(
        class_of_schema_version("", "ReduceSum", 11), [_centered(r, data, xz)], {"axes": axes}
    )
    count = float32(r, _elements(r, data))
    scale = quotient(r, aligned(r, x_scale), product(r, aligned(r, y_scale), count))
    return _as_given(r, op, quantized(r, rescaled(r, total, scale), None, yz, x))


def _elements(r: Rewriter, data: SSAValue) -> SSAValue:
    """How many elements an image has."""
    sizes = (r.dims(data) or ())[2:]
    if all(isinstance(size, int) for size in sizes):
        return r.const(np.array(np.prod(sizes, dtype=np.int64)), "elements")  # type: ignore[arg-type]
    shape = r.build(class_of_schema_version("", "Shape", 15), [data], {"start": 2})
    cls = class_of_schema_version("", "ReduceProd", 11)
    return r.build(cls, [shape], {"axes": (0,), "keepdims": 0})


POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")


@rewrite("QLinearAveragePool", domain=MS)
def qlinear_average_pool(r: Rewriter, op: OnnxOp) -> Replacement:
    """Quantized AveragePool of a dequantized operand"""
    if r.dims(op.operands[0]) is None:
        return None
    data = _channels_first(r, op, op.operands[0])
    value = dequantized(r, data, op.operands[1], present(op, 2))
    kept: dict[str, Attribute] = {n: op.attributes[n] for n in POOL if n in op.attributes}
    value = r.build(class_of_schema_version("", "AveragePool", 11), [value], {}, kept)
    value = quantized(r, value, op.operands[3], present(op, 4), op.operands[0])
    return _as_given(r, op, value)


@rewrite("QLinearConv", domain=MS)
def qlinear_conv(r: Rewriter, op: OnnxOp) -> Replacement:
    """The standard QLinearConv, of transposed data where channels come last"""
    x, xs, xz, w, ws, wz, ys, yz = op.operands[:8]
    weights = r.dims(w)
    if weights is None or r.dims(x) is None:
        return None
    data = _channels_first(r, op, x)
    total = integer_convolution(r, op, data, w, (xz, wz), present(op, 8))
    per_channel = aligned(r, ws, len(weights) - 2)
    scale = quotient(r, product(r, aligned(r, xs), per_channel), aligned(r, ys))
    return _as_given(r, op, quantized(r, rescaled(r, total, scale), None, yz, x))


@rewrite("QGemm", domain=MS)
def qgemm(r: Rewriter, op: OnnxOp) -> Replacement:
    """MatMulInteger(A', B') + C in units of alpha * a scale * b scale, float or requantized"""
    a, a_scale, az, b, b_scale, bz = op.operands[:6]
    if r.dims(a) is None or r.dims(b) is None:
        return None
    a = transposed(r, a, bool(op.get("transA")))
    b = transposed(r, b, bool(op.get("transB")))
    total = r.make("MatMulInteger", a, b, az, bz)
    if (addend := present(op, 6)) is not None:
        total = r.make("Add", total, addend)
    alpha = op.get("alpha")
    scale = product(r, rows(r, a_scale, a), aligned(r, b_scale))
    if alpha is not None and alpha != 1:
        scale = product(r, r.number(alpha, scale), scale)
    y_scale = present(op, 7)
    if y_scale is None:
        return rescaled(r, total, scale)
    scale = quotient(r, scale, aligned(r, y_scale))
    return quantized(r, rescaled(r, total, scale), None, present(op, 8), a)


def _to_float(
    r: Rewriter, total: SSAValue, scale: SSAValue, bias: SSAValue | None, dtype: np.dtype | None
) -> SSAValue:
    """total * scale + bias, in float32 or rounded to float16 at the end."""
    value = rescaled(r, total, scale)
    if bias is not None:
        value = r.make("Add", value, float32(r, bias))
    return r.make("Cast", value, to=TensorProto.FLOAT16) if dtype == np.float16 else value


@rewrite("MatMulIntegerToFloat", domain=MS)
def matmul_integer_to_float(r: Rewriter, op: OnnxOp) -> Replacement:
    """MatMulInteger(a, b) * (a scale * b scale) + bias"""
    a, b, a_scale, b_scale = op.operands[:4]
    if r.dims(a) is None or r.dims(b) is None:
        return None
    total = r.make("MatMulInteger", a, b, present(op, 4), present(op, 5))
    scale = product(r, rows(r, a_scale, a), aligned(r, b_scale))
    return _to_float(r, total, scale, present(op, 6), r.dtype(a_scale))


@rewrite("MatMulInteger16", domain=MS)
def matmul_integer16(r: Rewriter, op: OnnxOp) -> Replacement:
    """MatMulInteger, whose lowering takes i16 too"""
    return r.make("MatMulInteger", *op.operands)


@rewrite("DynamicQuantizeMatMul", domain=MS)
def dynamic_quantize_matmul(r: Rewriter, op: OnnxOp) -> Replacement:
    """MatMulInteger(DynamicQuantizeLinear(a), b) * (a scale * b scale) + bias"""
    a, b, b_scale = op.operands[:3]
    if r.dims(a) is None or r.dims(b) is None:
        return None
    quantizer = r.make("DynamicQuantizeLinear", a).owner
    assert isinstance(quantizer, OnnxOp)
    for result, kind in zip(quantizer.results, infer_types(NodeShapes(quantizer, r)), strict=True):
        result._type = kind
    data, a_scale, az = quantizer.results
    total = r.make("MatMulInteger", data, b, az, present(op, 3))
    scale = product(r, a_scale, aligned(r, b_scale))
    return _to_float(r, total, scale, present(op, 4), r.dtype(a))
