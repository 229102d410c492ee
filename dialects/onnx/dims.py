"""Symbolic tensor sizes: integers, or polynomials over symbols and a few integer functions.

    dim  ::= integer | expression
    expression in Python syntax: `2*batch + 1`, `(h - 1) // 2 + 1`, `h % 8`, `max(a, b)` or `min`

An expression is kept as a sum of monomials, so `h + h`, `2*h` and `h*2` are one value. A symbol
stands for a size, hence is not negative, unless its name starts with `signed_`: that one is an
integer that a run computes. `//` and `%` have Python's (floor) meaning. Arithmetic on plain ints
stays plain ints: `Dim` is `int | DimExpr`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from keyword import iskeyword
from math import gcd, lcm
from typing import TypeAlias, Union

Dim: TypeAlias = Union[int, "DimExpr"]

SIGNED_PREFIX = "signed_"
"""What the names of integers that may be negative start with."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """An unknown size, by name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Function:
    """`lhs // rhs`, `lhs % rhs`, `max(lhs, rhs)` or `min(lhs, rhs)`, as simple as it gets."""

    kind: str
    lhs: Dim
    rhs: Dim

    def __str__(self) -> str:
        if self.kind in ("max", "min"):
            return f"{self.kind}({self.lhs}, {self.rhs})"
        return f"({_grouped(self.lhs)} {self.kind} {_grouped(self.rhs)})"


_PARSED: dict[str, Dim] = {}
"""Sizes by their text. What was printed need not be parsed: places of buffers are long sums."""

Atom: TypeAlias = Symbol | Function
Monomial: TypeAlias = tuple[Atom, ...]


def _grouped(dim: Dim) -> str:
    text = str(dim)
    return text if isinstance(dim, int) or text.isidentifier() else f"({text})"


