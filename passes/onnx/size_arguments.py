"""What sizes a kernel is told: symbols, or functions of symbols where only those matter.

Used by `onnx-form-dispatches`. A model that halves its images four times has convolutions on
`h`, `h // 2`, `h // 2 // 2`, ... If everything that a kernel depends on `h` through is `h // 2`,
then the kernel's argument is that, and the kernels of all levels are one.

    (h // 2, w // 2 + 2), (h // 2, w // 2)   ==>   (s0, s1 + 2), (s0, s1)   with s0 = h // 2, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from dialects.onnx.dims import (
    SIGNED_PREFIX,
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
        for argument in sorted(set(_arguments(dim, self._shared)), key=str):
            if argument not in self.names:
                signed = SIGNED_PREFIX if _may_be_negative(argument) else ""
                self.names[argument] = symbol(f"{signed}s{len(self.names)}")
        return substitute(dim, self.names)


def shared_functions(dims: Iterable[Dim]) -> frozenset[Function]:
    """The functions whose symbols occur nowhere in these sizes but in the function itself.

    Of functions inside each other the outermost are chosen.
    """
    rest = {dim for dim in dims if isinstance(dim, DimExpr)}
    chosen: set[Function] = set()
    candidates = {function for dim in rest for function in _functions(dim)}
    for function in sorted(candidates, key=lambda f: (-len(str(f)), str(f))):
        # No name can be equal to this one.
        opaque = dim_of_atom(Symbol(f"({len(chosen)})"))
        replaced = {substitute(dim, {function: opaque}) for dim in rest}
        if replaced != rest and not _symbols(replaced) & symbols_of(dim_of_atom(function)):
            chosen.add(function)
            rest = {dim for dim in replaced if isinstance(dim, DimExpr)}
    return frozenset(chosen)


def _functions(dim: Dim) -> Iterator[Function]:
    """All functions in a size, those inside others too."""
    for monomial, _ in dim.terms if isinstance(dim, DimExpr) else ():
        for atom in monomial:
            if isinstance(atom, Function):
                yield atom
                yield from _functions(atom.lhs)
                yield from _functions(atom.rhs)


def _symbols(dims: Iterable[Dim]) -> set[str]:
    return {name for dim in dims for name in symbols_of(dim)}


def _arguments(dim: Dim, shared: frozenset[Function]) -> Iterator[Argument]:
    for monomial, _ in dim.terms if isinstance(dim, DimExpr) else ():
        for atom in monomial:
            if isinstance(atom, Symbol):
                yield atom.name
            elif atom in shared:
                yield atom
            else:
                yield from _arguments(atom.lhs, shared)
                yield from _arguments(atom.rhs, shared)


def _size_of(argument: Argument) -> Dim:
    return symbol(argument) if isinstance(argument, str) else dim_of_atom(argument)


def _may_be_negative(argument: Argument) -> bool:
    low, _ = bounds(_size_of(argument))
    return low is None or low < 0
