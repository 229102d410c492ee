"""asin, acos, atan, atan2: odd polynomials after folding the argument.

Coefficients are made like those of `exponential`.
"""

from __future__ import annotations

from passes.affine.expand_math.body import F32, F64, Body, Value

# pi as a sum of two numbers.
PI = {
    F32: (3.1415927410125732, -8.742277657347586e-08),
    F64: (3.141592653589793, 1.2246467991473532e-16),
}

# (asin s - s) / s^3 in s^2, |s| <= 1/2; error of asin relative 2^-27.6 (f32), 2^-55.8 (f64).
ASIN = {
    F32: (0.16666752, 0.07495309, 0.045469273, 0.024184125, 0.042159434),
    F64: (
        0.1666666666666541,
        0.07500000000336639,
        0.044642856828561464,
        0.030381959129458486,
        0.022371758192095813,
        0.017359703118597303,
        0.013885247191857282,
        0.012169163912711235,
        0.006528053934406859,
        0.01952840299177194,
        -0.016225022235256285,
        0.031913170160357864,
    ),
}

# (atan t - t) / t^3 in t^2, |t| <= 1; error of atan relative 2^-28.4 (f32), 2^-57.1 (f64).
ATAN = {
    F32: (
        -0.333333,
        0.19998537,
        -0.14264207,
        0.10952418,
        -0.08405112,
        0.057999015,
        -0.031228993,
        0.010946122,
        -0.0018013667,
    ),
    F64: (
        -0.3333333333333307,
        0.19999999999951887,
        -0.14285714282597478,
        0.11111111007613649,
        -0.09090907012230588,
        0.07692279935167866,
        -0.06666404755476166,
        0.0588053152884916,
        -0.05253533455730487,
        0.047223684340532396,
        -0.04219292074708995,
        0.03664413151469513,
        -0.029907385682491912,
        0.021989378875004163,
        -0.013905183558285383,
        0.007200161306849706,
        -0.0028870651054228947,
        0.0008321954820110394,
        -0.00015237975092166771,
        1.3250400419967974e-05,
    ),
}


def asin(b: Body, x: Value) -> Value:
    """The arcsine; beyond |x| = 1/2 as pi / 2 - 2 asin(sqrt((1 - |x|) / 2)). NaN beyond 1."""
    pi, pi_low = PI[x.format]
    big, s, tail = _folded_asin(b, x)
    # pi / 2 - 2 (s + tail), with what the first subtraction loses: its result may be above 1 where
    # the whole is below.
    head = b.fma(-2.0, s, pi / 2)
    lost = b.fma(-2.0, s, pi / 2 - head) + pi_low / 2
    folded = head + b.fma(-2.0, tail, lost)
    return b.copysign(b.select(big, folded, s + tail), x)


def acos(b: Body, x: Value) -> Value:
    """The arccosine: pi / 2 - asin x, 2 asin(s) or pi - 2 asin(s), see `asin`. NaN beyond 1."""
    pi, pi_low = PI[x.format]
    big, s, tail = _folded_asin(b, x)
    negative = x < 0.0
    small = b.constant(pi / 2, x.element) - (b.copysign(s, x) + (b.copysign(tail, x) - pi_low / 2))
    folded = (s + tail) * 2.0
    return b.select(big, b.select(negative, pi - (folded - pi_low), folded), small)


def _folded_asin(b: Body, x: Value) -> tuple[Value, Value, Value]:
    """|x| > 1/2, and asin as s + tail of s = |x| or of s = sqrt((1 - |x|) / 2) there."""
    a = abs(x)
    big = a > 0.5
    z = b.select(big, b.fma(-0.5, a, 0.5), a * a)
    s = b.select(big, b.sqrt(z), a)
    return big, s, s * z * b.polynomial(z, ASIN[x.format])


def atan(b: Body, x: Value) -> Value:
    """The arctangent; beyond |x| = 1 as pi / 2 - atan(1 / |x|)."""
    a = abs(x)
    big = a > 1.0
    t = b.select(big, 1.0 / a, a)
    return b.copysign(_complement_where(b, big, _atan_small(b, t)), x)


def atan2(b: Body, y: Value, x: Value) -> Value:
    """The angle of the point (x, y) in [-pi, pi], all of C99's special cases (F.9.1.4) included."""
    pi, pi_low = PI[x.format]
    height, width = abs(y), abs(x)
    steep = height > width
    low, high = b.select(steep, width, height), b.select(steep, height, width)
    # Also for two infinities, and 0 for two zeros; 0 / NaN stays NaN.
    diagonal = b.select(high.equals(0.0), high, 1.0)
    ratio = b.select(low.equals(high), diagonal, low / high)
    angle = _complement_where(b, steep, _atan_small(b, ratio))
    angle = b.select(x.bits() < 0, pi - (angle - pi_low), angle)
    return b.copysign(angle, y)


def _atan_small(b: Body, t: Value) -> Value:
    """atan t for 0 <= t <= 1."""
    z = t * t
    return b.fma(t * z, b.polynomial(z, ATAN[t.format]), t)


def _complement_where(b: Body, condition: Value, angle: Value) -> Value:
    """pi / 2 - angle where `condition` holds."""
    pi, pi_low = PI[angle.format]
    return b.select(condition, pi / 2 - (angle - pi_low / 2), angle)
