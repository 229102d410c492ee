"""Arithmetic in cheaper forms that give the same numbers."""

from __future__ import annotations

import numpy as np

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


def _has_exact_reciprocal(array: np.ndarray) -> bool:
    """Whether all elements are powers of two far from the ends of half precision's exponents."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    return bool((np.abs(mantissa) == 0.5).all() and (np.abs(exponent) < 14).all())
