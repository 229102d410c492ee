"""The common operators in numpy, with ONNX's semantics for every version."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from dialects.onnx.shape import slice_of
from passes.onnx.fold_constants.node import FoldNode, Unfoldable, fold

_UNARY: dict[str, Callable[[np.ndarray], Any]] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseNot": np.bitwise_not,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Exp": np.exp,
    "Floor": np.floor,
    "Identity": lambda x: x,
    "IsNaN": np.isnan,
    "Log": np.log,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Reciprocal": lambda x: 1 / x,
    "Relu": lambda x: np.maximum(x, 0),
    "Round": np.rint,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Sqrt": np.sqrt,
    "Tan": np.tan,
    "Tanh": np.tanh,
}

_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "Add": np.add,
    "And": np.logical_and,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Mul": np.multiply,
    "Or": np.logical_or,
    "Sub": np.subtract,
    "Xor": np.logical_xor,
}


_BF16 = np.dtype(ml_dtypes.bfloat16)
_PLAIN_KINDS = {np.dtype(code) for code in "?bhilqBHILQefd"}


def _typed(array: Any, dtype: np.dtype) -> np.ndarray:
    return np.asarray(array, dtype)


@fold(*_UNARY)
def unary(n: FoldNode) -> list[np.ndarray]:
    """Element by element."""
    return [_typed(_UNARY[n.op.OP_TYPE](n.needed(0)), n.dtype)]


def pair(n: FoldNode) -> tuple[np.ndarray, np.ndarray]:
    """Two operands; before version 7 the second may be stretched from an `axis`."""
    lhs, rhs = n.needed(0), n.needed(1)
    axis = n.get("axis")
    if axis is not None and "broadcast" in n.op.DEFAULTS:
        rhs = rhs.reshape(rhs.shape + (1,) * (lhs.ndim - axis % lhs.ndim - rhs.ndim))
    return lhs, rhs


@fold(*_BINARY)
def binary(n: FoldNode) -> list[np.ndarray]:
    """Two operands broadcast."""
    return [_typed(_BINARY[n.op.OP_TYPE](*pair(n)), n.dtype)]


def truncated_quotient(lhs: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Integer division rounded toward zero. Raises Unfoldable for a divisor 0."""
    if not rhs.all():
        raise Unfoldable
    quotient, rest = np.divmod(lhs, rhs)
    return quotient + ((rest != 0) & ((lhs < 0) != (rhs < 0)))


@fold("Div")
def div(n: FoldNode) -> list[np.ndarray]:
    """Floats divided, integers divided toward zero."""
    lhs, rhs = pair(n)
    quotient = truncated_quotient(lhs, rhs) if lhs.dtype.kind in "iu" else lhs / rhs
    return [_typed(quotient, n.dtype)]


@fold("Mod")
def mod(n: FoldNode) -> list[np.ndarray]:
    """The divisor's sign, or with `fmod` the dividend's."""
    lhs, rhs = pair(n)
    if lhs.dtype.kind in "iu" and not rhs.all():
        raise Unfoldable
    return [_typed(np.fmod(lhs, rhs) if n.get("fmod", 0) else np.mod(lhs, rhs), n.dtype)]


@fold("Pow")
def power(n: FoldNode) -> list[np.ndarray]:
    """The base's type; integers only to integer powers that are not negative."""
    base, exponent = pair(n)
    if base.dtype.kind in "iu" and (exponent.dtype.kind not in "iu" or (exponent < 0).any()):
        raise Unfoldable
    if base.dtype.kind not in "iu":
        exponent = exponent.astype(base.dtype)
    return [_typed(np.power(base, exponent), n.dtype)]


@fold("Max", "Min", "Sum", "Mean")
def variadic(n: FoldNode) -> list[np.ndarray]:
    """Any number of operands broadcast."""
    arrays = [array for array in n.inputs if array is not None]
    function = {"Max": np.maximum, "Min": np.minimum}.get(n.op.OP_TYPE, np.add)
    total = arrays[0]
    for array in arrays[1:]:
        total = function(total, array)
    if n.op.OP_TYPE == "Mean":
        total = total / total.dtype.type(len(arrays))
    return [_typed(total, n.dtype)]


