"""The three linear maps of Winograd's minimal filtering with 3 weights, exactly.

Outputs y of a correlation of m + 2 inputs d with 3 weights g are

    y = A^T ((G g) * (B^T d))

with m + 2 products in place of 3 m; in two dimensions every map is applied to rows and columns
(Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308). The
construction is that of Toom and Cook: polynomials are multiplied by their values at m + 1 points
and "at infinity".

With stride 2, even and odd inputs are filtered apart: the even ones with the outer two weights,
which takes m + 1 products in place of 2 m, the odd ones with the middle one, which takes m.

Rounding errors grow with the points' powers, so F(4, 3) takes 0, +-3/4, +-3/2 instead of the usual
0, +-1, +-2: exact in binary as well, and four times as accurate in float32; with stride 2 and four
outputs +-1/2, +-5/4 are three times as accurate as 0, +-1, 1/2. Points come in pairs of
opposite sign, which halves the arithmetic: values at both are a sum and a difference of one even
and one odd part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Generic, TypeVar

import numpy as np

TAPS = 3
"""Weights of a kernel along an axis."""

POINTS = {
    1: {
        2: (Fraction(0), Fraction(1), Fraction(-1)),
        4: (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)),
    },
    2: {
        2: (Fraction(0), Fraction(1)),
        4: (Fraction(1, 2), Fraction(-1, 2), Fraction(5, 4), Fraction(-5, 4)),
    },
}
"""Where polynomials are evaluated, for each stride and tiles of so many outputs along an axis."""

CHUNK = 1 << 10
"""Kernels whose transformation is computed at a time, for the memory's sake."""

Matrix = tuple[tuple[Fraction, ...], ...]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Matrices:
    """A^T [m, n], G [n, 3] and B^T [n, n] for m outputs from n inputs (`length_of`)."""

    outputs: Matrix
    weights: Matrix
    inputs: Matrix


def length_of(tile: int, stride: int) -> int:
    """The inputs under so many outputs along an axis, and the products that give them."""
    return stride * (tile - 1) + TAPS


@cache
def matrices(tile: int, stride: int = 1) -> Matrices:
    """The maps for ``tile`` outputs along an axis (a key of POINTS[stride])."""
    points = POINTS[stride][tile]
    return maps_at(points, TAPS) if stride == 1 else with_odd_inputs(maps_at(points, TAPS - 1))


def with_odd_inputs(even: Matrices, factor: int = 1) -> Matrices:
    """The maps with stride 2, given those of even inputs, whose outputs come times ``factor``."""
    tile, length = len(even.outputs), len(even.inputs)
    nothing = Fraction(0)

    def spread(row: Sequence[Fraction]) -> tuple[Fraction, ...]:
        return tuple(entry for value in row for entry in (value, nothing))[:-1]

    def only(place: int, size: int, value: int = 1) -> tuple[Fraction, ...]:
        return tuple(Fraction(value) if n == place else nothing for n in range(size))

    return Matrices(
        outputs=tuple((*row, *only(n, tile, factor)) for n, row in enumerate(even.outputs)),
        weights=(*map(spread, even.weights), *[only(1, TAPS)] * tile),
        inputs=(
            *map(spread, even.inputs),
            *(only(2 * n + 1, 2 * length - 1) for n in range(tile)),
        ),
    )


