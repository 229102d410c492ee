"""`krnl-schedule`: give every loop nest a schedule for the target.

Requires kernels without schedules. Ensures nothing but that results stay the same: it only adds
schedule operations, printed and editable like the rest.

* A sum of products becomes a register tile: `vectors` columns wide, as many rows as registers
allow,
  the panels of the packed operand outermost so that one stays in the cache.
* A window that each column has for itself (a depthwise convolution, a pool) is unrolled, so that
  neighbouring rows of a tile share what they load.
* Another nest whose innermost loop runs over neighbours but holds a reduction runs that loop as
  vectors. Plain loops are left to LLVM's vectorizer.
* A sum of products inside other loops becomes a register tile as well.
* A nest that reads along one loop and writes along another goes in squares that stay in the cache.
* The outermost loops of a nest with enough work are shared out to threads.

    krnl.iterate (%i, %j) contraction(0, 1)   ==>   %i0, %i1 = krnl.block %i 6
                                                    %j0, %j1 = krnl.block %j 64
                                                    krnl.permute(%j0, %i0, %i1, %j1)
                                                    krnl.tensorize(%i1, %j1) 16
                                                    krnl.parallel(%j0, %i0) 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineConstantExpr, AffineDimExpr
from xdsl.passes import ModulePass

from dialects import krnl
from passes.krnl.tiles import panel_width, tile_rows, window_rows
from passes.krnl.windows import Window, window_of
from passes.lower.krnl_to_affine.access import WIDEST_STRIDE

TRANSPOSED_TILE = 32
"""Side of the squares in which a transposition goes."""

ENOUGH_SHARES = 16
"""Iterations that can be shared out evenly to some threads."""

ROWS_OF_A_PIECE = 336
"""Rows of a product's left-hand side that go through all panels before the next ones do.