@fold("Clip")
def clip(n: FoldNode) -> list[np.ndarray]:
    """Bounds as attributes before version 11, as operands since."""
    low = n.input(1) if n.since >= 11 else n.get("min")
    high = n.input(2) if n.since >= 11 else n.get("max")
    result = n.needed(0)
    if low is not None:
        result = np.maximum(result, _typed(low, result.dtype))
    if high is not None:
        result = np.minimum(result, _typed(high, result.dtype))
    return [result]


@fold("Where")
def where(n: FoldNode) -> list[np.ndarray]:
    """A choice by element."""
    return [np.where(n.needed(0), n.needed(1), n.needed(2))]


@fold("Cast", "CastLike")
def cast(n: FoldNode) -> list[np.ndarray] | None:
    """Numbers between the usual types; strings and types below 8 bits are left to the reference.

    Floats beyond an integer's range have no defined value and stay.
    """
    array, dtype = n.needed(0), n.dtype
    if dtype.name.startswith(("float8", "float6", "float4")):
        # The reference saturates some of them to infinity.
        raise Unfoldable
    if not all(kind in _PLAIN_KINDS or kind == _BF16 for kind in (array.dtype, dtype)):
        return None
    if dtype.kind in "iu" and array.dtype.kind in "fV":
        info = np.iinfo(dtype)
        whole = np.trunc(array.astype(np.float64))
        inside = np.isfinite(whole) & (whole >= float(info.min)) & (whole < float(info.max) + 1)
        if not inside.all():
            raise Unfoldable
    return [array.astype(dtype)]


@fold("Constant")
def constant(n: FoldNode) -> list[np.ndarray]:
    """Numbers given as attributes; tensors are `onnx.Const` already."""
    for name in ("value_int", "value_ints", "value_float", "value_floats"):
        if (value := n.get(name)) is not None:
            return [np.array(value, n.dtype)]
    raise Unfoldable


@fold("Shape")
def shape(n: FoldNode) -> list[np.ndarray]:
    """The operand's sizes from `start` to `end`."""
    sizes = n.needed(0).shape
    start, end = n.get("start", 0), n.get("end", len(sizes))
    bounds = [max(0, min(len(sizes), i + len(sizes) if i < 0 else i)) for i in (start, end)]
    return [np.array(sizes[slice(*bounds)], np.int64)]


@fold("Size")
def size(n: FoldNode) -> list[np.ndarray]:
    """How many elements."""
    return [np.array(n.needed(0).size, np.int64)]


