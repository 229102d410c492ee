"""`onnx-multiply-integers`: products of dequantized operands as integer products.

    Conv(DequantizeLinear(x), DequantizeLinear(w), b)
        ==>  Cast(ConvInteger(x, w) + b) * (x scale * w scale)

Requires a simplified module with types. Ensures that Conv, MatMul and Gemm of bytes (QDQ models)
are integer products, as in ONNX Runtime. What stands behind a product (activations, QuantizeLinear)
stays and fuses with it. Sums in integers are exact, where those in float32 round: a quantized
number may come out as its neighbour, which is why this is no simplification.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.constants import pool_of
from dialects.onnx.ops import OnnxOp, class_of_schema_version
from dialects.onnx.types import dtype_of
from passes.onnx.editing import erase_dead
from passes.onnx.simplify import Walk, opset_of
from passes.onnx.simplify.duplicates import Seen
from passes.onnx.simplify.identities import clip_bounds
from passes.onnx.simplify.quantized import (
    BYTES,
    aligned,
    integer_convolution,
    is_not_zero,
    is_single,
    product,
    quantize_of_dequantized,
    quantized,
    quotient,
    rescaled,
    transposed,
)
from passes.onnx.simplify.rewriter import Replacement, Rewriter, Rule, present, rewrite

PRODUCTS: dict[tuple[str, str], list[Rule]] = {}
"""The rules of this pass."""

DEEPEST = 1 << 15
"""Products of two 9-bit numbers of which an i32 holds the sum, whatever they are."""


@dataclass(frozen=True)
class MultiplyIntegers(ModulePass):
    """Makes products of dequantized bytes integer products."""

    name = "onnx-multiply-integers"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function in place."""
        pool = pool_of(ctx)
        for function in op.body.block.ops:
            if isinstance(function, FuncOp) and not function.is_declaration:
                Walk(pool, opset_of(op), PRODUCTS).block(function.body.block, Seen(pool))
                erase_dead(function.body.block)
                _dequantize_where_used(function.body.block)


def _dequantize_where_used(block: Block) -> None:
    """Gives every user of dequantized bytes a DequantizeLinear of its own.

    It fuses with the user then, and bytes are what is stored.
    """
    for op in list(block.ops):
        is_bytes = _is_dequantizer(op) and str(dtype_of(op.operands[0].type)) in BYTES
        for use in list(op.results[0].uses)[1:] if is_bytes else ():
            user = use.operation
            if user.parent is block and not isinstance(user, ReturnOp):
                copy = op.clone()
                block.insert_op_before(copy, user)
                user.operands[use.index] = copy.results[0]


def _is_dequantizer(op: Operation) -> bool:
    return isinstance(op, OnnxOp) and not op.DOMAIN and op.OP_TYPE == "DequantizeLinear"


@dataclass(frozen=True)
class Quantized:
    """(data - zero) * scale, with one scale or one along an axis."""

    data: SSAValue
    scale: SSAValue
    zero: SSAValue | None


def dequantized_bytes(r: Rewriter, value: SSAValue, axis: int | None = None) -> Quantized | None:
    """What a float32 tensor is dequantized from: bytes with one scale, or one along ``axis``."""
    op = r.producer(value, "DequantizeLinear")
    if op is None or r.dtype(value) != np.float32 or r.dims(op.operands[0]) is None:
        return None
    data, scale, zero = op.operands[0], op.operands[1], present(op, 2)
    dtype = r.dtype(data)
    if dtype is None or dtype.name not in BYTES or r.dtype(scale) != np.float32:
        return None
    if not is_single(r, scale):
        rank, own = len(r.dims(data) or ()), 1 if op.get("axis") is None else op.get("axis")
        if axis is None or own % rank != axis % rank or len(r.dims(scale) or ()) != 1:
            return None
    return Quantized(data, scale, zero)


def is_shallow(sizes: tuple[object, ...]) -> bool:
    """Whether the sums of that many products are certain to fit i32."""
    return all(isinstance(n, int) for n in sizes) and prod(sizes) <= DEEPEST  # type: ignore[arg-type]