@dataclass(frozen=True)
class DimExpr:
    """A symbolic size: ``terms`` maps a product of atoms (sorted by text) to its coefficient."""

    terms: tuple[tuple[Monomial, int], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _text(self) -> str:
        parts = []
        for monomial, coefficient in self.terms:
            product = "*".join(str(atom) for atom in monomial)
            if not monomial:
                part = str(abs(coefficient))
            else:
                part = product if abs(coefficient) == 1 else f"{abs(coefficient)}*{product}"
            sign = "-" if coefficient < 0 else "+"
            parts.append(f" {sign} {part}" if parts else ("-" + part if coefficient < 0 else part))
        text = "".join(parts)
        _PARSED.setdefault(text, self)
        return text

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__

    def __add__(self, other: Dim) -> Dim:
        return _from_terms(_sum(_terms(self), _terms(other)))

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        return self * -1 + other

    def __mul__(self, other: Dim) -> Dim:
        product: dict[Monomial, int] = {}
        for left, a in _terms(self).items():
            for right, b in _terms(other).items():
                key = tuple(sorted(left + right, key=str))
                product[key] = product.get(key, 0) + a * b
        return _from_terms(product)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return mod(self, other)

    def __rmod__(self, other: Dim) -> Dim:
        return mod(other, self)


def dim_of_atom(atom: Atom) -> DimExpr:
    """The size that is one symbol or one function."""
    return DimExpr((((atom,), 1),))


def symbol(name: str) -> DimExpr:
    """The size called ``name``; characters that no identifier may have become underscores."""
    name = re.sub(r"\W", "_", name) or "_"
    if not name.isidentifier() or iskeyword(name) or name in ("max", "min"):
        name = "_" + name
    return dim_of_atom(Symbol(name))


def _terms(dim: Dim) -> dict[Monomial, int]:
    return dict(dim.terms) if isinstance(dim, DimExpr) else ({(): int(dim)} if dim else {})


def _sum(a: dict[Monomial, int], b: dict[Monomial, int]) -> dict[Monomial, int]:
    for monomial, coefficient in b.items():
        a[monomial] = a.get(monomial, 0) + coefficient
    return a


def _from_terms(terms: dict[Monomial, int]) -> Dim:
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    # Symbols first, higher degree first, the constant last: `2*h*w + h + 1`.
    return DimExpr(tuple(sorted(kept.items(), key=lambda t: (-len(t[0]), [str(a) for a in t[0]]))))


def _function(kind: str, lhs: Dim, rhs: Dim) -> Dim:
    return dim_of_atom(Function(kind, lhs, rhs))


def exact_quotient(lhs: Dim, rhs: Dim) -> Dim | None:
    """``lhs / rhs`` when the polynomial division leaves no remainder, else None."""
    if isinstance(rhs, int) and isinstance(lhs, int):
        return lhs // rhs if rhs and lhs % rhs == 0 else None
    if isinstance(rhs, DimExpr) and lhs == rhs:
        return 1
    # Long division by the leading term; terms stand in graded lexicographic order.
    (lead, coefficient), *_ = rhs.terms if isinstance(rhs, DimExpr) else (((), rhs),)
    rest, quotient = lhs, 0
    while rest != 0:
        (monomial, c), *_ = rest.terms if isinstance(rest, DimExpr) else (((), rest),)
        left = _without(monomial, lead)
        if left is None or coefficient == 0 or c % coefficient:
            return None
        term = _from_terms({left: c // coefficient})
        quotient, rest = quotient + term, rest - term * rhs
    return quotient


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


def without_rounding(dim: Dim) -> tuple[Dim, int]:
    """(n, d) so that ``dim`` is n / d if every division by a number in it leaves no remainder."""
    if isinstance(dim, int):
        return dim, 1
    parts: list[tuple[Dim, int]] = []
    for monomial, coefficient in dim.terms:
        top: Dim = coefficient
        bottom = 1
        for atom in monomial:
            if isinstance(atom, Function) and atom.kind == "//" and isinstance(atom.rhs, int):
                inner, denominator = without_rounding(atom.lhs)
                top, bottom = top * inner, bottom * denominator * atom.rhs
            else:
                top = top * dim_of_atom(atom)
        parts.append((top, bottom))
    common = lcm(*(bottom for _, bottom in parts))
    total: Dim = 0
    for top, bottom in parts:
        total = total + top * (common // bottom)
    return total, common


def floordiv(lhs: Dim, rhs: Dim) -> Dim:
    """Floor division. Raises ZeroDivisionError for a divisor that is the number 0."""
    if isinstance(rhs, int):
        if rhs == 0:
            raise ZeroDivisionError("size divided by zero")
        if isinstance(lhs, int):
            return lhs // rhs
        if rhs > 0:
            whole = {m: c - c % rhs for m, c in lhs.terms if c - c % rhs}
            rest = _from_terms({m: c % rhs for m, c in lhs.terms})
            if whole:
                exact = _from_terms({m: c // rhs for m, c in whole.items()})
                return exact + floordiv(rest, rhs)
            low, high = bounds(rest)
            if low is not None and high is not None and low >= 0 and high < rhs:
                return 0
            common = gcd(rhs, *(c for m, c in _terms(rest).items() if m))
            if common > 1:
                reduced = _from_terms({m: c // common for m, c in _terms(rest).items()})
                return floordiv(reduced, rhs // common)
    quotient = exact_quotient(lhs, rhs)
    return _function("//", lhs, rhs) if quotient is None else quotient


def ceildiv(lhs: Dim, rhs: Dim) -> Dim:
    """Division rounded up."""
    if isinstance(lhs, int) or sign(rhs) != 1:
        return -floordiv(-lhs, rhs)
    return floordiv(lhs + rhs - 1, rhs)


def mod(lhs: Dim, rhs: Dim) -> Dim:
    """Remainder with the divisor's sign, as Python's."""
    if isinstance(lhs, int) and isinstance(rhs, int):
        return lhs % rhs
    if exact_quotient(lhs, rhs) is not None:
        return 0
    if isinstance(rhs, int) and rhs > 0:
        lhs = _from_terms({m: c % rhs for m, c in _terms(lhs).items()})
        if isinstance(lhs, int):
            return lhs % rhs
    return _function("%", lhs, rhs)


def maximum(lhs: Dim, rhs: Dim) -> Dim:
    """The larger of two sizes, decided where their difference has a known sign."""
    return _select("max", lhs, rhs)


def minimum(lhs: Dim, rhs: Dim) -> Dim:
    """The smaller of two sizes, decided where their difference has a known sign."""
    return _select("min", lhs, rhs)


def _select(kind: str, lhs: Dim, rhs: Dim) -> Dim:
    if at_most(rhs, lhs):
        return lhs if kind == "max" else rhs
    if at_most(lhs, rhs):
        return rhs if kind == "max" else lhs
    return _function(kind, *sorted((lhs, rhs), key=str))


def at_most(lhs: Dim, rhs: Dim) -> bool:
    """Whether ``lhs <= rhs`` holds for all sizes, as far as bounds and nested max and min tell."""
    low, _ = bounds(rhs - lhs)
    if low is not None and low >= 0:
        return True
    a, b = _only_function(lhs), _only_function(rhs)
    if a is not None and a.kind == "min" and (at_most(a.lhs, rhs) or at_most(a.rhs, rhs)):
        return True
    if b is not None and b.kind == "max" and (at_most(lhs, b.lhs) or at_most(lhs, b.rhs)):
        return True
    if a is not None and a.kind == "max":
        return at_most(a.lhs, rhs) and at_most(a.rhs, rhs)
    return b is not None and b.kind == "min" and at_most(lhs, b.lhs) and at_most(lhs, b.rhs)


def _only_function(dim: Dim) -> Function | None:
    """The function that a size consists of, if it is nothing else."""
    if isinstance(dim, DimExpr) and len(dim.terms) == 1:
        ((monomial, coefficient),) = dim.terms
        if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Function):
            return monomial[0]
    return None


@cache
def bounds(dim: Dim) -> tuple[int | None, int | None]:
    """A lower and an upper bound, None where there is none; symbols are at least 0."""
    if isinstance(dim, int):
        return dim, dim
    low: int | None = 0
    high: int | None = 0
    for monomial, c in dim.terms:
        term_low, term_high = (1, 1)
        for atom in monomial:
            atom_low, atom_high = _atom_bounds(atom)
            if atom_low is None or atom_low < 0:
                return None, None
            term_low *= atom_low
            term_high = None if term_high is None or atom_high is None else term_high * atom_high
        ends = (term_low, term_high) if c > 0 else (term_high, term_low)
        low = None if low is None or ends[0] is None else low + c * ends[0]
        high = None if high is None or ends[1] is None else high + c * ends[1]
    return low, high


def _atom_bounds(atom: Atom) -> tuple[int | None, int | None]:
    if isinstance(atom, Symbol):
        return None if atom.name.startswith(SIGNED_PREFIX) else 0, None
    (a, b), (c, d) = bounds(atom.lhs), bounds(atom.rhs)
    if atom.kind == "max":
        low = max((x for x in (a, c) if x is not None), default=None)
        return low, None if b is None or d is None else max(b, d)
    if atom.kind == "min":
        high = min((x for x in (b, d) if x is not None), default=None)
        return None if a is None or c is None else min(a, c), high
    if atom.kind == "%":
        return (0, None if d is None else d - 1) if c is not None and c > 0 else (None, None)
    if c is None or c <= 0:
        return (0, None) if a is not None and a >= 0 and c is not None and c >= 0 else (None, None)
    low = None if a is None else (a // c if a < 0 else (a // d if d else 0))
    return low, None if b is None else (b // c if b >= 0 else (b // d if d else 0))


def is_equal(lhs: Dim, rhs: Dim) -> bool | None:
    """Whether two sizes are equal for all sizes, for none (False), or only for some (None)."""
    return True if lhs == rhs else (False if sign(lhs - rhs) else None)


def sign(dim: Dim) -> int | None:
    """1, 0 or -1 where the sign is the same for all sizes, else None."""
    low, high = bounds(dim)
    if low is not None and low > 0:
        return 1
    if high is not None and high < 0:
        return -1
    return 0 if low == 0 == high else None


def product(dims: Iterable[Dim]) -> Dim:
    """The product of several sizes, 1 of none."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return result


def numbers_of(dims: Iterable[Dim]) -> list[int]:
    """Sizes that the caller knows to be numbers."""
    numbers = list(dims)
    assert all(isinstance(dim, int) for dim in numbers), "a size is not known"
    return numbers  # type: ignore[return-value]


def symbols_of(dim: Dim) -> frozenset[str]:
    """Names of the symbols that a size depends on."""
    if isinstance(dim, int):
        return frozenset()
    found: set[str] = set()
    for monomial, _ in dim.terms:
        for atom in monomial:
            if isinstance(atom, Symbol):
                found.add(atom.name)
            else:
                found |= symbols_of(atom.lhs) | symbols_of(atom.rhs)
    return frozenset(found)


def substitute(dim: Dim, values: Mapping[str, Dim] | Mapping[str | Function, Dim]) -> Dim:
    """The size with symbols (by name) and functions replaced; all known gives an int."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, coefficient in dim.terms:
        product: Dim = coefficient
        for atom in monomial:
            product = product * _substitute_atom(atom, values)
        total = total + product
    return total


def _substitute_atom(atom: Atom, values: Mapping[str, Dim] | Mapping[str | Function, Dim]) -> Dim:
    value = values.get(atom.name if isinstance(atom, Symbol) else atom)  # type: ignore[arg-type]
    if value is not None:
        return value
    if isinstance(atom, Symbol):
        return dim_of_atom(atom)
    lhs, rhs = substitute(atom.lhs, values), substitute(atom.rhs, values)
    return apply_function(atom.kind, lhs, rhs)


def apply_function(kind: str, lhs: Dim, rhs: Dim) -> Dim:
    """`lhs kind rhs` for ``//``, ``%``, ``max``, ``min``."""
    table = {"//": floordiv, "%": mod, "max": maximum, "min": minimum}
    return table[kind](lhs, rhs)


def parse_dim(text: str) -> Dim:
    """The size that ``str`` of one printed. Raises ValueError for anything else."""
    found = _PARSED.get(text)
    if found is None:
        try:
            found = _PARSED[text] = _from_ast(ast.parse(text, mode="eval").body)
        except SyntaxError as error:
            raise ValueError(f"'{text}' is not a symbolic size") from error
    return found


_BINARY: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
}


def _from_ast(node: ast.expr) -> Dim:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_from_ast(operand)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            return _BINARY[type(operator)](_from_ast(left), _from_ast(right))
        case ast.Call(func=ast.Name(id="max" | "min" as kind), args=[left, right]):
            return apply_function(kind, _from_ast(left), _from_ast(right))
    raise ValueError(f"'{ast.unparse(node)}' is not a symbolic size")
