"""Floats of 4 and 8 bits, which machines do not compute with: to float32 and back, by their bits.

A format has ``mantissa`` bits of mantissa and counts exponents from ``bias``. The formats of ONNX
are those of "FP8 Formats for Deep Learning" (Micikevicius et al.), "8-bit Numerical Formats for
Deep Neural Networks" (Noune et al., the UZ ones) and the OCP Microscaling Formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from xdsl.dialects import math
from xdsl.dialects.builtin import (
    Float4E2M1FNType,
    Float8E4M3FNType,
    Float8E4M3FNUZType,
    Float8E5M2FNUZType,
    Float8E5M2Type,
    Float8E8M0FNUType,
    IntegerType,
)
from xdsl.ir import Attribute

from dialects.onnx.types import dtype_of, f32

if TYPE_CHECKING:
    from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars

i8, i32 = IntegerType(8), IntegerType(32)
EXPONENTS = Float8E8M0FNUType()
"""The format of scales: an exponent and nothing else."""


@dataclass(frozen=True)
class Format:
    """``largest``: code of the largest number; ``infinity``, ``nan``: codes, None where there
    are none.

    ``signed_zero``: whether there is a -0.
    """

    bits: int
    mantissa: int
    bias: int
    largest: int
    infinity: int | None
    nan: int | None
    signed_zero: bool = True

    @property
    def sign(self) -> int:
        """The sign's bit."""
        return 1 << (self.bits - 1)


FORMATS: dict[Attribute, Format] = {
    Float4E2M1FNType(): Format(4, 1, 1, 0x7, None, None),
    Float8E4M3FNType(): Format(8, 3, 7, 0x7E, None, 0x7F),
    Float8E4M3FNUZType(): Format(8, 3, 8, 0x7F, None, 0x80, signed_zero=False),
    Float8E5M2Type(): Format(8, 2, 15, 0x7B, 0x7C, 0x7E),
    Float8E5M2FNUZType(): Format(8, 2, 16, 0x7F, None, 0x80, signed_zero=False),
}


@cache
def is_minifloat(element: Attribute) -> bool:
    """Whether an element type is a float of at most 8 bits; its registers hold the bits."""
    return element in FORMATS or element == EXPONENTS


def bits_of(value: float, element: Attribute) -> int:
    """The code of a number."""
    return int(np.array(value, dtype_of(element)).view(np.uint8))


def decode(s: Scalars, x: Scalar) -> Scalar:
    """A small float as float32; every one has an exact counterpart."""
    code = s.cast(s.bit_cast(x, IntegerType(8)), i32)
    code = s.bit_and(code, s.const(0xFF, i32))
    if x.element == EXPONENTS:
        return _decode_exponent(s, code)
    form = FORMATS[x.element]
    magnitude = s.bit_and(code, s.const(form.sign - 1, i32))
    # The format's exponent and mantissa, moved to where float32 has them; too small by a
    # power of 2.
    moved = s.bit_cast(s.shift_left(magnitude, s.const(23 - form.mantissa, i32)), f32)
    number = s.mul(moved, s.const(2.0 ** (127 - form.bias), f32))
    if form.infinity is not None:
        infinite = s.compare("eq", magnitude, s.const(form.infinity, i32))
        number = s.select(infinite, s.const(float("inf"), f32), number)
        invalid = s.compare("gt", magnitude, s.const(form.infinity, i32))
        number = s.select(invalid, s.const(float("nan"), f32), number)
    negative = s.compare("ne", s.bit_and(code, s.const(form.sign, i32)), s.const(0, i32))
    number = s.select(negative, s.neg(number), number)
    if form.nan is None or form.infinity is not None:
        return number
    tested = magnitude if form.signed_zero else code
    invalid = s.compare("eq", tested, s.const(form.nan, i32))
    return s.select(invalid, s.const(float("nan"), f32), number)


