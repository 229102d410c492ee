"""`affine-prefetch`: ask for the next panel of a large operand while the current one is multiplied.

Requires the `affine` stage. Ensures the same with `affine.prefetch` operations, which change no
result.

A tile of a sum of products goes down a panel of the packed operand (`passes/krnl/schedule.py`);
all tiles of rows do, then comes the next panel, which lies behind it in memory. The first of these
tiles would wait for memory at each line, as it is through with a line sooner than the next one
comes. So the tiles ask, evenly over all of their steps, for what lies a panel further on:

    affine.for %j = 0 to 3072 step 16 {              panels: the address moves on by 768 * 16
      affine.for %i = 0 to 126 step 6 {              21 tiles: the address stays
        affine.for %k = 0 to 768 iter_args(...) {    steps: 768
          %b = affine.vector_load %w[%j floordiv 16, %k, 0]
          affine.prefetch %w[%j floordiv 16 + 1, 0, %i floordiv 6 * 768 + %k], read, ...

Here 21 * 768 steps ask for 768 * 16 numbers, one at a time: most of them for a line that is on its
way already, which costs next to nothing. Behind the last panel lies something else, or nothing: an
address that is only asked for need not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AffineMapAttr,
    BoolAttr,
    IntegerAttr,
    MemRefType,
    ModuleOp,
    i32,
)
from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineExpr, AffineMap
from xdsl.passes import ModulePass

from dialects import affine

LINE_BYTES = 64
"""A cache line. Steps that need more than one each are bound by memory, which sees them coming."""

MOST_TILES = 128
"""With more tiles than that a panel's first one does not matter."""

LOCALITY = 2
"""To the core's own cache; the first one holds what is multiplied now."""


