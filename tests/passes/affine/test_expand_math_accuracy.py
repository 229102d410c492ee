"""How far the expanded functions are from the exact values, over their whole range."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from math_kernels import evaluate, reference, ulps, worst

# Largest errors in ulps measured on some hundred million (f32) and a million (f64) arguments,
# rounded up: what a change may not make worse.
BOUNDS = {
    "acos": (1.2, 1.2),
    "acosh": (0.7, 2.0),
    "asin": (1.2, 1.3),
    "asinh": (0.7, 2.0),
    "atan": (1.4, 1.6),
    "atanh": (0.7, 1.95),
    "cbrt": (0.9, 0.8),
    "cos": (1.6, 0.9),
    "cosh": (1.9, 1.5),
    "erf": (1.6, 1.1),
    "erfc": (0.7, 1.6),
    "exp": (1.0, 0.9),
    "exp2": (0.9, 0.9),
    "expm1": (1.7, 1.9),
    "log": (1.0, 0.9),
    "log10": (1.5, 1.65),
    "log1p": (1.7, 1.7),
    "log2": (1.65, 1.7),
    "rsqrt": (1.5, 1.5),
    "sin": (1.6, 0.9),
    "sinh": (1.5, 1.6),
    "tan": (1.8, 1.7),
    "tanh": (2.6, 2.4),
}

# Python's erf and erfc are f64 themselves.
REFERENCE_ERROR = {"erf": 1.0, "erfc": 1.0}


@cache
def arguments(dtype: str) -> np.ndarray:
    """Numbers of every binade and sign, subnormal, infinite and NaN, and more of the usual ones."""
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), 40_000, dtype=np.uint64)
    integer = np.uint32 if dtype == "float32" else np.uint64
    usual = [rng.uniform(-a, a, 15_000) for a in (1, 3, 30, 720)]
    near_one = [
        s + rng.choice([-1, 1], 5_000) * 10.0 ** rng.uniform(-16, 0, 5_000) for s in (-1, 1)
    ]
    quarters = rng.integers(0, 2**31, 10_000) * (np.pi / 2)
    return np.concatenate(
        [
            bits.astype(integer).view(dtype),
            *(x.astype(dtype) for x in (*usual, *near_one, quarters)),
        ]
    )


@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_f32(name: str) -> None:
    assert worst(name, arguments("float32")) <= BOUNDS[name][0]


@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_f64(name: str) -> None:
    assert worst(name, arguments("float64")) <= BOUNDS[name][1] + REFERENCE_ERROR.get(name, 0)


@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_f16_for_all_arguments(name: str) -> None:
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert worst(name, x) <= 0.51


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_exponential_that_may_be_approximate_is_so_where_it_is_subnormal(dtype: str) -> None:
    """With `afn`: a little less exact far from 0, 0 for subnormal numbers, infinite one early."""
    info = np.finfo(dtype)
    x = arguments(dtype)
    y = evaluate("exp afn", x)
    with np.errstate(all="ignore"):
        exact = np.exp(x.astype(np.longdouble))
        errors = ulps(y, exact)
    normal = (exact > 1.5 * info.smallest_normal) & (exact < info.max / 2.9)
    bound = 2.1 + abs(x[normal]) / 25 if dtype == "float32" else BOUNDS["exp"][1]
    assert (errors[normal] <= bound).all()
    tiny = exact < info.smallest_normal / 1.5
    assert tiny.any() and not y[tiny].any()
    huge = exact > info.max
    assert huge.any() and np.isinf(y[huge]).all()
    assert np.array_equal(np.isnan(x), np.isnan(y))


def test_an_error_function_that_may_be_approximate_is_right_beside_one() -> None:
    x = arguments("float32")
    known = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        y, exact = evaluate("erf afn", x), evaluate("erf", x.astype(np.float64))
    assert np.array_equal(np.isnan(y), ~known)
    assert np.abs(y[known] - exact[known]).max() < 2**-21.8
    ones = known & (np.abs(x) >= 4)
    assert np.array_equal(y[ones], np.sign(x[ones]))


@cache
def points(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of all magnitudes, and pairs whose power is neither 0 nor infinite."""
    rng = np.random.default_rng(11)
    range_ = 38 if dtype == "float32" else 300
    n = 20_000
    base = 10.0 ** rng.uniform(-range_, range_, n)
    near_one = 1 + rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-range_ / 20, -0.3, n)
    largest = 3.4 * range_
    x = [base, near_one, -rng.integers(1, 50, n), rng.normal(size=n)]
    y = [
        rng.uniform(-1, 1, n) * largest / np.log2(base),
        rng.uniform(-1, 1, n) * largest / np.log2(near_one),
        rng.integers(-40, 40, n),
        rng.normal(size=n) * 10.0 ** rng.uniform(-8, 8, n),
    ]
    return np.concatenate(x).astype(dtype), np.concatenate(y).astype(dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "bound"),
    [
        ("powf", "float32", 0.7),
        ("powf", "float64", 1.8),
        ("atan2", "float32", 1.5),
        ("atan2", "float64", 1.5),
    ],
)
def test_error_of_two_arguments(name: str, dtype: str, bound: float) -> None:
    assert worst(name, *points(dtype)) <= bound


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 0.7), ("float64", 1.1)])
def test_error_of_integer_powers(dtype: str, bound: float) -> None:
    x, _ = points(dtype)
    n = np.random.default_rng(3).integers(-30, 30, x.size).astype(np.int32)
    assert worst("fpowi", x, n) <= bound


# sin and cos of what is hard to reduce, by mpmath with 1300 bits. The third is the f64 that is
# nearest of all to a multiple of pi / 2.
HARD = [
    (1e22, -0.8522008497671888, 0.5232147853951389),
    (2.0**1023, 0.563127779850884, -0.826369834614148),
    (6381956970095103.0 * 2.0**797, 1.0, -4.687165924254628e-19),
    (355.0, -3.014435335948845e-05, -0.999999999545659),
]


@pytest.mark.parametrize(("x", "sin", "cos"), HARD)
def test_reduction_of_hard_arguments(x: float, sin: float, cos: float) -> None:
    argument = np.array([x])
    assert ulps(evaluate("sin", argument), np.array([sin]))[0] <= 1.5
    assert ulps(evaluate("cos", argument), np.array([cos]))[0] <= 1.5


def test_reduction_of_f32_near_multiples_of_a_quarter_turn() -> None:
    """The f32 that come nearest, below and above each of many multiples of pi / 2."""
    multiples = np.arange(1, 2_000_000, 37, dtype=np.float64) * (np.pi / 2)
    x = multiples.astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(0)), np.nextafter(x, np.float32(np.inf))])
    for name in ("sin", "cos", "tan"):
        assert worst(name, x) <= BOUNDS[name][0]


def test_reference_is_finer_than_f64() -> None:
    """The bounds for f64 mean something only where numpy's long double is longer."""
    if np.finfo(np.longdouble).nmant <= np.finfo(np.float64).nmant:
        pytest.skip("long double is double here")
    third = reference("exp")(np.array([1 / 3]))
    assert third[0] != np.float64(third[0])
