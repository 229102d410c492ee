"""Special cases of the expanded functions: NaN, infinities, signed zeros, domains, symmetries."""

from __future__ import annotations

from itertools import product
from math import e, inf, nan, pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from math_kernels import Array, evaluate, reference, ulps, worst

DTYPES = ("float32", "float64")

# Argument and exact result.
SPECIAL = {
    "acos": [(1, 0), (1.5, nan), (-1.5, nan), (inf, nan), (nan, nan)],
    "acosh": [(1, 0), (0.5, nan), (-2, nan), (inf, inf), (-inf, nan), (nan, nan)],
    "asin": [(0.0, 0.0), (-0.0, -0.0), (1.5, nan), (-inf, nan), (nan, nan)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (nan, nan)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (inf, pi / 2), (-inf, -pi / 2), (nan, nan)],
    "atanh": [(-0.0, -0.0), (1, inf), (-1, -inf), (1.5, nan), (-inf, nan), (nan, nan)],
    "cbrt": [(0.0, 0.0), (-0.0, -0.0), (8, 2), (inf, inf), (-inf, -inf), (nan, nan)],
    "cos": [(0.0, 1), (-0.0, 1), (inf, nan), (-inf, nan), (nan, nan)],
    "cosh": [(0.0, 1), (-0.0, 1), (inf, inf), (-inf, inf), (nan, nan)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1), (nan, nan)],
    "erfc": [(0.0, 1), (-0.0, 1), (inf, 0.0), (-inf, 2), (nan, nan)],
    "exp": [(0.0, 1), (-0.0, 1), (inf, inf), (-inf, 0.0), (1e30, inf), (-1e30, 0.0), (nan, nan)],
    "exp2": [(0.0, 1), (3, 8), (-20, 2.0**-20), (inf, inf), (-inf, 0.0), (nan, nan)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1), (-1e30, -1), (nan, nan)],
    "log": [(1, 0.0), (0.0, -inf), (-0.0, -inf), (-1, nan), (inf, inf), (-inf, nan), (nan, nan)],
    "log10": [(1, 0.0), (0.0, -inf), (-0.0, -inf), (-1, nan), (inf, inf), (nan, nan)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1, -inf), (-2, nan), (inf, inf), (-inf, nan), (nan, nan)],
    "log2": [
        (1, 0.0),
        (2.0**-99, -99),
        (0.0, -inf),
        (-0.0, -inf),
        (-3, nan),
        (inf, inf),
        (nan, nan),
    ],
    "rsqrt": [(4, 0.5), (0.0, inf), (-0.0, -inf), (-1, nan), (inf, 0.0), (nan, nan)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (nan, nan)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (nan, nan)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (nan, nan)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1), (1e30, 1), (nan, nan)],
}

# What keeps x as it is when x is tiny, down to the smallest subnormal number.
IDENTITY_NEAR_0 = ("asin", "asinh", "atan", "atanh", "expm1", "log1p", "sin", "sinh", "tan", "tanh")

ODD = ("asin", "asinh", "atan", "atanh", "cbrt", "erf", "sin", "sinh", "tan", "tanh")
EVEN = ("cos", "cosh")


def assert_same(result: Array, expected: Array) -> None:
    """Equal numbers, NaN where NaN is due, zeros of the right sign."""
    np.testing.assert_array_equal(result, expected)
    zeros = expected == 0
    np.testing.assert_array_equal(np.signbit(result[zeros]), np.signbit(expected[zeros]))


@pytest.mark.parametrize(("name", "dtype"), list(product(SPECIAL, DTYPES)))
def test_special_values(name: str, dtype: str) -> None:
    x, expected = np.array(SPECIAL[name], dtype).T
    assert_same(evaluate(name, x), expected)


def values(dtype: str) -> Array:
    """Zeros, infinities, NaN, extremes, odd and even integers of all sizes, halves."""
    info = np.finfo(dtype)
    two = 2.0 ** (info.nmant + 1)
    positive = [0, info.smallest_subnormal, info.tiny, 0.25, 0.5, 1 - info.epsneg, 1, 1 + info.eps]
    positive += [1.5, 2, 2.5, 3, e, 4, 33, two - 1, two, 2 * two, 1e30, float(info.max), inf]
    return np.array([nan, *positive, *(-np.array(positive, dtype))], dtype)