def _decode_exponent(s: Scalars, code: Scalar) -> Scalar:
    number = s.bit_cast(s.shift_left(code, s.const(23, i32)), f32)
    number = s.select(s.compare("eq", code, s.const(0, i32)), s.const(2.0**-127, f32), number)
    invalid = s.compare("eq", code, s.const(0xFF, i32))
    return s.select(invalid, s.const(float("nan"), f32), number)


def encode(
    s: Scalars, x: Scalar, element: Attribute, saturate: bool = True, rounding: str = "up"
) -> Scalar:
    """A float32 as a small float, rounded half to even.

    Numbers beyond the largest become that one with ``saturate``, else infinity or NaN.
    ``rounding`` is of exponents only.
    """
    if element == EXPONENTS:
        return _encode_exponent(s, x, saturate, rounding)
    form = FORMATS[element]
    magnitude = s.abs(x)
    code = _rounded_code(s, magnitude, form)
    largest = s.const(form.largest, i32)
    beyond = form.infinity if form.infinity is not None else form.nan
    limit = largest if saturate or beyond is None else s.const(beyond, i32)
    code = s.select(s.compare("gt", code, largest), limit, code)
    bits = s.bit_cast(x, i32)
    sign = s.select(
        s.compare("lt", bits, s.const(0, i32)), s.const(form.sign, i32), s.const(0, i32)
    )
    if not form.signed_zero:
        sign = s.select(s.compare("eq", code, s.const(0, i32)), code, sign)
    code = s.bit_or(code, sign)
    if form.nan is not None:
        code = s.select(s.is_nan(x), s.const(form.nan, i32), code)
    return s.bit_cast(s.cast(code, i8), element)


def _rounded_code(s: Scalars, magnitude: Scalar, form: Format) -> Scalar:
    """Exponent and mantissa of a number from 0 on, rounded; beyond the range they go on."""
    shift = 23 - form.mantissa
    bits = s.bit_cast(magnitude, i32)
    odd = s.bit_and(s.shift_right(bits, s.const(shift, i32)), s.const(1, i32))
    raised = s.add(s.add(bits, s.const((1 << (shift - 1)) - 1, i32)), odd)
    code = s.shift_right(raised, s.const(shift, i32))
    code = s.sub(code, s.const((127 - form.bias) << form.mantissa, i32))
    # Below the smallest normal number codes are multiples of the smallest number.
    smallest = 2.0 ** (1 - form.bias - form.mantissa)
    steps = s.unary(math.RoundEvenOp, s.mul(magnitude, s.const(1 / smallest, f32)))
    normal = s.compare("ge", magnitude, s.const(2.0 ** (1 - form.bias), f32))
    few = s.select(normal, s.const(0, f32), steps)
    return s.select(normal, code, s.cast(few, i32))


def _encode_exponent(s: Scalars, x: Scalar, saturate: bool, rounding: str) -> Scalar:
    """The exponent of a float32, by one higher where its mantissa rounds up."""
    bits = s.bit_cast(x, i32)
    exponent = s.bit_and(s.shift_right(bits, s.const(23, i32)), s.const(0xFF, i32))
    mantissa = s.bit_and(bits, s.const(0x7FFFFF, i32))
    up = s.const(False, IntegerType(1))
    if rounding == "up":
        up = s.compare("gt", mantissa, s.const(0, i32))
    elif rounding == "nearest":
        # A tie goes up, but for the smallest exponent, whose power of 2 is even.
        odd = s.compare("gt", exponent, s.const(0, i32))
        tie = s.bit_and(s.compare("eq", mantissa, s.const(0x400000, i32)), odd)
        up = s.bit_or(s.compare("gt", mantissa, s.const(0x400000, i32)), tie)
    highest = s.const(0xFE if saturate else 0xFF, i32)
    raised = s.min(s.add(exponent, s.cast(up, i32)), highest)
    special = s.compare("eq", exponent, s.const(0xFF, i32))
    code = s.select(special, exponent, raised)
    return s.bit_cast(s.cast(code, i8), EXPONENTS)
