"""Loop nests: from scheduled handles to `affine` (or, over computed bounds, `scf`) loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    DenseArrayBase,
    DenseIntElementsAttr,
    IndexType,
    IntegerAttr,
    TensorType,
    UnitAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineMap

from dialects import affine, krnl
from passes.lower.index import Affine, Var, to_map
from passes.lower.index import affine as as_affine
from passes.lower.krnl_to_affine.repeats import Repeats
from passes.lower.krnl_to_affine.schedule import Leaf, invalid
from passes.lower.krnl_to_affine.tile_values import (
    TileDim,
    Varied,
    lanes_of,
    unsupported,
)

if TYPE_CHECKING:
    from passes.lower.krnl_to_affine.tile import Tile

index = IndexType()

LONG_BODY = 32
"""Operations of a loop's body that are enough for the loop to be not unrolled."""

FEWEST_ROWS = 3
"""Rows of a tile that are worth code of their own."""


@dataclass(frozen=True)
class NestState:
    """Where emission of a nest stands: start of every axis, and iterations of every loop left."""

    base: dict[SSAValue, Affine]
    count: dict[Leaf, int | Affine]

    def moved(
        self, leaf: Leaf, offset: Affine | int, inner: int | Affine | None = None
    ) -> NestState:
        """The state inside one iteration of a loop; ``inner`` is the count of its inner loop."""
        base = {**self.base, leaf.root: self.base[leaf.root] + offset}
        if leaf.inner is None:
            return NestState(base, self.count)
        assert inner is not None
        return NestState(base, {**self.count, leaf.inner: inner})


def emit_nest(op: krnl.IterateOp, leaves: list[Leaf], tile: Tile) -> None:
    """Emits a loop nest inside a body, and makes its results known there.

    Raises InvalidModelError where the nest cannot run as its schedule asks.
    """
    base: dict[SSAValue, Affine] = {}
    count: dict[Leaf, int | Affine] = {}
    for handle, (lower, upper) in zip(op.loops, op.extents, strict=True):
        first = as_affine(lower) if isinstance(lower, int) else tile.index(lower)
        last = as_affine(upper) if isinstance(upper, int) else tile.index(upper)
        if tile.dims_of([first, last]):
            raise unsupported("an inner loop whose bounds differ from iteration to iteration")
        base[handle] = first
        outermost = next(x for x in leaves if x.root is handle and x.outer is None)
        total = last - first
        count[outermost] = total if total.terms else max(0, total.constant)
    block = tile.lowering.block
    before = block.last_op
    NestEmission(op, leaves, tile).run(NestState(base, count))
    if any(leaf.is_outlined for leaf in leaves):
        _outline(block, before)


def _outline(block: Block, before: Operation | None) -> None:
    """Marks the loops behind an operation; threads are not started from inside of a function."""
    op = block.first_op if before is None else before.next_op
    while op is not None:
        is_serial = not any(isinstance(inner, affine.ParallelOp) for inner in op.walk())
        if isinstance(op, affine.ForOp) and is_serial and not op.results:
            op.attributes[affine.OUTLINE] = UnitAttr()
        op = op.next_op


