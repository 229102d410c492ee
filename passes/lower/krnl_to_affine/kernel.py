"""Lowering of one kernel: what its values became, index arithmetic, scalar memory accesses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from xdsl.dialects import arith, func, memref
from xdsl.dialects.builtin import (
    AffineMapAttr,
    AnyFloat,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.traits import IsTerminator

from dialects import affine, krnl
from passes.lower.index import Affine, Division, Var, to_map
from passes.lower.krnl_to_affine.epilogue import finish_one_by_one
from passes.lower.krnl_to_affine.nest import emit_nest
from passes.lower.krnl_to_affine.schedule import Schedule, is_schedule
from passes.lower.krnl_to_affine.tile import Tile
from passes.lower.krnl_to_affine.tile_values import lanes_of

index = IndexType()


class KernelLowering:
    """Lowers one kernel from `krnl` to `affine`, in one walk that builds a new function.

    ``block`` is where operations go now. ``iterations`` are the variables of the loops made so far;
    those in ``computed``, and other block arguments, are none that `affine` operations accept.
    ``loaded`` are the vectors that were loaded since the last store, by block and place.
    ``taken_over`` are the arguments whose buffer a result may have (`krnl.inplace`).
    """

    def __init__(self, kernel: func.FuncOp) -> None:
        self.kernel = kernel
        self.source = kernel.body.block
        self.taken_over = {self.source.args[place] for place in krnl.inplace_arguments(kernel)}
        self.top = self.block = Block(arg_types=[a.type for a in self.source.args])
        self.values: dict[SSAValue, SSAValue] = dict(
            zip(self.source.args, self.top.args, strict=True)
        )
        self.iterations: dict[SSAValue, Var] = {}
        self.computed: set[SSAValue] = set()
        self.loaded: dict[tuple, SSAValue] = {}
        self._variables: dict[SSAValue, Var] = {}
        self._materialised: dict[tuple[Block, AffineMapAttr, tuple[SSAValue, ...]], SSAValue] = {}

    def run(self) -> func.FuncOp:
        """The lowered function."""
        for old, new in self.values.items():
            new.name_hint = old.name_hint
        Tile(self).body(self.source)
        return func.FuncOp.create(
            properties=dict(self.kernel.properties),
            attributes=dict(self.kernel.attributes),
            regions=[Region(self.top)],
            location=self.kernel.location,
        )

    def body(self, block: Block, tile: Tile) -> None:
        """Emits the operations of a block; its terminator becomes the parent's."""
        schedule = Schedule()
        for op in block.ops:
            if is_schedule(op):
                schedule.apply(op)
            elif isinstance(op, krnl.IterateOp):
                emit_nest(op, schedule.nest(op), tile)
            elif not (
                op is block.last_op and op.has_trait(IsTerminator) and block is not self.source
            ):
                tile.emit(op)
        if lanes_of(tile.dims):
            finish_one_by_one(self.block)

    # Values ---------------------------------------------------------------------------------

    def add(self, op: Operation) -> SSAValue:
        """Appends an operation and returns its only result."""
        self.block.add_op(op)
        return op.results[0]

    def constant(self, value: int) -> SSAValue:
        """An index constant."""
        return self.add(_constant(IntegerAttr(value, index), index))

    def zero(self, element: Attribute) -> SSAValue:
        """A scalar zero."""
        if isinstance(element, AnyFloat):
            return self.add(_constant(FloatAttr(0.0, element), element))
        assert isinstance(element, IntegerType | IndexType)
        return self.add(_constant(IntegerAttr(0, element), element))

    def variable(self, value: SSAValue) -> Var:
        """An index value as a variable of index expressions."""
        if value in self.iterations:
            return self.iterations[value]
        if value not in self._variables:
            is_size = value in self.top.args
            self._variables[value] = Var(value, 0 if is_size else None)
        return self._variables[value]

    def is_affine(self, value: SSAValue | None) -> bool:
        """Whether MLIR's affine operations accept a value as a dimension or symbol."""
        assert value is not None, "the offset inside of a tile has no value"
        if value in self.computed:
            return False
        owner = value.owner
        if isinstance(owner, Block):
            # A block that is still being filled has no parent yet.
            return owner is self.top or value in self.iterations
        return owner.parent is self.top or isinstance(owner, affine.ApplyOp)

    def all_affine(self, expressions: Sequence[Affine]) -> bool:
        """Whether index expressions may stand in maps of affine operations."""
        return all(self.is_affine(v.value) for e in expressions for v in e.variables())

    def index_value(self, expression: Affine) -> SSAValue:
        """An index expression as a value, made once in a block."""
        if len(expression.terms) == 1 and not expression.constant:
            ((atom, c),) = expression.terms
            if isinstance(atom, Var) and c == 1 and atom.value is not None:
                return atom.value
        map, operands = to_map([expression])
        key = (self.block, map, tuple(operands))
        if key not in self._materialised:
            self._materialised[key] = self._materialise(expression, map, operands)
        return self._materialised[key]

    def _materialise(
        self, expression: Affine, map: AffineMapAttr, operands: list[SSAValue]
    ) -> SSAValue:
        if expression.terms and self.all_affine([expression]):
            return self.add(
                affine.ApplyOp.create(
                    operands=operands, result_types=[index], properties={"map": map}
                )
            )
        return self._arithmetic(expression)

    def _arithmetic(self, expression: Affine) -> SSAValue:
        """An index expression in `arith`, for operands that are not affine."""
        total: SSAValue | None = None
        for atom, c in expression.terms:
            if isinstance(atom, Division):
                term = self._divide(atom)
            else:
                assert atom.value is not None
                term = atom.value
            if c != 1:
                term = self._binary(arith.MuliOp, term, self.constant(c))
            total = term if total is None else self._binary(arith.AddiOp, total, term)
        if total is None:
            return self.constant(expression.constant)
        if expression.constant:
            total = self._binary(arith.AddiOp, total, self.constant(expression.constant))
        return total

    def _divide(self, atom: Division) -> SSAValue:
        value, divisor = self._arithmetic(atom.expression), self.constant(atom.divisor)
        low, _ = atom.expression.range
        if low is not None and low >= 0:
            op = arith.RemUIOp if atom.remainder else arith.DivUIOp
            return self._binary(op, value, divisor)
        quotient = self._binary(arith.FloorDivSIOp, value, divisor)
        if not atom.remainder:
            return quotient
        back = self._binary(arith.MuliOp, quotient, divisor)
        return self._binary(arith.SubiOp, value, back)

    def maximum(self, values: Sequence[SSAValue]) -> SSAValue:
        """The largest of some index values."""
        return reduce(lambda a, b: self._binary(arith.MaxSIOp, a, b), values)

    def minimum(self, values: Sequence[SSAValue]) -> SSAValue:
        """The smallest of some index values."""
        return reduce(lambda a, b: self._binary(arith.MinSIOp, a, b), values)

    def _binary(self, kind: type[Operation], lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        return self.add(kind.create(operands=[lhs, rhs], result_types=[index]))

    # Memory ---------------------------------------------------------------------------------

    def load(self, source: SSAValue, indices: list[Affine], op: krnl.LoadOp) -> SSAValue:
        """One scalar load."""
        kind = op.result.type
        if self.all_affine(indices):
            map, operands = to_map(indices)
            made: Operation = affine.LoadOp.create(
                operands=[source, *operands], result_types=[kind], properties={"map": map}
            )
        else:
            at = [self.index_value(e) for e in indices]
            made = memref.LoadOp.create(operands=[source, *at], result_types=[kind])
        made.location = op.location
        return self.add(made)

    def store(
        self, value: SSAValue, target: SSAValue, indices: list[Affine], op: krnl.StoreOp
    ) -> None:
        """One scalar store."""
        if self.all_affine(indices):
            map, operands = to_map(indices)
            made: Operation = affine.StoreOp.create(
                operands=[value, target, *operands], properties={"map": map}
            )
        else:
            at = [self.index_value(e) for e in indices]
            made = memref.StoreOp.create(operands=[value, target, *at])
        made.location = op.location
        self.block.add_op(made)


def _constant(value: Attribute, kind: Attribute) -> Operation:
    return arith.ConstantOp.create(result_types=[kind], properties={"value": value})
