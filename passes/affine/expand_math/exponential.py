"""exp, exp2, expm1, tanh, sinh, cosh.

All but exp2 write x = n ln2 + r with an integer n and |r| <= ln2 / 2 (Cody and Waite, Software
Manual for the Elementary Functions, 1980) and evaluate a polynomial in r.

Coefficients, here and in the other modules of this package, are minimax: a Remez exchange in 50
digits for the weight and interval told, in which each coefficient in turn was rounded to the format
and the rest fitted again. The errors told are those of the rounded polynomials in exact arithmetic;
what the functions make of them is in the package's docstring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passes.affine.expand_math.body import F32, F64, Body, Format, Value

LOG2E = 1.4426950408889634

# ln2 as a sum; the first part has 12 (32) bits, so that its products with an n are exact.
LN2 = {
    F32: (0.693115234375, 3.1946183e-05),
    F64: (0.6931471803691238, 1.9082149292705877e-10),
}

# The same where a few ulp do: the nearest float is off by 2^-29, which n <= 128 makes 2^-22.
LN2_NORMAL = {F32: (0.69314718246,), F64: LN2[F64]}

# (e^r - 1 - r) / r^2 on |r| <= ln2 / 2; error of e^r - 1 relative 2^-25.8 (f32), 2^-61.6 (f64).
EXPM1 = {
    F32: (0.49999997, 0.16666523, 0.041667614, 0.008369065, 0.0013851599),
    F64: (
        0.5,
        0.16666666666666677,
        0.041666666666666685,
        0.0083333333333218,
        0.0013888888888893814,
        0.00019841269885336767,
        2.480158727855857e-05,
        2.755724514460732e-06,
        2.7557329969477134e-07,
        2.5108694840991874e-08,
        2.0893775734906557e-09,
    ),
}

# (e^r - 1) / r on |r| <= ln2 / 2 where a few ulp do; error of e^r relative 2^-23.4 (f32).
EXP_NORMAL = {
    F32: (0.9999997, 0.49999148, 0.1666766, 0.041898154, 0.008288527),
    F64: (1.0, *EXPM1[F64]),
}

# (2^r - 1) / r on |r| <= 1/2; error of 2^r relative 2^-27.5 (f32), 2^-55.2 (f64).
EXP2 = {
    F32: (0.69314724, 0.24022655, 0.055502728, 0.009617055, 0.0013417923, 0.00015826385),
    F64: (
        0.6931471805599457,
        0.240226506959101,
        0.05550410866478897,
        0.009618129107606876,
        0.001333355815374295,
        0.00015403530441009412,
        1.5252727033495558e-05,
        1.3215443138422092e-06,
        1.0180824725974716e-07,
        7.072482123841356e-09,
        4.047436700713548e-10,
    ),
}

# (sinh r - r) / r^3 and (cosh r - 1) / r^2 in r^2, |r| <= ln2 / 2; errors of sinh and cosh relative
# 2^-26.1 and 2^-33.2 (f32), 2^-61.6 and 2^-57.9 (f64).
SINH = {
    F32: (0.16666543, 0.008366554),
    F64: (
        0.16666666666666677,
        0.008333333333321468,
        0.0001984126988638982,
        2.755724405170196e-06,
        2.510906747050308e-08,
    ),
}
COSH = {
    F32: (0.5, 0.04166646, 0.0013935453),
    F64: (
        0.5000000000000013,
        0.04166666666651211,
        0.0013888888947442928,
        2.4801489821520423e-05,
        2.763124839978842e-07,
    ),
}

# Beyond these the results no longer change: e^x is 0 or infinite, e^x - 1 is -1, tanh is 1.
EXP_BOUNDS = {F32: (-104.0, 89.0), F64: (-746.0, 710.0)}
EXP2_BOUNDS = {F32: (-151.0, 129.0), F64: (-1076.0, 1025.0)}
EXP_NORMAL_BOUNDS = {F32: (-88.0, 89.0), F64: (-709.0, 710.0)}
EXPM1_LOWEST = {F32: -18.0, F64: -38.0}
TANH_HIGHEST = {F32: 9.02, F64: 19.1}
SINH_HIGHEST = {F32: 90.0, F64: 711.0}


def exp(b: Body, x: Value) -> Value:
    """e^x; subnormal results are rounded once, none is flushed."""
    fmt = x.format
    lowest, highest = EXP_BOUNDS[fmt]
    x = b.at_most(b.at_least(x, lowest), highest)
    r, n = reduce(b, x, 2 * fmt.bias)
    return scale(b.polynomial(r, (1.0, 1.0, *EXPM1[fmt])), n)


def exp_normal(b: Body, x: Value) -> Value:
    """e^x where that is a normal number: 0 in place of subnormal ones, infinite from 2^127.5 on.

    In f32 the error is below 2.1 + |x| / 25 ulp; it takes 40 % less operations than `exp`.
    """
    fmt = x.format
    lowest, highest = EXP_NORMAL_BOUNDS[fmt]
    x = b.at_most(b.at_least(x, lowest), highest)
    r, n = reduce(b, x, fmt.bias, LN2_NORMAL)
    power = power_of_two(n, fmt.mantissa)
    return b.product(b.polynomial(r, (1.0, *EXP_NORMAL[fmt])), power)


def exp2(b: Body, x: Value) -> Value:
    """2^x, exact for integers."""
    fmt = x.format
    lowest, highest = EXP2_BOUNDS[fmt]
    x = b.at_most(b.at_least(x, lowest), highest)
    shifter = fmt.shifter + 2 * fmt.bias
    shifted = x + shifter
    r = x - (shifted - shifter)
    return scale(b.polynomial(r, (1.0, *EXP2[fmt])), shifted.bits())


def expm1(b: Body, x: Value) -> Value:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1), halved so that 2^n does not overflow before it does."""
    fmt = x.format
    bounded = b.at_most(b.at_least(x, EXPM1_LOWEST[fmt]), EXP_BOUNDS[fmt][1])
    r, n = reduce(b, bounded, fmt.bias - 1)
    half_power = power_of_two(n, fmt.mantissa)
    result = b.fma(half_power, expm1_reduced(b, r, EXPM1[fmt]), half_power - 0.5) * 2.0
    # Halving costs subnormal numbers a bit, and the sum the sign of zero.
    return b.select(abs(x) < 2.0 ** (-fmt.mantissa - 2), x, result)