class NestEmission:
    """Emission of one nest: its loops from the outside in, then its body."""

    def __init__(self, op: krnl.IterateOp, leaves: list[Leaf], tile: Tile) -> None:
        self.lowering = tile.lowering
        self.op = op
        self.leaves = leaves
        self.tile = tile
        self.carried_dims = tile.dims_inside(op) if op.inits else ()
        self.repeats = Repeats(op, tile.lowering.taken_over)

    def run(self, state: NestState) -> None:
        """Emits all of it."""
        initial = self._flat([self.tile.varied(init) for init in self.op.inits], self.tile)
        results = self._varied(self.emit(0, state, initial))
        for old, varied in zip(self.op.results, results, strict=True):
            self.tile.env[old] = varied

    # Carried values -------------------------------------------------------------------------

    def _flat(self, carried: Sequence[Varied], tile: Tile) -> list[SSAValue]:
        """Carried values, for each coordinate of the surrounding tile for which they exist."""
        dims, lanes = self.carried_dims, lanes_of(self.carried_dims)
        return [
            tile.as_vector(varied.at(dims, at), lanes)
            for varied in carried
            for at in tile.coordinates(dims)
        ]

    def _varied(self, values: Sequence[SSAValue]) -> list[Varied]:
        """The reverse of ``_flat``."""
        dims, rest = self.carried_dims, iter(values)
        places = list(self.tile.coordinates(dims))
        return [Varied(dims, {at: next(rest) for at in places}) for _ in self.op.inits]

    # Loops ----------------------------------------------------------------------------------

    def emit(self, depth: int, state: NestState, carried: list[SSAValue]) -> list[SSAValue]:
        """Emits the loops from ``depth`` inwards; gives the carried values after them."""
        if depth == len(self.leaves) or self.leaves[depth].mode != "loop":
            return self.emit_tile(self.leaves[depth:], state, carried)
        leaf = self.leaves[depth]
        if leaf.parallel:
            self.emit_parallel(depth, state)
            return []
        total, step = state.count[leaf], leaf.step

        if isinstance(total, Affine) and self.repeats.may_repeat(leaf):
            self._emit_rows(leaf, step, state, lambda s: self.emit(depth + 1, s, []))
            return []

        def inside(
            lowers: Sequence[int | Affine], upper: int | Affine, step: int, tail: bool
        ) -> list[SSAValue]:
            def body(variable: Var, carried: list[SSAValue]) -> list[SSAValue]:
                offset = as_affine(variable)
                inner = total - offset if tail else step
                return self.emit(depth + 1, state.moved(leaf, offset, inner), carried)

            return self.loop(lowers, upper, step, carried, body)

        if leaf.inner is None:
            if total == 1:
                return self.emit(depth + 1, state.moved(leaf, 0), carried)
            return inside([0], total, 1, False)
        full = (total // step) * step
        if self.repeats.is_evened(leaf, total):
            self._emit_evened(depth, state)
            return []
        if full != 0:
            carried = inside([0], full, step, False)
        if isinstance(total, int):
            if total % step:
                rest = self._rest(leaf, full, total, state)
                carried = self.emit(depth + 1, rest, carried)
            return carried
        return inside([full] if is_natural(total) else [0, full], total, step, True)

    def loop(
        self,
        lowers: Sequence[int | Affine],
        upper: int | Affine,
        step: int,
        carried: list[SSAValue],
        body: Callable[[Var, list[SSAValue]], list[SSAValue]],
    ) -> list[SSAValue]:
        """A loop from the largest of ``lowers``, all multiples of ``step``.

        ``body`` emits what stands in it and gives the next carried values.
        """
        lowering = self.lowering
        block = Block(arg_types=[index, *(v.type for v in carried)])
        lower_bounds, upper_bound = [as_affine(lower) for lower in lowers], as_affine(upper)
        is_affine = lowering.all_affine([*lower_bounds, upper_bound])
        variable = self._iteration(block.args[0], lower_bounds, upper_bound, step)
        if not is_affine:
            lowering.computed.add(block.args[0])
        outside, lowering.block = lowering.block, block
        results = body(variable, list(block.args[1:]))
        terminator = affine.YieldOp if is_affine else scf.YieldOp
        lowering.block.add_op(terminator.create(operands=results))
        lowering.block = outside
        make = self._affine_for if is_affine else self._scf_for
        made = make(lower_bounds, upper_bound, step, carried, block)
        made.location = self.op.location
        outside.add_op(made)
        return list(made.results)

    def _iteration(self, value: SSAValue, lowers: list[Affine], upper: Affine, step: int) -> Var:
        low = max((e.range[0] for e in lowers if e.range[0] is not None), default=None)
        last = upper.range[1]
        high = None if last is None else last - 1
        if high is not None and lowers == [as_affine(0)]:
            high = high // step * step
        self.lowering.iterations[value] = made = Var(value, low, high, step)
        return made

    def _affine_for(
        self,
        lowers: list[Affine],
        upper: Affine,
        step: int,
        carried: list[SSAValue],
        block: Block,
    ) -> Operation:
        lower_map, lower_operands = to_map(lowers)
        upper_map, upper_operands = to_map([upper])
        return affine.ForOp.create(
            operands=[*lower_operands, *upper_operands, *carried],
            result_types=[v.type for v in carried],
            properties={
                "lowerBoundMap": lower_map,
                "upperBoundMap": upper_map,
                "step": IntegerAttr(step, index),
                "operandSegmentSizes": _sizes(lower_operands, upper_operands, carried),
            },
            attributes=self._unrolling(carried, block),
            regions=[Region(block)],
        )

    def _unrolling(self, carried: list[SSAValue], block: Block) -> dict[str, Attribute]:
        """LLVM is not to unroll what is long: it is no faster, and takes time to compile.

        What hands on values is unrolled as far as the schedule says, if it says so.
        """
        is_ours = not carried or any(leaf.mode == "unroll" for leaf in self.leaves)
        is_long = is_ours and sum(1 for _ in block.walk()) >= LONG_BODY
        return {"unroll_disable": UnitAttr()} if is_long else {}

    def _scf_for(
        self,
        lowers: list[Affine],
        upper: Affine,
        step: int,
        carried: list[SSAValue],
        block: Block,
    ) -> Operation:
        lowering = self.lowering
        first = lowering.maximum([lowering.index_value(lower) for lower in lowers])
        return scf.ForOp.create(
            operands=[first, lowering.index_value(upper), lowering.constant(step), *carried],
            result_types=[v.type for v in carried],
            regions=[Region(block)],
        )

    def _emit_evened(self, depth: int, state: NestState) -> None:
        """A loop over tiles of one size, the last of which repeats rows of the one before."""
        leaf = self.leaves[depth]
        total, step = state.count[leaf], leaf.step

        def body(variable: Var, carried: list[SSAValue]) -> list[SSAValue]:
            start = self._evened(leaf, as_affine(variable), total)
            return self.emit(depth + 1, state.moved(leaf, start, step), carried)

        self.loop([0], total, step, [], body)

    # Parallel loops -------------------------------------------------------------------------

    def emit_parallel(self, depth: int, state: NestState) -> None:
        """The outermost loops as one `affine.parallel`; partial tiles are told apart inside."""
        lowering = self.lowering
        parallel = [leaf for leaf in self.leaves[depth:] if leaf.parallel]
        block = Block(arg_types=[index] * len(parallel))
        uppers = [as_affine(state.count[leaf]) for leaf in parallel]
        if not lowering.all_affine(uppers):
            raise invalid("the number of parallel iterations must be known outside of all loops")
        items = [
            (leaf, self._iteration(value, [as_affine(0)], upper, leaf.step))
            for leaf, value, upper in zip(parallel, block.args, uppers, strict=True)
        ]
        outside, lowering.block = lowering.block, block
        self._split_partial(depth + len(parallel), items, state)
        lowering.block.add_op(affine.YieldOp.create())
        lowering.block = outside
        upper_map, operands = to_map(uppers)
        made = affine.ParallelOp.create(
            operands=operands,
            properties={
                "reductions": ArrayAttr([]),
                "lowerBoundsMap": _zeros_map(len(parallel)),
                "lowerBoundsGroups": _ones(len(parallel)),
                "upperBoundsMap": upper_map,
                "upperBoundsGroups": _ones(len(parallel)),
                "steps": ArrayAttr([IntegerAttr(leaf.step, i64) for leaf in parallel]),
            },
            attributes={"grain": IntegerAttr(max(leaf.grain for leaf in parallel), i64)},
            regions=[Region(block)],
            location=self.op.location,
        )
        outside.add_op(made)

    def _split_partial(self, depth: int, items: list[tuple[Leaf, Var]], state: NestState) -> None:
        """Full tiles in one branch, the partial last one in the other, for each parallel loop."""
        if not items:
            self.emit(depth, state, [])
            return
        (leaf, variable), *rest = items
        offset, total, step = as_affine(variable), state.count[leaf], leaf.step
        if self.repeats.is_evened(leaf, total):
            start = self._evened(leaf, offset, total)
            self._split_partial(depth, rest, state.moved(leaf, start, step))
            return
        full = state.moved(leaf, offset, step)
        if leaf.inner is None or (isinstance(total, int) and total % step == 0):
            self._split_partial(depth, rest, full)
            return

        last = as_affine(total) - step
        if isinstance(total, Affine) and self.repeats.may_repeat(leaf):

            def emit(state: NestState) -> None:
                self._split_partial(depth, rest, state)

            self._either(
                as_affine(step),
                total,
                lambda: emit(state.moved(leaf, self._start(offset, last), step)),
                lambda: self._emit_rows(leaf, -(-step // 2), state, emit),
            )
            return

        def partial() -> None:
            if isinstance(total, int):
                left = self._rest(leaf, offset, total, state)
            else:
                left = state.moved(leaf, offset, total - offset)
            self._split_partial(depth, rest, left)

        self._either(offset, last, lambda: self._split_partial(depth, rest, full), partial)

    def _either(
        self,
        lhs: Affine,
        rhs: Affine,
        then: Callable[[], object],
        otherwise: Callable[[], object],
    ) -> None:
        """What one of two branches emits, the first where ``lhs <= rhs``."""
        lowering = self.lowering
        values = lowering.index_value(lhs), lowering.index_value(rhs)
        condition = lowering.add(arith.CmpiOp(*values, "sle"))
        outside = lowering.block
        regions: list[Region] = []
        for branch in (then, otherwise):
            lowering.block = Block()
            regions.append(Region(lowering.block))
            branch()
            lowering.block.add_op(scf.YieldOp.create())
        lowering.block = outside
        outside.add_op(scf.IfOp.create(operands=[condition], regions=regions))

    # Partial tiles --------------------------------------------------------------------------

    def _evened(self, leaf: Leaf, offset: Affine, total: int | Affine) -> Affine:
        """Where a tile starts: at ``offset``, but for the last one, which ends with the rows.

        Written without a difference, so that nobody takes it for negative.
        """
        assert isinstance(total, int)
        last, full = total - leaf.step, total // leaf.step * leaf.step
        value = self.lowering.index_value(offset % full + offset // full * last)
        start = Var(value, 0, last, gcd(leaf.step, last))
        self.lowering.iterations[value] = start
        return as_affine(start)

    def _rest(self, leaf: Leaf, offset: Affine | int, total: int, state: NestState) -> NestState:
        """The last iterations, fewer than a step."""
        return state.moved(leaf, offset, total % leaf.step)

    def _emit_rows(
        self, leaf: Leaf, rows: int, state: NestState, emit: Callable[[NestState], object]
    ) -> None:
        """A number of rows that only a run knows: by tiles of ``rows``, the last of which computes
        some again; where there are not so many at all, by tiles of half as many, and so on.
        """
        total = as_affine(state.count[leaf])
        if rows < FEWEST_ROWS:
            emit(state.moved(leaf, 0, total))
            return

        def tile(variable: Var, _: list[SSAValue]) -> list[SSAValue]:
            emit(state.moved(leaf, self._start(as_affine(variable), total - rows), rows))
            return []

        self._either(
            as_affine(rows),
            total,
            lambda: self.loop([0], total, rows, [], tile),
            lambda: self._emit_rows(leaf, -(-rows // 2), state, emit),
        )

    def _start(self, offset: Affine, last: Affine) -> Affine:
        """Where a tile starts: at ``offset``, but for the last one, which ends with the rows."""
        lowering = self.lowering
        value = lowering.minimum([lowering.index_value(offset), lowering.index_value(last)])
        lowering.iterations[value] = start = Var(value, 0)
        return as_affine(start)

    # Tiles ----------------------------------------------------------------------------------

    def emit_tile(
        self, leaves: list[Leaf], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        """The body, for all iterations of the innermost unrolled and vectorized loops at once."""
        if self.op.inits:
            return self._in_turn(leaves, state, carried)
        unknown = [leaf for leaf in leaves if isinstance(state.count[leaf], Affine)]
        if not unknown:
            self._emit_body(leaves, [self._dim(leaf, state) for leaf in leaves], state, [])
            return []
        # Rows first: what masks the last vector is known inside of the loop over vectors only.
        leaf = min(unknown, key=lambda leaf: leaf.mode == "vector")
        if leaf.mode == "unroll":
            return self._row_by_row(leaf, leaves, state, [])
        total = as_affine(state.count[leaf])

        def body(variable: Var, carried: list[SSAValue]) -> list[SSAValue]:
            offset = as_affine(variable)
            inside = state.moved(leaf, offset)
            dims = [
                TileDim(Var(None, 0, leaf.lanes - 1), 1, leaf.lanes, total - offset)
                if other is leaf
                else self._dim(other, state)
                for other in leaves
            ]
            return self._emit_body(leaves, dims, inside, carried)

        return self.loop([0], total, leaf.lanes, [], body)

    def _in_turn(
        self, leaves: list[Leaf], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        """Unrolled iterations that hand on values: one behind the other."""
        if not leaves:
            return self._emit_body([], [], state, carried)
        leaf, *rest = leaves
        total = state.count[leaf]
        if isinstance(total, Affine):
            return self._row_by_row(leaf, leaves, state, carried)
        for n in range(total):
            carried = self._in_turn(rest, state.moved(leaf, n), carried)
        return carried

    def _row_by_row(
        self, leaf: Leaf, leaves: list[Leaf], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        """A tile whose number of rows is only known at run time: each of them is a tile."""

        def body(variable: Var, carried: list[SSAValue]) -> list[SSAValue]:
            one = NestState(state.base, {**state.count, leaf: 1})
            return self.emit_tile(leaves, one.moved(leaf, as_affine(variable)), carried)

        return self.loop([0], state.count[leaf], 1, carried, body)

    def _dim(self, leaf: Leaf, state: NestState) -> TileDim:
        """The dimension of a tile that an unrolled or vectorized loop becomes."""
        count = state.count[leaf]
        assert isinstance(count, int)
        if leaf.mode == "unroll":
            return TileDim(Var(None, 0, count - 1), count)
        vectors = -(-count // leaf.lanes)
        valid = count if count % leaf.lanes else None
        return TileDim(Var(None, 0, vectors * leaf.lanes - 1), vectors, leaf.lanes, valid)

    def _emit_body(
        self, leaves: list[Leaf], dims: list[TileDim], state: NestState, carried: list[SSAValue]
    ) -> list[SSAValue]:
        tile = self.tile.inside(dims)
        if sum(dim.is_vector for dim in tile.dims) > 1:
            raise unsupported("a vectorized loop inside of another one")
        at = dict(state.base)
        for leaf, dim in zip(leaves, dims, strict=True):
            at[leaf.root] = at[leaf.root] + as_affine(dim.variable)
        block = self.op.body.block
        for handle, argument in zip(self.op.loops, self.op.induction_variables, strict=True):
            tile.indices[argument] = at[handle]
        tile.env.update(zip(block.args[len(self.op.loops) :], self._varied(carried), strict=True))
        tile.body(block)
        last = block.last_op
        assert isinstance(last, krnl.YieldOp)
        return self._flat([tile.varied(value) for value in last.values], tile)


def is_natural(expression: Affine) -> bool:
    """Whether an index expression is never negative."""
    low, _ = expression.range
    return low is not None and low >= 0


def _sizes(*groups: Sequence[SSAValue]) -> Attribute:
    return DenseArrayBase.from_list(i32, [len(group) for group in groups])


def _zeros_map(count: int) -> AffineMapAttr:
    return AffineMapAttr(AffineMap(0, 0, (AffineConstantExpr(0),) * count))


def _ones(count: int) -> DenseIntElementsAttr:
    return DenseIntElementsAttr.from_list(TensorType(i32, [count]), [1] * count)
