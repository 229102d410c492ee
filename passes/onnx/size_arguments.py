"""What sizes a kernel is told: symbols, or functions of symbols where only those matter.

Used by `onnx-form-dispatches`. A model that halves its images four times has convolutions on
`h`, `h // 2`, `h // 2 // 2`, ... If everything that a kernel depends on `h` through is `h // 2`,
then the kernel's argument is that, and the kernels of all levels are one.

    (h // 2, w // 2 + 2), (h // 2, w // 2)   ==>   (s0, s1 + 2), (s0, s1)   with s0 = h // 2, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import TypeAlias

from dialects.onnx.dims import (
    SIGNED_PREFIX,
    Atom,
    Dim,
    DimExpr,
    Function,
    Symbol,
    bounds,
    dim_of_atom,
    substitute,
    symbol,
    symbols_of,
)

Argument: TypeAlias = str | Function
"""A symbol by name, or a function."""


class SizeArguments:
    """The sizes that a kernel is told, in the order in which it numbers them.

    ``names`` has what the kernel calls each argument: ``s0``, ``s1``, ... One that may be negative
    says so in its name.
    """

    def __init__(self, dims: Iterable[Dim]) -> None:
        """For a kernel in which these sizes occur, and no others."""
        self.names: dict[Argument, DimExpr] = {}
        self._shared = shared_functions(dims)

    @property
    def sizes(self) -> list[Dim]:
        """The arguments as whoever calls the kernel knows them."""
        return [_size_of(argument) for argument in self.names]

    def renamed(self, dim: Dim) -> Dim:
        """A size as the kernel calls it; arguments that it is the first to use get numbers."""
        for argument in sorted(_arguments(dim, self._shared), key=str):
            if argument not in self.names:
                signed = SIGNED_PREFIX if _may_be_negative(argument) else ""
                self.names[argument] = symbol(f"{signed}s{len(self.names)}")
        return substitute(dim, self.names)


def shared_functions(dims: Iterable[Dim]) -> frozenset[Function]:
    """The functions whose symbols occur nowhere in these sizes but in the function itself.

    Of functions inside each other the outermost are chosen.
    """
    expressions = {dim for dim in dims if isinstance(dim, DimExpr)}
    candidates = {atom for dim in expressions for atom in _atoms(dim) if isinstance(atom, Function)}
    chosen: set[Function] = set()
    for function in sorted(candidates, key=lambda f: (-len(str(f)), str(f))):
        atoms = {atom for dim in expressions for atom in _atoms(dim, {*chosen, function})}
        names = {atom.name for atom in atoms if isinstance(atom, Symbol)}
        if function in atoms and names.isdisjoint(symbols_of(dim_of_atom(function))):
            chosen.add(function)
    return frozenset(chosen)


def _atoms(dim: Dim, closed: Set[Function] = frozenset()) -> Iterator[Atom]:
    """All symbols and functions in a size, but for those inside of `closed` functions."""
    for monomial, _ in dim.terms if isinstance(dim, DimExpr) else ():
        for atom in monomial:
            yield atom
            if isinstance(atom, Function) and atom not in closed:
                yield from _atoms(atom.lhs, closed)
                yield from _atoms(atom.rhs, closed)


def _arguments(dim: Dim, shared: frozenset[Function]) -> set[Argument]:
    """Shared functions, and the symbols outside of them."""
    atoms = set(_atoms(dim, shared))
    names = {atom.name for atom in atoms if isinstance(atom, Symbol)}
    return {*names, *(atom for atom in atoms if isinstance(atom, Function) and atom in shared)}


def _size_of(argument: Argument) -> Dim:
    return symbol(argument) if isinstance(argument, str) else dim_of_atom(argument)


def _may_be_negative(argument: Argument) -> bool:
    low, _ = bounds(_size_of(argument))
    return low is None or low < 0
