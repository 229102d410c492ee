"""Reshapes and transposes: one instead of several, with constant targets."""

from __future__ import annotations

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import permutation
from passes.onnx.simplify.rewriter import Replacement, Rewriter, constant_target, rewrite


@rewrite("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(r: Rewriter, op: OnnxOp) -> Replacement:
    """Reshape(x) to its own shape -> x; all that reshapes, also twice -> Reshape(x, constant)"""
    x, dims = op.operands[0], r.dims(op.results[0])
    if dims is None:
        return None
    inner = r.producer(x, "Reshape", "Flatten", "Squeeze", "Unsqueeze")
    source = x if inner is None else inner.operands[0]
    if r.dims(source) == dims:
        return source
    if r.dims(x) == dims:
        return x
    target = constant_target(r.dims(source), dims)
    if target is None:
        source, target = x, constant_target(r.dims(x), dims)
    if target is None or (source is x and _is_canonical(r, op, target)):
        return None
    return r.make("Reshape", source, r.const(target, "shape"))


def _is_canonical(r: Rewriter, op: OnnxOp, target: list[int]) -> bool:
    if op.OP_TYPE != "Reshape" or op.SINCE == 1:
        return False
    constant = r.constant(op.operands[1])
    return constant is not None and constant.tolist() == target


@rewrite("Transpose")
def transpose(r: Rewriter, op: OnnxOp) -> Replacement:
    """Transpose that moves nothing -> x, that moves sizes of 1 -> Reshape; of a Transpose -> one"""
    x, dims = op.operands[0], r.dims(op.operands[0])
    if dims is None:
        return None
    perm = permutation(op.get("perm"), len(dims))
    if perm == tuple(range(len(dims))):
        return x
    inner = r.producer(x, "Transpose")
    if inner is not None:
        first = permutation(inner.get("perm"), len(dims))
        return r.make("Transpose", inner.operands[0], perm=tuple(first[axis] for axis in perm))
    moved = [axis for axis in perm if dims[axis] != 1]
    return r.reshape(x, [dims[axis] for axis in perm]) if moved == sorted(moved) else None


@rewrite("Expand")
def expand_to_constant(r: Rewriter, op: OnnxOp) -> Replacement:
    """Expand(x, shape) -> Expand(x, constant) where a constant says the shape"""
    dims, result = r.dims(op.operands[0]), r.dims(op.results[0])
    if dims is None or result is None or r.constant(op.operands[1]) is not None:
        return None
    padded = (1,) * (len(result) - len(dims)) + dims
    target = [1 if size == own else size for size, own in zip(result, padded, strict=True)]
    numbers = [size for size in target if isinstance(size, int)]
    return r.like(op, [op.operands[0], r.const(numbers)]) if len(numbers) == len(target) else None


PRODUCTS = ("Gemm", "MatMul", "Conv")

FUNCTIONS = (
    "Gelu",
    "Relu",
    "LeakyRelu",
    "Elu",
    "Sigmoid",
    "Tanh",
    "Erf",
    "HardSwish",
    "Swish",
    "Mish",
)
"""Operators that have one operand, whatever its shape, and the same number of results."""


@rewrite(*FUNCTIONS)
def behind_a_product(r: Rewriter, op: OnnxOp) -> Replacement:
    """f(Reshape(Gemm(x))) -> Reshape(f(Gemm(x))): computed where the product is, in registers"""
    reshape = r.single(op.operands[0], "Reshape")
    product = None if reshape is None else r.single(reshape.operands[0], *PRODUCTS, *FUNCTIONS)
    while product is not None and product.OP_TYPE in FUNCTIONS:
        product = r.single(product.operands[0], *PRODUCTS, *FUNCTIONS)
    if reshape is None or product is None:
        return None
    return r.like(reshape, [r.like(op, [reshape.operands[0]]), reshape.operands[1]])
