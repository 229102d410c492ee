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
    matrices,
    operation_count,
    transformed_weights,
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


@pytest.mark.parametrize("tile", POINTS)
def test_filtering_is_exact(tile: int) -> None:
    maps = matrices(tile)
    data, weights = fractions(tile + 2), fractions(3)
    products = [
        a * b for a, b in zip(times(maps.weights, weights), times(maps.inputs, data), strict=True)
    ]
    expected = [sum(data[n + k] * weights[k] for k in range(3)) for n in range(tile)]
    assert times(maps.outputs, products) == expected


@pytest.mark.parametrize("tile", POINTS)
def test_entries_are_exact_in_float32(tile: int) -> None:
    maps = matrices(tile)
    for row in (*maps.inputs, *maps.outputs):
        assert all(Fraction(float(np.float32(float(entry)))) == entry for entry in row)


@pytest.mark.parametrize("tile", POINTS)
def test_maps_are_applied_exactly(tile: int) -> None:
    for matrix in (matrices(tile).inputs, matrices(tile).outputs):
        values = fractions(len(matrix[0]))
        assert apply(matrix, values, EXACT) == times(matrix, values)


def test_maps_take_few_operations() -> None:
    counts = {
        tile: tuple(operation_count(m) for m in (matrices(tile).inputs, matrices(tile).outputs))
        for tile in POINTS
    }
    assert counts == {2: (4, 4), 4: (14, 12)}


@pytest.mark.parametrize("tile", POINTS)
def test_weights_are_transformed_in_both_directions(tile: int) -> None:
    weights = np.random.default_rng(1).standard_normal((5, 4, 3, 3), np.float32)
    g = np.array(matrices(tile).weights, np.float64)
    expected = np.einsum("ia,kcab,jb->ijck", g, weights.astype(np.float64), g)
    got = transformed_weights(weights, tile)
    assert got.dtype == np.float32 and got.shape == ((tile + 2) ** 2, 4, 5)
    np.testing.assert_array_equal(got, expected.reshape(got.shape).astype(np.float32))