def maps_at(points: Sequence[Fraction], taps: int) -> Matrices:
    """The maps of tiles by values at some points and at infinity, for so many weights."""
    tile = len(points) + 2 - taps
    rest = [[q for q in points if q != p] for p in points]
    values = [_polynomial(roots) for roots in rest]
    scale = [_evaluate(polynomial, p) for polynomial, p in zip(values, points, strict=True)]
    last = (Fraction(0),) * (taps - 1) + (Fraction(1),)
    return Matrices(
        outputs=tuple(
            (*(p**row for p in points), Fraction(int(row == tile - 1))) for row in range(tile)
        ),
        weights=(
            *(tuple(p**k / s for k in range(taps)) for p, s in zip(points, scale, strict=True)),
            last,
        ),
        inputs=(*((*row, Fraction(0)) for row in values), tuple(_polynomial(points))),
    )


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, lowest first, of the product of all (x - root)."""
    found = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *found], [*(-root * c for c in found), Fraction(0)]
        found = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return found


def _evaluate(polynomial: Sequence[Fraction], x: Fraction) -> Fraction:
    return sum((c * x**n for n, c in enumerate(polynomial)), Fraction(0))


def transformed_weights(weights: np.ndarray, tile: int, stride: int = 1) -> np.ndarray:
    """G g G^T of weights [K, C, 3, 3], computed in float64: [n^2, C, K] in their type."""
    return in_both_directions(matrices(tile, stride).weights, weights, np.float64, weights.dtype)


def in_both_directions(
    matrix: Matrix, weights: np.ndarray, precision: type, dtype: np.dtype
) -> np.ndarray:
    """A map of both axes of kernels [K, C, 3, 3], in a float type: [n, C, K] as ``dtype``."""
    g = np.array(matrix, precision)
    both = np.kron(g, g)
    outputs, channels = weights.shape[:2]
    found = np.empty((len(both), channels, outputs), dtype)
    step = max(1, CHUNK // outputs)
    for first in range(0, channels, step):
        part = weights[:, first : first + step].transpose(2, 3, 1, 0).astype(precision, order="C")
        product = both @ part.reshape(TAPS**2, -1)
        found[:, first : first + step] = product.reshape(len(both), -1, outputs)
    return found


@dataclass(frozen=True)
class Arithmetic(Generic[_Value]):
    """How values are added, subtracted, and added after scaling: ``scaled(a, c, b)`` is a + c * b.

    ``a`` may be absent.
    """

    add: Callable[[_Value, _Value], _Value]
    subtract: Callable[[_Value, _Value], _Value]
    scaled: Callable[[_Value | None, Fraction, _Value], _Value]


def apply(matrix: Matrix, values: Sequence[_Value], on: Arithmetic[_Value]) -> list[_Value]:
    """The product of a matrix with a vector of values, in few operations.

    Columns that differ in signs only are replaced by the sum and the difference of their values,
    then rows that differ in signs only by the sum and the difference of their parts.
    """
    rows = [dict(enumerate(row)) for row in matrix]
    vector = dict(enumerate(values))
    for a, b in _pairs([list(column) for column in zip(*matrix, strict=True)]):
        vector[a], vector[b] = on.add(vector[a], vector[b]), on.subtract(vector[a], vector[b])
        for row in rows:
            same = row[a] == row[b]
            row[a], row[b] = (row[a], Fraction(0)) if same else (Fraction(0), row[a])
    results: dict[int, _Value] = {}
    for a, b in _pairs([list(row.values()) for row in rows]):
        even = {n: c for n, c in rows[a].items() if c == rows[b][n]}
        odd = {n: c for n, c in rows[a].items() if c != rows[b][n]}
        first, second = _sum(even, vector, on), _sum(odd, vector, on)
        results[a], results[b] = on.add(first, second), on.subtract(first, second)
    for n, row in enumerate(rows):
        if n not in results:
            results[n] = _sum(row, vector, on)
    return [results[n] for n in range(len(rows))]


def _pairs(lines: Sequence[Sequence[Fraction]]) -> list[tuple[int, int]]:
    """Disjoint pairs of lines with some equal and some opposite entries, and no other ones."""
    found: list[tuple[int, int]] = []
    for a, line in enumerate(lines):
        for b in range(a + 1, len(lines)):
            taken = any({a, b} & set(pair) for pair in found)
            alike = all(abs(x) == abs(y) for x, y in zip(line, lines[b], strict=True))
            equal = [x == y for x, y in zip(line, lines[b], strict=True) if x]
            if not taken and alike and any(equal) and not all(equal):
                found.append((a, b))
    return found


def _sum(terms: dict[int, Fraction], values: dict[int, _Value], on: Arithmetic[_Value]) -> _Value:
    """A linear combination; what needs no scaling comes first."""
    nonzero = sorted(((n, c) for n, c in terms.items() if c), key=lambda term: term[1] != 1)
    total: _Value | None = None
    for n, c in nonzero:
        value = values[n]
        if total is None:
            total = value if c == 1 else on.scaled(None, c, value)
        elif abs(c) == 1:
            total = (on.add if c == 1 else on.subtract)(total, value)
        else:
            total = on.scaled(total, c, value)
    assert total is not None, "a row of zeros"
    return total


def operation_count(matrix: Matrix) -> int:
    """How many operations `apply` makes."""
    count = 0

    def one(*_: object) -> int:
        nonlocal count
        count += 1
        return count

    apply(matrix, [0] * len(matrix[0]), Arithmetic(one, one, one))
    return count
