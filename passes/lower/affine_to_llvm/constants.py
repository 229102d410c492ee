"""Constants, memoised because building attributes costs more than building operations."""

from __future__ import annotations

from functools import cache
from typing import cast

from xdsl.dialects.builtin import (
    AnyFloat,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    VectorType,
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
