"""Formulas that ONNX has an operator for: Gelu, Swish, HardSwish, HardSigmoid, normalizations."""

from __future__ import annotations

import math

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.node import NodeShapes
from dialects.onnx.shape.reductions import reduced_axes
from passes.onnx.simplify.identities import clip_bounds
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite
from passes.onnx.simplify.terms import Expansion, Terms, close


@rewrite("Mul", "Div")
def activation(r: Rewriter, op: OnnxOp) -> Replacement:
    """x / 2 * (1 + erf(x / sqrt 2)) -> Gelu, the like with tanh; x * sigmoid(a * x) -> Swish

    x * clip(x + 3, 0, 6) / 6 -> HardSwish; clip(x + 3, 0, 6) / 6 -> HardSigmoid
    """
    if not r.is_float(op.results[0]) or op.results[0].type not in (v.type for v in op.operands):
        return None
    terms = Expansion(r, op.results[0]).terms
    for formula in (_gelu, _swish, _hard_sigmoid, _hard_swish):
        found = formula(r, terms)
        if found is not None:
            return found if found.type == op.results[0].type else None
    return None


def _gelu(r: Rewriter, terms: Terms) -> SSAValue | None:
    """{x: 0.5, x * f: 0.5}, f = erf(x / sqrt 2) or tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))"""
    single = [product[0] for product in terms if len(product) == 1]
    pairs = [product for product in terms if len(product) == 2]
    if len(terms) != 2 or len(single) != 1 or len(pairs) != 1:
        return None
    x = single[0]
    factors = list(pairs[0])
    if x not in factors or not all(close(c, 0.5) for c in terms.values()):
        return None
    factors.remove(x)
    curve = r.producer(factors[0], "Erf", "Tanh")
    if curve is None:
        return None
    inner = Expansion(r, curve.operands[0]).terms
    root = math.sqrt(0.5) if curve.OP_TYPE == "Erf" else math.sqrt(2 / math.pi)
    if not close(inner.get((x,)), root):
        return None
    if curve.OP_TYPE == "Erf":
        return r.make("Gelu", x) if len(inner) == 1 else None
    cubic = close(inner.get((x, x, x)), root * 0.044715)
    return r.make("Gelu", x, approximate="tanh") if cubic and len(inner) == 2 else None


def _swish(r: Rewriter, terms: Terms) -> SSAValue | None:
    """{x * Sigmoid(a * x): 1}"""
    if len(terms) != 1:
        return None
    ((product, factor),) = terms.items()
    if len(product) != 2 or factor != 1:
        return None
    for x, gate in (product, product[::-1]):
        curve = r.single(gate, "Sigmoid")
        inner = {} if curve is None else Expansion(r, curve.operands[0]).terms
        if set(inner) == {(x,)} and r.dims(gate) == r.dims(x):
            return r.make("Swish", x, alpha=inner[x,])
    return None


def _clipped(r: Rewriter, value: SSAValue) -> tuple[SSAValue, float, float, float] | None:
    """(x, slope, offset, high) of clip(slope * x + offset, 0, high)."""
    clip = r.producer(value, "Clip")
    if clip is None:
        return None
    low, high = clip_bounds(r, clip)
    if low != 0 or not high or math.isinf(high):
        return None
    inner = Expansion(r, clip.operands[0]).terms
    single = [product for product in inner if len(product) == 1]
    if len(single) == 1 and set(inner) == {single[0], ()}:
        return single[0][0], inner[single[0]], inner[()], high
    return clip.operands[0], 1.0, 0.0, high


def _hard_sigmoid(r: Rewriter, terms: Terms) -> SSAValue | None:
    """{clip(x + 3, 0, 6): 1 / 6}"""
    if len(terms) != 1:
        return None
    ((product, factor),) = terms.items()
    clipped = _clipped(r, product[0]) if len(product) == 1 else None
    if clipped is None or not r.used_once(product[0]):
        return None
    x, slope, offset, high = clipped
    if not close(high * factor, 1.0, 1e-6):
        return None
    return r.make("HardSigmoid", x, alpha=slope * factor, beta=offset * factor)


def _hard_swish(r: Rewriter, terms: Terms) -> SSAValue | None:
    """{x * clip(x + 3, 0, 6): 1 / 6}, or {x * HardSigmoid(x, 1 / 6, 1 / 2): 1}"""
    if len(terms) != 1:
        return None
    ((product, factor),) = terms.items()
    if len(product) != 2:
        return None
    for x, gate in (product, product[::-1]):
        clipped = _clipped(r, gate)
        if clipped is not None and clipped[0] is x:
            _, slope, offset, high = clipped
            numbers = (slope * factor, offset * factor, high * factor)
        else:
            hard = r.producer(gate, "HardSigmoid")
            if hard is None or hard.operands[0] is not x:
                continue
            numbers = (hard.get("alpha") * factor, hard.get("beta") * factor, factor)
        if all(map(close, numbers, (1 / 6, 0.5, 1.0), (1e-5, 1e-5, 1e-5))):
            return r.make("HardSwish", x)
    return None


