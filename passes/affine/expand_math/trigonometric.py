"""sin, cos, tan over the whole range of the argument, without branches or tables in memory.

Reduction works in turns: F = |x| / (2 pi) mod 1, of which the nearest quarter n / 4 is taken
off. With 1 / (2 pi) as a sum of f64 chunks c0 + c1 + ..., each product |x| c_i and its rounding
error (from an fma) is exact, so whole turns can be taken off each of them (t - round(t) is
exact), and the sum of what remains is F to many more bits than f64 has. For large |x| = X 2^k,
with X still an integer, the integer part of 2^k / (2 pi) gives whole turns only and is dropped
from the chunks, which are chosen by comparing |x| with a few powers of two. This is Payne and
Hanek's idea (Radian reduction for trigonometric functions, SIGNUM Newsletter 18, 1983) in
floating point instead of integers. f32 is reduced in f64.

A sine takes 0.8 ns per element in f32 and 4.5 ns in f64 (AVX-512), a good part of it for huge
arguments, which branch-free code cannot leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import frexp

from xdsl.dialects.builtin import f32, f64

from passes.affine.expand_math.body import F32, F64, Body, Format, Value

TWO_PI = (6.283185307179586, 2.4492935982947064e-16)

# (sin r - r) / r^3, (cos r - 1 + r^2 / 2) / r^4 and (tan r - r) / r^3 in r^2 for |r| <= pi / 4,
# made like those of `exponential`. Relative errors of sin, cos, tan: 2^-27.9, 2^-32.3, 2^-29.5
# (f32), 2^-57.8, 2^-61.3, 2^-59.6 (f64).
SIN = {
    F32: (-0.16666655, 0.008332189, -0.00019518285),
    F64: (
        -0.1666666666666663,
        0.008333333333321936,
        -0.00019841269829511658,
        2.7557313611301825e-06,
        -2.505074798727682e-08,
        1.589631397082366e-10,
    ),
}
COS = {
    F32: (0.041666653, -0.0013887612, 2.4462199e-05),
    F64: (
        0.041666666666666595,
        -0.0013888888888873338,
        2.4801587289817996e-05,
        -2.755731472696379e-07,
        2.0875808948957602e-09,
        -1.1365620396050481e-11,
    ),
}
TAN = {
    F32: (
        0.3333335,
        0.13332675,
        0.054058917,
        0.021286188,
        0.01082746,
        9.830167e-05,
        0.0043726233,
    ),
    F64: (
        0.33333333333333376,
        0.13333333333326214,
        0.05396825397245728,
        0.021869488411008962,
        0.008863237736576072,
        0.0035921028229279803,
        0.0014560315878582525,
        0.0005889353980476142,
        0.0002434942077931313,
        8.422724050883924e-05,
        6.59856353434926e-05,
        -2.40479497858296e-05,
        4.7295750057197206e-05,
        -2.360315294990164e-05,
        9.648466698889942e-06,
    ),
}


@dataclass(frozen=True)
class Reduction:
    """How arguments of a format are reduced.

    `chunks` are the numbers of bits of c0, c1, ...; those of 1 / (2 pi) itself serve below
    2^`first`, every further range of binades has its own. The first `wrapped` of the terms |x|
    c0, its error, |x| c1, ... can reach a whole turn. The first `exact` additions must not
    round, because the terms that follow may be what is left after they cancel.
    """

    first: int
    chunks: tuple[int, ...]
    wrapped: int
    exact: int


# No argument is nearer to a multiple of a quarter turn than 2^-33 turns (f64: 2^-63). In f32 the
# first product is exact, the terms are below 2^73, 2^45, 2^-8, 2^-8, and 2^-61 turns are
# missing. In f64 they are below 2^149, 2^96, 2^96, 2^43, 2^43, 2^-10, 2^-10, 2^-63, 2^-63, and
# 2^-113 turns are missing.
REDUCTIONS = {
    F32: Reduction(first=76, chunks=(29, 53, 53), wrapped=2, exact=0),
    F64: Reduction(first=152, chunks=(53,) * 5, wrapped=5, exact=6),
}


@dataclass(frozen=True)
class Angle:
    """high + low in [-pi / 4, pi / 4] (a little more where rounding decides), low None if not worth
    having, and the number of quarter turns taken off, in the low bits of an integer."""

    high: Value
    low: Value | None
    quarters: Value


def sin(b: Body, x: Value) -> Value:
    """The sine; NaN for infinities."""
    angle = reduce(b, x)
    return _unless_tiny(b, x, _sin_or_cos(b, angle, angle.quarters))


def cos(b: Body, x: Value) -> Value:
    """The cosine, as the sine a quarter turn ahead; NaN for infinities."""
    angle = reduce(b, x)
    return _sin_or_cos(b, angle, angle.quarters + 1)


def tan(b: Body, x: Value) -> Value:
    """The tangent; -1 / tan r in odd quarters; NaN for infinities."""
    angle = reduce(b, x, with_low=True)
    r, low = angle.high, angle.low
    assert low is not None
    z = r * r
    tail = r * z * b.polynomial(z, TAN[x.format])
    approximate = r + tail
    tangent = r + b.fma(b.fma(approximate, approximate, 1.0), low, tail)
    odd = (angle.quarters & 1).differs(0)
    return _unless_tiny(b, x, b.select(odd, -1.0, tangent) / b.select(odd, tangent, 1.0))


def reduce(b: Body, x: Value, with_low: bool = False) -> Angle:
    """|x| less the nearest multiple of a quarter turn. f32 gets a low part only `with_low`."""
    fmt = x.format
    count = REDUCTIONS[fmt].wrapped
    terms = _terms(b, abs(x).to(f64), fmt)
    wrapped = [term - b.round_even(term) for term in terms[:count]]
    quarters = b.round_even(4.0 * sum(wrapped[1:], wrapped[0]))
    first = b.fma(-0.25, quarters, wrapped[0])
    rest = [*wrapped[1:], *terms[count:]]
    if fmt is F64:
        return _angle_of_f64(b, first, rest, quarters)
    r = sum(rest, first) * TWO_PI[0]
    high = r.to(f32)
    low = (r - high.to(f64)).to(f32) if with_low else None
    return Angle(high, low, (quarters.to(f32) + F32.shifter).bits())


def _angle_of_f64(b: Body, high: Value, terms: Sequence[Value], quarters: Value) -> Angle:
    """The sum of turns in radians."""
    exact = REDUCTIONS[F64].exact
    low = sum(terms[exact + 1 :], terms[exact])
    for term in terms[:exact]:
        high, error = b.two_sum(high, term)
        low = low + error
    high, low = b.fast_two_sum(high, low)
    radians, error = b.two_product(high, b.constant(TWO_PI[0], f64))
    low = b.fma(TWO_PI[1], high, b.fma(TWO_PI[0], low, error))
    return Angle(radians, low, (quarters + F64.shifter).bits())


def _terms(b: Body, x: Value, fmt: Format) -> list[Value]:
    """Terms whose sum is x / (2 pi) up to whole turns, falling in magnitude."""
    how = REDUCTIONS[fmt]
    x, chunks = _scaled(b, x, fmt)
    terms: list[Value] = []
    for bits, chunk in zip(how.chunks, chunks, strict=True):
        if bits + fmt.mantissa < F64.mantissa + 1:
            terms.append(x * chunk)
        else:
            terms += b.two_product(x, chunk)
    return terms[:-1]


def _scaled(b: Body, x: Value, fmt: Format) -> tuple[Value, list[Value]]:
    """X and its chunks: X = x below the first range, X = x / 2^k beyond, where x is a multiple of
    2^k."""
    how = REDUCTIONS[fmt]
    scale = b.constant(1.0, f64)
    chunks = [b.constant(chunk, f64) for chunk in inverse_two_pi(0, how.chunks)]
    for start in range(how.first, fmt.bias + 1, how.first - fmt.mantissa):
        k = start - fmt.mantissa
        beyond = x >= 2.0**start
        scale = b.select(beyond, 2.0**-k, scale)
        ours = inverse_two_pi(k, how.chunks)
        chunks = [b.select(beyond, our, c) for our, c in zip(ours, chunks, strict=True)]
    return x * scale, chunks


def _sin_or_cos(b: Body, angle: Angle, quarters: Value) -> Value:
    """sin(quarters * pi / 2 + angle)."""
    r, fmt = angle.high, angle.high.format
    z = r * r
    s, c = b.polynomial(z, SIN[fmt]), b.polynomial(z, COS[fmt])
    if angle.low is None:
        sine = b.fma(r * z, s, r)
        cosine = b.fma(z, b.fma(z, c, -0.5), 1.0)
    else:
        head = b.fma(-0.5, z, 1.0)
        lost = b.fma(-0.5, z, 1.0 - head)
        cosine = head + (lost + b.fma(z * z, c, -(angle.low * r)))
        sine = r + b.fma(r * z, s, cosine * angle.low)
    result = b.select((quarters & 1).differs(0), cosine, sine)
    flip = (quarters << (fmt.bits.width.data - 2)) & fmt.sign_bit
    return (result.bits() ^ flip).as_float()


def _unless_tiny(b: Body, x: Value, result: Value) -> Value:
    """`result`, negated where x is negative; x itself where it is so small that x / (2 pi) in f64
    could be subnormal."""
    signed = (result.bits() ^ (x.bits() & x.format.sign_bit)).as_float()
    return signed if x.format is F32 else b.select(abs(x) < 2.0**-27, x, signed)


@cache
def inverse_two_pi(exponent: int, chunks: tuple[int, ...]) -> tuple[float, ...]:
    """The fraction of 2^exponent / (2 pi) as a sum of floats with so many bits each. They may be
    negative; each is at most half a unit in the last place of the one before."""
    rest = (Fraction(2) ** exponent / (2 * _pi())) % 1
    parts: list[float] = []
    for bits in chunks:
        part = _rounded(rest, bits)
        parts.append(float(part))
        rest -= part
    return tuple(parts)


def _rounded(number: Fraction, bits: int) -> Fraction:
    """`number` to so many (at most 53) significant bits."""
    mantissa, exponent = frexp(float(number))
    return round(mantissa * 2**bits) * Fraction(2) ** (exponent - bits)


@cache
def _pi(bits: int = 1400) -> Fraction:
    """pi by Machin's formula, 16 atan(1/5) - 4 atan(1/239), to more bits than 2^1024 turns need."""
    one = 1 << (bits + 16)

    def atan_of_inverse(n: int) -> int:
        power, total, k = one // n, 0, 0
        while power:
            total += power // (2 * k + 1) * (-1) ** k
            power //= n * n
            k += 1
        return total

    return Fraction(16 * atan_of_inverse(5) - 4 * atan_of_inverse(239), one)
