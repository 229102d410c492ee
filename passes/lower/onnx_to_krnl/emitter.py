"""Emission of what every kernel is made of: sizes, index arithmetic, loops, loads and stores.

An `Emitter` appends to a block. Loops and branches take functions that emit what is inside of them;
`scopes` has what was computed in the blocks around, so that it need not be computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import memref, scf
from xdsl.dialects.builtin import IndexType, IntegerAttr, LocationAttr, MemRefType, UnknownLoc
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects import arith, krnl
from dialects.onnx.dims import Dim, DimExpr, Function, Symbol
from passes.lower.index import Affine, Var, affine, to_map
from passes.lower.onnx_to_krnl.scalars import (
    Scalar,
    Scalars,
    i1,
    register_type,
    storage_type,
)

index = IndexType()
Bound = Dim | Affine


class Emitter:
    """Appends operations to ``block``; ``top`` is the function's first, where sizes stand."""

    def __init__(self) -> None:
        self.block = self.top = Block()
        self.location: LocationAttr = UnknownLoc()
        self.s = Scalars(self.add)
        self.scopes: list[dict] = [{}]
        self.symbols: dict[str, Affine] = {}
        self.dim_values: dict[Dim, Affine] = {}
        self._last_size_op: Operation | None = None

    # Sizes ----------------------------------------------------------------------------------

    def size(self, dim: Bound) -> Affine:
        """A size as an index expression; what is not linear is computed once, before the loops."""
        if isinstance(dim, Affine):
            return dim
        if isinstance(dim, int):
            return affine(dim)
        if dim not in self.dim_values:
            self.dim_values[dim] = self._size(dim)
        return self.dim_values[dim]

    def _size(self, dim: DimExpr) -> Affine:
        total = affine(0)
        for monomial, coefficient in dim.terms:
            if not monomial:
                total = total + coefficient
                continue
            product = self._atom_size(monomial[0])
            for atom in monomial[1:]:
                product = self._product_at_top(product, self._atom_size(atom))
            total = total + product * coefficient
        return total

    def _atom_size(self, atom: Symbol | Function) -> Affine:
        if isinstance(atom, Symbol):
            return self.symbols[atom.name]
        lhs, rhs = self.size(atom.lhs), self.size(atom.rhs)
        if not rhs.terms and rhs.constant > 0 and atom.kind in ("//", "%"):
            return lhs // rhs.constant if atom.kind == "//" else lhs % rhs.constant
        kinds = {"//": arith.FloorDivSIOp, "max": arith.MaxSIOp, "min": arith.MinSIOp}
        if atom.kind in ("//", "%"):
            # A size of 0 must not trap.
            rhs = self._at_top(arith.MaxSIOp, rhs, affine(1))
        if atom.kind == "%":
            quotient = self._at_top(arith.FloorDivSIOp, lhs, rhs)
            return lhs - self._product_at_top(quotient, rhs)
        return self._at_top(kinds[atom.kind], lhs, rhs)

    def _product_at_top(self, lhs: Affine, rhs: Affine) -> Affine:
        return self._at_top(arith.MuliOp, lhs, rhs)

    def _at_top(self, kind: type[Operation], lhs: Affine, rhs: Affine) -> Affine:
        """An operation on sizes, in front of everything that may use it."""
        values = [self._value_at_top(lhs), self._value_at_top(rhs)]
        return affine(Var(self._add_at_top(kind.create(operands=values, result_types=[index]))))

    def _value_at_top(self, expression: Affine) -> SSAValue:
        if len(expression.terms) == 1 and not expression.constant and expression.terms[0][1] == 1:
            atom = expression.terms[0][0]
            if isinstance(atom, Var) and atom.value is not None:
                return atom.value
        map, operands = to_map([expression])
        return self._add_at_top(krnl.IndexOp(operands, map))

    def _add_at_top(self, op: Operation) -> SSAValue:
        if self._last_size_op is not None:
            self.top.insert_op_after(op, self._last_size_op)
        elif self.top.first_op is not None:
            self.top.insert_op_before(op, self.top.first_op)
        else:
            self.top.add_op(op)
        self._last_size_op = op
        return op.results[0]

    # Index arithmetic -----------------------------------------------------------------------

    def add(self, op: Operation) -> SSAValue:
        """Appends an operation to the current block and returns its first result."""
        op.location = self.location
        self.block.add_op(op)
        return op.results[0]

    def index_value(self, expression: Affine | int) -> SSAValue:
        """An index expression as an SSA value."""
        expression = affine(expression)
        if len(expression.terms) == 1 and not expression.constant:
            atom, c = expression.terms[0]
            if isinstance(atom, Var) and c == 1 and atom.value is not None:
                return atom.value
        if not expression.terms:
            return self.add(
                arith.ConstantOp.create(
                    result_types=[index],
                    properties={"value": IntegerAttr(expression.constant, index)},
                )
            )
        map, operands = to_map([expression])
        return self.add(krnl.IndexOp(operands, map))

    def index_of(self, value: SSAValue, low: int | None = None, high: int | None = None) -> Affine:
        """An SSA index value as an index expression, with what is known of its range."""
        return affine(Var(value, low, high))

    def times(self, lhs: Affine, dim: Bound) -> Affine:
        """An index times a size."""
        factor = self.size(dim)
        if not factor.terms:
            return lhs * factor.constant
        if not lhs.terms:
            return factor * lhs.constant
        product = arith.MuliOp.create(
            operands=[self.index_value(lhs), self.index_value(factor)], result_types=[index]
        )
        return affine(Var(self.add(product)))

    def divide(self, lhs: Affine, dim: Bound) -> tuple[Affine, Affine]:
        """Quotient and remainder of an index that is not negative by a size."""
        divisor = self.size(dim)
        if not divisor.terms:
            return lhs // divisor.constant, lhs % divisor.constant
        values = [self.index_value(lhs), self.index_value(divisor)]
        quotient = self.add(arith.DivUIOp.create(operands=values, result_types=[index]))
        rest = self.add(arith.RemUIOp.create(operands=values, result_types=[index]))
        return affine(Var(quotient)), affine(Var(rest))

    def divide_along(self, number: Affine, dims: Sequence[Bound]) -> list[Affine]:
        """The indices along axes of an element that is numbered over all of them; [] for none."""
        inner: list[Affine] = []
        for dim in reversed(dims[1:]):
            number, entry = self.divide(number, dim)
            inner.append(entry)
        return [number, *reversed(inner)] if dims else []

    # Loops ----------------------------------------------------------------------------------

    def nest(
        self,
        extents: Sequence[Bound | tuple[Bound, Bound]],
        body: Callable[[list[Affine]], None],
        contraction: tuple[int, int] | None = None,
    ) -> None:
        """Loops over a space; ``body`` gets the loop variables. Iterations are independent."""
        self._iterate(extents, [], lambda ivs, _: body(ivs) or [], contraction)

    def reduce(
        self,
        extents: Sequence[Bound | tuple[Bound, Bound]],
        initial: Sequence[Scalar],
        body: Callable[[list[Affine], list[Scalar]], Sequence[Scalar]],
    ) -> list[Scalar]:
        """Loops that carry values: ``body(variables, values) -> next values``."""
        return self._iterate(extents, list(initial), body, None)

    def _iterate(
        self,
        extents: Sequence[Bound | tuple[Bound, Bound]],
        initial: list[Scalar],
        body: Callable[[list[Affine], list[Scalar]], Sequence[Scalar]],
        contraction: tuple[int, int] | None,
    ) -> list[Scalar]:
        if not extents:
            self.scopes.append({})
            results = list(body([], initial))
            self.scopes.pop()
            return results
        bounds = [self._bounds(extent) for extent in extents]
        loops = krnl.DefineLoopsOp(len(bounds))
        self.add(loops)
        types = [register_type(s.element) for s in initial]
        block = Block(arg_types=[index] * len(bounds) + types)
        variables = [
            affine(Var(arg, *_range(lower, upper)))
            for arg, (lower, upper) in zip(block.args, bounds, strict=False)
        ]
        operands = [(self._bound(lower), self._bound(upper)) for lower, upper in bounds]
        carried = [
            Scalar(arg, s.element)
            for arg, s in zip(block.args[len(bounds) :], initial, strict=True)
        ]
        outside, self.block = self.block, block
        self.scopes.append({})
        results = body(variables, carried)
        self.add_terminator(krnl.YieldOp([s.value for s in results]))
        self.scopes.pop()
        self.block = outside
        made = krnl.IterateOp(
            loops.results, operands, [s.value for s in initial], Region(block), contraction
        )
        made.location = self.location
        outside.add_op(made)
        return [Scalar(r, s.element) for r, s in zip(made.results, initial, strict=True)]

    def add_terminator(self, op: Operation) -> None:
        """Ends the current block."""
        op.location = self.location
        self.block.add_op(op)

    def _bounds(self, extent: Bound | tuple[Bound, Bound]) -> tuple[Affine, Affine]:
        lower, upper = extent if isinstance(extent, tuple) else (0, extent)
        return self.size(lower), self.size(upper)

    def _bound(self, expression: Affine) -> int | SSAValue:
        return self.index_value(expression) if expression.terms else expression.constant

    def when(
        self,
        condition: Scalar,
        then: Callable[[], Scalar],
        otherwise: Callable[[], Scalar],
    ) -> Scalar:
        """One of two computations; only the chosen one runs."""
        regions, element = [], None
        outside = self.block
        for branch in (then, otherwise):
            self.block = Block()
            self.scopes.append({})
            result = branch()
            element = result.element
            self.add_terminator(scf.YieldOp(result.value))
            self.scopes.pop()
            regions.append(Region(self.block))
        self.block = outside
        assert element is not None
        made = scf.IfOp.create(
            operands=[condition.value], result_types=[register_type(element)], regions=regions
        )
        return Scalar(self.add(made), element)

    def run_if(self, condition: Scalar, then: Callable[[], None]) -> None:
        """Runs a computation only if a condition holds."""
        outside, self.block = self.block, Block()
        self.scopes.append({})
        then()
        self.add_terminator(scf.YieldOp())
        self.scopes.pop()
        region = Region(self.block)
        self.block = outside
        made = scf.IfOp.create(operands=[condition.value], regions=[region, Region()])
        made.location = self.location
        outside.add_op(made)

    def compare_index(self, order: str, lhs: Affine, rhs: Affine) -> Scalar:
        """Compares two index expressions, as signed numbers."""
        order_number = {"eq": 0, "ne": 1, "lt": 2, "le": 3, "gt": 4, "ge": 5}[order]
        made = arith.CmpiOp(self.index_value(lhs), self.index_value(rhs), order_number)
        return Scalar(self.add(made), i1)

    def inside(self, entry: Affine, dim: Bound) -> Scalar | None:
        """Whether ``0 <= entry < dim``; None when that is certain."""
        low, high = entry.range
        size = self.size(dim)
        certain_high = high is not None and not size.terms and high < size.constant
        parts = []
        if low is None or low < 0:
            parts.append(self.compare_index("ge", entry, affine(0)))
        if not certain_high:
            parts.append(self.compare_index("lt", entry, size))
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else self.s.bit_and(*parts)

    def all_inside(self, entries: Sequence[Affine], dims: Sequence[Bound]) -> Scalar | None:
        """Whether all entries are inside their sizes; None when that is certain."""
        result: Scalar | None = None
        for entry, dim in zip(entries, dims, strict=True):
            part = self.inside(entry, dim)
            if part is not None:
                result = part if result is None else self.s.bit_and(result, part)
        return result

    # Memory ---------------------------------------------------------------------------------

    def load(self, buffer: SSAValue, entries: Sequence[Affine], element: Attribute) -> Scalar:
        """An element of a buffer, as it is used in registers."""
        map, operands = to_map(list(entries))
        value = self.add(krnl.LoadOp(buffer, operands, map))
        if element == i1:
            byte = Scalar(value, storage_type(element))
            return self.s.compare("ne", byte, self.s.like(0, byte))
        kind = register_type(element)
        if kind != value.type:
            value = self.add(arith.TruncIOp.create(operands=[value], result_types=[kind]))
        return Scalar(value, element)

    def store(self, scalar: Scalar, buffer: SSAValue, entries: Sequence[Affine]) -> None:
        """Writes an element of a buffer."""
        value, kind = scalar.value, storage_type(scalar.element)
        if kind != value.type:
            widening = arith.ExtUIOp if scalar.is_unsigned else arith.ExtSIOp
            value = self.add(widening.create(operands=[value], result_types=[kind]))
        map, operands = to_map(list(entries))
        self.add_terminator(krnl.StoreOp(value, buffer, operands, map))

    def scratch(self, dims: Sequence[int], element: Attribute) -> SSAValue:
        """A small buffer of this kernel's own, one for each thread."""
        kind = MemRefType(storage_type(element), list(dims))
        return self.add(memref.AllocaOp.get(storage_type(element), 64, list(kind.get_shape())))

    def view(self, buffer: SSAValue, dims: Sequence[int], element: Attribute) -> SSAValue:
        """A buffer of bytes, from its begin on, as one of other elements."""
        kind = MemRefType(storage_type(element), list(dims))
        return self.add(memref.ViewOp(buffer, self.index_value(0), [], kind))


def _range(lower: Affine, upper: Affine) -> tuple[int | None, int | None]:
    high = upper.range[1]
    return lower.range[0], None if high is None else high - 1
