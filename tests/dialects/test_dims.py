"""Symbolic sizes agree with integers after substitution, and read back what they print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.onnx import dims as d
from dialects.onnx.dims import Dim, parse_dim, substitute, symbol

NAMES = ["a", "b", "c", "signed_k"]
SYMBOLIC: dict[str, Callable[[Dim, Dim], Dim]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "//": d.floordiv,
    "%": d.mod,
    "max": d.maximum,
    "min": d.minimum,
    "ceil": d.ceildiv,
}
INTEGER: dict[str, Callable[[int, int], int]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "//": lambda x, y: x // y,
    "%": lambda x, y: x % y,
    "max": max,
    "min": min,
    "ceil": lambda x, y: -(-x // y),
}
LEAVES = st.one_of(st.integers(-6, 9), st.sampled_from(NAMES))
EXPRESSIONS = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from(sorted(SYMBOLIC)), inner, inner), max_leaves=7
)
SIZES = st.fixed_dictionaries(
    {name: st.integers(-9 if name.startswith("signed_") else 0, 17) for name in NAMES}
)


def build(expression: Any, table: Mapping[str, Callable[..., Any]], leaf: Callable[[str], Any]):
    if isinstance(expression, int):
        return expression
    if isinstance(expression, str):
        return leaf(expression)
    name, lhs, rhs = expression
    return table[name](build(lhs, table, leaf), build(rhs, table, leaf))


@settings(max_examples=600, deadline=None)
@given(EXPRESSIONS, SIZES)
def test_every_operation_agrees_with_integers(expression: Any, sizes: dict[str, int]) -> None:
    try:
        wanted = build(expression, INTEGER, sizes.__getitem__)
        dim = build(expression, SYMBOLIC, symbol)
    except ZeroDivisionError:
        return
    assert substitute(dim, sizes) == wanted
    low, high = d.bounds(dim)
    assert low is None or low <= wanted
    assert high is None or wanted <= high
    text = str(dim)
    d._PARSED.clear()  # What was printed is remembered.
    assert parse_dim(text) == dim


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_comparisons_hold_for_all_sizes(one: Any, other: Any, sizes: dict[str, int]) -> None:
    try:
        a, b = build(one, SYMBOLIC, symbol), build(other, SYMBOLIC, symbol)
        left, right = substitute(a, sizes), substitute(b, sizes)
    except ZeroDivisionError:
        return
    assert isinstance(left, int) and isinstance(right, int)
    if d.at_most(a, b):
        assert left <= right
    equal = d.is_equal(a, b)
    assert equal is None or equal == (left == right)
    if (quotient := d.exact_quotient(a, b)) is not None and right:
        assert substitute(quotient, sizes) * right == left


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("h + h", "2*h"),
        ("(2*h) // 2", "h"),
        ("(4*h + 6) // 4", "h + ((h*0 + 2) // 4) + 1"),
        ("(h*w + h) - h*w", "h"),
        ("max(h, 0)", "h"),
        ("max(max(a, b), a)", "max(a, b)"),
        ("min(max(a, b), a)", "a"),
        ("(6*h) % 3", "0"),
        ("max(h + 1, h)", "h + 1"),
    ],
)
def test_simplification(text: str, simple: str) -> None:
    assert parse_dim(text) == parse_dim(simple)


def test_exact_quotient_of_polynomials() -> None:
    h, w = symbol("h"), symbol("w")
    assert d.exact_quotient(h * w + 2 * h + w + 2, w + 2) == h + 1
    assert d.exact_quotient(h * w + 1, w) is None


@pytest.mark.parametrize("text", ["", "h +", "f(h)", "h / 2", "a.b", "1.5"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a symbolic size"):
        parse_dim(text)


def test_names_that_python_does_not_allow() -> None:
    assert str(symbol("batch size")) == "batch_size"
    assert parse_dim(str(symbol("if"))) == symbol("if")
    assert parse_dim(str(symbol("max"))) == symbol("max")


def test_only_signed_symbols_may_be_negative() -> None:
    assert d.bounds(symbol("n")) == (0, None)
    assert d.bounds(symbol("signed_n")) == (None, None)
