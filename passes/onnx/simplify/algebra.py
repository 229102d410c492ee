"""Arithmetic in cheaper forms that give the same numbers."""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from passes.onnx.simplify.rewriter import Replacement, Rewriter, rewrite


@rewrite("Pow")
def power(r: Rewriter, op: OnnxOp) -> Replacement:
    """x ** 2 -> x * x; x ** 3 -> (x * x) * x; x ** 0.5 -> sqrt(x); x ** -1 -> 1 / x; x ** -0.5"""
    x, exponent = op.operands[0], r.scalar(op.operands[1])
    if not r.is_float(x) or x.type != op.results[0].type:
        return None
    if exponent == 2:
        return r.make("Mul", x, x)
    if exponent == 3:
        return r.make("Mul", r.make("Mul", x, x), x)
    if exponent == 0.5:
        return r.make("Sqrt", x)
    if exponent == -1:
        return r.make("Reciprocal", x)
    return r.make("Reciprocal", r.make("Sqrt", x)) if exponent == -0.5 else None


@rewrite("Div")
def division(r: Rewriter, op: OnnxOp) -> Replacement:
    """x / c -> x * (1 / c) for powers of two, where that is exact; 1 / x -> Reciprocal(x)"""
    lhs, rhs = op.operands
    if not r.is_float(lhs) or "broadcast" in op.DEFAULTS:
        return None
    if r.scalar(lhs) == 1 and rhs.type == op.results[0].type:
        return r.make("Reciprocal", rhs)
    divisor = r.constant(rhs)
    if divisor is None or divisor.size > 65536 or not _has_exact_reciprocal(divisor):
        return None
    return r.make("Mul", lhs, r.const((1 / divisor).astype(divisor.dtype), "reciprocal"))


@rewrite("MatMul")
def product_of_scaled(r: Rewriter, op: OnnxOp) -> Replacement:
    """(c * x) @ (d * y) -> x @ (c * d * y): attention scales queries and keys by equal parts

    x being a single row, it is scaled instead: (c * d * x) @ y.
    """
    dtype, dims = r.dtype(op.results[0]), r.dims(op.operands[0])
    left, right = _scaled(r, op.operands[0]), _scaled(r, op.operands[1])
    if right is None or dtype is None or dtype.itemsize < 4:
        return None
    if dims is not None and (len(dims) == 1 or dims[-2] == 1):
        x, factor = left or (op.operands[0], 1.0)
        if r.dtype(x) != dtype:
            return None
        return r.like(op, [r.make("Mul", x, r.number(factor * right[1], x)), right[0]])
    if left is None:
        return None
    factor = r.number(left[1] * right[1], op.results[0])
    return r.like(op, [left[0], r.make("Mul", right[0], factor)])


def _scaled(r: Rewriter, value: SSAValue) -> tuple[SSAValue, float] | None:
    """(x, c) of a value c * x that nothing else uses."""
    product = r.single(value, "Mul")
    for place in (0, 1) if product is not None else ():
        factor = r.scalar(product.operands[place])  # type: ignore[union-attr]
        other = product.operands[1 - place]  # type: ignore[union-attr]
        if factor is not None and other.type == value.type and r.is_float(other):
            return other, factor
    return None


def _has_exact_reciprocal(array: np.ndarray) -> bool:
    """Whether all elements are powers of two far from the ends of half precision's exponents."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    return bool((np.abs(mantissa) == 0.5).all() and (np.abs(exponent) < 14).all())
