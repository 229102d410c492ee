"""Affine index arithmetic with known ranges, shared by emission and by the lowering of loops.

An `Affine` is a sum of integer multiples of atoms plus a constant. Atoms are index values of the IR
(`Var`, with what is known of their range and divisibility) and the quotients and remainders that
could not be simplified away. Knowing ranges is what turns `(12*i + j) floordiv 12` back into `i`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import TypeAlias, Union

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir import SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
)


@dataclass(frozen=True, eq=False)
class Var:
    """An index value; in ``low .. high`` (None: no bound), a multiple of ``multiple``."""

    value: SSAValue | None
    low: int | None = 0
    high: int | None = None
    multiple: int = 1

    @property
    def range(self) -> tuple[int | None, int | None]:
        """Lowest and highest value."""
        return self.low, self.high


@dataclass(frozen=True)
class Division:
    """`expression floordiv divisor` or, with ``remainder``, `expression mod divisor`."""

    expression: Affine
    divisor: int
    remainder: bool

    @cached_property
    def range(self) -> tuple[int | None, int | None]:
        """Lowest and highest value."""
        if self.remainder:
            return 0, self.divisor - 1
        low, high = self.expression.range
        return (
            None if low is None else low // self.divisor,
            None if high is None else high // self.divisor,
        )

    @property
    def multiple(self) -> int:
        """A divisor of all values."""
        return 1


Atom: TypeAlias = Var | Division
Index: TypeAlias = Union["Affine", int]


@dataclass(frozen=True)
class Affine:
    """``sum(coefficient * atom) + constant``; terms in order of first use, no coefficient 0."""

    terms: tuple[tuple[Atom, int], ...]
    constant: int = 0

    @cached_property
    def range(self) -> tuple[int | None, int | None]:
        """Lowest and highest value, None where unbounded."""
        low: int | None = self.constant
        high: int | None = self.constant
        for atom, c in self.terms:
            bottom, top = atom.range if c > 0 else atom.range[::-1]
            low = None if low is None or bottom is None else low + c * bottom
            high = None if high is None or top is None else high + c * top
        return low, high

    def __add__(self, other: Index) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.constant + other) if other else self
        merged = dict(self.terms)
        for atom, c in other.terms:
            merged[atom] = merged.get(atom, 0) + c
        terms = tuple((atom, c) for atom, c in merged.items() if c)
        return _put_together(Affine(terms, self.constant + other.constant))

    __radd__ = __add__

    def __sub__(self, other: Index) -> Affine:
        return self + other * -1

    def __rsub__(self, other: Index) -> Affine:
        return self * -1 + other

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine(())
        terms = tuple((atom, c * factor) for atom, c in self.terms)
        return _multiplied_back(Affine(terms, self.constant * factor))

    __rmul__ = __mul__

    def _split(self, divisor: int) -> tuple[Affine, Affine, Affine]:
        """(exact quotient, still to be divided but exactly divisible, rest) by ``divisor``."""
        whole, exact, rest = [], [], []
        for atom, c in self.terms:
            if c % divisor == 0:
                whole.append((atom, c // divisor))
            elif c * atom.multiple % divisor == 0:
                exact.append((atom, c))
            else:
                if c > divisor:
                    whole.append((atom, c // divisor))
                rest.append((atom, c % divisor if c > 0 else c))
        quotient = Affine(tuple(whole), self.constant // divisor)
        return quotient, Affine(tuple(exact)), Affine(tuple(rest), self.constant % divisor)

    def __floordiv__(self, divisor: int) -> Affine:
        if divisor == 1:
            return self
        quotient, exact, rest = self._split(divisor)
        for atom, c in exact.terms:
            quotient = quotient + _divided(Affine(((atom, c),)), divisor)
        low, high = rest.range
        if low is not None and high is not None and low >= 0 and high < divisor:
            return quotient
        return quotient + _divided(rest, divisor)

    def __mod__(self, divisor: int) -> Affine:
        if divisor == 1:
            return Affine(())
        _, _, rest = self._split(divisor)
        low, high = rest.range
        if low is not None and high is not None and low >= 0 and high < divisor:
            return rest
        large, small = _without_small(rest, divisor)
        return small + Affine(((Division(large, divisor, True), 1),))

    def substitute(self, values: Mapping[Atom, Index]) -> Affine:
        """The expression with atoms replaced, simplified again."""
        total = Affine((), self.constant)
        for atom, c in self.terms:
            if atom in values:
                total = total + values[atom] * c
            elif isinstance(atom, Division):
                inner = atom.expression.substitute(values)
                divided = inner % atom.divisor if atom.remainder else inner // atom.divisor
                total = total + divided * c
            else:
                total = total + Affine(((atom, c),))
        return total

    def coefficient(self, atom: Atom) -> int | None:
        """The factor of an atom; None when it also stands inside a quotient or remainder."""
        found = 0
        for other, c in self.terms:
            if other is atom:
                found += c
            elif isinstance(other, Division) and other.expression.depends_on(atom):
                return None
        return found

    def depends_on(self, atom: Atom) -> bool:
        """Whether the value changes with an atom."""
        return self.coefficient(atom) != 0

    def variables(self) -> dict[Var, None]:
        """All `Var`s in it, in order of first use."""
        found: dict[Var, None] = {}
        for atom, _ in self.terms:
            found.update({atom: None} if isinstance(atom, Var) else atom.expression.variables())
        return found


def _multiplied_back(total: Affine) -> Affine:
    """``(x floordiv d) * d`` is x where x is a multiple of d."""
    if not any(_is_exact(atom, c) for atom, c in total.terms):
        return total
    result = Affine((), total.constant)
    for atom, c in total.terms:
        if isinstance(atom, Division) and _is_exact(atom, c):
            result = result + atom.expression * (c // atom.divisor)
        else:
            result = result + Affine(((atom, c),))
    return result


def _is_exact(atom: Atom, c: int) -> bool:
    """Whether ``c`` times a quotient multiplies an exact division back."""
    if not isinstance(atom, Division) or atom.remainder or c % atom.divisor:
        return False
    inside = atom.expression
    parts = [inside.constant, *(k * each.multiple for each, k in inside.terms)]
    return all(part % atom.divisor == 0 for part in parts)


def _put_together(total: Affine) -> Affine:
    """``(x floordiv d) * d + x mod d`` is x."""
    for atom, c in total.terms:
        if not isinstance(atom, Division) or not atom.remainder:
            continue
        partner = _divided(atom.expression, atom.divisor).terms[0][0]
        if (partner, c * atom.divisor) in total.terms:
            rest = tuple(term for term in total.terms if term[0] not in (atom, partner))
            return Affine(rest, total.constant) + atom.expression * c
    return total


def _without_small(expression: Affine, divisor: int) -> tuple[Affine, Affine]:
    """(large, small): large is a multiple of a factor g of ``divisor``, and 0 <= small < g.

    So dividing ``large`` gives the same quotient, and the small part (the lanes of a vector) stays
    outside of the remainder.
    """

    def weight(term: tuple[Atom, int]) -> int:
        return abs(term[1]) * term[0].multiple

    heaviest = sorted(expression.terms, key=weight, reverse=True)
    for count in range(1, len(heaviest) + 1):
        common = gcd(divisor, *map(weight, heaviest[:count]))
        chosen = set(heaviest[:count])
        rest = expression.constant % common
        small = Affine(tuple(term for term in expression.terms if term not in chosen), rest)
        low, high = small.range
        if low is not None and high is not None and low >= 0 and high < common:
            terms = tuple(term for term in expression.terms if term in chosen)
            return Affine(terms, expression.constant - rest), small
    return expression, Affine(())


def _divided(expression: Affine, divisor: int) -> Affine:
    expression, _ = _without_small(expression, divisor)
    common = gcd(divisor, *(c for _, c in expression.terms))
    if common > 1 and expression.terms:
        # floor((g*a + k) / (g*d)) = floor((a + floor(k/g)) / d)
        terms = tuple((atom, c // common) for atom, c in expression.terms)
        expression, divisor = Affine(terms, expression.constant // common), divisor // common
        if divisor == 1:
            return expression
    return Affine(((Division(expression, divisor, False), 1),))


def affine(value: Index | Var) -> Affine:
    """An integer, variable or expression as an expression."""
    if isinstance(value, int):
        return Affine((), value)
    return Affine(((value, 1),)) if isinstance(value, Var) else value


def from_expr(expr: AffineExpr, dims: Sequence[Affine]) -> Affine:
    """An MLIR affine expression over these values of its dimensions."""
    match expr:
        case AffineConstantExpr():
            return Affine((), expr.value)
        case AffineDimExpr():
            return dims[expr.position]
        case AffineBinaryOpExpr(kind=kind):
            lhs, rhs = from_expr(expr.lhs, dims), from_expr(expr.rhs, dims)
            if kind is AffineBinaryOpKind.Add:
                return lhs + rhs
            if not rhs.terms:
                return _by_constant(kind, lhs, rhs.constant)
            if kind is AffineBinaryOpKind.Mul and not lhs.terms:
                return rhs * lhs.constant
    raise ValueError(f"not an affine expression: {expr}")


def _by_constant(kind: AffineBinaryOpKind, lhs: Affine, rhs: int) -> Affine:
    match kind:
        case AffineBinaryOpKind.Mul:
            return lhs * rhs
        case AffineBinaryOpKind.FloorDiv:
            return lhs // rhs
        case AffineBinaryOpKind.Mod:
            return lhs % rhs
        case _:
            return (lhs + (rhs - 1)) // rhs


def to_map(indices: Sequence[Affine]) -> tuple[AffineMapAttr, list[SSAValue]]:
    """The map and its operands for some indices; every operand is a dimension of the map."""
    variables: dict[Var, None] = {}
    for entry in indices:
        variables.update(entry.variables())
    position = {variable: AffineDimExpr(n) for n, variable in enumerate(variables)}
    results = tuple(_to_expr(entry, position) for entry in indices)
    operands = [variable.value for variable in variables if variable.value is not None]
    assert len(operands) == len(variables), "an offset inside of a tile has no value"
    return AffineMapAttr(AffineMap(len(operands), 0, results)), operands


def _to_expr(index: Affine, position: Mapping[Var, AffineExpr]) -> AffineExpr:
    total: AffineExpr | None = None
    for atom, c in index.terms:
        if isinstance(atom, Var):
            term = position[atom]
        else:
            inner = _to_expr(atom.expression, position)
            term = inner % atom.divisor if atom.remainder else inner // atom.divisor
        term = term if c == 1 else term * c
        total = term if total is None else total + term
    if total is None:
        return AffineConstantExpr(index.constant)
    return total + index.constant if index.constant else total
