"""What is known of the elements of small tensors, computed from what is known of the operands'.

Integers are Python ints or `DimExpr`s, booleans bools or an `Equality` of sizes. Floats are Python
floats rounded to their type; of a run-time size that was cast to float also `DimExpr` (an integer)
and `Ratio`, as long as float arithmetic on sizes below 2^13 is exact. None is an element of which
nothing is known.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialects.onnx.dims import (
    Dim,
    DimExpr,
    bounds,
    floordiv,
    is_equal,
    maximum,
    minimum,
    mod,
    product,
    sign,
)
from dialects.onnx.shape.helpers import normalize_axis, slice_of
from dialects.onnx.shape.movement import slice_arguments
from dialects.onnx.shape.node import CONTENT_ELEMENTS, NodeShapes, propagate
from dialects.onnx.shape.ratio import Ratio, ceil, divide, floor, multiply, truncate
from dialects.onnx.shape.reductions import reduced_axes
from dialects.onnx.shape.sizes import range_length, shape_range
from dialects.onnx.types import dims_of, dtype_of


def objects(entries: Iterable[Any], shape: Any = None) -> np.ndarray:
    """An array of Python objects, a vector unless told."""
    entries = list(entries)
    array = np.empty(len(entries), object)
    array[:] = entries
    return array if shape is None else array.reshape(shape)


def known(s: NodeShapes, i: int) -> np.ndarray | None:
    """The content of operand ``i`` as objects; None when nothing is known or it is large."""
    content = s.value(i)
    if content is None or content.size > CONTENT_ELEMENTS:
        return None
    return content if content.dtype == object else content.astype(object)


def all_known(s: NodeShapes) -> list[np.ndarray] | None:
    """The contents of all operands, or None."""
    contents = [known(s, i) for i in range(len(s.op.operands))]
    return None if any(c is None for c in contents) else contents  # type: ignore[return-value]


def integers(array: np.ndarray | None) -> list[int] | None:
    """The elements as numbers, or None when one is symbolic."""
    flat = None if array is None else array.reshape(-1).tolist()
    return flat if flat is not None and all(isinstance(e, int) for e in flat) else None


def elementwise(function: Callable[..., Any], *contents: np.ndarray) -> np.ndarray:
    """The function on broadcast elements; an unknown element makes an unknown result."""

    def lifted(*entries: Any) -> Any:
        return None if any(entry is None for entry in entries) else function(*entries)

    result = np.frompyfunc(lifted, len(contents), 1)(*contents)
    return result if isinstance(result, np.ndarray) else objects([result], ())


def _result_shape(s: NodeShapes) -> tuple[int, ...] | None:
    dims = dims_of(s.op.results[0].type)
    if dims is None or not all(isinstance(dim, int) for dim in dims):
        return None
    return dims  # type: ignore[return-value]


def _rounding(s: NodeShapes, i: int = 0) -> Callable[[Any], Any]:
    """Rounds Python floats to the element type of operand ``i``; leaves everything else."""
    dtype = dtype_of(s.element(i))
    if dtype.kind != "f":
        return lambda entry: entry
    return lambda entry: float(dtype.type(entry)) if isinstance(entry, float) else entry


@propagate("Shape")
def shape(s: NodeShapes) -> np.ndarray | None:
    """The operand's sizes."""
    dims = s.dims(0)
    if dims is None:
        return None
    start, end = shape_range(s, len(dims))
    return objects(dims[start:end])


@propagate("Size")
def size(s: NodeShapes) -> np.ndarray | None:
    """The product of the operand's sizes."""
    dims = s.dims(0)
    return None if dims is None else objects([product(dims)], ())


