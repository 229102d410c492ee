"""The integer maps of Winograd's filtering: exact modulo 2^32, and within 16 bits."""

from __future__ import annotations

import numpy as np
import pytest

from passes.winograd.integers import POINTS, fits, integer_maps, transformed_integers
from passes.winograd.matrices import Matrix, length_of

FORMS = pytest.mark.parametrize(
    ("tile", "stride"), [(tile, stride) for stride in POINTS for tile in POINTS[stride]]
)


def array(matrix: Matrix) -> np.ndarray:
    """The entries of a map, which are all whole."""
    assert all(entry.denominator == 1 for row in matrix for entry in row)
    return np.array([[int(entry) for entry in row] for row in matrix], np.int64)


@FORMS
def test_outputs_come_as_multiples(tile: int, stride: int) -> None:
    maps, length = integer_maps(tile, stride), length_of(tile, stride)
    numbers = np.random.default_rng(0).integers(-99, 99, length + 3)
    data, weights = numbers[:length], numbers[length:]
    products = (array(maps.weights) @ weights) * (array(maps.inputs) @ data)
    expected = np.correlate(data, weights, "valid")[::stride]
    factors = [maps.odd << shift for shift in maps.shifts]
    np.testing.assert_array_equal(array(maps.outputs) @ products, expected * factors)


@FORMS
def test_the_odd_factor_of_both_directions_has_an_inverse(tile: int, stride: int) -> None:
    maps = integer_maps(tile, stride)
    assert maps.odd**2 * maps.inverse % 2**32 == 1
    assert -(2**31) <= maps.inverse < 2**31


@FORMS
def test_shifts_fall_by_one_to_the_last(tile: int, stride: int) -> None:
    shifts = integer_maps(tile, stride).shifts
    assert shifts == tuple(max(shifts[0] - row, shifts[-1]) for row in range(tile))


def test_weights_are_transformed_exactly() -> None:
    weights = np.random.default_rng(1).integers(-128, 128, (5, 4, 3, 3)).astype(np.int8)
    g = array(integer_maps(4).weights)
    got = transformed_integers(weights, 4)
    assert got.dtype == np.int16
    expected = np.einsum("ia,kcab,jb->ijck", g, weights.astype(np.int64), g)
    np.testing.assert_array_equal(got, expected.reshape(got.shape))


def test_words_hold_transformed_bytes_and_not_much_more() -> None:
    weights = np.full((2, 2, 3, 3), -128, np.int16)
    assert all(fits(weights, np.dtype(dtype), 4) for dtype in (np.uint8, np.int8))
    assert fits(weights * 2, np.dtype(np.uint8), 4)
    assert not fits(weights * 8, np.dtype(np.uint8), 4)
    assert not fits(weights, np.dtype(np.int16), 2)
    assert fits(weights, np.dtype(np.uint8), 2, stride=2)
    assert not fits(weights, np.dtype(np.uint8), 4, stride=2), "there is no such form"


@pytest.mark.parametrize(("tile", "most"), [(2, 1841), (4, 115)])
def test_results_must_have_bits_left(tile: int, most: int) -> None:
    for channels, expected in [(most, True), (most + 1, False)]:
        weights = np.full((1, channels, 3, 3), 127, np.int8)
        assert fits(weights, np.dtype(np.uint8), tile) == expected
