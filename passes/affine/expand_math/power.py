"""powf, fpowi, ipowi, cbrt, rsqrt.

|x|^y = 2^(y log2 |x|). The result's relative error is the exponent's absolute one, and that is
up to 1024, so log2 needs about ten more bits than the format has: f32 computes in f64, f64 in
sums of two f64 (Dekker, A floating-point technique for extending the available precision,
Numerische Mathematik 18, 1971). Coefficients are made like those of `exponential`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt

from xdsl.dialects.builtin import IntegerType, f32, f64

from dialects import arith
from passes.affine.expand_math.body import F32, F64, Body, Format, Value
from passes.affine.expand_math.exponential import EXP2, power_of_two, scale
from passes.affine.expand_math.logarithm import LOG2_E, split

# (log(1 + f) - f) / f^2 on |f| <= 1/3; error of log(1 + f) relative 2^-34.8.
LOG1P_FOR_F32 = (
    -0.4999999988750233,
    0.3333333322802292,
    -0.2500002453307353,
    0.20000022964979705,
    -0.1666511548955436,
    0.14284262367432715,
    -0.12542348210234575,
    0.11150743922734835,
    -0.09439373667789001,
    0.08566365072672211,
    -0.11804536125167618,
    0.10938331046174293,
)

# (2 atanh s - 2 s - 2/3 s^3) / s^5 in s^2, |s| <= 3 - 2 sqrt 2; error of 2 atanh s relative
# 2^-71.6.
ATANH_TAIL = (
    0.39999999999999997,
    0.2857142857143291,
    0.22222222220354115,
    0.18181818546150016,
    0.1538457744963612,
    0.13335583928548153,
    0.1168858099632381,
    0.1188317539908386,
)
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)

# Exponents beyond are as good as infinite: the smallest |log2 x| that is not 0 is 2^-53.
HUGE_EXPONENT = 2.0**70
# Beyond, 2^t is 0 or infinite in the format.
EXP2_BOUND = {F32: 200.0, F64: 1100.0}

# An encoding less a third of it is roughly that of x^(-1/3): relative error 3.6 %.
CBRT_MAGIC = {F32: 0x54A1F671, F64: 0x553EE978D4FDF400}
# A power of 8 that makes subnormal numbers normal.
CBRT_SCALE = {F32: 24, F64: 54}
# Series of ((1 - h)^(-1/3) - 1) / h for one iteration after the other.
CBRT_SERIES = {
    F32: ((1 / 3, 2 / 9, 14 / 81), (1 / 3,)),
    F64: ((1 / 3, 2 / 9, 14 / 81), (1 / 3, 2 / 9), (1 / 3,)),
}


@dataclass(frozen=True)
class Exponent:
    """An exponent in f64, and whether it is an integer (None: it is), and an odd one."""

    value: Value
    integer: Value | None
    odd: Value


def powf(b: Body, x: Value, y: Value) -> Value:
    """x^y, all of C99's special cases (F.9.4.4) included."""
    half = y * 0.5
    integer = b.floor(y).equals(y)
    odd = integer & b.floor(half).differs(half)
    return _power(b, x, Exponent(y.to(f64), integer, odd))


def fpowi(b: Body, x: Value, n: Value) -> Value:
    """x^n for an integer n, which is rounded to f64 (exact up to 2^53)."""
    value = b.convert(arith.SIToFPOp, n, f64)
    return _power(b, x, Exponent(value, None, (n & 1).differs(0)))


def ipowi(b: Body, x: Value, n: Value) -> Value:
    """x^n modulo 2^width by squaring; for negative n 1 / x^-n rounded towards zero, 0 for x = 0.

    All steps are there, whatever n is: a constant n folds them to a few multiplications.
    """
    assert isinstance(n.element, IntegerType)
    width = n.element.width.data
    result = b.constant(1, x.element)
    power = x
    for bit in range(width - 1):
        result = b.select((n & (1 << bit)).differs(0), result * power, result)
        power = power * power
    unit = b.select((n & 1).differs(0), x, 1)
    reciprocal = b.select((x + 1).unsigned_less(3), unit, 0)
    reciprocal = b.select(x.equals(0), 0, reciprocal)
    return b.select(n < 0, reciprocal, result)


