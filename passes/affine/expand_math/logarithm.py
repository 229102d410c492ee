"""log, log2, log10, log1p, asinh, acosh, atanh.

x = 2^k m with m in [2/3, 4/3) and f = m - 1; log x = k ln2 + f + f^2 q(f) with a polynomial q (made
like those of `exponential`). The interval makes |f| <= 1/3 and keeps k = 0 around x = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

from xdsl.dialects.builtin import f32, f64

from passes.affine.expand_math.body import F32, F64, Body, Value
from passes.affine.expand_math.exponential import LN2

# (log(1 + f) - f) / f^2 on |f| <= 1/3; error of log(1 + f) relative 2^-27.2 (f32), 2^-58.0 (f64).
LOG1P = {
    F32: (
        -0.5,
        0.33333197,
        -0.2499992,
        0.20011437,
        -0.16674435,
        0.1398957,
        -0.12273809,
        0.14060158,
        -0.124865964,
    ),
    F64: (
        -0.5,
        0.3333333333333313,
        -0.24999999999999892,
        0.20000000000086002,
        -0.16666666666716137,
        0.1428571427300733,
        -0.12499999992080907,
        0.11111112040826761,
        -0.10000000628766241,
        0.09090870088301994,
        -0.08333304656988086,
        0.07693317002714482,
        -0.07143660084117961,
        0.0665004204600571,
        -0.06235850823582817,
        0.06056242153283425,
        -0.05711574983239209,
        0.04157327075844784,
        -0.03970171656881501,
        0.08530889602722215,
        -0.0813385058313035,
    ),
}


@dataclass(frozen=True)
class Base:
    """log_base(2) and log_base(e), each as a sum of two numbers; the first of log_base(2) has
    trailing zeros, so that its products with a k are exact. `of_e` is None for base e."""

    of_2: tuple[float, float]
    of_e: tuple[float, float] | None


LOG10_2 = {
    F32: (0.301025390625, 4.605039e-06),
    F64: (0.3010299955494702, 1.1451100898021838e-10),
}
LOG10_E = {
    F32: (0.4342944920063019, -1.0103049952192578e-08),
    F64: (0.4342944819032518, 1.098319650216765e-17),
}
LOG2_E = {
    F32: (1.4426950216293335, 1.925963033500011e-08),
    F64: (1.4426950408889634, 2.0355273740931033e-17),
}


def log(b: Body, x: Value) -> Value:
    """The natural logarithm."""
    return _of_positive(b, x, Base(LN2[x.format], None))


def log2(b: Body, x: Value) -> Value:
    """The logarithm to base 2, exact for powers of two."""
    return _of_positive(b, x, Base((1.0, 0.0), LOG2_E[x.format]))


def log10(b: Body, x: Value) -> Value:
    """The logarithm to base 10."""
    return _of_positive(b, x, Base(LOG10_2[x.format], LOG10_E[x.format]))


def log1p(b: Body, x: Value) -> Value:
    """log(1 + x), with the sign of a zero x; NaN below -1, -inf at -1."""
    result = b.copysign(log1p_of_sum(b, x), x)
    outside = b.select(x.equals(-1.0), -inf, b.constant(nan, x.element))
    return b.select(x > -1.0, result, outside)


def split(b: Body, x: Value, lowest: float = 2 / 3) -> tuple[Value, Value]:
    """The float k and m in [lowest, 2 lowest) with x = 2^k m, for positive normal x.

    Integers only: the exponent field is offset by bias + 1, so that it stays positive and a logical
    shift will do.
    """
    fmt = x.format
    low = fmt.bits_of(lowest)
    offset = fmt.bias + 1
    bits = x.bits() + ((offset << fmt.mantissa) - low)
    m = ((bits & ((1 << fmt.mantissa) - 1)) + low).as_float()
    k = ((bits >> fmt.mantissa) + fmt.bits_of(fmt.shifter)).as_float() - (fmt.shifter + offset)
    return k, m


def _of_positive(b: Body, x: Value, base: Base) -> Value:
    """log to any base, all of the special cases included."""
    fmt = x.format
    subnormal = x < fmt.smallest_normal
    shift = fmt.mantissa + 1
    k, m = split(b, b.select(subnormal, x * 2.0**shift, x))
    k = k - b.select(subnormal, b.constant(float(shift), x.element), 0.0)
    result = combine(b, k, m - 1.0, base, LOG1P[fmt])
    positive = b.select(x > 0.0, x, nan)
    special = b.select(x.equals(0.0), -inf, positive)
    # Exactly the positive finite numbers: 0 - 1 wraps around, negative ones have the high bit.
    return b.select((x.bits() - 1).unsigned_less(fmt.infinity_bits - 1), result, special)


def combine(b: Body, k: Value, f: Value, base: Base, q: Sequence[float]) -> Value:
    """log_base(2^k (1 + f)), small terms first."""
    tail = f * f * b.polynomial(f, q)
    high, low = base.of_2
    if base.of_e is None:
        return b.fma(high, k, f + b.fma(low, k, tail))
    high_e, low_e = base.of_e
    rest = b.fma(low_e, f, tail * high_e)
    if low:
        rest = b.fma(low, k, rest)
    return b.fma(high, k, b.fma(high_e, f, rest))


def log1p_of_sum(
    b: Body,
    x: Value,
    low: Value | None = None,
    doublings: Value | None = None,
    q: Sequence[float] | None = None,
) -> Value:
    """log(1 + x + low) + doublings * ln2 for x > -1 (inf and NaN pass), |low| <= ulp(x).

    k and m come from the rounded 1 + x; f = (1 + x) / 2^k - 1 = x 2^-k + (2^-k - 1) then has a
    single rounding. From 2^(mantissa + 4) on, 1 + x rounds to x well enough for f = m - 1.
    """
    fmt = x.format
    u = x + 1.0
    k, m = split(b, u)
    # m = u 2^-k, so the difference of their encodings is k's field.
    inverse = ((m.bits() - u.bits()) + fmt.bits_of(1.0)).as_float()
    f = b.fma(x, inverse, inverse - 1.0)
    if low is not None:
        f = b.fma(low, inverse, f)
    f = b.select(x > 2.0 ** (fmt.mantissa + 4), m - 1.0, f)
    if doublings is not None:
        k = k + doublings
    result = combine(b, k, f, Base(LN2[fmt], None), q or LOG1P[fmt])
    return b.select(x < inf, result, x)


def asinh(b: Body, x: Value) -> Value:
    """log(a + sqrt(a^2 + 1)) = log1p(a + a^2 / (1 + sqrt(a^2 + 1))) for a = |x|; f32 in f64, where
    the quotient may be sqrt(a^2 + 1) - 1."""
    a = abs(x).to(f64)
    if x.element == f32:
        total = a + (b.sqrt(b.fma(a, a, 1.0)) - 1.0)
        return b.copysign(log1p_of_sum(b, total, q=LOG1P[F32]).to(f32), x)
    big = a > 2.0**60
    square = b.select(big, 1.0, a * a)
    part = b.select(big, 0.0, square / (b.sqrt(square + 1.0) + 1.0))
    total = a + part
    result = log1p_of_sum(b, total, (a - total) + part, _one_if(b, big))
    return b.copysign(result, x)


def acosh(b: Body, x: Value) -> Value:
    """log1p(w + sqrt(w (w + 2))) for w = x - 1; NaN below 1; f32 in f64."""
    w = x.to(f64) - 1.0
    w = b.select(w >= 0.0, w, nan)
    if x.element == f32:
        return log1p_of_sum(b, w + b.sqrt(b.fma(w, w, w * 2.0)), q=LOG1P[F32]).to(f32)
    big = w > 2.0**60
    square = b.fma(w, w, w * 2.0)
    square_low = b.fma(w, w, w * 2.0 - square)
    root = b.select(big, 0.0, b.sqrt(square))
    root_low = (b.fma(-root, root, square) + square_low) / (root * 2.0)
    total, low = b.two_sum(w, root)
    low = low + b.select(root > 0.0, root_low, 0.0)
    return log1p_of_sum(b, total, low, _one_if(b, big))


def atanh(b: Body, x: Value) -> Value:
    """log1p(2a / (1 - a)) / 2 for a = |x|; NaN beyond 1; f32 in f64."""
    a = abs(x).to(f64)
    twice = a + a
    part = twice * a / (1.0 - a)
    if x.element == f32:
        result = log1p_of_sum(b, twice + part, q=LOG1P[F32])
    else:
        result = log1p_of_sum(b, *b.two_sum(twice, part))
    result = b.select(a > 1.0, b.constant(nan, f64), result * 0.5)
    return b.copysign(result.to(x.element), x)


def _one_if(b: Body, condition: Value) -> Value:
    return b.select(condition, b.constant(1.0, f64), 0.0)
