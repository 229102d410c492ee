"""Loop nests: from scheduled handles to `affine` (or, over computed bounds, `scf`) loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import func, memref, scf
from xdsl.dialects.builtin import (
    AffineMapAttr,
    AnyFloat,
    ArrayAttr,
    DenseArrayBase,
    DenseIntElementsAttr,
    FloatAttr,
    FunctionType,
    IndexType,
    IntegerAttr,
    TensorType,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineMap
from xdsl.traits import IsTerminator

from dialects import affine, arith, krnl
from passes.lower.index import Affine, Division, Var, to_map
from passes.lower.index import affine as as_affine
from passes.lower.krnl_to_affine.schedule import Leaf, Schedule, is_schedule
from passes.lower.krnl_to_affine.tile import Tile, TileDim, Varied

index = IndexType()


@dataclass(frozen=True)
class NestState:
    """Where emission of a nest stands: start of every axis, and iterations of every loop left."""

    base: dict[SSAValue, Affine]
    count: dict[Leaf, int | Affine]

    def moved(self, leaf: Leaf, offset: Affine | int, **counts: int | Affine) -> NestState:
        """The state inside one iteration of a loop; ``inner`` is the count of its inner loop."""
        base = {**self.base, leaf.root: self.base[leaf.root] + offset}
        count = self.count if leaf.inner is None else {**self.count, leaf.inner: counts["inner"]}
        return NestState(base, count)


class KernelLowering:
    """Lowers one kernel from `krnl` to `affine`, in one walk that builds a new function."""

    def __init__(self, kernel: func.FuncOp) -> None:
        self.kernel = kernel
        self.source = kernel.body.block
        self.block = Block(arg_types=[a.type for a in kernel.body.block.args])
        self.top = self.block
        self.values = dict(zip(kernel.body.block.args, self.block.args, strict=True))
        self.variables: dict[SSAValue, Var] = {}
        self.materialised: dict[tuple[Block, AffineMapAttr, tuple[SSAValue, ...]], SSAValue] = {}
        self.zeros: dict[Attribute, SSAValue] = {}
        self.iterations: dict[SSAValue, Var] = {}
        self.computed: set[SSAValue] = set()

    def run(self) -> func.FuncOp:
        """The lowered function."""
        for old, new in zip(self.kernel.body.block.args, self.block.args, strict=True):
            new.name_hint = old.name_hint
        self.body(self.kernel.body.block, Tile(self, (), {}, {}))
        attributes = dict(self.kernel.attributes)
        lowered = func.FuncOp.create(
            properties=dict(self.kernel.properties),
            attributes=attributes,
            regions=[Region(self.top)],
            location=self.kernel.location,
        )
        assert isinstance(lowered.function_type, FunctionType)
        return lowered

    # Values ---------------------------------------------------------------------------------

    def outer(self, value: SSAValue) -> SSAValue:
        """What a value that does not vary became."""
        return self.values[value]

    def variable(self, value: SSAValue) -> Var:
        """An index value as a variable of index expressions."""
        if value in self.iterations:
            return self.iterations[value]
        if value not in self.variables:
            is_size = value in self.top.args
            self.variables[value] = Var(value, 0 if is_size else None)
        return self.variables[value]

    def affine_map(self, expressions: Sequence[Affine]) -> tuple[AffineMapAttr, list[SSAValue]]:
        """Expressions as a map whose operands `affine` operations accept."""
        replaced = [self._with_valid_operands(e) for e in expressions]
        return to_map(replaced)

    def _with_valid_operands(self, expression: Affine) -> Affine:
        invalid = [v for v in expression.variables() if not self.is_affine(v.value)]
        if not invalid:
            return expression
        return as_affine(self.variable(self._arithmetic(expression)))

    def is_affine(self, value: SSAValue | None) -> bool:
        """Whether MLIR's affine operations accept a value as a dimension or symbol."""
        assert value is not None
        owner = value.owner
        if isinstance(owner, Block):
            parent = owner.parent_op()
            return parent is None or isinstance(
                parent, affine.ForOp | affine.ParallelOp | func.FuncOp
            )
        return owner.parent is self.top or isinstance(owner, affine.ApplyOp)

    def index_value(self, expression: Affine) -> SSAValue:
        """An index expression as a value, made once in a block."""
        if len(expression.terms) == 1 and not expression.constant:
            ((atom, c),) = expression.terms
            if isinstance(atom, Var) and c == 1 and atom.value is not None:
                return atom.value
        map, operands = to_map([expression])
        key = (self.block, map, tuple(operands))
        if key not in self.materialised:
            self.materialised[key] = self._materialise(expression, map, operands)
        return self.materialised[key]

    def _materialise(
        self, expression: Affine, map: AffineMapAttr, operands: list[SSAValue]
    ) -> SSAValue:
        if not expression.terms:
            return self.constant(expression.constant)
        if all(self.is_affine(value) for value in operands):
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
                term = self.add(_index_op(arith.MuliOp, term, self.constant(c)))
            total = term if total is None else self.add(_index_op(arith.AddiOp, total, term))
        if total is None:
            return self.constant(expression.constant)
        if expression.constant:
            total = self.add(_index_op(arith.AddiOp, total, self.constant(expression.constant)))
        return total

    def _divide(self, atom: Division) -> SSAValue:
        value, divisor = self._arithmetic(atom.expression), self.constant(atom.divisor)
        low, _ = atom.expression.range
        if low is not None and low >= 0:
            op = arith.RemUIOp if atom.remainder else arith.DivUIOp
            return self.add(_index_op(op, value, divisor))
        quotient = self.add(_index_op(arith.FloorDivSIOp, value, divisor))
        if not atom.remainder:
            return quotient
        back = self.add(_index_op(arith.MuliOp, quotient, divisor))
        return self.add(_index_op(arith.SubiOp, value, back))

    def add(self, op: Operation) -> SSAValue:
        """Appends an operation and returns its only result."""
        self.block.add_op(op)
        return op.results[0]

    def constant(self, value: int) -> SSAValue:
        """An index constant."""
        return self.add(_constant(IntegerAttr(value, index)))

    def zero(self, element: Attribute) -> SSAValue:
        """A scalar zero."""
        if isinstance(element, AnyFloat):
            return self.add(_constant(FloatAttr(0.0, element)))
        return self.add(_constant(IntegerAttr(0, element)))  # type: ignore[arg-type]

    # Memory ---------------------------------------------------------------------------------

    def load(self, source: SSAValue, indices: list[Affine], op: krnl.LoadOp) -> SSAValue:
        """One scalar load."""
        if self._all_affine(indices):
            map, operands = to_map(indices)
            made: Operation = affine.LoadOp.create(
                operands=[source, *operands],
                result_types=[op.result.type],
                properties={"map": map},
                location=op.location,
            )
        else:
            at = [self.index_value(e) for e in indices]
            made = memref.LoadOp.create(
                operands=[source, *at], result_types=[op.result.type], location=op.location
            )
        return self.add(made)

    def store(
        self, value: SSAValue, target: SSAValue, indices: list[Affine], op: krnl.StoreOp
    ) -> None:
        """One scalar store."""
        if self._all_affine(indices):
            map, operands = to_map(indices)
            made: Operation = affine.StoreOp.create(
                operands=[value, target, *operands], properties={"map": map}, location=op.location
            )
        else:
            at = [self.index_value(e) for e in indices]
            made = memref.StoreOp.create(operands=[value, target, *at], location=op.location)
        self.block.add_op(made)

    def _all_affine(self, indices: list[Affine]) -> bool:
        return all(self.is_affine(v.value) for e in indices for v in e.variables())

    # Bodies and nests -----------------------------------------------------------------------

    def body(self, block: Block, tile: Tile) -> None:
        """Emits the operations of a block; its terminator becomes the parent's."""
        schedule = Schedule()
        for op in block.ops:
            if is_schedule(op):
                schedule.apply(op)
            elif isinstance(op, krnl.IterateOp):
                self.iterate(op, schedule.nest(op), tile)
            elif not (
                op is block.last_op and op.has_trait(IsTerminator) and block is not self.source
            ):
                tile.emit(op)

    def iterate(self, op: krnl.IterateOp, leaves: list[Leaf], tile: Tile) -> None:
        """Emits a loop nest inside a body."""
        base: dict[SSAValue, Affine] = {}
        count: dict[Leaf, int | Affine] = {}
        for handle, (lower, upper) in zip(op.loops, op.extents, strict=True):
            first = as_affine(lower) if isinstance(lower, int) else tile.index(lower)
            last = as_affine(upper) if isinstance(upper, int) else tile.index(upper)
            base[handle] = first
            outermost = next(x for x in leaves if x.root is handle and x.outer is None)
            total = last - first
            count[outermost] = total if total.terms else max(0, total.constant)
        emission = NestEmission(self, op, leaves, tile)
        emission.carry(op)
        results = emission.emit(0, NestState(base, count), emission.initial)
        emission.finish(results)