def integer_bias(r: Rewriter, bias: SSAValue | None, scale: SSAValue) -> SSAValue | None:
    """The i32 numbers of a bias [M] in units of ``scale``, if it is given so."""
    op = None if bias is None else r.producer(bias, "DequantizeLinear")
    if op is None or r.dtype(op.operands[0]) != np.int32:
        return None
    zero, own, wanted = present(op, 2), r.constant(op.operands[1]), r.constant(scale)
    if own is None or wanted is None or (zero is not None and is_not_zero(r, zero)):
        return None
    same = own.size == wanted.size and np.allclose(own.ravel(), wanted.ravel(), 1e-5, 0)
    return op.operands[0] if same else None


@rewrite("Conv", table=PRODUCTS)
def conv_of_quantized(r: Rewriter, op: OnnxOp) -> Replacement:
    """Conv(DequantizeLinear(x), DequantizeLinear(w), b) -> ConvInteger(x, w) * scale + b"""
    x, w = dequantized_bytes(r, op.operands[0]), dequantized_bytes(r, op.operands[1], 0)
    dims = r.dims(op.operands[1])
    if x is None or w is None or dims is None or not is_shallow(dims[1:]):
        return None
    spatial, bias = len(dims) - 2, present(op, 2)
    scale = product(r, aligned(r, x.scale), aligned(r, w.scale, spatial))
    whole = integer_bias(r, bias, scale)
    value = rescaled(r, integer_convolution(r, op, x.data, w.data, (x.zero, w.zero), whole), scale)
    if bias is None or whole is not None:
        return value
    return r.make("Add", value, aligned(r, bias, spatial))


@rewrite("MatMul", table=PRODUCTS)
def matmul_of_quantized(r: Rewriter, op: OnnxOp) -> Replacement:
    """MatMul(DequantizeLinear(a), DequantizeLinear(b)) -> MatMulInteger(a, b) * scale"""
    a, b = dequantized_bytes(r, op.operands[0]), dequantized_bytes(r, op.operands[1], -1)
    if a is None or b is None or not is_shallow((r.dims(a.data) or (None,))[-1:]):
        return None
    columns = r.dims(b.data) or ()
    if len(columns) < 2 and not is_single(r, b.scale):
        return None
    total = r.make("MatMulInteger", a.data, b.data, a.zero, b.zero)
    return rescaled(r, total, product(r, aligned(r, a.scale), aligned(r, b.scale)))


@rewrite("Gemm", table=PRODUCTS)
def gemm_of_quantized(r: Rewriter, op: OnnxOp) -> Replacement:
    """Gemm(DequantizeLinear(a), DequantizeLinear(b), c) -> MatMulInteger(a', b') * scale + c"""
    if op.SINCE < 7:
        return None
    a = dequantized_bytes(r, op.operands[0])
    b = dequantized_bytes(r, op.operands[1], 0 if op.get("transB") else 1)
    if a is None or b is None or not is_shallow((r.dims(a.data) or ())[not op.get("transA") :][:1]):
        return None
    lhs = transposed(r, a.data, bool(op.get("transA")))
    rhs = transposed(r, b.data, bool(op.get("transB")))
    total = r.make("MatMulInteger", lhs, rhs, a.zero, b.zero)
    scale = product(r, aligned(r, a.scale), aligned(r, b.scale))
    if op.get("alpha") != 1:
        scale = product(r, scale, r.number(op.get("alpha"), scale))
    addend, beta = present(op, 2), op.get("beta")
    if addend is None or beta == 0:
        return rescaled(r, total, scale)
    whole = integer_bias(r, addend, scale) if beta == 1 else None
    if whole is not None:
        return rescaled(r, r.make("Add", total, whole), scale)
    if beta != 1:
        addend = r.make("Mul", addend, r.number(beta, addend))
    return r.make("Add", rescaled(r, total, scale), addend)


