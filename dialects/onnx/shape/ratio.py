"""Sizes divided by numbers, as float arithmetic of Resize and Upsample computations does it.

Fractions are kept whose float32 products are exact for sizes up to 2^13; others become unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dialects.onnx.dims import Dim, DimExpr, ceildiv, exact_quotient, floordiv

LARGEST_FACTOR = 2048
"""Numerators and denominators stay below, so that 24 bits hold a product with a size of 13 bits."""


@dataclass(frozen=True)
class Ratio:
    """``numerator / denominator``, a fraction that depends on the run; ``denominator`` > 0."""

    numerator: DimExpr
    denominator: int


Number: TypeAlias = "int | float | DimExpr | Ratio"


def _parts(value: Number) -> tuple[Dim, int] | None:
    """Numerator and denominator; None for a float without a small fraction."""
    if isinstance(value, Ratio):
        return value.numerator, value.denominator
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return None
        top, bottom = value.as_integer_ratio()
        return (top, bottom) if abs(top) < LARGEST_FACTOR > bottom else None
    return value, 1


def _ratio(numerator: Dim, denominator: int) -> Number | None:
    exact = exact_quotient(numerator, denominator)
    if exact is not None:
        return float(exact) if isinstance(exact, int) else exact
    if isinstance(numerator, int):
        return numerator / denominator
    return Ratio(numerator, denominator) if denominator < LARGEST_FACTOR else None


def multiply(lhs: Number, rhs: Number) -> Number | None:
    """The product; plain numbers stay plain."""
    if not isinstance(lhs, DimExpr | Ratio) and not isinstance(rhs, DimExpr | Ratio):
        return lhs * rhs
    if not isinstance(lhs, float | Ratio) and not isinstance(rhs, float | Ratio):
        return lhs * rhs
    left, right = _parts(lhs), _parts(rhs)
    if left is None or right is None:
        return None
    return _ratio(left[0] * right[0], left[1] * right[1])


def divide(lhs: Number, rhs: Number) -> Number | None:
    """The quotient of floats; by a size only where it is exact."""
    if isinstance(lhs, int | float) and isinstance(rhs, int | float):
        return lhs / rhs if rhs else None
    left, right = _parts(lhs), _parts(rhs)
    if left is None or right is None or right[0] == 0:
        return None
    if isinstance(right[0], int) and right[0] > 0:
        return _ratio(left[0] * right[1], left[1] * right[0])
    exact = exact_quotient(left[0] * right[1], right[0])
    return None if exact is None else _ratio(exact, left[1])


def floor(value: Number) -> Number:
    """The largest whole number not above; sizes are whole."""
    if isinstance(value, Ratio):
        return floordiv(value.numerator, value.denominator)
    return float(value // 1) if isinstance(value, float) else value


def ceil(value: Number) -> Number:
    """The smallest whole number not below."""
    if isinstance(value, Ratio):
        return ceildiv(value.numerator, value.denominator)
    return float(-(-value // 1)) if isinstance(value, float) else value


def truncate(value: Number) -> Number:
    """The whole part of a fraction of sizes (which are not negative)."""
    return floor(value) if isinstance(value, Ratio) else value
