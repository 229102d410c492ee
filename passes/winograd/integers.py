"""Winograd's minimal filtering of integers: the same results as by the direct sum.

The maps at the points 0, +-1, +-2 and infinity become integers when their fractions are moved from
the weights to the outputs, which are then multiples of the results: of row r and column s of a tile

    2^(shift[r] + shift[s]) * odd^2 * y  =  the outputs' map of sums of products

Transformed data and weights fit 16 bits, sums are taken modulo 2^32. An odd factor has an inverse
modulo 2^32, and a power of two is shifted out, as long as the multiple of y that is left has 32
bits: `fits` says whether that is so for weights, whatever the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import lcm

import numpy as np

from passes.winograd.matrices import (
    TAPS,
    Matrices,
    Matrix,
    in_both_directions,
    maps_at,
    with_odd_inputs,
)

POINTS = {
    1: {
        2: (Fraction(0), Fraction(1), Fraction(-1)),
        4: (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2)),
    },
    2: {2: (Fraction(0), Fraction(1))},
}
"""Where polynomials are evaluated; larger points would not leave transformed data 16 bits."""

LARGEST_WORD = (1 << 15) - 1
LARGEST_SUM = (1 << 31) - 1


@dataclass(frozen=True)
class IntegerMaps:
    """A^T, G and B^T in integers; an output of row r comes times ``2^shifts[r] * odd``."""

    outputs: Matrix
    weights: Matrix
    inputs: Matrix
    shifts: tuple[int, ...]
    odd: int

    @property
    def inverse(self) -> int:
        """What the odd factor of both directions vanishes by, modulo 2^32, as a signed number."""
        found = pow(self.odd**2, -1, 1 << 32)
        return found - (1 << 32) if found > LARGEST_SUM else found


@cache
def integer_maps(tile: int, stride: int = 1) -> IntegerMaps:
    """The maps for ``tile`` outputs along an axis (a key of POINTS[stride]).

    The points 0 and infinity are seen by the first and the last row only: they take these rows'
    factors with their weights.
    """
    maps = maps_at(POINTS[stride][tile], TAPS if stride == 1 else TAPS - 1)
    inner = range(1, len(maps.weights) - 1)
    scales = {i: 1 / maps.weights[i][0] for i in inner}
    factors = [lcm(*((row[i] / scales[i]).denominator for i in inner)) for row in maps.outputs]
    whole = [Fraction(factors[0]), *scales.values(), Fraction(factors[-1])]
    shifts = [(factor & -factor).bit_length() - 1 for factor in factors]
    (odd,) = {factor >> shift for factor, shift in zip(factors, shifts, strict=True)}
    scaled = Matrices(
        outputs=tuple(
            tuple(entry * factor / scale for entry, scale in zip(row, whole, strict=True))
            for row, factor in zip(maps.outputs, factors, strict=True)
        ),
        weights=tuple(
            tuple(entry * scale for entry in row)
            for row, scale in zip(maps.weights, whole, strict=True)
        ),
        inputs=maps.inputs,
    )
    if stride == 2:
        (factor,) = set(factors)
        scaled = with_odd_inputs(scaled, factor)
    return IntegerMaps(scaled.outputs, scaled.weights, scaled.inputs, tuple(shifts), odd)


def transformed_integers(weights: np.ndarray, tile: int, stride: int = 1) -> np.ndarray:
    """G g G^T of integer weights [K, C, 3, 3]: [n^2, C, K] as int16, which `fits` checks.

    float32 has room for integers of 24 bits.
    """
    map = integer_maps(tile, stride).weights
    return in_both_directions(map, weights, np.float32, np.dtype(np.int16))


def fits(weights: np.ndarray, data: np.dtype, tile: int, stride: int = 1) -> bool:
    """Whether all numbers of a convolution of bytes with weights [K, C, 3, 3] stay in range."""
    if tile not in POINTS[stride]:
        return False
    maps, limits = integer_maps(tile, stride), np.iinfo(data)
    low, high = int(limits.min), int(limits.max)
    words = [_reach(_both(maps.inputs), low, high)]
    widest = max(int(weights.max(initial=0)), -int(weights.min(initial=0)))
    words.append(_reach(_both(maps.weights), -widest, widest))
    sums = _reach(weights.reshape(weights.shape[0], -1), low, high) << 2 * max(maps.shifts)
    return max(words) <= LARGEST_WORD and sums <= LARGEST_SUM


def _both(matrix: Matrix) -> np.ndarray:
    """The map of rows and columns as one matrix."""
    one = np.array([[int(entry) for entry in row] for row in matrix], np.int64)
    return np.kron(one, one)


def _reach(rows: np.ndarray, low: int, high: int) -> int:
    """The largest absolute value of linear combinations of numbers from low to high, or zero."""
    positive, negative = (part(rows, 0).sum(1, dtype=np.int64) for part in (np.maximum, np.minimum))
    least, most = min(low, 0), max(high, 0)
    top, bottom = positive * most + negative * least, positive * least + negative * most
    return int(max(top.max(initial=0), -bottom.min(initial=0)))
