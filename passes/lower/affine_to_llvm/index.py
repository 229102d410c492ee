"""Integer arithmetic on i64 and affine maps: folded, reused, and cheap where signs are known.

`floordiv`, `ceildiv` and `mod` follow the affine dialect: they round towards minus infinity (plus
infinity for `ceildiv`) and `mod` is never negative. Where the dividend cannot be negative they
become `udiv`/`urem`, for powers of two a shift or mask, and for a range that the divisor covers
nothing at all. Multiples of the divisor are taken out first: `(16 * d0 + d1) floordiv 16` is
`d0 + d1 floordiv 16`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from xdsl.dialects.builtin import IntegerAttr, i1, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
    AffineSymExpr,
)

from dialects import llvm
from passes.lower.affine_to_llvm.builder import (
    FAST_NONE,
    NO_PROPERTIES,
    NSW,
    NSW_NUW,
    PREDICATES,
    Builder,
    Properties,
)
from passes.lower.affine_to_llvm.types import PTR
from runtime.errors import InternalError, Place

Index = int | SSAValue
"""An i64: known at compile time, or a value."""

Range = tuple[int, int]
"""Smallest and largest value that an i64 may take, both included."""

INT64 = (-(1 << 63), (1 << 63) - 1)
SIZE: Range = (0, 1 << 47)
"""No buffer of an address space of 48 bits has more elements."""

FEW_TERMS = 8
"""Sums of more terms are kept from LLVM, which would try to take them apart in all ways."""


class Linear:
    """`const + sum(coefficient * value)`, coefficients never 0."""

    __slots__ = ("const", "terms")

    def __init__(self, const: int = 0, terms: dict[SSAValue, int] | None = None) -> None:
        self.const = const
        self.terms: dict[SSAValue, int] = {} if terms is None else terms

    def __add__(self, other: Linear) -> Linear:
        terms = dict(self.terms)
        for value, coefficient in other.terms.items():
            total = terms.get(value, 0) + coefficient
            if total:
                terms[value] = total
            else:
                del terms[value]
        return Linear(self.const + other.const, terms)

    def scaled(self, factor: int) -> Linear:
        """The form times a constant."""
        if factor == 0:
            return Linear()
        terms = {value: coefficient * factor for value, coefficient in self.terms.items()}
        return Linear(self.const * factor, terms)

    def parted(self, belongs: Callable[[SSAValue], bool]) -> tuple[Linear, Linear]:
        """The terms, without the constant, whose values belong to the first part, and the rest."""
        first, rest = Linear(), Linear()
        for value, coefficient in self.terms.items():
            part = first if belongs(value) else rest
            part.terms[value] = coefficient
        return first, rest

    def split(self, divisor: int) -> tuple[Linear, Linear]:
        """(quotient, rest) with `self == quotient * divisor + rest`, taking out of `self` all
        terms that are multiples of the divisor."""
        quotient, rest = Linear(self.const // divisor), Linear(self.const % divisor)
        for value, coefficient in self.terms.items():
            if coefficient % divisor == 0:
                quotient.terms[value] = coefficient // divisor
            else:
                rest.terms[value] = coefficient
        return quotient, rest


class IndexBuilder(Builder):
    """A builder that knows i64 arithmetic and affine expressions.

    Arithmetic here may assume that nothing overflows: it is used for indices, which are bounded by
    the address space.
    """

    def range_of(self, value: Index) -> Range:
        """What is known about a value."""
        if isinstance(value, int):
            return value, value
        return self.ranges.get(value, INT64)

    def range_of_linear(self, form: Linear) -> Range:
        """What is known about a linear form."""
        low = high = form.const
        for value, coefficient in form.terms.items():
            bounds = [coefficient * bound for bound in self.ranges.get(value, INT64)]
            low += min(bounds)
            high += max(bounds)
        return low, high

    def limit(self, value: Index, bounds: Range) -> Index:
        """Records what a value is known to lie in."""
        if not isinstance(value, int):
            self.ranges[value] = max(bounds[0], INT64[0]), min(bounds[1], INT64[1])
        return value

    def _remember(
        self,
        kind: type,
        lhs: Index,
        rhs: Index,
        bounds: Range,
        properties: Properties | None = None,
    ) -> Index:
        """Emits a binary operation, unless this scope or an outer one has it already."""
        key = (kind, lhs, rhs)
        found = self.recall(key)
        if found is not None:
            return found
        if properties is None:
            properties = NSW_NUW if bounds[0] >= 0 and self._both_positive(lhs, rhs) else NSW
        result = self.value(kind, (self.index(lhs), self.index(rhs)), i64, properties)
        self.keep(key, result)
        self.limit(result, bounds)
        return result

    def _both_positive(self, lhs: Index, rhs: Index) -> bool:
        return self.range_of(lhs)[0] >= 0 and self.range_of(rhs)[0] >= 0

    def add(self, lhs: Index, rhs: Index) -> Index:
        """lhs + rhs"""
        if isinstance(lhs, int):
            lhs, rhs = rhs, lhs
        if isinstance(rhs, int):
            if isinstance(lhs, int):
                return lhs + rhs
            if rhs == 0:
                return lhs
        (a, b), (c, d) = self.range_of(lhs), self.range_of(rhs)
        return self._remember(llvm.AddOp, lhs, rhs, (a + c, b + d))

    def sub(self, lhs: Index, rhs: Index) -> Index:
        """lhs - rhs"""
        if isinstance(rhs, int):
            return self.add(lhs, -rhs)
        if lhs is rhs:
            return 0
        (a, b), (c, d) = self.range_of(lhs), self.range_of(rhs)
        return self._remember(llvm.SubOp, lhs, rhs, (a - d, b - c), NSW)

    def mul(self, lhs: Index, rhs: Index) -> Index:
        """lhs * rhs"""
        if isinstance(lhs, int):
            lhs, rhs = rhs, lhs
        if isinstance(rhs, int):
            if isinstance(lhs, int):
                return lhs * rhs
            if rhs in (0, 1):
                return lhs if rhs else 0
        corners = [a * b for a in self.range_of(lhs) for b in self.range_of(rhs)]
        return self._remember(llvm.MulOp, lhs, rhs, (min(corners), max(corners)))

    def minimum(self, lhs: Index, rhs: Index) -> Index:
        """The smaller one."""
        (a, b), (c, d) = self.range_of(lhs), self.range_of(rhs)
        if b <= c:
            return lhs
        if d <= a:
            return rhs
        return self._remember(llvm.SMinOp, lhs, rhs, (min(a, c), min(b, d)), NO_PROPERTIES)

    def maximum(self, lhs: Index, rhs: Index) -> Index:
        """The greater one."""
        (a, b), (c, d) = self.range_of(lhs), self.range_of(rhs)
        if b <= c:
            return rhs
        if d <= a:
            return lhs
        return self._remember(llvm.SMaxOp, lhs, rhs, (max(a, c), max(b, d)), NO_PROPERTIES)

    def compare(self, predicate: str, lhs: Index, rhs: Index) -> SSAValue:
        """An i1, `predicate` as in `icmp`."""
        key = (predicate, lhs, rhs)
        found = self.recall(key)
        if found is None:
            operands = (self.index(lhs), self.index(rhs))
            found = self.value(llvm.ICmpOp, operands, i1, PREDICATES[predicate])
            self.keep(key, found)
        return found

    def select(self, condition: SSAValue, lhs: Index, rhs: Index) -> SSAValue:
        """condition ? lhs : rhs"""
        key = (condition, lhs, rhs)
        found = self.recall(key)
        if found is None:
            operands = (condition, self.index(lhs), self.index(rhs))
            found = self.value(llvm.SelectOp, operands, i64, FAST_NONE)
            self.keep(key, found)
        return found

    def floordiv(self, lhs: Index, rhs: Index) -> Index:
        """lhs / rhs towards minus infinity; rhs > 0."""
        if isinstance(lhs, int) and isinstance(rhs, int):
            return lhs // rhs
        if rhs == 1:
            return lhs
        low, high = self.range_of(lhs)
        if isinstance(rhs, int):
            if low // rhs == high // rhs:
                return low // rhs
            if rhs & (rhs - 1) == 0:
                kind = llvm.LShrOp if low >= 0 else llvm.AShrOp
                bounds = (low // rhs, high // rhs)
                return self._remember(kind, lhs, rhs.bit_length() - 1, bounds, NO_PROPERTIES)
        if low >= 0:
            return self._remember(llvm.UDivOp, lhs, rhs, (0, high), NO_PROPERTIES)
        return self._signed_floordiv(lhs, rhs)

    def _signed_floordiv(self, lhs: Index, rhs: Index) -> Index:
        negative = self.compare("slt", lhs, 0)
        dividend = self.select(negative, self.sub(-1, lhs), lhs)
        quotient = self._remember(llvm.UDivOp, dividend, rhs, (0, INT64[1]), NO_PROPERTIES)
        result = self.select(negative, self.sub(-1, quotient), quotient)
        low, high = self.range_of(lhs)
        return self.limit(result, (low, max(high, -1)))

    def ceildiv(self, lhs: Index, rhs: Index) -> Index:
        """lhs / rhs towards plus infinity; rhs > 0."""
        return self.floordiv(self.add(lhs, self.sub(rhs, 1)), rhs)

    def mod(self, lhs: Index, rhs: Index) -> Index:
        """lhs - rhs * floordiv(lhs, rhs); rhs > 0."""
        if isinstance(lhs, int) and isinstance(rhs, int):
            return lhs % rhs
        if rhs == 1:
            return 0
        low, high = self.range_of(lhs)
        bounds = (0, self.range_of(rhs)[1] - 1)
        if isinstance(rhs, int):
            if low // rhs == high // rhs:
                return self.add(lhs, -(low // rhs) * rhs)
            if rhs & (rhs - 1) == 0:
                return self._remember(llvm.AndOp, lhs, rhs - 1, bounds, NO_PROPERTIES)
        if low >= 0:
            return self._remember(llvm.URemOp, lhs, rhs, bounds, NO_PROPERTIES)
        rest = self._remember(llvm.SRemOp, lhs, rhs, INT64, NO_PROPERTIES)
        negative = self.compare("slt", rest, 0)
        return self.limit(self.select(negative, self.add(rest, rhs), rest), bounds)

    def linear(self, expr: AffineExpr, operands: Sequence[Index], dims: int) -> Linear:
        """An affine expression as a linear form; `operands` are the dims, then the symbols.

        Divisions and products of values are emitted and stand in the form as one term.
        """
        if isinstance(expr, AffineBinaryOpExpr):
            lhs = self.linear(expr.lhs, operands, dims)
            rhs = self.linear(expr.rhs, operands, dims)
            return self._combine(expr.kind, lhs, rhs)
        if isinstance(expr, AffineConstantExpr):
            return Linear(expr.value)
        if isinstance(expr, AffineDimExpr):
            return self.as_linear(operands[expr.position])
        if isinstance(expr, AffineSymExpr):
            return self.as_linear(operands[dims + expr.position])
        raise InternalError(f"unknown affine expression {expr}", Place(stage="affine"))

    def as_linear(self, value: Index) -> Linear:
        """One value, or a constant, as a linear form."""
        if isinstance(value, int):
            return Linear(value)
        known = self.known.get(value)
        return Linear(0, {value: 1}) if known is None else Linear(known)

    def _combine(self, kind: AffineBinaryOpKind, lhs: Linear, rhs: Linear) -> Linear:
        if kind is AffineBinaryOpKind.Add:
            return lhs + rhs
        if kind is AffineBinaryOpKind.Mul:
            return self.product(lhs, rhs)
        if kind is AffineBinaryOpKind.CeilDiv:
            kind = AffineBinaryOpKind.FloorDiv
            lhs = lhs + rhs + Linear(-1)
        operation = self.floordiv if kind is AffineBinaryOpKind.FloorDiv else self.mod
        if rhs.terms or rhs.const <= 0:
            message = "an affine expression divides by something that is no positive constant"
            raise InternalError(message, Place(stage="affine"))
        quotient, rest = lhs.split(rhs.const)
        low, high = self.range_of_linear(rest)
        if low >= 0 and high < rhs.const:
            return quotient if kind is AffineBinaryOpKind.FloorDiv else rest
        result = self.as_linear(operation(self.emit_linear(rest), rhs.const))
        return quotient + result if kind is AffineBinaryOpKind.FloorDiv else result

    def product(self, lhs: Linear, rhs: Linear) -> Linear:
        """The product of two forms; one term if neither is constant."""
        if not lhs.terms:
            return rhs.scaled(lhs.const)
        if not rhs.terms:
            return lhs.scaled(rhs.const)
        return self.as_linear(self.mul(self.emit_linear(lhs), self.emit_linear(rhs)))

    def emit_linear(self, form: Linear) -> Index:
        """Emits a linear form. The constant comes last, so that neighbours share the rest."""
        total: Index = 0
        for value, coefficient in form.terms.items():
            total = self.add(total, self.mul(value, coefficient))
        return self.add(total, form.const)

    def element_address(
        self, base: SSAValue, offset: Linear, kind: Attribute, is_inside: bool
    ) -> SSAValue:
        """The address of an element of ``kind``: all that share a base go from it by constants.

        Where it is ``is_inside``, the element is one of the base's buffer.

        Inside of nested loops LLVM is not to see how the base depends on the outer ones, nor how
        it is the sum of many sizes. Reducing the strength of addresses, it would try to combine
        these with each other, which takes most of its time and gains nothing.
        """
        outer, inner = offset.parted(self.is_invariant)
        lowest = offset.const, self.range_of_linear(outer)[0], self.range_of_linear(inner)[0]
        # Only where nothing goes backwards, all addresses on the way are inside of the buffer.
        inbounds = is_inside and min(lowest) >= 0
        flags = llvm.INBOUNDS if inbounds else llvm.NO_WRAP_FLAGS
        is_hidden = self.is_nested or len(outer.terms) > FEW_TERMS
        ptr = self._base(base, outer, kind, flags, is_hidden)
        ptr = self._base(ptr, inner, kind, flags, False)
        return self.address(ptr, offset.const, kind, flags)

    def _base(
        self, ptr: SSAValue, offset: Linear, kind: Attribute, flags: IntegerAttr, opaque: bool
    ) -> SSAValue:
        """An address that other ones go from, the same each time that it is asked for."""
        if not offset.terms:
            return ptr
        key = (ptr, kind, flags, *offset.terms.items())
        found = self.recall(key)
        if found is None:
            found = self.address(ptr, self.emit_linear(offset), kind, flags)
            if opaque:
                found = self.value(llvm.StripInvariantGroupOp, (found,), PTR)
            self.keep(key, found)
        return found

    def affine_results(self, affine_map: AffineMap, operands: Sequence[Index]) -> list[Index]:
        """Every result of a map, emitted."""
        dims = affine_map.num_dims
        return [self.emit_linear(self.linear(e, operands, dims)) for e in affine_map.results]

    def smallest(self, values: Iterable[Index]) -> Index:
        """The minimum of several."""
        first, *rest = values
        for value in rest:
            first = self.minimum(first, value)
        return first

    def greatest(self, values: Iterable[Index]) -> Index:
        """The maximum of several."""
        first, *rest = values
        for value in rest:
            first = self.maximum(first, value)
        return first