class NestEmission:
    """Emission of one nest: its loops from the outside in, then its body."""

    def __init__(
        self, lowering: KernelLowering, op: krnl.IterateOp, leaves: list[Leaf], tile: Tile
    ) -> None:
        self.lowering = lowering
        self.op = op
        self.leaves = leaves
        self.tile = tile
        self.carried_dims: list[tuple[TileDim, ...]] = []
        self.initial: list[SSAValue] = []

    # Carried values -------------------------------------------------------------------------

    def carry(self, op: krnl.IterateOp) -> None:
        """Decides for which coordinates of the surrounding tile each carried value exists."""
        if not op.inits:
            return
        dims = _carried_dims(op, self.tile)
        lanes = next((d.lanes for d in dims if d.is_vector), 0)
        for init in op.inits:
            varied = self.tile.varied(init)
            for at in self.tile.coordinates(dims):
                value = varied.at(dims, at)
                self.initial.append(self.tile.as_vector(value, lanes) if lanes else value)
            self.carried_dims.append(dims)

    def varied_carried(self, values: Sequence[SSAValue]) -> list[Varied]:
        """Flat carried values as values of the body."""
        result, rest = [], iter(values)
        for dims in self.carried_dims:
            result.append(Varied(dims, {at: next(rest) for at in self.tile.coordinates(dims)}))
        return result

    def finish(self, results: Sequence[SSAValue]) -> None:
        """Makes the nest's results known to the surrounding body."""
        for old, varied in zip(self.op.results, self.varied_carried(results), strict=True):
            self.tile.env[old] = varied

    # Loops ----------------------------------------------------------------------------------

    def emit(self, depth: int, state: NestState, carried: list[SSAValue]) -> list[SSAValue]:
        """Emits the loops from ``depth`` inwards; gives the carried values after them."""
        if depth == len(self.leaves) or self.leaves[depth].mode != "loop":
            return self.emit_tile(self.leaves[depth:], state, carried)
        leaf = self.leaves[depth]
        if leaf.parallel:
            self.emit_parallel(depth, state)
            return []
        total = state.count[leaf]
        if leaf.inner is None:
            return self.loop(depth, state, 0, total, 1, None, carried)
        step = leaf.step
        if isinstance(total, int):
            full = total - total % step
            if full:
                carried = self.loop(depth, state, 0, full, step, step, carried)
            if total % step:
                rest = state.moved(leaf, full, inner=total % step)
                carried = self.emit(depth + 1, rest, carried)
            return carried
        full_part = (total // step) * step
        carried = self.loop(depth, state, 0, full_part, step, step, carried)
        return self.loop(depth, state, full_part, total, step, total, carried)

    def loop(
        self,
        depth: int,
        state: NestState,
        lower: int | Affine,
        upper: int | Affine,
        step: int,
        inner: int | Affine | None,
        carried: list[SSAValue],
    ) -> list[SSAValue]:
        """One loop; ``inner`` is its inner loop's count (an expression: the total, to be reduced)."""
        leaf, lowering = self.leaves[depth], self.lowering
        if inner is None and isinstance(lower, int) and upper == lower + 1:
            return self.emit(depth + 1, state.moved(leaf, lower), carried)
        block = Block(arg_types=[index, *(v.type for v in carried)])
        variable = self._iteration(block.args[0], lower, upper, step)
        if isinstance(inner, Affine):
            inner = inner - as_affine(variable)
        after = state.moved(leaf, as_affine(variable), inner=inner)
        is_affine = self._bounds_are_affine(lower, upper)
        if not is_affine:
            lowering.computed.add(block.args[0])
        outside, lowering.block = lowering.block, block
        results = self.emit(depth + 1, after, list(block.args[1:]))
        terminator = affine.YieldOp if is_affine else scf.YieldOp
        lowering.block.add_op(terminator.create(operands=results))
        lowering.block = outside
        made = (
            self._affine_for(lower, upper, step, carried, block)
            if is_affine
            else self._scf_for(lower, upper, step, carried, block)
        )
        made.location = self.op.location
        outside.add_op(made)
        return list(made.results)

    def _iteration(
        self, value: SSAValue, lower: int | Affine, upper: int | Affine, step: int
    ) -> Var:
        first = lower if isinstance(lower, int) else lower.range[0]
        last = upper if isinstance(upper, int) else upper.range[1]
        multiple = step if first == 0 or isinstance(lower, Affine) else 1
        high = None if last is None else last - 1
        if high is not None and first == 0:
            high = high // step * step
        self.lowering.iterations[value] = made = Var(value, first, high, multiple)
        return made

    def _bounds_are_affine(self, *bounds: int | Affine) -> bool:
        return all(
            self.lowering.is_affine(v.value)
            for bound in bounds
            if isinstance(bound, Affine)
            for v in bound.variables()
        )

    def _affine_for(
        self,
        lower: int | Affine,
        upper: int | Affine,
        step: int,
        carried: list[SSAValue],
        block: Block,
    ) -> Operation:
        lower_map, lower_operands = to_map([as_affine(lower)])
        upper_map, upper_operands = to_map([as_affine(upper)])
        made = affine.ForOp.create(
            operands=[*lower_operands, *upper_operands, *carried],
            result_types=[v.type for v in carried],
            properties={
                "lowerBoundMap": lower_map,
                "upperBoundMap": upper_map,
                "step": IntegerAttr(step, index),
                "operandSegmentSizes": _sizes(lower_operands, upper_operands, carried),
            },
            regions=[Region(block)],
        )
        return made

    def _scf_for(
        self,
        lower: int | Affine,
        upper: int | Affine,
        step: int,
        carried: list[SSAValue],
        block: Block,
    ) -> Operation:
        lowering = self.lowering
        bounds = [lowering.index_value(as_affine(b)) for b in (lower, upper)]
        return scf.ForOp.create(
            operands=[*bounds, lowering.constant(step), *carried],
            result_types=[v.type for v in carried],
            regions=[Region(block)],
        )

    # Parallel loops -------------------------------------------------------------------------

    def emit_parallel(self, depth: int, state: NestState) -> None:
        """The outermost loops as one `affine.parallel`; partial tiles are told apart inside."""
        parallel = [leaf for leaf in self.leaves[depth:] if leaf.parallel]
        steps = [leaf.step for leaf in parallel]
        block = Block(arg_types=[index] * len(parallel))
        uppers = [as_affine(state.count[leaf]) for leaf in parallel]
        variables = [
            self._iteration(value, 0, upper if upper.terms else upper.constant, step)
            for value, upper, step in zip(block.args, uppers, steps, strict=True)
        ]
        lowering = self.lowering
        outside, lowering.block = lowering.block, block
        items = list(zip(parallel, variables, steps, strict=True))
        self._split_partial(depth + len(parallel), items, state)
        lowering.block.add_op(affine.YieldOp.create())
        lowering.block = outside
        upper_map, operands = lowering.affine_map(uppers)
        made = affine.ParallelOp.create(
            operands=operands,
            properties={
                "reductions": ArrayAttr([]),
                "lowerBoundsMap": _zeros_map(len(parallel)),
                "lowerBoundsGroups": _ones(len(parallel)),
                "upperBoundsMap": upper_map,
                "upperBoundsGroups": _ones(len(parallel)),
                "steps": ArrayAttr([IntegerAttr(step, i64) for step in steps]),
            },
            attributes={"grain": IntegerAttr(max(leaf.grain for leaf in parallel), i64)},
            regions=[Region(block)],
            location=self.op.location,
        )
        outside.add_op(made)

    def _split_partial(
        self, depth: int, items: list[tuple[Leaf, Var, int]], state: NestState
    ) -> None:
        """Full tiles in one branch, the partial last one in the other, for each parallel loop."""
        if not items:
            self.emit(depth, state, [])
            return
        (leaf, variable, step), *rest = items
        total = state.count[leaf]
        if leaf.inner is None:
            self._split_partial(depth, rest, state.moved(leaf, as_affine(variable)))
            return
        full = state.moved(leaf, as_affine(variable), inner=step)
        if isinstance(total, int) and total % step == 0:
            self._split_partial(depth, rest, full)
            return
        left = total % step if isinstance(total, int) else total - as_affine(variable)
        partial = state.moved(leaf, as_affine(variable), inner=left)
        lowering = self.lowering
        limit = lowering.index_value(as_affine(total) - step)
        inside = lowering.add(arith.CmpiOp(lowering.index_value(as_affine(variable)), limit, "sle"))
        regions = []
        outside = lowering.block
        for branch in (full, partial):
            lowering.block = Block()
            regions.append(Region(lowering.block))
            self._split_partial(depth, rest, branch)
            lowering.block.add_op(scf.YieldOp.create())
        lowering.block = outside
        outside.add_op(scf.IfOp.create(operands=[inside], regions=regions))

    # Tiles ----------------------------------------------------------------------------------

    def emit_tile(
        self, leaves: list[Leaf], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        """The body, for all iterations of the innermost unrolled and vectorized loops at once."""
        for leaf in leaves:
            if isinstance(state.count[leaf], Affine):
                return self._loop_over_tile(leaf, leaves, state, carried)
        dims: list[TileDim] = []
        for leaf in leaves:
            count = state.count[leaf]
            assert isinstance(count, int)
            if leaf.mode == "unroll":
                dims.append(TileDim(Var(None, 0, count - 1), count))
            else:
                vectors = -(-count // leaf.lanes)
                valid = count if count % leaf.lanes else None
                variable = Var(None, 0, vectors * leaf.lanes - 1)
                dims.append(TileDim(variable, vectors, leaf.lanes, valid))
        return self._emit_body(leaves, dims, state, carried)

    def _loop_over_tile(
        self, leaf: Leaf, leaves: list[Leaf], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        """A tile whose extent is only known at run time: row by row, or masked vector by vector."""
        lowering = self.lowering
        total = state.count[leaf]
        assert isinstance(total, Affine)
        step = leaf.lanes if leaf.mode == "vector" else 1
        block = Block(arg_types=[index, *(v.type for v in carried)])
        variable = self._iteration(block.args[0], 0, total, step)
        is_affine = self._bounds_are_affine(total)
        if not is_affine:
            lowering.computed.add(block.args[0])
        outside, lowering.block = lowering.block, block
        inside = NestState(
            {**state.base, leaf.root: state.base[leaf.root] + as_affine(variable)},
            {**state.count, leaf: step},
        )
        if leaf.mode == "vector":
            results = self._masked_tile(leaf, leaves, inside, total - as_affine(variable), block)
        else:
            results = self.emit_tile(leaves, inside, list(block.args[1:]))
        lowering.block.add_op(
            (affine.YieldOp if is_affine else scf.YieldOp).create(operands=results)
        )
        lowering.block = outside
        make = self._affine_for if is_affine else self._scf_for
        made = make(0, total, step, carried, block)
        outside.add_op(made)
        return list(made.results)

    def _masked_tile(
        self, leaf: Leaf, leaves: list[Leaf], state: NestState, left: Affine, block: Block
    ) -> list[SSAValue]:
        dims: list[TileDim] = []
        for other in leaves:
            count = state.count[other]
            if other is leaf:
                dims.append(TileDim(Var(None, 0, leaf.lanes - 1), 1, leaf.lanes, left))
            elif isinstance(count, int):
                dims.append(TileDim(Var(None, 0, count - 1), count))
            else:
                return self._loop_over_tile(other, leaves, state, list(block.args[1:]))
        return self._emit_body(leaves, dims, state, list(block.args[1:]))

    def _emit_body(
        self, leaves: list[Leaf], dims: list[TileDim], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        outer = self.tile
        tile = Tile(
            self.lowering,
            (*outer.dims, *dims),
            dict(outer.env),
            dict(outer.indices),
            dict(outer.broadcasts),
            dict(outer.masks),
        )
        at = dict(state.base)
        for leaf, dim in zip(leaves, dims, strict=True):
            at[leaf.root] = at[leaf.root] + as_affine(dim.variable)
        arguments = self.op.body.block.args
        for handle, argument in zip(self.op.loops, arguments, strict=False):
            tile.indices[argument] = at[handle]
        for old, varied in zip(
            arguments[len(self.op.loops) :], self.varied_carried(carried), strict=True
        ):
            tile.env[old] = varied
        tile.body(self.op.body.block)
        return self._yielded(tile)

    def _yielded(self, tile: Tile) -> list[SSAValue]:
        last = self.op.body.block.last_op
        if not isinstance(last, krnl.YieldOp):
            return []
        results: list[SSAValue] = []
        for value, dims in zip(last.values, self.carried_dims, strict=True):
            varied = tile.varied(value)
            lanes = next((d.lanes for d in dims if d.is_vector), 0)
            for at in tile.coordinates(dims):
                entry = varied.at(dims, at)
                results.append(tile.as_vector(entry, lanes) if lanes else entry)
        return results


def _carried_dims(op: krnl.IterateOp, tile: Tile) -> tuple[TileDim, ...]:
    """Dimensions of the tile that anything inside the nest depends on."""
    found: set[TileDim] = set()
    for value in op.inits:
        found.update(tile.varied(value).dims)
    for nested in op.body.walk():
        for value in nested.operands:
            if value in tile.indices:
                found.update(tile._dims_of([tile.indices[value]]))
            elif value in tile.env:
                found.update(tile.env[value].dims)
    return tuple(d for d in tile.dims if d in found)


def _index_op(kind: type[Operation], lhs: SSAValue, rhs: SSAValue) -> Operation:
    return kind.create(operands=[lhs, rhs], result_types=[index])


def _constant(value: Attribute) -> Operation:
    return arith.ConstantOp.create(
        result_types=[value.get_type()],  # type: ignore[attr-defined]
        properties={"value": value},
    )


def _sizes(*groups: Sequence[SSAValue]) -> Attribute:
    return DenseArrayBase.from_list(i32, [len(group) for group in groups])


def _zeros_map(count: int) -> AffineMapAttr:
    return AffineMapAttr(AffineMap(0, 0, (AffineConstantExpr(0),) * count))


def _ones(count: int) -> DenseIntElementsAttr:
    return DenseIntElementsAttr.from_list(TensorType(i32, [count]), [1] * count)