@pytest.mark.parametrize(("name", "dtype"), list(product(("powf", "atan2"), DTYPES)))
def test_all_pairs_of_special_values(name: str, dtype: str) -> None:
    """C99's tables F.9.4.4 and F.9.1.4, as the C library has them."""
    x, y = (axis.ravel() for axis in np.meshgrid(values(dtype), values(dtype)))
    result = evaluate(name, x, y)
    with np.errstate(all="ignore"):
        exact = reference(name)(x, y)
        rounded = exact.astype(dtype)
        assert ulps(result, exact).max() <= 2
    zeros = (rounded == 0) & (result == 0)
    assert_same(result[zeros], rounded[zeros])


@pytest.mark.parametrize("dtype", DTYPES)
def test_integer_powers_of_special_values(dtype: str) -> None:
    exponents = np.array([0, 1, -1, 2, -2, 3, -3, 31, 2**31 - 1, -(2**31)], np.int32)
    x, n = (axis.ravel() for axis in np.meshgrid(values(dtype), exponents))
    result = evaluate("fpowi", x, n)
    with np.errstate(all="ignore"):
        assert ulps(result, reference("fpowi")(x, n)).max() <= 2


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integer_powers_of_integers_wrap_and_round_towards_zero(dtype: str) -> None:
    x, n = np.meshgrid(
        np.array([-7, -2, -1, 0, 1, 2, 3, 10], dtype), np.arange(-3, 70, dtype=dtype)
    )
    x, n = x.ravel(), n.ravel()
    with np.errstate(all="ignore"):
        whole = x ** np.maximum(n, 0)
    unit = np.where(np.abs(x) == 1, np.where(n % 2 == 0, 1, x), 0)
    np.testing.assert_array_equal(evaluate("ipowi", x, n), np.where(n < 0, unit, whole))


@pytest.mark.parametrize(("name", "dtype"), list(product(IDENTITY_NEAR_0, DTYPES)))
def test_tiny_arguments_stay(name: str, dtype: str) -> None:
    info = np.finfo(dtype)
    tiny = np.array([2.0**-100, float(info.tiny), 3 * float(info.smallest_subnormal)], dtype)
    x = np.concatenate([tiny, -tiny])
    np.testing.assert_array_equal(evaluate(name, x), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_results_are_rounded_and_not_flushed(dtype: str) -> None:
    info = np.finfo(dtype)
    low, high = np.log(float(info.smallest_subnormal)) - 1, np.log(float(info.tiny))
    x = np.linspace(low, high, 1001).astype(dtype)
    y = evaluate("exp", x)
    assert np.count_nonzero((y > 0) & (y < info.tiny)) > 900
    assert worst("exp", x) <= 1
    assert worst("exp2", (x / np.log(2)).astype(dtype)) <= 1
    assert worst("powf", np.full_like(x, e), x) <= 1


@pytest.mark.parametrize(
    ("name", "largest"),
    [("exp", 88.72283), ("sinh", 89.41598), ("cosh", 89.41598), ("expm1", 88.72283)],
)
def test_results_up_to_the_largest_f32_are_finite(name: str, largest: float) -> None:
    x = np.array([largest, np.nextafter(np.float32(largest), np.float32(inf)) + 1e-3], np.float32)
    finite, overflown = evaluate(name, x)
    assert finite > 3.4e38 and np.isfinite(finite) and overflown == inf


def floats(dtype: str, **limits: float) -> st.SearchStrategy[Array]:
    width = 8 * np.dtype(dtype).itemsize
    return arrays(dtype, 16, elements=st.floats(width=width, **limits))  # pyright: ignore


@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_and_even_functions_are_so_exactly(dtype: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(floats(dtype))
    def check(x: Array) -> None:
        for name in ODD:
            assert_same(evaluate(name, -x), -evaluate(name, x))
        for name in EVEN:
            assert_same(evaluate(name, -x), evaluate(name, x))

    check()


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_power_and_angle(dtype: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(floats(dtype), floats(dtype))
    def check(x: Array, y: Array) -> None:
        assert worst("powf", x, y) <= 2
        assert worst("atan2", x, y) <= 2

    check()


@pytest.mark.parametrize("dtype", DTYPES)
def test_sine_and_cosine_of_any_finite_number(dtype: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(floats(dtype, allow_nan=False, allow_infinity=False))
    def check(x: Array) -> None:
        assert worst("sin", x) <= 2
        assert worst("cos", x) <= 2
        squares = evaluate("sin", x) ** 2 + evaluate("cos", x) ** 2
        np.testing.assert_allclose(squares, 1, rtol=4 * float(np.finfo(dtype).eps))

    check()
