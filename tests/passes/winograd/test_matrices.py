"""The maps of Winograd's filtering: exact, and in few operations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from passes.winograd.matrices import (
    POINTS,
    Arithmetic,
    Matrix,
    apply,
    length_of,
    matrices,
    operation_count,
    transformed_weights,
)

FORMS = pytest.mark.parametrize(
    ("tile", "stride"), [(tile, stride) for stride in POINTS for tile in POINTS[stride]]
)

EXACT: Arithmetic[Fraction] = Arithmetic(
    lambda a, b: a + b, lambda a, b: a - b, lambda a, c, b: (a or Fraction(0)) + c * b
)


def fractions(*shape: int) -> list[Fraction]:
    """Seeded small numbers."""
    numbers = np.random.default_rng(0).integers(-9, 10, shape)
    return [Fraction(int(n)) for n in numbers]


def times(matrix: Matrix, values: list[Fraction]) -> list[Fraction]:
    """A matrix times a vector."""
    return [sum((a * b for a, b in zip(row, values, strict=True)), Fraction(0)) for row in matrix]


@FORMS
def test_filtering_is_exact(tile: int, stride: int) -> None:
    maps = matrices(tile, stride)
    data, weights = fractions(length_of(tile, stride)), fractions(3)
    products = [
        a * b for a, b in zip(times(maps.weights, weights), times(maps.inputs, data), strict=True)
    ]
    expected = [sum(data[stride * n + k] * weights[k] for k in range(3)) for n in range(tile)]
    assert times(maps.outputs, products) == expected


@FORMS
def test_entries_are_exact_in_float32(tile: int, stride: int) -> None:
    maps = matrices(tile, stride)
    for row in (*maps.inputs, *maps.outputs):
        assert all(Fraction(float(np.float32(float(entry)))) == entry for entry in row)


@FORMS
def test_maps_are_applied_exactly(tile: int, stride: int) -> None:
    for matrix in (matrices(tile, stride).inputs, matrices(tile, stride).outputs):
        values = fractions(len(matrix[0]))
        assert apply(matrix, values, EXACT) == times(matrix, values)


def test_maps_take_few_operations() -> None:
    counts = {
        (tile, stride): tuple(operation_count(m) for m in (maps.inputs, maps.outputs))
        for stride in POINTS
        for tile in POINTS[stride]
        for maps in [matrices(tile, stride)]
    }
    assert counts == {(2, 1): (4, 4), (4, 1): (14, 12), (2, 2): (2, 4), (4, 2): (12, 13)}


@FORMS
def test_weights_are_transformed_in_both_directions(tile: int, stride: int) -> None:
    weights = np.random.default_rng(1).standard_normal((5, 4, 3, 3), np.float32)
    g = np.array(matrices(tile, stride).weights, np.float64)
    expected = np.einsum("ia,kcab,jb->ijck", g, weights.astype(np.float64), g)
    got = transformed_weights(weights, tile, stride)
    assert got.dtype == np.float32 and got.shape == (length_of(tile, stride) ** 2, 4, 5)
    # Sums in float64 may round to either side.
    np.testing.assert_allclose(got, expected.reshape(got.shape), rtol=2**-23)
