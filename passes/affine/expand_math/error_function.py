"""erf and erfc.

Coefficients are made like those of `exponential`, but for ERF_RATIO.
"""

from __future__ import annotations

from xdsl.dialects.builtin import f32, f64

from passes.affine.expand_math.body import F32, F64, Body, Format, Value
from passes.affine.expand_math.exponential import EXPM1, expm1_reduced, reduce, scale

# erf x / x - 1 in x^2, |x| <= ERF_NEAR; error of erf relative 2^-29.4 (f32), 2^-56.0 (f64).
ERF_NEAR = {F32: 1.25, F64: 1.0}
ERF = {
    F32: (
        0.12837917,
        -0.3761263,
        0.112836584,
        -0.026859501,
        0.005207506,
        -0.0008324236,
        0.00010317631,
        -7.425214e-06,
    ),
    F64: (
        0.12837916709551256,
        -0.37612638903183343,
        0.11283791670936952,
        -0.026866170641953176,
        0.005223977596594548,
        -0.000854832547265106,
        0.00012055279941819491,
        -1.4924451224832302e-05,
        1.6443925148958907e-06,
        -1.6181897213010437e-07,
        1.3606054608975982e-08,
        -7.585007688547944e-10,
    ),
}

# erfc(t + 2.5) on 1.25 <= t + 2.5 <= 3.9375, where erf rounds to 1; absolute error 2^-27.9 (f32).
ERFC_FAR = (
    0.00040694847,
    -0.0021782822,
    0.0054459134,
    -0.008350145,
    0.008620478,
    -0.0061167777,
    0.0028051403,
    -0.0005449036,
    -0.00027171118,
    0.0002554798,
    -6.960783e-05,
    -1.0630658e-05,
    1.0634728e-05,
    -1.7943072e-06,
)

# erf x as x P(x^2) / Q(x^2) on 0 <= x <= ERF_HIGHEST, where the ratio is above 1 by 14 * 2^-24, so
# that rounding cannot bring it below; absolute error 2^-26.5 up to 3.8. Least squares, reweighted
# until the errors were level; P and Q are scaled by what rounds best.
ERF_HIGHEST = 4.05
ERF_RATIO = (
    (2.1862345, 0.36504465, 0.101871043, 0.0071773557, 0.0005578384, 4.1177027e-06),
    (1.9375, 0.9693436, 0.2196535, 0.028761191, 0.0022393456, 7.5607626e-05),
)

# (1 + 2 x) e^(x^2) erfc x - ERFCX_HEAD in t = (x - c) / (x + c), after Shepherd and Laframboise
# (Chebyshev approximation of (1 + 2x) exp(x^2) erfc x, Mathematics of Computation 36, 1981);
# relative error 2^-29.9 with c = 2 on 0 <= x <= 10.2 (f32), 2^-55.7 with c = 3.75 on 0 <= x <=
# 28 (f64), where all coefficients were rounded at once.
ERFCX_CENTRE = {F32: 2.0, F64: 3.75}
ERFCX_HIGHEST = {F32: 10.2, F64: 28.0}
ERFCX_HEAD = 1.25
ERFCX = {
    F32: (
        0.026978382687301265,
        -0.09276382066435311,
        -0.16603052241203456,
        0.16405104065194342,
        -0.05421781569445544,
        -0.008030875789646837,
        0.00870902714255952,
        0.0012527172217909582,
        -0.0014206313240890862,
        -0.0004007191970703081,
        0.0001692518461841342,
        7.935096617114285e-05,
    ),
    F64: (
        -0.012487369162172416,
        -0.140240598585547,
        0.003585415485462958,
        0.08227673849014837,
        -0.10880393014166136,
        0.09230432116030816,
        -0.05869339859167175,
        0.028362277419322006,
        -0.009746579533675082,
        0.0017556258575569114,
        0.00029371349510761937,
        -0.0002901541586404571,
        5.164984253716415e-05,
        2.238474211611704e-05,
        -1.1446213462854467e-05,
        -9.753790648356826e-07,
        1.7552403032715405e-06,
        -5.322823276682656e-08,
        -2.6229893908863737e-07,
        1.7986881484592892e-08,
        4.023050463770335e-08,
        1.3514083669242248e-10,
        -4.821016461576953e-09,
        -9.086721737836417e-10,
    ),
}


def erf(b: Body, x: Value) -> Value:
    """An odd polynomial near 0, 1 - erfc beyond, for which f32 has another polynomial."""
    fmt = x.format
    a = abs(x)
    near = _erf_near(b, x)
    if fmt is F32:
        far = 1.0 - b.short_polynomial(b.at_most(a, 3.9375) - 2.5, ERFC_FAR)
    else:
        far = 1.0 - _erfc_of_positive(b, a, F64)
    return b.select(a < ERF_NEAR[fmt], near, b.copysign(far, x))


def erf_of_unit(b: Body, x: Value) -> Value:
    """erf x to an absolute error of 2^-21.8 (f32), exactly 1 and -1 where `erf` is: for 1 + erf x.

    Half as many operations as `erf`, which is exact relative to its result, too.
    """
    if x.format is not F32:
        return erf(b, x)
    x = b.at_most(b.at_least(x, -ERF_HIGHEST), ERF_HIGHEST)
    square = x * x
    upper, lower = (b.short_polynomial(square, part) for part in ERF_RATIO)
    return b.at_most(b.at_least(x * upper / lower, -1.0), 1.0)


def erfc(b: Body, x: Value) -> Value:
    """2 - erfc(-x) for negative x, f64 as 1 - erf near 0; f32 in f64."""
    fmt = x.format
    tail = _erfc_of_positive(b, abs(x).to(f64), fmt)
    result = b.select(x.to(f64) < 0.0, 2.0 - tail, tail)
    if fmt is F32:
        return result.to(f32)
    return b.select(abs(x) < 0.5, 1.0 - _erf_near(b, x), result)


def _erf_near(b: Body, x: Value) -> Value:
    return b.fma(x, b.short_polynomial(x * x, ERF[x.format]), x)


def _erfc_of_positive(b: Body, x: Value, accuracy: Format) -> Value:
    """e^(-x^2) p(t) / (1 + 2 x) in f64, each factor with what its rounding lost."""
    x = b.at_most(x, ERFCX_HIGHEST[accuracy])
    centre = ERFCX_CENTRE[accuracy]
    t = (x - centre) / (x + centre)
    p, p_low = b.fast_two_sum(b.constant(ERFCX_HEAD, f64), b.polynomial(t, ERFCX[accuracy]))
    d = b.fma(2.0, x, 1.0)
    d_low = b.fma(2.0, x, 1.0 - d)
    inverse = 1.0 / d
    q = p * inverse
    q_low = (b.fma(-q, d, p) + b.fma(-q, d_low, p_low)) * inverse
    square, square_low = b.two_product(x, x)
    r, n = reduce(b, -square, 2 * F64.bias)
    e = expm1_reduced(b, r, EXPM1[accuracy])
    q_low = b.fma(-q, square_low, q_low)
    return scale(q + b.fma(q, e, b.fma(q_low, e, q_low)), n)