@rewrite("Div", "Mul")
def normalization(r: Rewriter, op: OnnxOp) -> Replacement:
    """d / sqrt(mean(d * d) + eps) -> RMSNormalization(d); d = x - mean(x): LayerNormalization(x)

    The mean is over the last axes. The scale is ones until a product with one follows.
    """
    found = _deviation_and_root(r, op)
    if found is None:
        return None
    d, root = found
    total = r.producer(root, "Add")
    if total is None:
        return None
    for square_mean, epsilon in (tuple(total.operands), tuple(total.operands)[::-1]):
        eps, mean = r.scalar(epsilon), r.producer(square_mean, "ReduceMean")
        if eps is None or mean is None or not _is_square(r, mean.operands[0], d):
            continue
        axis = _last_axes(r, mean)
        if axis is not None:
            return _normalized(r, d, axis, eps)
    return None


def _deviation_and_root(r: Rewriter, op: OnnxOp) -> tuple[SSAValue, SSAValue] | None:
    """(d, v) of d / sqrt(v), d * (1 / sqrt(v)) in any order."""
    if op.OP_TYPE == "Div":
        root = r.producer(op.operands[1], "Sqrt")
        return None if root is None else (op.operands[0], root.operands[0])
    for place in (0, 1):
        inverse = r.producer(op.operands[place], "Reciprocal")
        root = None if inverse is None else r.producer(inverse.operands[0], "Sqrt")
        if root is not None:
            return op.operands[1 - place], root.operands[0]
    return None


def _is_square(r: Rewriter, value: SSAValue, of: SSAValue) -> bool:
    product = r.producer(value, "Mul")
    return product is not None and product.operands[0] is of is product.operands[1]


def _last_axes(r: Rewriter, mean: OnnxOp) -> int | None:
    """The first axis of a mean over all axes from there on, counted from the end; else None."""
    dims = r.dims(mean.operands[0])
    axes = None if dims is None else reduced_axes(NodeShapes(mean, r), len(dims))
    if not axes or dims is None or not mean.get("keepdims"):
        return None
    return -len(axes) if sorted(axes) == list(range(len(dims) - len(axes), len(dims))) else None


def _normalized(r: Rewriter, d: SSAValue, axis: int, epsilon: float) -> SSAValue | None:
    x = _centered(r, d, axis)
    dims = r.dims(d if x is None else x)
    if dims is None or not all(isinstance(size, int) for size in dims[axis:]):
        return None
    ones = r.const(np.ones(dims[axis:], r.dtype(d)), "scale")  # type: ignore[arg-type]
    if x is None:
        return r.make("RMSNormalization", d, ones, axis=axis, epsilon=epsilon)
    return r.make("LayerNormalization", x, ones, None, axis=axis, epsilon=epsilon)


def _centered(r: Rewriter, d: SSAValue, axis: int) -> SSAValue | None:
    """x of x - mean(x) over the same axes."""
    difference = r.producer(d, "Sub")
    mean = None if difference is None else r.producer(difference.operands[1], "ReduceMean")
    if difference is None or mean is None or mean.operands[0] is not difference.operands[0]:
        return None
    return difference.operands[0] if _last_axes(r, mean) == axis else None


@rewrite("Reshape")
def group_normalization(r: Rewriter, op: OnnxOp) -> Replacement:
    """Reshape(InstanceNormalization(Reshape(x)), shape of x) -> GroupNormalization(x)

    The inner shape has a channel for each group, as exporters to opsets before 18 write it.
    """
    inner = r.single(op.operands[0], "InstanceNormalization")
    split = None if inner is None else r.single(inner.operands[0], "Reshape")
    if inner is None or split is None:
        return None
    x = split.operands[0]
    dims, groups = r.dims(x), r.dims(split.results[0])
    factors = [r.constant(value) for value in inner.operands[1:3]]
    if dims is None or groups is None or x.type != op.results[0].type:
        return None
    if len(dims) < 3 or len(groups) < 3 or groups[0] != dims[0]:
        return None
    channels, count = dims[1], groups[1]
    if not isinstance(channels, int) or not isinstance(count, int) or not count:
        return None
    if channels % count or any(factor is None for factor in factors):
        return None
    each = [np.repeat(f, channels // count) for f in factors if f is not None]
    made = [r.const(factor, "scale") for factor in each]
    return r.make("GroupNormalization", x, *made, num_groups=count, epsilon=inner.get("epsilon"))


@rewrite("Mul", "Add")
def scale_and_shift(r: Rewriter, op: OnnxOp) -> Replacement:
    """LayerNormalization(x, ones) * g -> LayerNormalization(x, g); LayerNormalization(x, g) + b"""
    for place in (0, 1):
        norm = r.single(op.operands[place], "LayerNormalization", "RMSNormalization")
        other = op.operands[1 - place]
        if norm is None or op.operands[place].type != op.results[0].type:
            continue
        if any(result.first_use is not None for result in norm.results[1:]):
            continue
        if r.dims(other) != r.dims(norm.operands[1]):
            continue
        if op.OP_TYPE == "Mul" and _is_ones(r, norm.operands[1]) and present(norm, 2) is None:
            return r.like(norm, [norm.operands[0], other, *norm.operands[2:]])
        if (
            op.OP_TYPE == "Add"
            and norm.OP_TYPE == "LayerNormalization"
            and present(norm, 2) is None
        ):
            return r.like(norm, [norm.operands[0], norm.operands[1], other])
    return None


def _is_ones(r: Rewriter, value: SSAValue) -> bool:
    array = r.constant(value)
    return array is not None and bool((array == 1).all())