@propagate("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
def reshaped(s: NodeShapes) -> np.ndarray | None:
    """The same elements in the result's shape."""
    content, dims = known(s, 0), _result_shape(s)
    return None if content is None or dims is None else content.reshape(dims)


@propagate("Transpose")
def transpose(s: NodeShapes) -> np.ndarray | None:
    """Axes in the order `perm`."""
    content = known(s, 0)
    return None if content is None else content.transpose(s.get("perm"))


@propagate("Concat")
def concat(s: NodeShapes) -> np.ndarray | None:
    """Contents one after the other."""
    contents = all_known(s)
    return None if contents is None else np.concatenate(contents, s.get("axis", 1))


@propagate("Split")
def split(s: NodeShapes) -> list[np.ndarray | None] | None:
    """Parts with the sizes of the result types."""
    content = known(s, 0)
    kinds = [dims_of(result.type) for result in s.op.results]
    if content is None or any(dims is None for dims in kinds):
        return None
    axis = normalize_axis(s.get("axis", 0), content.ndim)
    sizes = integers(objects(dims[axis] for dims in kinds if dims is not None))
    return None if sizes is None else list(np.split(content, np.cumsum(sizes)[:-1], axis))


@propagate("Gather")
def gather(s: NodeShapes) -> np.ndarray | None:
    """Elements at known indices."""
    content, at = known(s, 0), known(s, 1)
    if content is None or at is None or integers(at) is None:
        return None
    axis = normalize_axis(s.get("axis", 0), content.ndim)
    indices, count = at.astype(np.int64), content.shape[axis]
    if ((indices < -count) | (indices >= count)).any():
        s.fail(f"index {indices.tolist()} is out of range for an axis of size {count}")
    taken = np.take(content, indices, axis)
    return taken if isinstance(taken, np.ndarray) else objects([taken], ())


@propagate("GatherElements")
def gather_elements(s: NodeShapes) -> np.ndarray | None:
    """Elements at known indices."""
    content, at = known(s, 0), known(s, 1)
    if content is None or at is None or integers(at) is None:
        return None
    return np.take_along_axis(content, at.astype(np.int64), s.get("axis", 0))


@propagate("GatherND")
def gather_nd(s: NodeShapes) -> np.ndarray | None:
    """Elements at known index tuples."""
    content, at = known(s, 0), known(s, 1)
    if content is None or at is None or integers(at) is None or s.get("batch_dims", 0):
        return None
    taken = content[tuple(np.moveaxis(at.astype(np.int64), -1, 0))]
    return taken if isinstance(taken, np.ndarray) else objects([taken], ())


@propagate("ScatterND")
def scatter_nd(s: NodeShapes) -> np.ndarray | None:
    """The data with elements at known index tuples replaced."""
    content, at, updates = known(s, 0), known(s, 1), known(s, 2)
    if content is None or at is None or updates is None or integers(at) is None:
        return None
    if s.get("reduction", "none") != "none":
        return None
    result = content.copy()
    result[tuple(np.moveaxis(at.astype(np.int64), -1, 0))] = updates
    return result


@propagate("ScatterElements", "Scatter")
def scatter_elements(s: NodeShapes) -> np.ndarray | None:
    """The data with elements at known indices along an axis replaced."""
    content, at, updates = known(s, 0), known(s, 1), known(s, 2)
    if content is None or at is None or updates is None or integers(at) is None:
        return None
    if s.get("reduction", "none") != "none":
        return None
    result = content.copy()
    np.put_along_axis(result, at.astype(np.int64), updates, s.get("axis", 0))
    return result


@propagate("Slice")
def slice_(s: NodeShapes) -> np.ndarray | None:
    """Elements between known bounds."""
    content = known(s, 0)
    arguments = None if content is None else slice_arguments(s, content.ndim)
    if content is None or arguments is None:
        return None
    index: list[slice] = [slice(None)] * content.ndim
    for axis, *bound in zip(*arguments, strict=True):
        numbers = integers(objects(bound))
        if numbers is None:
            return None
        start, end, step = numbers
        index[axis] = slice_of(start, end, step, content.shape[axis])
    return content[tuple(index)]


@propagate("Expand")
def expand(s: NodeShapes) -> np.ndarray | None:
    """Elements repeated to the result's shape."""
    content, dims = known(s, 0), _result_shape(s)
    return None if content is None or dims is None else np.broadcast_to(content, dims).copy()


@propagate("Tile")
def tile(s: NodeShapes) -> np.ndarray | None:
    """Elements repeated."""
    content, repeats = known(s, 0), integers(known(s, 1))
    return None if content is None or repeats is None or s.since == 1 else np.tile(content, repeats)


@propagate("ConstantOfShape")
def constant_of_shape(s: NodeShapes) -> np.ndarray | None:
    """One value everywhere."""
    dims = _result_shape(s)
    if dims is None:
        return None
    value = s.get("value")
    if value is None:
        return np.full(dims, 0.0, object)
    raw = getattr(value.data, "data", None)
    if not isinstance(raw, bytes):
        return None
    entry = np.frombuffer(raw, dtype_of(value.type))[:1].astype(object)[0]
    return np.full(dims, entry, object)


@propagate("Range")
def range_(s: NodeShapes) -> np.ndarray | None:
    """start, start + delta, ..."""
    known_ints = [s.ints(i) for i in range(3)]
    if any(entry is None for entry in known_ints):
        return None
    start, limit, delta = (entry[0] for entry in known_ints if entry)
    count = range_length(start, limit, delta)
    if not isinstance(count, int) or count > CONTENT_ELEMENTS:
        return None
    return objects(start + delta * i for i in range(count))


@propagate("NonZero")
def non_zero(s: NodeShapes) -> np.ndarray | None:
    """Indices of elements known not to be zero."""
    content = known(s, 0)
    if content is None or any(not isinstance(e, int | float) for e in content.reshape(-1)):
        return None
    return np.array(np.nonzero(content.astype(np.float64))).astype(object)


@propagate("Cast", "CastLike")
def cast(s: NodeShapes) -> np.ndarray | None:
    """Elements in the result's type: floats are cut to integers, numbers compared with 0."""
    content = known(s, 0)
    kind = s.op.results[0].type
    dtype = dtype_of(kind)
    if content is None:
        return None
    if dtype.kind in "iu":
        return elementwise(lambda e: _to_integer(e, dtype), content)
    if dtype.kind == "b":
        return elementwise(_to_bool, content)
    if dtype.kind != "f":
        return None
    return elementwise(lambda e: _to_float(e, dtype), content)


def _to_float(entry: Any, dtype: np.dtype) -> Any:
    if isinstance(entry, Equality):
        return None
    return float(dtype.type(entry)) if isinstance(entry, int | float) else entry


def _to_integer(entry: Any, dtype: np.dtype) -> Any:
    if isinstance(entry, Equality):
        return None
    if isinstance(entry, float):
        if not math.isfinite(entry):
            return None
        entry = math.trunc(entry)
    entry = truncate(entry)
    if isinstance(entry, int):
        info = np.iinfo(dtype)
        return int(entry) if info.min <= entry <= info.max else None
    return entry if dtype.itemsize >= 4 else None


def _to_bool(entry: Any) -> bool | Equality | None:
    if isinstance(entry, DimExpr):
        return True if sign(entry) in (1, -1) else None
    if isinstance(entry, Equality):
        return entry
    return bool(entry) if isinstance(entry, int | float) else None


def quotient(lhs: Dim, rhs: Dim) -> Dim | None:
    """Integer division as ONNX does it, rounded toward zero."""
    if isinstance(lhs, int) and isinstance(rhs, int):
        return None if rhs == 0 else int(math.copysign(1, lhs * rhs)) * (abs(lhs) // abs(rhs))
    low = bounds(lhs)[0]
    return floordiv(lhs, rhs) if low is not None and low >= 0 and sign(rhs) == 1 else None


def _divide(lhs: Any, rhs: Any) -> Any:
    if isinstance(lhs, float | Ratio) or isinstance(rhs, float | Ratio):
        return divide(lhs, rhs)
    return quotient(lhs, rhs)


def _symbolic_float(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A function of sizes for floats: whole floats beside sizes count as sizes."""

    def lifted(lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, Ratio) or isinstance(rhs, Ratio):
            return None
        if isinstance(lhs, DimExpr) and isinstance(rhs, float):
            return function(lhs, int(rhs)) if rhs.is_integer() else None
        if isinstance(rhs, DimExpr) and isinstance(lhs, float):
            return function(int(lhs), rhs) if lhs.is_integer() else None
        return function(lhs, rhs)

    return lifted


def _remainder(s: NodeShapes) -> Callable[[Any, Any], Any]:
    if s.get("fmod", 0):
        return lambda a, b: math.fmod(a, b) if isinstance(a, float) and b else None
    return lambda a, b: None if isinstance(a, float) or sign(b) not in (1, -1) else mod(a, b)


def _power(lhs: Any, rhs: Any) -> Any:
    if isinstance(lhs, int) and isinstance(rhs, int | float) and rhs >= 0 and rhs == int(rhs):
        return lhs ** int(rhs)
    return None


def _less(lhs: Any, rhs: Any) -> bool | None:
    if isinstance(lhs, Ratio) or isinstance(rhs, Ratio):
        return None
    if isinstance(lhs, float) or isinstance(rhs, float):
        both = isinstance(lhs, int | float) and isinstance(rhs, int | float)
        return lhs < rhs if both else None
    low, high = bounds(lhs - rhs)
    if high is not None and high < 0:
        return True
    return False if low is not None and low >= 0 else None


@dataclass(frozen=True)
class Equality:
    """A boolean that says whether two sizes are equal, or (``negated``) that they are not."""

    lhs: Dim
    rhs: Dim
    negated: bool = False


def _not(value: bool | Equality) -> bool | Equality:
    if isinstance(value, Equality):
        return Equality(value.lhs, value.rhs, not value.negated)
    return not value


def _equality(lhs: Any, rhs: Any) -> bool | Equality | None:
    found = _equal(lhs, rhs)
    sizes = isinstance(lhs, int | DimExpr) and isinstance(rhs, int | DimExpr)
    return Equality(lhs, rhs) if found is None and sizes else found


def _equal(lhs: Any, rhs: Any) -> bool | None:
    if isinstance(lhs, int | DimExpr) and isinstance(rhs, int | DimExpr):
        return is_equal(lhs, rhs)
    return lhs == rhs if isinstance(lhs, int | float) and isinstance(rhs, int | float) else None


def _negated(value: bool | None) -> bool | None:
    return None if value is None else not value


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": _symbolic_float(operator.add),
    "Sub": _symbolic_float(operator.sub),
    "Mul": multiply,
    "Div": _divide,
    "Pow": _power,
    "Equal": _equality,
    "Less": _less,
    "Greater": lambda a, b: _less(b, a),
    "LessOrEqual": lambda a, b: _negated(_less(b, a)),
    "GreaterOrEqual": lambda a, b: _negated(_less(a, b)),
    "Xor": lambda a, b: a ^ b if isinstance(a, bool) and isinstance(b, bool) else None,
}

_UNARY: dict[str, Callable[[Any], Any]] = {
    "Neg": lambda a: None if isinstance(a, Ratio) else -a,
    "Abs": lambda a: abs(a) if isinstance(a, int | float) else (a if sign(a) in (0, 1) else None),
    "Not": _not,
    "Floor": floor,
    "Ceil": ceil,
}


@propagate(*_BINARY)
def binary(s: NodeShapes) -> np.ndarray | None:
    """Two contents broadcast."""
    contents = all_known(s)
    if contents is None:
        return None
    return elementwise(_rounding(s), elementwise(_BINARY[s.op_type], *contents))


@propagate(*_UNARY)
def unary(s: NodeShapes) -> np.ndarray | None:
    """Element by element."""
    content = known(s, 0)
    return None if content is None else elementwise(_UNARY[s.op_type], content)


@propagate("Mod")
def remainder(s: NodeShapes) -> np.ndarray | None:
    """The divisor's sign, or with `fmod` the dividend's."""
    contents = all_known(s)
    return None if contents is None else elementwise(_remainder(s), *contents)


@propagate("And")
def and_(s: NodeShapes) -> np.ndarray | None:
    """False when one side is, whatever the other."""
    return _lattice(s, lambda a, b: False if a is False or b is False else _both(a, b))


@propagate("Or")
def or_(s: NodeShapes) -> np.ndarray | None:
    """True when one side is, whatever the other."""
    return _lattice(s, lambda a, b: True if a is True or b is True else _both(a, b))


def _both(lhs: Any, rhs: Any) -> bool | None:
    """The common value of two known booleans (neither is the one that decides)."""
    return lhs if isinstance(lhs, bool) and isinstance(rhs, bool) else None


def _lattice(s: NodeShapes, function: Callable[[Any, Any], Any]) -> np.ndarray | None:
    contents = all_known(s)
    if contents is None:
        return None
    result = np.frompyfunc(function, 2, 1)(*contents)
    return result if isinstance(result, np.ndarray) else objects([result], ())


@propagate("Where")
def where(s: NodeShapes) -> np.ndarray | None:
    """A known choice, or either when both are equal."""
    contents = all_known(s)
    if contents is None:
        return None

    def choose(condition: Any, a: Any, b: Any) -> Any:
        if not isinstance(condition, bool):
            return a if a is not None and b is not None and _equal(a, b) else None
        return a if condition else b

    result = np.frompyfunc(choose, 3, 1)(*contents)
    return result if isinstance(result, np.ndarray) else objects([result], ())


_EXTREMES = {"Max": _symbolic_float(maximum), "Min": _symbolic_float(minimum)}
_FLOAT_EXTREMES = {"Max": max, "Min": min}


@propagate("Max", "Min", "Sum")
def variadic(s: NodeShapes) -> np.ndarray | None:
    """Any number of contents broadcast."""
    contents = all_known(s)
    if contents is None:
        return None
    result = contents[0]
    for content in contents[1:]:
        result = elementwise(_pairwise(s.op_type), result, content)
    return elementwise(_rounding(s), result)


def _pairwise(op_type: str) -> Callable[[Any, Any], Any]:
    if op_type == "Sum":
        return _BINARY["Add"]
    plain, symbolic = _FLOAT_EXTREMES[op_type], _EXTREMES[op_type]

    def function(lhs: Any, rhs: Any) -> Any:
        numbers = isinstance(lhs, int | float) and isinstance(rhs, int | float)
        return plain(lhs, rhs) if numbers else symbolic(lhs, rhs)

    return function


_FOLDS = {
    "ReduceSum": ("Add", 0),
    "ReduceProd": ("Mul", 1),
    "ReduceMax": ("Max", None),
    "ReduceMin": ("Min", None),
}


@propagate(*_FOLDS)
def reduction(s: NodeShapes) -> np.ndarray | None:
    """All elements of a scalar or vector of integers in one."""
    content, dims = known(s, 0), _result_shape(s)
    if (
        content is None
        or dims is None
        or content.size == 0
        or dtype_of(s.element(0)).kind not in "iu"
    ):
        return None
    axes = reduced_axes(s, content.ndim)
    if axes != list(range(content.ndim)):
        return content if axes == [] else None
    name, _ = _FOLDS[s.op_type]
    function = _BINARY[name] if name in _BINARY else _pairwise(name)
    flat = content.reshape(-1).tolist()
    total = flat[0]
    for entry in flat[1:]:
        total = None if total is None or entry is None else function(total, entry)
    return objects([total], dims)


@propagate("CumSum")
def cum_sum(s: NodeShapes) -> np.ndarray | None:
    """Running sums of a vector of integers."""
    content = known(s, 0)
    if content is None or content.ndim != 1 or s.get("exclusive", 0) or s.get("reverse", 0):
        return None
    if any(entry is None or isinstance(entry, float | Ratio) for entry in content):
        return None
    return np.cumsum(content)
