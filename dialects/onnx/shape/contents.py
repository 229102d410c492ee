"""What is known of the elements of small tensors.

Integers are Python ints or `DimExpr`s, booleans bools or an `Equality` of sizes. Floats are Python
floats rounded to their type; of a run-time size that was cast to float also `DimExpr` (an integer)
and `Ratio`, as long as float arithmetic on sizes below 2^13 is exact. None is an element of which
nothing is known. The rules stand in `content_movement` and `content_arithmetic`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dialects.onnx.dims import Dim
from dialects.onnx.shape.node import CONTENT_ELEMENTS, NodeShapes
from dialects.onnx.types import dims_of, dtype_of


@dataclass(frozen=True)
class Equality:
    """A boolean that says whether two sizes are equal, or (``negated``) that they are not."""

    lhs: Dim
    rhs: Dim
    negated: bool = False


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


def static_shape(s: NodeShapes) -> tuple[int, ...] | None:
    dims = dims_of(s.op.results[0].type)
    if dims is None or not all(isinstance(dim, int) for dim in dims):
        return None
    return dims  # type: ignore[return-value]


def rounding(s: NodeShapes, i: int = 0) -> Callable[[Any], Any]:
    """Rounds Python floats to the element type of operand ``i``; leaves everything else."""
    dtype = dtype_of(s.element(i))
    if dtype.kind != "f":
        return lambda entry: entry
    return lambda entry: float(dtype.type(entry)) if isinstance(entry, float) else entry
