"""`krnl-schedule`: give every loop nest a schedule for the target.

Requires kernels without schedules. Ensures nothing but that results stay the same: it only adds
schedule operations, printed and editable like the rest.

* A sum of products becomes a register tile: `vectors` columns wide, as many rows as registers
allow,
  the panels of the packed operand outermost so that one stays in the cache.
* A window that each column has for itself (a depthwise convolution, a pool) is unrolled, so that
  neighbouring rows of a tile share what they load.
* A window whose columns are places (a depthwise convolution of row-major data) is unrolled too, for
  two vectors of places side by side.
* Another nest whose innermost loop runs over neighbours but holds a reduction runs that loop as
  vectors. Plain loops are left to LLVM's vectorizer.
* A sum of products inside other loops becomes a register tile as well. Products and windows are
  outlined where they meet: what one keeps in registers would take them from the other.
* A nest that reads along one loop and writes along another goes in squares that stay in the cache.
* The outermost loops of a nest with enough work are shared out to threads.

    krnl.iterate (%i, %j) contraction(0, 1)   ==>   %i0, %i1 = krnl.block %i 6
                                                    %j0, %j1 = krnl.block %j 64
                                                    krnl.permute(%j0, %i0, %i1, %j1)
                                                    krnl.tensorize(%i1, %j1) 16
                                                    krnl.parallel(%j0, %i0) 1
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from dialects import krnl
from passes.krnl.nests import (
    ASSUMED_EXTENT,
    element_bits,
    has_pairs,
    is_vectorizable,
    panel_of,
    row_pitch,
    static,
    stored_axis,
    transposed_row,
    value_bits,
    work_of,
)
from passes.krnl.tiles import panel_width, panels_at_once, side_by_side, tile_rows, window_rows
from passes.krnl.windows import Window, sliding_window, window_of
from passes.krnl.writer import ENOUGH_SHARES, Writer

TRANSPOSED_TILE = 32
"""Side of the squares in which a transposition goes."""

ROWS_OF_PLACES = 4
"""Rows of a tile of places: more of them share only little more of the lines under a window."""

TUNED = "krnl.tuned"
"""Attribute of a kernel: options of the pass that suit it better (`compiler/autotune.py`)."""

FORKS_WORTH = 6
"""Times `parallel_work` from which on threads are started inside a loop, at every iteration."""


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
                scheduler = self._for(kernel, remarks)
                for nest in list(kernel.body.block.ops):
                    if isinstance(nest, krnl.IterateOp) and not nest.inits:
                        scheduler.schedule(nest, remarks)
                if self.explain:
                    known = kernel.attributes.get("remarks", ArrayAttr([]))
                    assert isinstance(known, ArrayAttr)
                    kernel.attributes["remarks"] = ArrayAttr([*known, *map(StringAttr, remarks)])

    def _for(self, kernel: func.FuncOp, remarks: list[str]) -> ScheduleKrnl:
        """The pass with the options that a kernel is tuned to."""
        tuned = kernel.attributes.get(TUNED)
        if not isinstance(tuned, DictionaryAttr):
            return self
        options = {
            name: entry.value.data
            for name, entry in tuned.data.items()
            if isinstance(entry, IntegerAttr)
        }
        remarks.append("measured: " + ", ".join(f"{n} = {value}" for n, value in options.items()))
        return replace(self, **options)

    def schedule(self, nest: krnl.IterateOp, remarks: list[str]) -> None:
        """Schedules one outermost nest; says why in ``remarks``."""
        writer = Writer(nest, remarks)
        if nest.contraction is not None:
            self.contraction(nest, writer)
        elif is_vectorizable(nest):
            self.neighbours(nest, writer)
        elif (row := transposed_row(nest, column := stored_axis(nest))) is not None:
            writer.transpose(row, column, TRANSPOSED_TILE, self.lanes(nest))
            writer.remark(
                f"squares of {TRANSPOSED_TILE}: it reads along one loop, writes along another"
            )
        elif column != len(nest.loops) - 1:
            writer.innermost(column)
            writer.remark("the loop over neighbours of what is stored goes innermost")
        shared = self.parallelize(nest, writer)
        if not writer.tiles:
            writer.remark("loops in order, the innermost one for LLVM's vectorizer")
            self.inner_nests(nest, shared, remarks)
        writer.insert()

    def neighbours(self, nest: krnl.IterateOp, writer: Writer) -> None:
        """Vectors of neighbouring results of a pool."""
        row, column = len(nest.loops) - 2, len(nest.loops) - 1
        window = window_of(nest, column)
        if window is None or row < 0 or static(nest.extents[row]) == 1:
            lanes = self.lanes(nest)
            vectors = side_by_side(static(nest.extents[column]), lanes, self.vectors(nest))
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
        inside = [op for op in nest.body.walk() if isinstance(op, krnl.IterateOp) and not op.inits]
        tiles = [inner for inner in inside if inner.contraction is not None]
        differ = len({_has_window(inner) for inner in tiles}) > 1
        for inner in inside:
            writer = Writer(inner, remarks)
            if inner.contraction is not None:
                self.contraction(inner, writer)
                if differ:
                    writer.outline()
                if not shared and work_of(inner) >= FORKS_WORTH * self.parallel_work:
                    self.parallelize(inner, writer)
            elif is_vectorizable(inner):
                writer.vectorize(len(inner.loops) - 1, self.lanes(inner), 1)
            elif (row := transposed_row(inner, column := stored_axis(inner))) is not None:
                writer.transpose(row, column, TRANSPOSED_TILE, self.lanes(inner))
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
        """Lanes of a vector of the widest element type that the nest touches.

        Short integers have as many lanes as float32 where something wider is computed from them,
        or where more would leave a part of the innermost loop to masks.
        """
        ops = list(nest.walk())
        width = max([8, *map(element_bits, ops)])
        if width >= 32:
            return max(1, self.vector_bits // width)
        extent = static(nest.extents[-1])
        width = max([width, *(value_bits(op) for op in ops)])
        while width < 32 and (extent is None or extent % (self.vector_bits // width)):
            width *= 2
        return max(1, self.vector_bits // min(width, 32))

    def contraction(self, nest: krnl.IterateOp, writer: Writer) -> None:
        """A register tile of rows by columns."""
        row, column = nest.contraction.get_values()  # type: ignore[union-attr]
        lanes = self.lanes(nest)
        extents = [static(bounds) for bounds in nest.extents]
        if not is_vectorizable(nest, column, any_store=extents[column] is not None):
            writer.remark("no tile: its columns are not neighbours in memory")
            return
        are_pairs = has_pairs(nest, column)
        window = None if are_pairs else window_of(nest, column)
        if window is not None:
            self.window(nest, writer, window, row, column)
            return
        sliding = sliding_window(nest, column)
        if sliding is not None and (extents[column] or 0) >= lanes:
            self.places(nest, writer, sliding, row, column)
            return
        width = panel_of(nest, column) or panel_width(
            extents[column] or ASSUMED_EXTENT * lanes, lanes, self.registers, extents[row] or 0
        )
        if extents[row] == 1:
            panels = None if (columns := extents[column]) is None else -(-columns // width)
            width *= panels_at_once(panels, max(1, width // lanes), self.registers)
        vectors = max(1, width // lanes)
        registers = self.registers - _temporaries(nest, are_pairs)
        rows_first = self.rows_first(nest, column)
        pitch = row_pitch(nest, row, column)
        rows = tile_rows(extents[row], vectors, registers, pitch)
        panels = -(-(extents[column] or 0) // width)
        if not rows_first and panels > 1:
            extents[row] = writer.pieces(column, row, rows, panels)
        rows = tile_rows(extents[row], vectors, registers, pitch)
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
        self, nest: krnl.IterateOp, writer: Writer, window: Window, row: int, column: int
    ) -> None:
        """A tile of one vector, with the window unrolled.

        Columns go in pieces of which the weights and what is under a row of windows stay in the
        first cache.
        """
        lanes = self.lanes(nest)
        in_groups = window.is_of_groups(nest.induction_variables[column])
        rows = window_rows(static(nest.extents[row]), window.width, self.registers, in_groups)
        window.unroll()
        writer.cut(column, window.columns(rows, lanes, self.near_bytes // 2), lanes)
        writer.block(column, lanes, static(nest.extents[column]))
        writer.block(row, rows, static(nest.extents[row]))
        writer.tensorize(row, column, lanes, rows_first=True)
        writer.remark(
            f"a tile of {rows} rows by one vector of {lanes}, {self.registers} registers: "
            "columns share no operand, rows what is under an unrolled window"
        )

    def places(
        self, nest: krnl.IterateOp, writer: Writer, window: Window, row: int, column: int
    ) -> None:
        """A tile of places under a window that is unrolled: rows share lines of the data."""
        lanes = self.lanes(nest)
        columns = static(nest.extents[column]) or lanes
        vectors = min(2, columns // lanes)
        rows = min(ROWS_OF_PLACES, tile_rows(static(nest.extents[row]), vectors, self.registers))
        window.unroll()
        writer.block(column, vectors * lanes, columns)
        writer.block(row, rows, static(nest.extents[row]))
        writer.tensorize(row, column, lanes, rows_first=True)
        writer.remark(
            f"a tile of {rows} rows by {vectors} vectors of {lanes} places under an unrolled window"
        )

    def rows_first(self, nest: krnl.IterateOp, column: int) -> bool:
        """Whether strips of rows are outermost, each going through all panels of columns.

        That reads the left-hand side once. The right-hand side is read for every strip, which
        costs nothing as long as it stays in the first cache.
        """
        taps = [
            1 if (size := static(bounds)) is None else size
            for inner in nest.body.block.ops
            if isinstance(inner, krnl.IterateOp)
            for bounds in inner.extents
        ]
        columns = static(nest.extents[column]) or ASSUMED_EXTENT
        return 4 * prod(taps) * columns <= self.near_bytes

    def parallelize(self, nest: krnl.IterateOp, writer: Writer) -> bool:
        """Shares out the outermost loops when there is enough work; tells whether it did."""
        work = work_of(nest)
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


def _has_window(nest: krnl.IterateOp) -> bool:
    """Whether a sum of products is one under a window that each column has for itself."""
    _, column = nest.contraction.get_values()  # type: ignore[union-attr]
    return window_of(nest, column) is not None


def _temporaries(nest: krnl.IterateOp, are_pairs: bool) -> int:
    """Registers that a step of a tile needs besides those of accumulators and operands.

    Sums of pairs that fit 16 bits are made first and then added up, by a factor of ones. Of two
    rows side by side, elements of both and a vector with either are used at once.
    """
    if are_pairs:
        return 4
    dots = (op for op in nest.body.walk() if isinstance(op, krnl.DotOp))
    return 2 if any("short_pairs" in op.attributes for op in dots) else 0
