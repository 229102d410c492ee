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

Where so little is multiplied with each panel that tiles of rows go through all panels inside of
something else (the planes of a Winograd convolution), what they ask for is what the next plane has.
Panels of which a part of the core's cache holds several are asked for together, too.

What asks are the steps of the sum that has most of them in one iteration of the panels' loop. Where
a first tile copies what it loads for the others (`onnx.StrassenMatMul`), these are the others'.

A tile's results, and what is added to them, lie in as many places as it has rows, which no core
foresees. So a tile asks for them before it begins its sum, each line once:

    affine.prefetch %y[%i, %j], write, ...
    %sum:12 = affine.for %k = 0 to 768 iter_args(...) { ... }
    affine.vector_store %sum#0, %y[%i, %j]
    affine.vector_store %sum#1, %y[%i, %j + 8]

Where the sum goes over a few neighbours here and a few there, as a grouped convolution's does (the
channels of a group under each place of a window), no core foresees the next ones either. So in
front of each such piece the same one of the next tile is asked for:

    affine.prefetch %x[%h + %kh, (%w + 6) + %kw, %g * 16], read, ...
    affine.for %c = 0 to 16 iter_args(...) { affine.load %x[%h + %kh, %w + %kw, %g * 16 + %c] ... }

So do the weights of a depthwise convolution, of which each tap has a few for a group of channels:
all rows of the group use them, and ask for those of the next one.

    affine.parallel (%g) = (0) to (1152) step 64 {
      affine.for %h = 0 to 7 {  affine.for %c = 0 to 64 step 16 {
        affine.for %kh = 0 to 5 iter_args(...) {
          affine.prefetch %w[%kh, 0, %g + 64 + %c], read, ...
          %b = affine.vector_load %w[%kh, 0, %g + %c]

A panel that was copied to a buffer in front of the tiles (`onnx.copied_panel`) is a few lines of
each row of an operand. No core foresees the next panel's, so each step asks for one of its row:

    affine.parallel (%p) = (0) to (49) {
      affine.for %k ...   for %c ...   %copy[%k, %c] = %w[%k, %p * 64 + %c]
      affine.for %i = 0 to 60 step 6 {
        affine.for %k = 0 to 256 iter_args(...) {
          affine.prefetch %w[%k, (%p + 1) * 64 + %i floordiv 6 mod 4 * 16], read, ...
          %b = affine.vector_load %copy[%k, 0]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    VectorType,
    i32,
)
from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import (
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
)
from xdsl.passes import ModulePass

from dialects import affine
from passes.affine.accesses import (
    Access,
    Loop,
    VectorAccess,
    bytes_of,
    element_at,
    indices_at,
    is_variable,
    lone_variables,
    loops_around,
    variables_around,
)

LINE_BYTES = 64
"""A cache line. Steps that need more than one each are bound by memory, which sees them coming."""

MOST_REUSE = 128
"""If each number is loaded more often than that, the first time does not matter."""

FEW_TRIPS = 16
"""Loops that are tried at every value of their variable; others at the first and the last."""

PART_KEPT = 16
"""Panels of an operand of this part of the core's cache are still there when the kernel runs again;
those of a larger one are not, because a program has many such operands."""

PART_OF_TAPS = 32
"""Weights of columns that share nothing are few: those of this part of the cache are large."""

PART_OF_CACHE = 4
"""What is asked for ahead may fill this part of the core's own cache."""

LOCALITY = 2
"""To the core's own cache; the first one holds what is multiplied now."""

LONG_SUM = 16
"""Steps that are worth asking in front of them for what is stored behind."""

MOST_LINES = 4
"""A longer piece of neighbours is foreseen by the core."""


@dataclass(frozen=True)
class AffinePrefetch(ModulePass):
    """Adds prefetches. ``cache_bytes`` is the core's own cache: what stays in it is left alone."""

    name = "affine-prefetch"

    cache_bytes: int = 524_288

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Goes through every kernel of the module, in place."""
        for function in op.ops:
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                self._kernel(function)

    def _kernel(self, function: func.FuncOp) -> None:
        """Adds prefetches to one kernel."""
        loops = (op for op in function.walk() if isinstance(op, affine.ForOp) and op.inits)
        found = (_Site(op, list(loops_around(op))) for op in loops if _is_of_vectors(op))
        sites = [site for site in found if all(loop.trips > 0 for loop in site.around)]
        asked: set[tuple[SSAValue, SSAValue]] = set()
        for site in sites:
            self._ask_for_results(site)
            self._ask_for_pieces(site)
            self._ask_for_copies(site)
            self._ask_for_taps(site)
            panels: dict[SSAValue, list[affine.VectorLoadOp]] = {}
            for op in site.loop.body.block.ops:
                if isinstance(op, affine.VectorLoadOp) and self._is_large(op.memref, PART_KEPT):
                    panels.setdefault(op.memref, []).append(op)
            for loads in panels.values():
                others = sites if all(map(is_variable, loads[0].indices)) else [site]
                block = self._block(loads, site.around, others)
                if block is not None and (loads[0].memref, block.loop.variable) not in asked:
                    asked.add((loads[0].memref, block.loop.variable))
                    _ask(loads, block, others)

    def _ask_for_results(self, site: _Site) -> None:
        """Asks in front of a sum for the lines that are loaded and stored behind it."""
        block = site.loop.parent
        if block is None or site.trips < LONG_SUM:
            return
        lines: set[tuple[SSAValue, int]] = set()
        for access in _behind(site.loop):
            line = access.memref, element_at(access, {}) * bytes_of(access.memref) // LINE_BYTES
            if line not in lines and self._is_large(access.memref):
                lines.add(line)
                places = [AffineDimExpr(place) for place in range(len(access.indices))]
                is_written = isinstance(access, affine.VectorStoreOp)
                made = _prefetch(access, access.indices, indices_at(access, places), is_written)
                block.insert_op_before(made, site.loop)

    def _ask_for_pieces(self, site: _Site) -> None:
        """Asks in front of a sum over a few neighbours for the same ones of the next tile."""
        block = site.loop.parent
        if block is None or site.trips < LONG_SUM:
            return
        for load in list(site.loop.body.block.ops):
            if not isinstance(load, affine.LoadOp) or not self._is_large(load.memref):
                continue
            step = LINE_BYTES // bytes_of(load.memref)
            tile = _next_tile(load, site)
            if tile is None or site.trips > MOST_LINES * step:
                continue
            for first in range(0, site.trips, step):
                place = {site.around[0].variable: AffineConstantExpr(first)}
                made = _moved(load, place, tile)
                block.insert_op_before(made, site.loop)

    def _ask_for_copies(self, site: _Site) -> None:
        """Asks in the steps of a sum for what is copied to its buffers next."""
        seen: set[SSAValue] = set()
        for load in list(site.loop.body.block.ops):
            if not isinstance(load, affine.VectorLoadOp) or load.memref in seen:
                continue
            seen.add(load.memref)
            for use in list(load.memref.uses):
                store = use.operation
                if not isinstance(store, affine.StoreOp):
                    continue
                source = store.value.owner
                if isinstance(source, affine.LoadOp) and self._is_large(source.memref):
                    made = _next_copy(load, store, source, site)
                    if made is not None:
                        first = site.loop.body.block.first_op
                        assert first is not None
                        site.loop.body.block.insert_op_before(made, first)

    def _ask_for_taps(self, site: _Site) -> None:
        """Asks in the steps of a sum for a few neighbours of each line that rows use again."""
        block = site.loop.body.block
        outer = [loop for loop in site.around[1:] if loop.trips > 1]
        for load in list(block.ops):
            if not isinstance(load, affine.VectorLoadOp) or not outer:
                continue
            start = element_at(load, {})
            moves = [element_at(load, {loop.variable: loop.step}) - start for loop in outer]
            size = moves[-1] * bytes_of(load.memref)
            is_piece = LINE_BYTES <= size <= MOST_LINES * LINE_BYTES and 0 in moves
            if is_piece and self._is_large(load.memref, PART_OF_TAPS):
                block.insert_op_before(_moved(load, {}, outer[-1]), load)

    def _block(
        self, loads: list[affine.VectorLoadOp], around: list[Loop], sites: list[_Site]
    ) -> _Block | None:
        """What to ask for ahead: what the next iteration of a loop loads, all in one piece.

        That is the innermost loop in whose iterations the steps of a site use what is loaded
        several times, or one around it, while a small part of the cache holds what is loaded.
        """
        load, known = loads[0], {loop.variable: loop.first for loop in around}
        start = element_at(load, known)
        width = sum(load.result.type.get_shape()[0] for load in loads)  # type: ignore[union-attr]
        span, moves, is_whole = 0, 1, all(map(is_variable, load.indices))
        found: _Block | None = None
        for number, loop in enumerate(around):
            move = element_at(load, known | {loop.variable: loop.first + loop.step}) - start
            if move > span and not loop.is_sum and loop.trips > 1:
                # What is loaded in an order of its own is taken to leave no gaps.
                size = span + width if is_whole else move
                is_small = size * bytes_of(load.memref) <= self.cache_bytes // PART_OF_CACHE
                steps = max(_steps(site.inside(loop)) for site in sites)
                if steps * width >= 2 * size and (found is None or is_small):
                    found = _Block(loop, around[:number], size)
                if move > size or not is_whole:
                    break
            places = range(loop.trips) if loop.trips <= FEW_TRIPS else (0, loop.trips - 1)
            values = [loop.first + place * loop.step for place in places]
            extent = max(element_at(load, known | {loop.variable: x}) - start for x in values)
            span, moves = span + extent, moves * (loop.trips if extent else 1)
            is_whole = is_whole and moves * width == span + width
        return found

    def _is_large(self, buffer: SSAValue, part: int = 1) -> bool:
        """Whether a buffer from outside of the kernel is more than that part of the cache."""
        if not isinstance(buffer.owner, Block) or not isinstance(buffer.type, MemRefType):
            return False
        shape = buffer.type.get_shape()
        return (
            DYNAMIC_INDEX not in shape and prod(shape) * bytes_of(buffer) * part > self.cache_bytes
        )


@dataclass(frozen=True)
class _Site:
    """The steps of a sum, and all loops around them."""

    loop: affine.ForOp
    around: list[Loop]

    @property
    def trips(self) -> int:
        """Steps of the sum; 0 where they are not known."""
        own = self.loop.body.block.args[0]
        return self.around[0].trips if self.around and self.around[0].variable is own else 0

    def inside(self, outer: Loop) -> list[Loop]:
        """The loops inside of one of those around it; none if it is not around it."""
        variables = [loop.variable for loop in self.around]
        return self.around[: variables.index(outer.variable)] if outer.variable in variables else []


@dataclass(frozen=True)
class _Block:
    """What one iteration of a loop loads: so many elements, through the loops inside of it."""

    loop: Loop
    inside: list[Loop]
    size: int


def _is_of_vectors(loop: affine.ForOp) -> bool:
    """Whether a sum is one of a tile; LLVM would not make vectors of others that asked."""
    return any(isinstance(op.type, VectorType) for op in loop.inits)


def _behind(loop: affine.ForOp) -> Iterator[VectorAccess]:
    """What is loaded and stored behind a loop at places that are known in front of it."""
    behind: set[Operation | Block] = {loop}
    op = loop.next_op
    while op is not None and not op.regions:
        behind.add(op)
        if isinstance(op, VectorAccess) and not any(index.owner in behind for index in op.indices):
            yield op
        op = op.next_op


def _next_tile(load: affine.LoadOp, site: _Site) -> Loop | None:
    """The loop that moves the piece that a sum loads on to another place; None if it goes on.

    A piece goes on where it is a whole line of the buffer, or where the next step of a sum around
    it, or the next tile, is its neighbour.
    """
    own, *outer = site.around
    start = element_at(load, {})
    is_line = own.trips == load.memref.type.get_shape()[-1]  # type: ignore[union-attr]
    if is_line or element_at(load, {own.variable: 1}) - start != 1:
        return None
    for loop in outer:
        move = element_at(load, {loop.variable: loop.step}) - start
        if 0 < move <= own.trips:
            return None
        if move and not loop.is_sum and loop.trips > 1:
            return loop
    return None


def _next_copy(
    load: affine.VectorLoadOp, store: affine.StoreOp, source: affine.LoadOp, site: _Site
) -> affine.PrefetchOp | None:
    """Asks for a line of what ``source`` reads for ``store`` when the loop around the copy and the
    sum goes on: the one of the step's row, of which there are as many as tiles take turns.
    """
    around_copy = variables_around(source)
    shared = [loop for loop in site.around if loop.variable in around_copy]
    around_both = {loop.variable for loop in shared}
    start = element_at(source, {})
    moving = (
        x for x in shared if element_at(source, {x.variable: x.step}) != start and x.trips > 1
    )
    ahead = next(moving, None)
    tiles = next((x for x in site.around[1:] if not x.is_sum and x.trips > 1), None)
    if ahead is None or tiles is None or tiles is ahead:
        return None
    *outer, width = load.memref.type.get_shape()  # type: ignore[union-attr]
    line = LINE_BYTES // bytes_of(load.memref)
    operands: list[SSAValue] = list(source.indices)
    variables: list[AffineExpr] = [AffineDimExpr(place) for place in range(len(operands))]
    for axis, (stored, loaded) in enumerate(
        zip(lone_variables(store), lone_variables(load), strict=True)
    ):
        # A loop around both the copy and the sum means the same in both.
        if stored is None or stored not in operands or stored in around_both:
            continue
        place = operands.index(stored)
        if axis == len(outer):
            operands[place] = tiles.variable
            variables[place] = tiles.number(place) % -(-width // line) * line
        elif loaded is not None:
            operands[place] = loaded
    place = operands.index(ahead.variable)
    variables[place] = AffineDimExpr(place) + ahead.step
    return _prefetch(source, operands, indices_at(source, variables))


def _steps(loops: list[Loop]) -> int:
    """How often what is inside of loops is run."""
    return prod(loop.trips for loop in loops)


def _ask(loads: list[affine.VectorLoadOp], block: _Block, sites: list[_Site]) -> None:
    """Adds what asks for the next block, where most of the steps of this one are."""
    inside = [(site, site.inside(block.loop)) for site in sites]
    site, loops = max(inside, key=lambda entry: _steps(entry[1]))
    steps = _steps(loops)
    width = sum(load.result.type.get_shape()[0] for load in loads)  # type: ignore[union-attr]
    stride = -(-block.size // steps)
    if steps * width // block.size > MOST_REUSE or stride * bytes_of(loads[0].memref) > LINE_BYTES:
        return
    made = _made(loads[0], block, loops, stride)
    body = site.loop.body.block
    # An index of the load may be computed in front of it.
    place = loads[0] if loads[0].parent is body else body.first_op
    assert place is not None
    body.insert_op_before(made, place)


def _made(
    load: affine.VectorLoadOp, block: _Block, inside: list[Loop], stride: int
) -> affine.PrefetchOp:
    """An `affine.prefetch`, the steps' numbers standing in the last index."""
    operands: list[SSAValue] = [*load.indices, *(x.variable for x in inside)]
    starts = {loop.variable: loop.first for loop in block.inside}
    number, inner = inside[0].number(len(load.indices)), inside[0].trips
    for place, loop in enumerate(inside[1:], len(load.indices) + 1):
        number = number + loop.number(place) * inner
        inner *= loop.trips
    first: list[AffineExpr] = []
    for place, operand in enumerate(load.indices):
        if operand in starts:
            first.append(AffineConstantExpr(starts[operand]))
        elif operand is block.loop.variable:
            first.append(AffineDimExpr(place) + block.loop.step)
        else:
            first.append(AffineDimExpr(place))
    results = indices_at(load, first)
    results[-1] = results[-1] + (number if stride == 1 else number * stride)
    # What counts loops around the load only is not known here.
    for place, operand in enumerate(load.indices):
        if operand in starts:
            operands[place] = block.loop.variable
    return _prefetch(load, operands, results)


def _moved(
    load: affine.LoadOp | affine.VectorLoadOp, place: Mapping[SSAValue, AffineExpr], tile: Loop
) -> affine.PrefetchOp:
    """Asks for what a load reads at the next iteration of a loop, inner variables being given."""
    variables: list[AffineExpr] = []
    for number, operand in enumerate(load.indices):
        ahead = tile.step if operand is tile.variable else 0
        variables.append(place.get(operand, AffineDimExpr(number) + ahead))
    # A variable of the sum itself is not known in front of it.
    operands = [tile.variable if operand in place else operand for operand in load.indices]
    return _prefetch(load, operands, indices_at(load, variables))


def _prefetch(
    access: Access,
    operands: Sequence[SSAValue],
    indices: Sequence[AffineExpr],
    is_written: bool = False,
) -> affine.PrefetchOp:
    """Asks for an element of the buffer of a load or store."""
    map = AffineMap(len(operands), 0, tuple(indices))
    return affine.PrefetchOp.create(
        operands=[access.memref, *operands],
        properties={
            "isWrite": BoolAttr.from_bool(is_written),
            "localityHint": IntegerAttr(LOCALITY, i32),
            "isDataCache": BoolAttr.from_bool(True),
            "map": AffineMapAttr(map),
        },
        location=access.location,
    )