def cbrt(b: Body, x: Value) -> Value:
    """The cube root: y = a^(-1/3) by iterations that only multiply, then a y^2, corrected once."""
    fmt = x.format
    scale_bits = CBRT_SCALE[fmt]
    subnormal = abs(x) < fmt.smallest_normal
    a = b.select(subnormal, abs(x) * 2.0**scale_bits, abs(x))
    y = (CBRT_MAGIC[fmt] - _third(a.bits())).as_float()
    # y (1 - h)^(-1/3) with h = 1 - a y^3, |h| < 0.11, expanded to the fourth order, then the third.
    for series in CBRT_SERIES[fmt]:
        h = 1.0 - a * y * y * y
        y = b.fma(y * h, b.polynomial(h, series), y)
    root = a * y * y
    root = b.fma(b.fma(-(root * root), root, a), y * y * (1 / 3), root)
    root = root * b.select(subnormal, b.constant(2.0 ** (-scale_bits // 3), x.element), 1.0)
    return b.copysign(b.select(a < inf, root, a), x)


def _third(bits: Value) -> Value:
    """bits / 3 by shifts and additions, less by up to bits / 2^16: an integer division by a
    constant does not vectorise in 64 bits."""
    third = (bits >> 2) + (bits >> 4)
    for shift in (4, 8, 16):
        third = third + (third >> shift)
    return third


def rsqrt(b: Body, x: Value) -> Value:
    """1 / sqrt(x): division and root round once each and treat the special cases right."""
    return 1.0 / b.sqrt(x)


def _power(b: Body, x: Value, y: Exponent) -> Value:
    fmt = x.format
    a = abs(x)
    log, log_low = (_log2_of_f32 if fmt is F32 else _log2_of_f64)(b, a)
    exponent = b.at_most(b.at_least(y.value, -HUGE_EXPONENT), HUGE_EXPONENT)
    power = _exp2_of_product(b, fmt, exponent, log, log_low)
    # Negative finite numbers have no power but integer ones.
    if y.integer is not None:
        undefined = (x < 0.0) & (a < inf) & (y.integer ^ 1)
        power = b.select(undefined, nan, power)
    one = y.value.equals(0.0) | x.equals(1.0)
    power = b.select(one, 1.0, power)
    sign = b.select(y.odd, x.bits() & fmt.sign_bit, 0)
    return (power.bits() ^ sign).as_float()


def _exp2_of_product(b: Body, fmt: Format, y: Value, log: Value, log_low: Value | None) -> Value:
    """2^(y * (log + log_low)) in the format; `log` may be infinite or NaN."""
    bound = EXP2_BOUND[fmt]
    product = y * log
    t = b.at_most(b.at_least(product, -bound), bound)
    shifter = F64.shifter + (F64.bias if log_low is None else 2 * F64.bias)
    shifted = t + shifter
    r = t - (shifted - shifter)
    if log_low is None:
        power = b.polynomial(r, (1.0, *EXP2[F32])) * power_of_two(shifted.bits(), F64.mantissa)
        return power.to(f32)
    low = b.fma(y, log_low, b.fma(y, log, -product))
    r = r + b.select(abs(product) < bound, low, 0.0)
    return scale(b.polynomial(r, (1.0, *EXP2[F64])), shifted.bits())


def _log2_of_f32(b: Body, a: Value) -> tuple[Value, None]:
    """log2 of a non-negative f32, in f64 with a relative error of 2^-34; -inf at 0, inf at inf."""
    a = a.to(f64)
    k, m = split(b, a)
    f = m - 1.0
    log = b.fma(f * f, b.polynomial(f, LOG1P_FOR_F32), f)
    return _with_limits(b, a, b.fma(LOG2_E[F64][0], log, k)), None


def _log2_of_f64(b: Body, a: Value) -> tuple[Value, Value]:
    """log2 of a non-negative f64 as a sum of two with a relative error of 2^-64, from
    log m = 2 atanh s = 2 s + 2/3 s^3 + ... for s = (m - 1) / (m + 1), of which two terms need two
    parts."""
    subnormal = a < F64.smallest_normal
    k, m = split(b, b.select(subnormal, a * 2.0**54, a), sqrt(0.5))
    k = k - b.select(subnormal, b.constant(54.0, f64), 0.0)
    f, d = m - 1.0, m + 1.0
    d_low = m - (d - 1.0)
    inverse = 1.0 / d
    s = f * inverse
    s_low = (b.fma(-s, d, f) - s * d_low) * inverse
    z, z_low = b.two_product(s, s)
    z_low = b.fma(s * 2.0, s_low, z_low)
    cube, cube_low = b.two_product(s, z)
    cube_low = b.fma(s, z_low, b.fma(s_low, z, cube_low))
    two_thirds = b.constant(TWO_THIRDS[0], f64)
    second, second_low = b.two_product(cube, two_thirds)
    second_low = b.fma(TWO_THIRDS[1], cube, b.fma(cube_low, two_thirds, second_low))
    rest = b.fma(cube * z, b.polynomial(z, ATANH_TAIL), second_low)
    log, low = b.fast_two_sum(s * 2.0, second)
    log, low = b.fast_two_sum(log, low + b.fma(2.0, s_low, rest))
    log2, log2_low = b.two_product(log, b.constant(LOG2_E[F64][0], f64))
    log2_low = b.fma(LOG2_E[F64][1], log, b.fma(LOG2_E[F64][0], low, log2_low))
    total, lost = b.fast_two_sum(k, log2)
    return _with_limits(b, a, total), lost + log2_low


def _with_limits(b: Body, a: Value, log: Value) -> Value:
    """The logarithm, but -inf at 0 and a itself at infinity and NaN."""
    return b.select(a.equals(0.0), -inf, b.select(a < inf, log, a))
