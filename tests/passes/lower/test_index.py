"""Index arithmetic agrees with Python's integers, for all values that the ranges allow."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineExpr

from passes.lower.index import Affine, Division, Var, affine, from_expr, to_map

BLOCK = Block(arg_types=[IndexType()] * 4)


@dataclass(frozen=True)
class Known:
    """A variable with its range, and the value it has now."""

    variable: Var
    value: int


@st.composite
def knowns(draw: st.DrawFn) -> list[Known]:
    """Four variables: multiples of something, in ranges that may be open."""
    found = []
    for value in BLOCK.args:
        multiple = draw(st.sampled_from([1, 1, 2, 8, 12]))
        number = draw(st.integers(-3, 12)) * multiple
        low = draw(st.one_of(st.none(), st.just(0), st.integers(number - 30, number)))
        high = draw(st.one_of(st.none(), st.integers(number, number + 30)))
        if low is not None:
            low = min(low, number)
        found.append(Known(Var(value, low, high, multiple), number))
    return found


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["+", "-", "*", "//", "%", "+c", "c-"]),
        st.integers(0, 3),
        st.integers(-13, 13),
        st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16]),
    ),
    min_size=1,
    max_size=6,
)

Steps = list[tuple[str, int, int, int]]


def build(known: list[Known], steps: Steps) -> tuple[Affine, int]:
    """An expression and its value."""
    expression, value = affine(known[0].variable), known[0].value
    for kind, place, factor, divisor in steps:
        other, number = affine(known[place].variable), known[place].value
        match kind:
            case "+":
                expression, value = expression + other * factor, value + number * factor
            case "-":
                expression, value = expression - other, value - number
            case "*":
                expression, value = factor * expression, value * factor
            case "//":
                expression, value = expression // divisor, value // divisor
            case "%":
                expression, value = expression % divisor, value % divisor
            case "+c":
                expression, value = expression + factor, value + factor
            case _:
                expression, value = factor - expression, factor - value
    return expression, value


def evaluate(expression: Affine, values: dict[Var, int]) -> int:
    """The value of an expression."""
    total = expression.constant
    for atom, c in expression.terms:
        if isinstance(atom, Var):
            total += c * values[atom]
            continue
        inner = evaluate(atom.expression, values)
        total += c * (inner % atom.divisor if atom.remainder else inner // atom.divisor)
    return total


@given(knowns(), STEPS)
def test_arithmetic_agrees_with_integers(known: list[Known], steps: Steps) -> None:
    expression, value = build(known, steps)
    values = {k.variable: k.value for k in known}
    assert evaluate(expression, values) == value
    low, high = expression.range
    assert low is None or low <= value
    assert high is None or value <= high
    assert all(c for _, c in expression.terms)


@given(knowns(), STEPS, st.integers(0, 3), st.integers(-5, 40))
def test_substitution_agrees_with_integers(
    known: list[Known], steps: Steps, place: int, offset: int
) -> None:
    expression, value = build(known, steps)
    chosen = known[place]
    fresh = Var(BLOCK.args[0], None, None)
    values = {k.variable: k.value for k in known if k is not chosen} | {
        fresh: (chosen.value - offset)
    }
    replaced = expression.substitute({chosen.variable: affine(fresh) + offset})
    assert evaluate(replaced, values) == value
    assert chosen.variable not in replaced.variables()
    fixed = expression.substitute({k.variable: k.value for k in known})
    assert fixed == affine(value)


@given(knowns(), STEPS)
def test_maps_agree_with_integers(known: list[Known], steps: Steps) -> None:
    expression, value = build(known, steps)
    map, operands = to_map([expression, affine(7)])
    of_value = {k.variable.value: k for k in known}
    at = [of_value[operand].value for operand in operands]
    assert map.data.eval(at, []) == (value, 7)
    assert map.data.num_dims == len(operands) == len(set(operands))
    back = from_expr(map.data.results[0], [affine(of_value[o].variable) for o in operands])
    assert evaluate(back, {k.variable: k.value for k in known}) == value


@given(knowns(), STEPS, st.integers(0, 3))
def test_coefficients_say_how_a_value_moves(known: list[Known], steps: Steps, place: int) -> None:
    expression, value = build(known, steps)
    variable = known[place].variable
    coefficient = expression.coefficient(variable)
    assert expression.depends_on(variable) == (variable in expression.variables())
    if coefficient is not None:
        values = {k.variable: k.value for k in known}
        values[variable] += variable.multiple
        assert evaluate(expression, values) == value + coefficient * variable.multiple


def test_ranges_make_divisions_vanish() -> None:
    i, j = Var(BLOCK.args[0], 0, 99), Var(BLOCK.args[1], 0, 11)
    flat = affine(i) * 12 + affine(j)
    assert flat // 12 == affine(i)
    assert flat % 12 == affine(j)
    assert (flat + 12) // 12 == affine(i) + 1
    assert flat // 6 == affine(i) * 2 + affine(j) // 6
    wide = Var(BLOCK.args[1], 0, 12)
    assert (affine(i) * 12 + affine(wide)) // 12 != affine(i)


def test_multiples_make_divisions_exact() -> None:
    tile, lane = Var(BLOCK.args[0], 0, None, 64), Var(BLOCK.args[1], 0, 15)
    column = affine(tile) + affine(lane) + 16
    assert column % 64 == affine(lane) + 16
    (((atom, c),), constant) = (column // 64).terms, (column // 64).constant
    assert (c, constant) == (1, 0)
    assert isinstance(atom, Division) and atom.expression == affine(tile)


def test_exact_quotients_are_multiplied_back() -> None:
    tile, odd = Var(BLOCK.args[0], 0, None, 48), Var(BLOCK.args[1], 0, None)
    assert (affine(tile) // 4) * 4 == affine(tile)
    assert (affine(tile) // 4) * 12 + 5 == affine(tile) * 3 + 5
    assert (affine(odd) // 4) * 4 != affine(odd)
    assert ((affine(tile) + 2) // 4) * 4 == affine(tile)
    other = Var(BLOCK.args[2], 0, None, 16)
    assert ((affine(tile) + affine(other)) // 16) * 16 == affine(tile) + affine(other)


def test_lanes_stay_outside_of_divisions() -> None:
    start, lane = Var(BLOCK.args[0], 0, 128, 16), Var(BLOCK.args[1], 0, 7)
    entry = affine(start) + 8 + affine(lane)
    assert (entry // 48).coefficient(lane) == 0
    assert (entry % 48).coefficient(lane) == 1


def test_quotient_and_remainder_come_together_again() -> None:
    x = affine(Var(BLOCK.args[0], 0, 143))
    assert (x // 48) * 48 + x % 48 == x
    assert (x % 48) * 2 + (x // 48) * 96 == x * 2


def test_what_is_no_affine_expression_is_an_error() -> None:
    x, y = AffineExpr.dimension(0), AffineExpr.dimension(1)
    i, j = (affine(Var(value)) for value in BLOCK.args[:2])
    with pytest.raises(ValueError, match="not an affine expression"):
        from_expr(AffineBinaryOpExpr(AffineBinaryOpKind.Mul, x, y), [i, j])
    with pytest.raises(ValueError, match="not an affine expression"):
        from_expr(AffineExpr.symbol(0), [i, j])
    assert from_expr(x.ceil_div(4), [i, j]) == (i + 3) // 4
    assert from_expr(AffineExpr.constant(3) * y, [i, j]) == j * 3
