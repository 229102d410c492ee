"""Contents computed element by element: casts, arithmetic, comparisons, sums."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
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
    sign,
)
from dialects.onnx.shape.contents import (
    Equality,
    all_known,
    elementwise,
    known,
    objects,
    rounding,
    static_shape,
)
from dialects.onnx.shape.node import NodeShapes, propagate
from dialects.onnx.shape.ratio import Ratio, ceil, divide, floor, multiply, truncate
from dialects.onnx.shape.reductions import reduced_axes
from dialects.onnx.types import dtype_of


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


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


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
    "Round": lambda a: float(round(a)) if _is_finite(a) else None,
    "Sqrt": lambda a: math.sqrt(a) if _is_finite(a) and a >= 0 else None,
    "Reciprocal": lambda a: 1 / a if _is_finite(a) and a else None,
}


@propagate(*_BINARY)
def binary(s: NodeShapes) -> np.ndarray | None:
    """Two contents broadcast."""
    contents = all_known(s)
    if contents is None:
        return None
    return elementwise(rounding(s), elementwise(_BINARY[s.op_type], *contents))


@propagate(*_UNARY)
def unary(s: NodeShapes) -> np.ndarray | None:
    """Element by element."""
    content = known(s, 0)
    if content is None:
        return None
    return elementwise(rounding(s), elementwise(_UNARY[s.op_type], content))


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
    return elementwise(rounding(s), result)


def _pairwise(op_type: str) -> Callable[[Any, Any], Any]:
    if op_type == "Sum":
        return _BINARY["Add"]
    plain, symbolic = _FLOAT_EXTREMES[op_type], _EXTREMES[op_type]

    def function(lhs: Any, rhs: Any) -> Any:
        numbers = isinstance(lhs, int | float) and isinstance(rhs, int | float)
        return plain(lhs, rhs) if numbers else symbolic(lhs, rhs)

    return function


@propagate("Clip")
def clip(s: NodeShapes) -> np.ndarray | None:
    """Elements between bounds, which are attributes before version 11 and operands since."""
    result = known(s, 0)
    for i, (bound, name) in enumerate((("min", "Max"), ("max", "Min")), 1):
        is_given = s.present(i) if s.since >= 11 else s.get(bound) is not None
        if result is None or not is_given:
            continue
        limit = known(s, i) if s.since >= 11 else objects([s.get(bound)], ())
        result = None if limit is None else elementwise(_pairwise(name), result, limit)
    return None if result is None else elementwise(rounding(s), result)


_FOLDS = {
    "ReduceSum": ("Add", 0),
    "ReduceProd": ("Mul", 1),
    "ReduceMax": ("Max", None),
    "ReduceMin": ("Min", None),
}


@propagate(*_FOLDS)
def reduction(s: NodeShapes) -> np.ndarray | None:
    """All elements of a scalar or vector of integers in one."""
    content, dims = known(s, 0), static_shape(s)
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
