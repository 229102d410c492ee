"""Symbolic sizes: parsing, evaluating, binding to actual shapes."""

from __future__ import annotations

import keyword
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.dims import bind, evaluate, parse
from runtime.errors import InputError, InvalidModelError

SYMBOLS = ["batch", "seq", "été", "_x1"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2*batch + 1", 7),
        ("batch", 3),
        ("12", 12),
        ("10 - batch - 2", 5),
        ("-batch + 20", 17),
        ("20 // batch % 4", 2),
        ("-20 // batch + 10", 3),
        ("-(-seq // 2) * 2", 8),
        ("max(batch, seq, 4) - min(batch, 1)", 6),
        ("(batch + 1) * (seq - 1)", 24),
        ("max(seq)", 7),
    ],
)
def test_evaluates_like_python(text: str, value: int) -> None:
    assert evaluate(text, {"batch": 3, "seq": 7}) == value


def expressions() -> st.SearchStrategy[str]:
    leaves = st.integers(0, 99).map(str) | st.sampled_from(SYMBOLS)
    binary = st.sampled_from([" + ", "-", " *", "// ", "%"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(inner, binary, inner).map("".join)
            | inner.map("({})".format)
            | inner.map("-{}".format)
            | st.lists(inner, min_size=2, max_size=3).map(lambda a: f"max({', '.join(a)})")
            | st.lists(inner, min_size=2, max_size=3).map(lambda a: f"min({', '.join(a)})")
        ),
        max_leaves=12,
    )


@given(expressions(), st.lists(st.integers(0, 50), min_size=4, max_size=4))
def test_agrees_with_python(text: str, values: list[int]) -> None:
    symbols = dict(zip(SYMBOLS, values, strict=True))
    try:
        expected = eval(text, {}, symbols)
    except ZeroDivisionError:
        with pytest.raises(InputError, match="divides by zero"):
            parse(text).evaluate(symbols)
    else:
        assert parse(text).evaluate(symbols) == expected


@pytest.mark.parametrize("name", [*keyword.kwlist, "max", "min", "数", "__import__"])
def test_any_identifier_is_a_symbol(name: str) -> None:
    assert evaluate(f"2*{name}", {name: 4}) == 8


@given(st.text(alphabet="ab1 +-*/%(),.max", max_size=12) | st.text(max_size=8))
def test_parses_or_refuses(text: str) -> None:
    try:
        parse(text)
    except InvalidModelError as error:
        assert "size expression" in str(error)


@pytest.mark.parametrize(
    "text", ["", "a b", "a +", "(a", "max(", "max()", "a.b", "a ** 2", "2a", "1" * 30, "(" * 200]
)
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidModelError, match="size expression"):
        parse(text)


def test_long_sums_do_not_recurse() -> None:
    assert evaluate("+".join(["a"] * 2000), {"a": 1}) == 2000


def test_unbound_symbols_leave_a_size_open() -> None:
    assert evaluate("a + b", {"a": 1}) is None
    assert evaluate(None, {}) is None
    assert evaluate(5, {}) == 5


def test_negative_sizes_are_input_errors() -> None:
    with pytest.raises(InputError, match=r"'a - 5' is -2 for a = 3"):
        evaluate("a - 5", {"a": 3})


def test_bind_collects_symbols() -> None:
    signature = [("x", ("2*n + 1", "n")), ("y", (3, None, "m"))]
    assert bind(signature, [(9, 4), (3, 77, 0)]) == {"n": 4, "m": 0}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(2, 3), (2, 7)],
            "input 'y' axis 1 has size 7, expected 'n + 1' = 4 (given by input 'x' axis 1)",
        ),
        (
            [(2, 3), (5, 4)],
            "input 'y' axis 0 has size 5, expected 'batch' = 2 (given by input 'x' axis 0)",
        ),
        ([(2, 3, 1), (2, 4)], "input 'x' has rank 3, shape [2, 3, 1]; expected rank 2"),
        ([(2, 3), ()], "input 'y' has rank 0"),
    ],
)
def test_bind_names_the_contradiction(shapes: list[tuple[int, ...]], message: str) -> None:
    signature = [("x", ("batch", "n")), ("y", ("batch", "n + 1"))]
    with pytest.raises(InputError, match=re.escape(message)):
        bind(signature, shapes)
