"""Constants, memoised because building attributes costs more than building operations."""

from __future__ import annotations

from functools import cache
from typing import cast

from xdsl.dialects.builtin import (
    AnyFloat,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    VectorType,
    i32,
    i64,
)
from xdsl.ir import Attribute


@cache
def integer_attr(value: int, kind: Attribute) -> Attribute:
    """The attribute of an integer constant; for a vector type, that value in every lane."""
    if isinstance(kind, VectorType):
        return DenseIntOrFPElementsAttr.from_list(cast(VectorType[IntegerType], kind), [value])
    return IntegerAttr(value, cast(IntegerType, kind))


@cache
def float_attr(value: float, kind: Attribute) -> Attribute:
    """The attribute of a float constant; for a vector type, that value in every lane."""
    if isinstance(kind, VectorType):
        return DenseIntOrFPElementsAttr.from_list(cast(VectorType[AnyFloat], kind), [value])
    return FloatAttr(value, cast(AnyFloat, kind))


@cache
def i32_array(*numbers: int) -> DenseArrayBase[IntegerType]:
    """A list of numbers, as most properties have it."""
    return DenseArrayBase.from_list(i32, numbers)


@cache
def i64_array(*numbers: int) -> DenseArrayBase[IntegerType]:
    """A list of numbers, as a position in an aggregate."""
    return DenseArrayBase.from_list(i64, numbers)


@cache
def vector_of(kind: Attribute, lanes: int) -> VectorType:
    """The type of vectors of one dimension."""
    return VectorType(kind, [lanes])