@fold("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(n: FoldNode) -> list[np.ndarray]:
    """The same elements in the result's shape."""
    return [n.needed(0).reshape(n.shape())]


@fold("Transpose")
def transpose(n: FoldNode) -> list[np.ndarray]:
    """Axes in the order `perm`: a view, because whoever packs the constant reads any order."""
    return [n.needed(0).transpose(n.get("perm"))]


@fold("Concat")
def concat(n: FoldNode) -> list[np.ndarray]:
    """Operands one after the other."""
    return [np.concatenate([n.needed(i) for i in range(len(n.inputs))], n.get("axis", 1))]


@fold("Split")
def split(n: FoldNode) -> list[np.ndarray]:
    """Parts as long as the results along `axis`."""
    array, axis = n.needed(0), n.get("axis", 0)
    ends = np.cumsum([n.shape(i)[axis] for i in range(len(n.op.results))])
    return np.split(array, ends[:-1], axis)


@fold("Slice")
def slice_(n: FoldNode) -> list[np.ndarray]:
    """start, start + step, ... before end along the axes given."""
    array = n.needed(0)
    starts = n.ints(1) if n.since > 1 else list(n.get("starts"))
    ends = n.ints(2) if n.since > 1 else list(n.get("ends"))
    if starts is None or ends is None:
        raise Unfoldable
    axes = n.ints(3) if n.since > 1 else n.get("axes")
    steps = n.ints(4) if n.since > 1 else None
    index = [slice(None)] * array.ndim
    for i, axis in enumerate(axes or range(len(starts))):
        index[axis] = slice_of(starts[i], ends[i], steps[i] if steps else 1, array.shape[axis])
    return [np.ascontiguousarray(array[tuple(index)])]


@fold("Gather")
def gather(n: FoldNode) -> list[np.ndarray]:
    """Elements by index along `axis`."""
    return [np.take(n.needed(0), n.needed(1), n.get("axis", 0))]


@fold("GatherElements")
def gather_elements(n: FoldNode) -> list[np.ndarray]:
    """Elements by index along `axis`, element by element."""
    array, at, axis = n.needed(0), n.needed(1), n.get("axis", 0)
    grids = list(np.indices(at.shape, sparse=True))
    grids[axis] = at
    return [array[tuple(grids)]]


@fold("GatherND")
def gather_nd(n: FoldNode) -> list[np.ndarray] | None:
    """Elements or slices by index tuple."""
    if n.get("batch_dims", 0):
        return None
    return [_typed(n.needed(0)[tuple(np.moveaxis(n.needed(1), -1, 0))], n.dtype)]


@fold("ScatterND")
def scatter_nd(n: FoldNode) -> list[np.ndarray] | None:
    """The data with elements or slices replaced."""
    if n.get("reduction", "none") != "none":
        return None
    result = n.needed(0).copy()
    result[tuple(np.moveaxis(n.needed(1), -1, 0))] = n.needed(2)
    return [result]


@fold("Expand")
def expand(n: FoldNode) -> list[np.ndarray]:
    """Repeated to the result's shape."""
    return [np.broadcast_to(n.needed(0), n.shape())]


@fold("Tile")
def tile(n: FoldNode) -> list[np.ndarray]:
    """Repeated along every axis."""
    repeats = n.ints(1)
    if n.since == 1 or repeats is None:
        raise Unfoldable
    return [np.tile(n.needed(0), repeats)]


@fold("ConstantOfShape")
def constant_of_shape(n: FoldNode) -> list[np.ndarray]:
    """One value everywhere."""
    value = n.tensor("value")
    if value is None:
        return [np.zeros(n.shape(), n.dtype)]
    return [np.broadcast_to(value.reshape(()), n.shape())]


@fold("Range")
def range_(n: FoldNode) -> list[np.ndarray]:
    """start + i * delta in the operands' type."""
    start, limit, delta = (n.needed(i).reshape(-1)[0] for i in range(3))
    if not delta:
        raise Unfoldable
    count = max(math.ceil((float(limit) - float(start)) / float(delta)), 0)
    return [(start + np.arange(count).astype(n.dtype) * delta).astype(n.dtype)]


@fold("NonZero")
def non_zero(n: FoldNode) -> list[np.ndarray]:
    """Indices of the elements that are not zero."""
    return [np.array(np.nonzero(n.needed(0)), np.int64)]


@fold("MatMul")
def matmul(n: FoldNode) -> list[np.ndarray]:
    """numpy's matmul in the operands' type."""
    return [_typed(np.matmul(n.needed(0), n.needed(1)), n.dtype)]


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, **where: np.sum(np.abs(x), **where),
    "ReduceL2": lambda x, **where: np.sqrt(np.sum(np.square(x), **where)),
    "ReduceMax": np.max,
    "ReduceMean": np.mean,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
    "ReduceSumSquare": lambda x, **where: np.sum(np.square(x), **where),
}


def reduced_axes(n: FoldNode) -> Sequence[int] | None:
    """Axes from the attribute or operand; None for all, () for none."""
    axes = n.get("axes")
    axes = n.ints(1) if axes is None else axes
    if axes:
        return axes
    return () if n.get("noop_with_empty_axes", 0) else None


@fold(*_REDUCTIONS)
def reduction(n: FoldNode) -> list[np.ndarray] | None:
    """One number for each index outside the axes."""
    array, axes = n.needed(0), reduced_axes(n)
    if array.size == 0 or axes == ():
        return None
    axis = None if axes is None else tuple(axes)
    found = _REDUCTIONS[n.op.OP_TYPE](array, axis=axis, keepdims=bool(n.get("keepdims", 1)))
    return [_typed(found, n.dtype)]