def tanh(b: Body, x: Value) -> Value:
    """E / (E + 2) for E = e^2a - 1 and a = |x|."""
    fmt = x.format
    r, n = reduce(b, b.at_most(abs(x), TANH_HIGHEST[fmt]) * 2.0, fmt.bias)
    power = power_of_two(n, fmt.mantissa)
    e = b.fma(power, expm1_reduced(b, r, EXPM1[fmt]), power - 1.0)
    return b.copysign(e / (e + 2.0), x)


def sinh(b: Body, x: Value) -> Value:
    """4 (cosh r (u - v) + sinh r (u + v)) with u = 2^(n-3), v = 2^(-n-3): hardly cancels."""
    r, tail, cosh_r, total, difference = _hyperbolic_parts(b, x)
    small = b.fma(total, r, b.fma(cosh_r, difference, tail * total))
    # Subnormal numbers would lose bits in the division by 4.
    tiny = abs(x) < 2.0 ** (-x.format.mantissa // 2)
    return b.select(tiny, x, b.copysign((difference + small) * 4.0, x))


def cosh(b: Body, x: Value) -> Value:
    """4 (cosh r (u + v) + sinh r (u - v)), see `sinh`."""
    r, tail, cosh_r, total, difference = _hyperbolic_parts(b, x)
    small = b.fma(difference, r, b.fma(cosh_r, total, tail * difference))
    return (total + small) * 4.0


def _hyperbolic_parts(b: Body, x: Value) -> tuple[Value, Value, Value, Value, Value]:
    """r, sinh r - r, cosh r - 1, u + v, u - v for |x|."""
    fmt = x.format
    r, n = reduce(b, b.at_most(abs(x), SINH_HIGHEST[fmt]), fmt.bias - 3)
    u = power_of_two(n, fmt.mantissa)
    # v's exponent field is 2 (bias - 3) minus u's; it is flushed to zero once it would be negative,
    # long after v has stopped to matter.
    field = (2 * (fmt.bias - 3) + fmt.bits_of(fmt.shifter)) - n
    v = power_of_two(b.select(field < 0, 0, field), fmt.mantissa)
    z = r * r
    tail = r * z * b.polynomial(z, SINH[fmt])
    return r, tail, z * b.polynomial(z, COSH[fmt]), u + v, u - v


def reduce(
    b: Body, x: Value, offset: int, ln2: Mapping[Format, Sequence[float]] = LN2
) -> tuple[Value, Value]:
    """r = x - n ln2 for the integer n nearest to x / ln2, and n + offset in the low bits of an
    integer (whose higher bits are those of the shifter). ``ln2`` are the parts of a sum."""
    fmt = x.format
    shifter = fmt.shifter + offset
    shifted = b.fma(LOG2E, x, shifter)
    n = shifted - shifter
    r = x
    for part in ln2[fmt]:
        r = b.fma(-part, n, r)
    return r, shifted.bits()


def expm1_reduced(b: Body, r: Value, q: Sequence[float]) -> Value:
    """e^r - 1 for |r| <= ln2 / 2, with the polynomial EXPM1 of the accuracy wanted."""
    return b.fma(r * r, b.polynomial(r, q), r)


def power_of_two(field: Value, mantissa: int) -> Value:
    """The float whose exponent field stands in the low bits of `field`."""
    return (field << mantissa).as_float()


def scale(x: Value, n: Value) -> Value:
    """x * 2^(n - 2 bias) for the low bits of n, in two steps: each factor is a normal number, the
    first product is exact, and the second rounds or overflows as the result must."""
    mantissa = x.format.mantissa
    half = (n >> 1) << mantissa
    rest = (n << mantissa) - half
    return x * half.as_float() * rest.as_float()