@rewrite("MaxPool", table=PRODUCTS)
def max_pool_of_quantized(r: Rewriter, op: OnnxOp) -> Replacement:
    """MaxPool(DequantizeLinear(x)) -> DequantizeLinear(MaxPool(x)), for a scale above 0"""
    x = dequantized_bytes(r, op.operands[0])
    if (
        x is None
        or not (r.scalar(x.scale) or 0) > 0
        or any(op.results[1].uses if len(op.results) > 1 else ())
    ):
        return None
    held = {**op.attributes, **op.properties}
    pool = r.build(class_of_schema_version("", "MaxPool", 12), [x.data], {}, held)
    return r.make("DequantizeLinear", pool, x.scale, x.zero)


@rewrite("QuantizeLinear", table=PRODUCTS)
def quantize_of_pool(r: Rewriter, op: OnnxOp) -> Replacement:
    """QuantizeLinear(DequantizeLinear(x, s, z), s, z) -> x, once there is a pool between them"""
    return quantize_of_dequantized(r, op)


@rewrite("QuantizeLinear", table=PRODUCTS)
def requantize(r: Rewriter, op: OnnxOp) -> Replacement:
    """QuantizeLinear(Relu(Cast(sum) * a), s, z) -> QuantizeLinear(Cast(sum) * (a / s), 1, z)

    One product in place of a product and a division, as in QLinearConv; the same for each side of a
    sum of two dequantized tensors. A bound that the quantized range has anyway goes.
    """
    scale, zero = r.scalar(op.operands[1]), present(op, 2)
    if scale is None or scale == 1 or r.dtype(op.operands[0]) != np.float32:
        return None
    if r.dtype(op.operands[1]) != np.float32 or op.get("precision"):
        return None
    value = _without_bounds(r, op, scale)
    if value is None:
        return None
    unit = r.const(np.array(scale, np.float32), "scale")
    in_units = _sum_in_integers(r, value, unit) or _sum_of_dequantized(r, value, unit)
    return None if in_units is None else quantized(r, in_units, None, zero, op.results[0])


def _sum_in_integers(r: Rewriter, value: SSAValue, unit: SSAValue) -> SSAValue | None:
    """Cast(sum) * a in units of ``unit``."""
    product_of = r.single(value, "Mul")
    if product_of is None or r.constant(product_of.operands[1]) is None:
        return None
    cast = r.single(product_of.operands[0], "Cast")
    if cast is None or not _is_integer_sum(r, cast.operands[0]):
        return None
    return rescaled(r, cast.operands[0], quotient(r, product_of.operands[1], unit))


def _sum_of_dequantized(r: Rewriter, value: SSAValue, unit: SSAValue) -> SSAValue | None:
    """DequantizeLinear(x) + DequantizeLinear(y) in units of ``unit``."""
    addition = r.single(value, "Add")
    if addition is None:
        return None
    sides = [dequantized_bytes(r, operand) for operand in addition.operands]
    known = [side for side in sides if side and r.constant(side.scale) is not None]
    if len(known) < len(sides):
        return None
    terms = [
        r.make("DequantizeLinear", side.data, quotient(r, side.scale, unit), side.zero)
        for side in known
    ]
    return r.make("Add", *terms)


def _is_integer_sum(r: Rewriter, value: SSAValue) -> bool:
    biased = r.producer(value, "Add")
    sides = [value] if biased is None else list(biased.operands)
    return any(r.producer(side, "ConvInteger", "MatMulInteger") for side in sides)


def _without_bounds(r: Rewriter, op: OnnxOp, scale: float) -> SSAValue | None:
    """The operand without a Relu or Clip that quantization does too; None if it does not."""
    value = op.operands[0]
    bound = r.single(value, "Relu", "Clip")
    if bound is None:
        return value
    dtype, zero = r.dtype(op.results[0]), present(op, 2)
    center = 0 if zero is None else r.scalar(zero)
    low, high = (0, float("inf")) if bound.OP_TYPE == "Relu" else clip_bounds(r, bound)
    if dtype is None or dtype.name not in BYTES or None in (center, low, high):
        return None
    limits = np.iinfo(dtype)
    least, most = ((limit - center) * scale for limit in (limits.min, limits.max))  # type: ignore
    return bound.operands[0] if low <= least and most <= high else None  # type: ignore[operator]