@dataclass(frozen=True)
class AffinePrefetch(ModulePass):
    """Adds prefetches. ``cache_bytes`` is the core's own cache: what it holds is left alone."""

    name = "affine-prefetch"

    cache_bytes: int = 524_288

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Goes through every kernel of the module, in place."""
        for function in op.ops:
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                for loop in list(function.walk()):
                    if isinstance(loop, affine.ForOp) and loop.inits:
                        self._steps(loop)

    def _steps(self, loop: affine.ForOp) -> None:
        """Looks at what the steps of a sum load."""
        block = loop.body.block
        found: dict[SSAValue, affine.VectorLoadOp] = {}
        for op in block.ops:
            if isinstance(op, affine.VectorLoadOp) and self._is_large(op.memref):
                found.setdefault(op.memref, op)
        loops = list(_around(loop)) if found else []
        for load in found.values():
            made = _prefetch(load, loops)
            if made is not None:
                block.insert_op_before(made, load)

    def _is_large(self, buffer: SSAValue) -> bool:
        """Whether a buffer comes from outside of the kernel and does not stay in the cache."""
        if not isinstance(buffer.owner, Block) or not isinstance(buffer.type, MemRefType):
            return False
        shape = buffer.type.get_shape()
        return DYNAMIC_INDEX not in shape and prod(shape) * _bytes(buffer) > self.cache_bytes


@dataclass(frozen=True)
class _Loop:
    """A loop over constant bounds: variable, first value, step and number of iterations."""

    variable: SSAValue
    first: int
    step: int
    trips: int
    is_sum: bool

    def number(self, dim: int) -> AffineExpr:
        """Which iteration it is, ``dim`` being the position of the variable."""
        variable = AffineDimExpr(dim)
        from_zero = variable - self.first if self.first else variable
        return from_zero // self.step if self.step > 1 else from_zero


def _around(loop: affine.ForOp) -> Iterator[_Loop]:
    """A loop and those around it, from the inside out, up to the first one of unknown bounds."""
    op: Operation | None = loop
    while op is not None and not isinstance(op, func.FuncOp):
        if isinstance(op, affine.ForOp):
            bounds = [bound.data.results for bound in (op.lowerBoundMap, op.upperBoundMap)]
            if not all(len(b) == 1 and isinstance(b[0], AffineConstantExpr) for b in bounds):
                return
            ((first,), (end,)) = bounds
            assert isinstance(first, AffineConstantExpr) and isinstance(end, AffineConstantExpr)
            step = op.step.value.data
            trips = -(-(end.value - first.value) // step)
            yield _Loop(op.body.block.args[0], first.value, step, trips, bool(op.inits))
        elif isinstance(op, affine.ParallelOp):
            yield from _dimensions(op)
        elif op.name.startswith("scf.for"):
            return
        op = op.parent_op()


def _dimensions(op: affine.ParallelOp) -> Iterator[_Loop]:
    """The loops of an `affine.parallel`, from the inside out; a thread runs a part of them."""
    rows = zip(op.body.block.args, op.lower_bounds, op.upper_bounds, op.steps, strict=True)
    for variable, lower, upper, step in reversed(list(rows)):
        match lower, upper:
            case [AffineConstantExpr(value=first)], [AffineConstantExpr(value=end)]:
                size = step.value.data  # type: ignore[union-attr]
                yield _Loop(variable, first, size, -(-(end - first) // size), False)
            case _:
                return


def _prefetch(load: affine.VectorLoadOp, loops: list[_Loop]) -> affine.PrefetchOp | None:
    """What asks for a part of the next panel in front of ``load``; None where that is no use."""
    known = {loop.variable: loop.first for loop in loops}
    start = _element(load, known)
    moves = [_element(load, known | {x.variable: x.first + x.step}) - start for x in loops]
    panels = next(
        (n for n, (x, move) in enumerate(zip(loops, moves, strict=True)) if move and not x.is_sum),
        None,
    )
    if panels is None or moves[panels] <= 0 or loops[panels].trips < 2:
        return None
    inside = loops[:panels]
    if any(move and not x.is_sum for x, move in zip(inside, moves, strict=False)):
        return None
    tiles = prod(x.trips for x, move in zip(inside, moves, strict=False) if not move)
    steps = prod(x.trips for x in inside)
    if not 1 < tiles <= MOST_TILES:
        return None
    stride = -(-moves[panels] // steps)
    if stride * _bytes(load.memref) > LINE_BYTES:
        return None
    return _made(load, loops[panels], inside, stride)


def _made(
    load: affine.VectorLoadOp, panels: _Loop, inside: list[_Loop], stride: int
) -> affine.PrefetchOp:
    """An `affine.prefetch`, the steps' numbers standing in the last index."""
    operands: list[SSAValue] = [*load.indices, *(x.variable for x in inside)]
    position = {loop.variable: len(load.indices) + n for n, loop in enumerate(inside)}
    number, inner = inside[0].number(position[inside[0].variable]), inside[0].trips
    for loop in inside[1:]:
        number = number + loop.number(position[loop.variable]) * inner
        inner *= loop.trips
    first = [
        AffineConstantExpr(loop.first) if (loop := _of(operand, inside)) else AffineDimExpr(n)
        for n, operand in enumerate(load.indices)
    ]
    first = [
        expr + panels.step if operand is panels.variable else expr
        for expr, operand in zip(first, load.indices, strict=True)
    ]
    map = load.map.data
    dims, symbols = first[: map.num_dims], first[map.num_dims :]
    results = [result.replace_dims_and_symbols(dims, symbols) for result in map.results]
    results[-1] = results[-1] + (number if stride == 1 else number * stride)
    return affine.PrefetchOp.create(
        operands=[load.memref, *operands],
        properties={
            "isWrite": BoolAttr.from_bool(False),
            "localityHint": IntegerAttr(LOCALITY, i32),
            "isDataCache": BoolAttr.from_bool(True),
            "map": AffineMapAttr(AffineMap(len(operands), 0, tuple(results))),
        },
        location=load.location,
    )


def _of(variable: SSAValue, loops: list[_Loop]) -> _Loop | None:
    return next((loop for loop in loops if loop.variable is variable), None)


def _element(load: affine.VectorLoadOp, known: Mapping[SSAValue, int]) -> int:
    """Which element of its buffer is loaded, values that are not known being 0."""
    map, values = load.map.data, [known.get(value, 0) for value in load.indices]
    indices = map.eval(values[: map.num_dims], values[map.num_dims :])
    element = 0
    for index, size in zip(indices, load.memref.type.get_shape(), strict=True):  # type: ignore[union-attr]
        element = element * size + index
    return element


def _bytes(buffer: SSAValue) -> int:
    element = buffer.type.get_element_type()  # type: ignore[union-attr]
    return -(-element.bitwidth // 8)