Fewer of them stay closer to a core; for so many, reading all panels again costs little, even from
memory: 4 bytes for 336 products.
"""

FORKS_WORTH = 6
"""Times `parallel_work` from which on threads are started inside a loop, at every iteration."""

ASSUMED_EXTENT = 64
"""Iterations counted for a loop of unknown length."""


@dataclass(frozen=True)
class ScheduleKrnl(ModulePass):
    """Adds default schedules.

    ``vector_bits`` and ``registers`` describe the target's vector unit, ``near_bytes`` is its first
    cache; ``parallel_work`` is the number of scalar operations that is worth giving to another
    thread. With ``explain`` each kernel's attribute ``remarks`` says why it got its schedule.
    """

    name = "krnl-schedule"

    vector_bits: int = 512
    registers: int = 32
    near_bytes: int = 32_768
    parallel_work: int = 50_000
    explain: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Schedules every kernel of the module in place."""
        for kernel in op.ops:
            if isinstance(kernel, func.FuncOp) and kernel.body.blocks:
                remarks: list[str] = []
                for nest in list(kernel.body.block.ops):
                    if isinstance(nest, krnl.IterateOp) and not nest.inits:
                        self.schedule(nest, remarks)
                if self.explain:
                    known = kernel.attributes.get("remarks", ArrayAttr([]))
                    assert isinstance(known, ArrayAttr)
                    kernel.attributes["remarks"] = ArrayAttr([*known, *map(StringAttr, remarks)])

    def schedule(self, nest: krnl.IterateOp, remarks: list[str]) -> None:
        """Schedules one outermost nest; says why in ``remarks``."""
        writer = _Writer(nest, remarks)
        if nest.contraction is not None:
            self.contraction(nest, writer)
        elif _is_vectorizable(nest):
            self.neighbours(nest, writer)
        elif (row := _transposed(nest)) is not None:
            writer.transpose(row, TRANSPOSED_TILE, self.lanes(nest))
            writer.remark(
                f"squares of {TRANSPOSED_TILE}: it reads along one loop, writes along another"
            )
        shared = self.parallelize(nest, writer)
        if not writer.tiles:
            writer.remark("loops in order, the innermost one for LLVM's vectorizer")
            self.inner_nests(nest, shared, remarks)
        writer.insert()

    def neighbours(self, nest: krnl.IterateOp, writer: _Writer) -> None:
        """Vectors of neighbouring results of a pool."""
        row, column = len(nest.loops) - 2, len(nest.loops) - 1
        window = window_of(nest, column)
        if window is None or row < 0 or _static(nest.extents[row]) == 1:
            lanes = self.lanes(nest)
            vectors = self.vectors(nest)
            writer.vectorize(column, lanes, vectors)
            writer.remark(
                f"{vectors} vectors of {lanes} neighbours at a time, each around its own reduction"
            )
        else:
            self.window(nest, writer, window, row, column)

    def inner_nests(self, nest: krnl.IterateOp, shared: bool, remarks: list[str]) -> None:
        """Tiles inside other loops: products of an RNN's steps, a transposition with a border.

        Where the loops around it are not ``shared`` out, a large product is.
        """
        for inner in list(nest.body.walk()):
            if not isinstance(inner, krnl.IterateOp) or inner.inits:
                continue
            writer = _Writer(inner, remarks)
            if inner.contraction is not None:
                self.contraction(inner, writer)
                if not shared and _work(inner) >= FORKS_WORTH * self.parallel_work:
                    self.parallelize(inner, writer)
            elif _is_vectorizable(inner):
                writer.vectorize(len(inner.loops) - 1, self.lanes(inner), 1)
            elif (row := _transposed(inner)) is not None:
                writer.transpose(row, TRANSPOSED_TILE, self.lanes(inner))
            writer.insert()

    def vectors(self, nest: krnl.IterateOp) -> int:
        """Vectors of results that reductions make side by side: three quarters of the registers.

        What they go through in strides is then read by whole cache lines. Functions need the
        registers themselves.
        """
        carried = [len(op.inits) for op in nest.body.walk() if isinstance(op, krnl.IterateOp)]
        if any(op.name.startswith("math.") for op in nest.body.walk()):
            return 1
        return max(1, 3 * self.registers // 4 // max([1, *carried]))

    def lanes(self, nest: krnl.IterateOp) -> int:
        """Lanes of a vector of the widest element type that the nest touches."""
        widths = [
            getattr(op.memref.type.element_type, "bitwidth", 32)  # type: ignore[union-attr]
            for op in nest.walk()
            if isinstance(op, krnl.LoadOp | krnl.StoreOp)
        ]
        return max(1, self.vector_bits // max([32, *widths]))

    def contraction(self, nest: krnl.IterateOp, writer: _Writer) -> None:
        """A register tile of rows by columns."""
        row, column = nest.contraction.get_values()  # type: ignore[union-attr]
        lanes = self.lanes(nest)
        extents = [_static(bounds) for bounds in nest.extents]
        if not _is_vectorizable(nest, column, any_store=extents[column] is not None):
            writer.remark("no tile: its columns are not neighbours in memory")
            return
        window = window_of(nest, column)
        if window is not None:
            self.window(nest, writer, window, row, column)
            return
        width = _panel(nest, column) or panel_width(
            extents[column] or ASSUMED_EXTENT * lanes, lanes, self.registers, extents[row] or 0
        )
        if extents[row] == 1:
            # Nothing is used twice: two panels at once are two streams from memory, and so many
            # more sums that none waits for the one before it.
            width *= 2
        vectors = max(1, width // lanes)
        rows_first = self.rows_first(nest, column)
        rows = tile_rows(extents[row], vectors, self.registers)
        panels = -(-(extents[column] or 0) // width)
        if not rows_first and panels > 1:
            extents[row] = writer.pieces(column, row, rows, panels)
        rows = tile_rows(extents[row], vectors, self.registers)
        writer.block(column, width, extents[column])
        writer.block(row, rows, extents[row])
        writer.tensorize(row, column, lanes, rows_first)
        writer.remark(
            f"a tile of {rows} rows by {vectors} vectors of {lanes}, {self.registers} registers; "
            + (
                f"rows outermost: the right-hand side stays in {self.near_bytes} bytes"
                if rows_first
                else "panels of columns outermost: one at a time stays in the cache"
            )
        )

    def window(
        self, nest: krnl.IterateOp, writer: _Writer, window: Window, row: int, column: int
    ) -> None:
        """A tile of one vector, with the window unrolled.

        Columns go in pieces of which the weights and what is under a row of windows stay in the
        first cache.
        """
        lanes = self.lanes(nest)
        rows = window_rows(_static(nest.extents[row]), window.width, self.registers)
        window.unroll()
        writer.cut(column, window.columns(rows, lanes, self.near_bytes // 2), lanes)
        writer.block(column, lanes, _static(nest.extents[column]))
        writer.block(row, rows, _static(nest.extents[row]))
        writer.tensorize(row, column, lanes, rows_first=True)
        writer.remark(
            f"a tile of {rows} rows by one vector of {lanes}, {self.registers} registers: "
            "columns share no operand, rows what is under an unrolled window"
        )

    def rows_first(self, nest: krnl.IterateOp, column: int) -> bool:
        """Whether strips of rows are outermost, each going through all panels of columns.

        That reads the left-hand side once. The right-hand side is read for every strip, which
        costs nothing as long as it stays in the first cache.
        """
        taps = [
            1 if (size := _static(bounds)) is None else size
            for inner in nest.body.block.ops
            if isinstance(inner, krnl.IterateOp)
            for bounds in inner.extents
        ]
        columns = _static(nest.extents[column]) or ASSUMED_EXTENT
        return 4 * prod(taps) * columns <= self.near_bytes

    def parallelize(self, nest: krnl.IterateOp, writer: _Writer) -> bool:
        """Shares out the outermost loops when there is enough work; tells whether it did."""
        work = _work(nest)
        loops = writer.outer_loops()
        if work < 2 * self.parallel_work or not loops:
            writer.remark(f"one thread: {work} operations, {len(loops)} loops to share out")
            return False
        chosen: list[SSAValue] = []
        shares = certain = 1
        for loop in loops:
            chosen.append(loop.handle)
            shares *= loop.iterations
            # A batch of unknown size is mostly a single image: go on to loops that are long.
            certain *= loop.iterations if loop.is_known else 1
            if certain >= ENOUGH_SHARES:
                break
        if shares < 2:
            writer.remark("one thread: a single iteration to share out")
            return False
        grain = max(1, min(shares // 2, int(self.parallel_work * shares / work)))
        writer.ops.append(krnl.ParallelOp(chosen, grain))
        writer.remark(f"{shares} iterations for threads, {grain} at least: {work} operations")
        return True


@dataclass(frozen=True)
class _Loop:
    """A loop that may be shared out, with its iterations, which may be assumed ones."""

    handle: SSAValue
    iterations: int
    is_known: bool


class _Writer:
    """Collects the schedule operations of one nest, and the order of its loops."""

    def __init__(self, nest: krnl.IterateOp, remarks: list[str]) -> None:
        self.nest = nest
        self.remarks = remarks
        self.ops: list[Operation] = []
        self.handles: list[SSAValue] = list(nest.loops)
        self.outer = list(nest.loops)
        self.iterations = [ASSUMED_EXTENT if (n := _static(b)) is None else n for b in nest.extents]
        self.first: list[_Loop] = []
        self.tiles: dict[int, SSAValue] = {}

    def remark(self, text: str) -> None:
        """Says why something was chosen."""
        sizes = ("?" if (n := _static(bounds)) is None else str(n) for bounds in self.nest.extents)
        self.remarks.append(f"loops of {' x '.join(sizes)}: {text}")

    def block(self, axis: int, size: int, extent: int | None) -> None:
        """Cuts a loop into tiles; a loop that is one tile stays whole."""
        handle = self.handles[axis]
        if extent is not None and extent <= size:
            self.tiles[axis] = handle
            return
        op = krnl.BlockOp(handle, size)
        self.ops.append(op)
        self.outer[axis] = op.outer
        self.iterations[axis] = -(-self.iterations[axis] // size)
        self.tiles[axis] = op.inner

    def pieces(self, column: int, row: int, rows: int, panels: int) -> int | None:
        """Cuts the rows of a product into equal pieces that are gone through one by one.

        Gives the length of the row loop in one of them. Pieces and panels are all that can be
        shared out then, so there have to be enough.
        """
        extents = [_static(bounds) for bounds in self.nest.extents]
        others = [axis for axis in range(len(extents)) if axis != column and extents[axis] != 1]
        if not others or any(extents[axis] is None for axis in others):
            return extents[row]
        axis, extent = others[0], extents[others[0]] or 1
        inside = prod(extents[other] or 1 for other in others[1:])
        size = _piece(extent, inside, rows if axis == row else 1)
        if size == extent or extent // size * panels < ENOUGH_SHARES:
            return extents[row]
        op = krnl.BlockOp(self.handles[axis], size)
        self.ops.append(op)
        self.first.append(_Loop(op.outer, extent // size, True))
        self.handles[axis] = self.outer[axis] = op.inner
        self.iterations[axis] = size
        return size if axis == row else extents[row]

    def cut(self, axis: int, most: int, lanes: int) -> None:
        """Cuts a loop of known length into about equal pieces that are gone through one by one."""
        extent = _static(self.nest.extents[axis])
        if extent is None or extent <= most:
            return
        size = -(-extent // (-(-extent // most) * lanes)) * lanes
        op = krnl.BlockOp(self.handles[axis], size)
        self.ops.append(op)
        self.first.append(_Loop(op.outer, -(-extent // size), True))
        self.handles[axis] = self.outer[axis] = op.inner

    def tensorize(self, row: int, column: int, lanes: int, rows_first: bool) -> None:
        """Orders the loops (panels of columns in- or outside, tile innermost), makes the tile."""
        order, may_share = [loop.handle for loop in self.first], True
        axes = [a for a in range(len(self.outer)) if a != column]
        axes = [*axes, column] if rows_first else [column, *axes]
        for axis in axes:
            if self.tiles.get(axis) is not self.outer[axis]:
                order.append(self.outer[axis])
                may_share = may_share and self.handles[axis] is self.nest.loops[axis]
                if may_share:
                    self.first.append(self.loop(axis))
        order += [self.tiles[row], self.tiles[column]]
        self.ops.append(krnl.PermuteOp(order))
        self.ops.append(krnl.TensorizeOp(self.tiles[row], self.tiles[column], lanes))

    def transpose(self, row: int, size: int, lanes: int) -> None:
        """Goes through the innermost loop and ``row`` in squares that stay in the cache.

        Where both sizes are known, the squares are made of smaller ones that stay in registers.
        """
        column = len(self.outer) - 1
        extents = [_static(self.nest.extents[axis]) for axis in (row, column)]
        for axis, extent in zip((row, column), extents, strict=True):
            self.block(axis, size, extent)
        order: list[SSAValue] = []
        for axis, handle in enumerate(self.outer):
            if self.tiles.get(axis) is not handle:
                order.append(handle)
                self.first.append(self.loop(axis))
        pair = [self.tiles[row], self.tiles[column]]
        if any(extent is None or extent < lanes for extent in extents):
            self.ops.append(krnl.PermuteOp([*order, *pair]))
            return
        rows, columns = krnl.BlockOp(pair[0], lanes), krnl.BlockOp(pair[1], lanes)
        order += [rows.outer, columns.outer, rows.inner, columns.inner]
        self.ops += [rows, columns, krnl.PermuteOp(order)]
        self.ops.append(krnl.TensorizeOp(rows.inner, columns.inner, lanes))

    def vectorize(self, axis: int, lanes: int, vectors: int) -> None:
        """Runs an innermost loop as vectors, some of them side by side."""
        extent = _static(self.nest.extents[axis])
        if vectors > 1 and (extent is None or extent > lanes):
            self.block(axis, vectors * lanes, extent)
        else:
            self.tiles[axis] = self.nest.loops[axis]
        self.ops.append(krnl.VectorizeOp(self.tiles[axis], lanes))

    def loop(self, axis: int) -> _Loop:
        """The outermost loop over an axis."""
        is_known = _static(self.nest.extents[axis]) is not None
        return _Loop(self.outer[axis], self.iterations[axis], is_known)

    def outer_loops(self) -> list[_Loop]:
        """Loops that may run in parallel, outermost first."""
        if self.first:
            return self.first
        axes = range(len(self.outer))
        return [self.loop(a) for a in axes if self.tiles.get(a) is not self.outer[a]]

    def insert(self) -> None:
        """Puts the operations in front of the nest."""
        if self.ops:
            block = self.nest.parent
            assert block is not None
            block.insert_ops_before(self.ops, self.nest)


def _piece(extent: int, inside: int, rows: int) -> int:
    """The part of a loop of which each iteration has ``inside`` rows that makes about a piece.

    It divides the loop, and is whole tiles of ``rows`` if possible; the loop itself if there is no
    such part.
    """
    fitting = [
        extent // count
        for count in range(2, extent + 1)
        if extent % count == 0
        and ROWS_OF_A_PIECE <= 2 * inside * (extent // count) <= 3 * ROWS_OF_A_PIECE
    ]
    distance = [(size % rows != 0, abs(size * inside - ROWS_OF_A_PIECE), size) for size in fitting]
    return min(distance)[2] if distance else extent


def _transposed(nest: krnl.IterateOp) -> int | None:
    """The loop over neighbours of an operand that the innermost loop goes through in strides."""
    body = nest.body.block
    if any(op.regions for op in body.ops) or len(nest.loops) < 2:
        return None
    variables: list[SSAValue] = list(nest.induction_variables)
    innermost = variables[-1]
    for op in body.ops:
        if not isinstance(op, krnl.LoadOp) or innermost not in op.indices:
            continue
        *leading, last = op.map.data.results
        if not any(_uses(result, list(op.indices).index(innermost)) for result in leading):
            continue
        for place, value in enumerate(op.indices):
            if value in variables and value is not innermost and _is_unit(last, place):
                return variables.index(value)
    return None


def _static(bounds: tuple[int | SSAValue, int | SSAValue]) -> int | None:
    lower, upper = bounds
    return upper - lower if isinstance(lower, int) and isinstance(upper, int) else None


def _work(nest: krnl.IterateOp) -> int:
    """Scalar operations of a nest, loops of unknown length counted as ASSUMED_EXTENT."""
    total = 0
    for op in nest.body.block.ops:
        if isinstance(op, krnl.IterateOp):
            total += _work(op)
        elif op.regions:
            total += sum(1 for _ in op.walk())
        elif not isinstance(op, krnl.YieldOp | krnl.DefineLoopsOp):
            total += 20 if op.name.startswith("math.") else 1
    extents = [_static(bounds) for bounds in nest.extents]
    return total * prod(ASSUMED_EXTENT if n is None else n for n in extents)


def _panel(nest: krnl.IterateOp, axis: int) -> int | None:
    """Width of the panels in which an operand is packed along a loop."""
    variable = nest.induction_variables[axis]
    for op in nest.body.walk():
        if isinstance(op, krnl.LoadOp) and variable in op.indices:
            place = list(op.indices).index(variable)
            for result in op.map.data.results:
                match result:
                    case AffineBinaryOpExpr(
                        kind=AffineBinaryOpKind.Mod,
                        lhs=AffineDimExpr(position=position),
                        rhs=AffineConstantExpr(value=width),
                    ) if position == place:
                        return width
            shape = op.memref.type.get_shape()  # type: ignore[union-attr]
            if (
                len(shape) > 2
                and op.map.data.results[-1] == AffineDimExpr(place)
                and _is_packed(op)
            ):
                return shape[-1]
    return None


def _is_packed(op: krnl.LoadOp) -> bool:
    """Whether a load reads the only panel of a packed operand: its number is simply 0."""
    return op.map.data.results[0] == AffineConstantExpr(0)


def _is_vectorizable(
    nest: krnl.IterateOp, axis: int | None = None, any_store: bool = False
) -> bool:
    """Whether a loop (the innermost) reads and writes neighbours around a nested reduction.

    With ``any_store`` results may go anywhere: they are then stored element by element.
    """
    body = nest.body.block
    if axis is None:
        if not any(isinstance(op, krnl.IterateOp) for op in body.ops):
            return False
        axis = len(nest.loops) - 1
    extent = _static(nest.extents[axis])
    if extent == 1:
        return False
    variable = nest.induction_variables[axis]
    seen: set[SSAValue] = {variable}
    varied: set[SSAValue] = {variable}
    for op in body.walk():
        if isinstance(op, krnl.LoadOp | krnl.StoreOp):
            computed = seen & set(op.indices) - {variable}
            if any_store and isinstance(op, krnl.StoreOp) and not computed:
                continue
            if not _is_near(op, variable, seen - {variable}, extent is not None):
                return False
        elif isinstance(op, krnl.IndexOp):
            if seen & set(op.operands):
                seen.update(op.results)
        elif seen & set(op.operands) and (op.regions or op.name.startswith(("arith.cmpi", "scf"))):
            return False
        elif seen & set(op.operands):
            seen.update(r for r in op.results if r.type == variable.type)
        if isinstance(op, krnl.LoadOp) and seen & set(op.indices) and _is_index_data(op):
            return False
        if varied & set(op.operands) and _decides(op, variable):
            return False
        _spread(op, varied)
    return True


def _decides(op: Operation, variable: BlockArgument) -> bool:
    """Whether an operation makes control flow or an index of data."""
    if isinstance(op, krnl.IndexOp):
        return False
    makes_index = any(result.type == variable.type for result in op.results)
    return op.name == "scf.if" or (makes_index and op.operands[0].type != variable.type)


def _spread(op: Operation, varied: set[SSAValue]) -> None:
    """Adds what differs from lane to lane because an operand does; carried values count as such."""
    if isinstance(op, krnl.IterateOp):
        varied.update(op.body.block.args[len(op.loops) :], op.results)
    elif op.regions or varied & set(op.operands):
        varied.update(op.results)


def _is_index_data(op: krnl.LoadOp) -> bool:
    """Whether a loaded value goes on to address memory."""
    return any(use.operation.name == "arith.index_cast" for use in op.result.uses)


def _is_near(
    op: krnl.LoadOp | krnl.StoreOp,
    variable: BlockArgument,
    derived: set[SSAValue],
    any_stride: bool,
) -> bool:
    """Whether the elements of a vector are neighbours, or loaded from not far apart."""
    if any(value in derived for value in op.indices):
        return False
    if variable not in op.indices:
        return isinstance(op, krnl.LoadOp)
    place = list(op.indices).index(variable)
    *leading, last = op.map.data.results
    shape = op.memref.type.get_shape()  # type: ignore[union-attr]
    for number, result in enumerate(leading):
        if _uses(result, place) and not _is_panel_number(result, place, shape, number):
            return False
    if not any_stride or isinstance(op, krnl.StoreOp):
        return _is_unit(last, place)
    return any(rule(last, place) for rule in (_is_unit, _is_strided, _is_grouped))


def _uses(expression: object, place: int) -> bool:
    if isinstance(expression, AffineBinaryOpExpr):
        return _uses(expression.lhs, place) or _uses(expression.rhs, place)
    return isinstance(expression, AffineDimExpr) and expression.position == place


def _is_panel_number(expression: object, place: int, shape: Sequence[int], number: int) -> bool:
    """`variable floordiv panel` plus what does not vary; the innermost size is a panel's width."""
    if not isinstance(expression, AffineBinaryOpExpr):
        return False
    if expression.kind is AffineBinaryOpKind.Add:
        used = [side for side in (expression.lhs, expression.rhs) if _uses(side, place)]
        return len(used) == 1 and _is_panel_number(used[0], place, shape, number)
    return (
        expression.kind is AffineBinaryOpKind.FloorDiv
        and expression.lhs == AffineDimExpr(place)
        and expression.rhs == AffineConstantExpr(shape[-1])
    )


def _is_strided(expression: object, place: int) -> bool:
    """Whether an index moves by a few elements with a loop: `v * 2 + ...`."""
    if not isinstance(expression, AffineBinaryOpExpr):
        return False
    if expression.kind is AffineBinaryOpKind.Add:
        used = [side for side in (expression.lhs, expression.rhs) if _uses(side, place)]
        return len(used) == 1 and _is_strided(used[0], place)
    factor = expression.rhs
    return (
        expression.kind is AffineBinaryOpKind.Mul
        and expression.lhs == AffineDimExpr(place)
        and isinstance(factor, AffineConstantExpr)
        and 1 < factor.value <= WIDEST_STRIDE
    )


def _is_grouped(expression: object, place: int) -> bool:
    """Whether all of a few iterations read the same few neighbours: `v floordiv 4 * 4 + ...`."""
    match expression:
        case AffineBinaryOpExpr(kind=AffineBinaryOpKind.Add, lhs=lhs, rhs=rhs):
            used = [side for side in (lhs, rhs) if _uses(side, place)]
            return len(used) == 1 and _is_grouped(used[0], place)
        case AffineBinaryOpExpr(
            kind=AffineBinaryOpKind.Mul,
            lhs=AffineBinaryOpExpr(kind=AffineBinaryOpKind.FloorDiv, lhs=lhs, rhs=divisor),
            rhs=factor,
        ):
            return lhs == AffineDimExpr(place) and divisor == factor
    return False


def _is_unit(expression: object, place: int) -> bool:
    """Whether an index moves by one with a loop: `v`, `v + ...`, or `v mod panel`."""
    if isinstance(expression, AffineDimExpr):
        return expression.position == place
    if not isinstance(expression, AffineBinaryOpExpr):
        return False
    if expression.kind is AffineBinaryOpKind.Mod:
        return expression.lhs == AffineDimExpr(place)
    if expression.kind is AffineBinaryOpKind.Add:
        sides = (expression.lhs, expression.rhs)
        used = [side for side in sides if _uses(side, place)]
        return len(used) == 1 and _is_unit(used[0], place)
    return False
