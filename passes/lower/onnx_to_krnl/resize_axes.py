"""Where the elements of a resized axis come from: coordinates, taps and weights of Resize and
Upsample.

A coordinate `x` of the operand belongs to each index `o` of the result. With sizes and scales that
are known, `x` is `(a*o + b) / c` in integers: index and distance then follow without floating
point, and as constants where the loop runs over whole periods. Otherwise `x` is computed in
floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.types import f32, f64
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.scalars import Scalar

i64 = IntegerType(64)
Number = float | Scalar
"""A weight or distance that is known while emitting, or only in a run."""


@dataclass(frozen=True)
class Taps:
    """Elements that are combined along one axis: ``weights[i]`` times the element at
    ``indices[i]``.

    ``outside``: the coordinate is outside of the operand, which takes the extrapolation value.
    """

    indices: tuple[Affine, ...]
    weights: tuple[Number, ...]
    outside: Scalar | None = None


@dataclass(frozen=True)
class Window:
    """As many taps as a run says: element ``first + t``, unclamped, has weight ``weight(t)``."""

    first: Affine
    count: Affine
    weight: Callable[[Affine], Scalar]


@dataclass(frozen=True)
class Scale:
    """Size of the result by size of the operand: exactly, or as a number (float64) of the run."""

    exact: Fraction | None
    number: Scalar | None = None

    def scalar(self, k: Kernel) -> Scalar:
        """The number in the kernel."""
        if self.exact is not None:
            return k.s.const(float(self.exact), f64)
        assert self.number is not None
        return self.number


def exact_scale(scale: float) -> Fraction:
    """The simplest fraction that a float32 scale can stand for (0.33333334 is a third)."""
    simple = Fraction(scale).limit_denominator(4096)
    return simple if abs(simple - Fraction(scale)) <= abs(scale) * 2**-24 else Fraction(scale)


def cubic_polynomials(a: float) -> list[tuple[float, ...]]:
    """Weights of four taps as polynomials (highest power first) of the distance from the second.

    Keys, "Cubic convolution interpolation for digital image processing", equation (4).
    """
    return [
        (a, -2 * a, a, 0.0),
        (a + 2, -(a + 3), 0.0, 1.0),
        (-(a + 2), 2 * a + 3, -a, 0.0),
        (-a, a, 0.0, 0.0),
    ]


LINEAR: list[tuple[float, ...]] = [(-1.0, 1.0), (1.0, 0.0)]
"""Weights of two taps as polynomials of the distance from the first."""


@dataclass(frozen=True)
class ResizedAxis:
    """One axis of a Resize: ``size`` elements from ``dim``, with weights of type ``kind``.

    ``roi`` is the part to take, for tf_crop_and_resize only.
    """

    dim: Dim
    size: Dim
    scale: Scale
    transformation: str
    kind: Attribute
    roi: tuple[Scalar, Scalar] | None = None

    # Coordinates ----------------------------------------------------------------------------

    def line(self) -> tuple[Fraction, Fraction] | None:
        """Slope and intercept of the coordinate where they are known numbers."""
        scale, dim, size = self.scale.exact, self.dim, self.size
        if scale is None or self.roi is not None:
            return None
        half = Fraction(1, 2)
        centred = (1 / scale, half / scale - half)
        match self.transformation:
            case "asymmetric":
                return 1 / scale, Fraction(0)
            case "half_pixel":
                return centred
            case "tf_half_pixel_for_nn":
                return 1 / scale, half / scale
            case "pytorch_half_pixel":
                if size == 1:
                    return Fraction(0), Fraction(0)
                return centred if isinstance(size, int) or scale >= 1 else None
            case "align_corners" if isinstance(dim, int):
                length = scale * dim
                return Fraction(dim - 1) / (length - 1) if length != 1 else Fraction(0), Fraction(0)
            case "half_pixel_symmetric":
                return self._symmetric_line(centred, scale)
        return None

    def _symmetric_line(
        self, centred: tuple[Fraction, Fraction], scale: Fraction
    ) -> tuple[Fraction, Fraction] | None:
        if scale.denominator == 1 and self.size == self.dim * scale.numerator:
            return centred
        if not isinstance(self.dim, int) or not isinstance(self.size, int):
            return None
        adjustment = self.size / (scale * self.dim)
        return centred[0], centred[1] + Fraction(self.dim, 2) * (1 - adjustment)

    @property
    def period(self) -> int | None:
        """``p`` where the result is exactly ``p`` times as long as the operand, else None."""
        line = self.line()
        if line is None or line[0] == 0 or (1 / line[0]).denominator != 1:
            return None
        period = (1 / line[0]).numerator
        return period if period > 1 and self.size == self.dim * period else None

    def coordinate(self, k: Kernel, entry: Affine) -> Scalar:
        """The coordinate in float64, as the specification computes it."""
        s = k.s
        o = s.from_index(k.index_value(entry), f64)
        half, one = s.const(0.5, f64), s.const(1, f64)
        if self.roi is not None:
            return self._cropped(k, o)
        scale = self.scale.scalar(k)
        centred = s.sub(s.div(s.add(o, half), scale), half)
        match self.transformation:
            case "asymmetric":
                return s.div(o, scale)
            case "tf_half_pixel_for_nn":
                return s.div(s.add(o, half), scale)
            case "pytorch_half_pixel":
                many = k.compare_index("gt", k.size(self.size), affine(1))
                return s.select(many, centred, s.const(0, f64))
            case "align_corners":
                dim = self._float(k, self.dim)
                last = s.sub(s.mul(scale, dim), one)
                safe = s.select(s.equal(last, s.const(0, f64)), one, last)
                return s.div(s.mul(o, s.sub(dim, one)), safe)
            case "half_pixel_symmetric":
                dim = self._float(k, self.dim)
                adjustment = s.div(self._float(k, self.size), s.mul(scale, dim))
                return s.add(s.mul(s.mul(dim, half), s.sub(one, adjustment)), centred)
        return centred

    def _cropped(self, k: Kernel, o: Scalar) -> Scalar:
        """start * (n - 1) + o * (end - start) * (n - 1) / (m - 1); of one element the middle."""
        assert self.roi is not None
        s = k.s
        start, end = self.roi
        one, zero = s.const(1, f64), s.const(0, f64)
        last = s.sub(self._float(k, self.dim), one)
        length = s.sub(s.mul(self.scale.scalar(k), self._float(k, self.dim)), one)
        single = s.equal(length, zero)
        step = s.div(s.mul(s.sub(end, start), last), s.select(single, one, length))
        middle = s.mul(s.mul(s.const(0.5, f64), s.add(start, end)), last)
        return s.select(single, middle, s.add(s.mul(start, last), s.mul(o, step)))

    def _float(self, k: Kernel, dim: Dim) -> Scalar:
        return k.s.from_index(k.index_value(k.size(dim)), f64)

    # Taps -----------------------------------------------------------------------------------

    def nearest(self, k: Kernel, entry: Affine, rounding: str, inside: bool = False) -> Taps:
        """One tap. ``inside``: the caller knows that it needs no clamping."""
        line = self.line()
        if line is not None:
            a, b, c = _integers(*line)
            numerator, divisor = {
                "floor": (affine(b) + entry * a, c),
                "ceil": (affine(b + c - 1) + entry * a, c),
                "round_prefer_floor": (affine(2 * b + c - 1) + entry * (2 * a), 2 * c),
                "round_prefer_ceil": (affine(2 * b + c) + entry * (2 * a), 2 * c),
            }[rounding]
            found = numerator // divisor
            return Taps((found if inside else self.clamp(k, found),), (1.0,))
        # In float32 a scale such as 0.6 meets the whole numbers that it is meant to meet.
        x = k.s.cast(self.coordinate(k, entry), f32)
        half = k.s.const(0.5, f32)
        rounded = {
            "floor": lambda: k.s.floor(x),
            "ceil": lambda: k.s.unary(math.CeilOp, x),
            "round_prefer_floor": lambda: k.s.unary(math.CeilOp, k.s.sub(x, half)),
            "round_prefer_ceil": lambda: k.s.floor(k.s.add(x, half)),
        }[rounding]()
        found = index_ops.from_scalar(k, k.s.cast(rounded, i64))
        return Taps((self.clamp(k, found),), (1.0,), self._outside(k, x))

    def interpolated(
        self,
        k: Kernel,
        entry: Affine,
        polynomials: Sequence[Sequence[float]],
        excluding: bool,
        inside: bool = False,
    ) -> Taps:
        """Two or four taps around the coordinate, weighted by its distance from them."""
        first, distance, outside = self._below(k, entry)
        left = len(polynomials) // 2 - 1
        places = [first + (number - left) for number in range(len(polynomials))]
        weights = [polynomial(k, each, distance, self.kind) for each in polynomials]
        if excluding:
            weights = list(self._without_outside(k, places, weights))
        kept = [
            (place if inside else self.clamp(k, place), weight)
            for place, weight in zip(places, weights, strict=True)
            if weight != 0.0
        ]
        return Taps(tuple(p for p, _ in kept), tuple(w for _, w in kept), outside)

    def _below(self, k: Kernel, entry: Affine) -> tuple[Affine, Number, Scalar | None]:
        """The last index that is not above the coordinate, and how far below it is."""
        line = self.line()
        if line is not None:
            a, b, c = _integers(*line)
            numerator = entry * a + b
            rest = numerator % c
            if not rest.terms:
                return numerator // c, rest.constant / c, None
            distance = k.s.from_index(k.index_value(rest), self.kind)
            return numerator // c, k.s.mul(distance, k.s.const(1 / c, self.kind)), None
        x = self.coordinate(k, entry)
        below = k.s.floor(x)
        first = index_ops.from_scalar(k, k.s.cast(below, i64))
        return first, k.s.cast(k.s.sub(x, below), self.kind), self._outside(k, x)

    def _without_outside(
        self, k: Kernel, places: Sequence[Affine], weights: Sequence[Number]
    ) -> list[Scalar]:
        """Weights with those of taps outside of the operand 0, and the sum 1 again."""
        kept = []
        for place, weight in zip(places, weights, strict=True):
            number = scalar(k, weight, self.kind)
            inside = k.inside(place, self.dim)
            zero = k.s.const(0, self.kind)
            kept.append(number if inside is None else k.s.select(inside, number, zero))
        total = kept[0]
        for weight in kept[1:]:
            total = k.s.add(total, weight)
        return [k.s.div(weight, total) for weight in kept]

    def window(self, k: Kernel, entry: Affine, cubic_a: float | None, excluding: bool) -> Window:
        """Taps of an antialiasing filter, stretched by the scale when that is below 1."""
        s = k.s
        radius = s.const(1 if cubic_a is None else 2, f64)
        scale = s.min(self.scale.scalar(k), s.const(1, f64))
        x = self.coordinate(k, entry)
        reach = s.unary(math.CeilOp, s.div(radius, scale))
        below = s.floor(x)
        steps = index_ops.from_scalar(k, s.cast(reach, i64))
        first = index_ops.from_scalar(k, s.cast(below, i64)) - steps + 1
        count = steps * 2

        def raw(tap: Affine) -> Scalar:
            place = first + tap
            at = s.from_index(k.index_value(place), f64)
            weight = s.cast(_filter(k, s.mul(s.sub(at, x), scale), cubic_a), self.kind)
            inside = k.inside(place, self.dim) if excluding else None
            return weight if inside is None else s.select(inside, weight, s.const(0, self.kind))

        (total,) = k.reduce(
            [count], [s.const(0, self.kind)], lambda ivs, carried: [s.add(carried[0], raw(ivs[0]))]
        )
        return Window(first, count, lambda tap: s.div(raw(tap), total))

    def clamp(self, k: Kernel, entry: Affine) -> Affine:
        """The nearest index of the operand."""
        return index_ops.clamp(k, entry, self.dim)

    def _outside(self, k: Kernel, x: Scalar) -> Scalar | None:
        """Whether a cropped coordinate has no element of the operand around it."""
        if self.roi is None:
            return None
        last = k.s.from_index(k.index_value(k.size(self.dim) - 1), x.element)
        below = k.s.compare("lt", x, k.s.const(0, x.element))
        return k.s.bit_or(below, k.s.compare("gt", x, last))


def _integers(slope: Fraction, intercept: Fraction) -> tuple[int, int, int]:
    """(a, b, c) with `slope * o + intercept = (a*o + b) / c`."""
    c = lcm(slope.denominator, intercept.denominator)
    return floor(slope * c), floor(intercept * c), c


def scalar(k: Kernel, number: Number, kind: Attribute) -> Scalar:
    """A weight as a value of the kernel."""
    return number if isinstance(number, Scalar) else k.s.const(number, kind)


def polynomial(k: Kernel, coefficients: Sequence[float], x: Number, kind: Attribute) -> Number:
    """Horner's rule, on a number or in the kernel."""
    if isinstance(x, float):
        value = 0.0
        for coefficient in coefficients:
            value = value * x + coefficient
        return value
    assert isinstance(x, Scalar)
    total = k.s.const(coefficients[0], kind)
    for coefficient in coefficients[1:]:
        total = k.s.mul(total, x)
        if coefficient:
            total = k.s.add(total, k.s.const(coefficient, kind))
    return total


def _filter(k: Kernel, x: Scalar, cubic_a: float | None) -> Scalar:
    """The triangle filter, or Keys' cubic with coefficient ``cubic_a``, at a distance."""
    s = k.s
    x = s.abs(x)
    zero, one = s.const(0, f64), s.const(1, f64)
    if cubic_a is None:
        return s.max(s.sub(one, x), zero)

    def horner(*coefficients: float) -> Scalar:
        total = s.const(coefficients[0], f64)
        for coefficient in coefficients[1:]:
            total = s.add(s.mul(total, x), s.const(coefficient, f64))
        return total

    a = cubic_a
    near, far = horner(a + 2, -(a + 3), 0, 1), horner(a, -5 * a, 8 * a, -4 * a)
    outer = s.select(s.compare("lt", x, s.const(2, f64)), far, zero)
    return s.select(s.compare("le", x, one), near, outer)
