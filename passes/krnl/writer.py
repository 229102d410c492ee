"""Writes the schedule of one loop nest: blocks, order, tiles, vectors."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.ir import Operation, SSAValue

from dialects import krnl
from passes.krnl.nests import ASSUMED_EXTENT, finds_places, static

ENOUGH_SHARES = 16
"""Iterations that can be shared out evenly to some threads."""

ROWS_OF_A_PIECE = 336
"""Rows of a product's left-hand side that go through all panels before the next ones do.

Fewer of them stay closer to a core; for so many, reading all panels again costs little, even from
memory: 4 bytes for 336 products.
"""


@dataclass(frozen=True)
class ShareableLoop:
    """A loop that may be shared out, with its iterations, which may be assumed ones."""

    handle: SSAValue
    iterations: int
    is_known: bool


class Writer:
    """Collects the schedule operations of one nest, and the order of its loops."""

    def __init__(self, nest: krnl.IterateOp, remarks: list[str]) -> None:
        self.nest = nest
        self.remarks = remarks
        self.ops: list[Operation] = []
        self.handles: list[SSAValue] = list(nest.loops)
        self.outer = list(nest.loops)
        self.iterations = [ASSUMED_EXTENT if (n := static(b)) is None else n for b in nest.extents]
        self.first: list[ShareableLoop] = []
        self.tiles: dict[int, SSAValue] = {}

    def remark(self, text: str) -> None:
        """Says why something was chosen."""
        sizes = ("?" if (n := static(bounds)) is None else str(n) for bounds in self.nest.extents)
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
        extents = [static(bounds) for bounds in self.nest.extents]
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
        self.first.append(ShareableLoop(op.outer, extent // size, True))
        self.handles[axis] = self.outer[axis] = op.inner
        self.iterations[axis] = size
        return size if axis == row else extents[row]

    def cut(self, axis: int, most: int, lanes: int) -> None:
        """Cuts a loop of known length into about equal pieces that are gone through one by one."""
        extent = static(self.nest.extents[axis])
        if extent is None or extent <= most:
            return
        size = -(-extent // (-(-extent // most) * lanes)) * lanes
        op = krnl.BlockOp(self.handles[axis], size)
        self.ops.append(op)
        self.first.append(ShareableLoop(op.outer, -(-extent // size), True))
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

    def innermost(self, axis: int) -> None:
        """Moves a loop inside of all others."""
        self.tiles[axis] = self.outer[axis]
        others = [handle for handle in self.outer if handle is not self.outer[axis]]
        self.ops.append(krnl.PermuteOp([*others, self.outer[axis]]))

    def transpose(self, row: int, column: int, size: int, lanes: int) -> None:
        """Goes through two loops in squares that stay in the cache, ``column`` inside.

        Where both sizes are known, the squares are made of smaller ones that stay in registers;
        not where places along the innermost loop are computed, of which each is its own.
        """
        extents = [static(self.nest.extents[axis]) for axis in (row, column)]
        for axis, extent in zip((row, column), extents, strict=True):
            self.block(axis, size, extent)
        order: list[SSAValue] = []
        for axis, handle in enumerate(self.outer):
            if self.tiles.get(axis) is not handle:
                order.append(handle)
                self.first.append(self.loop(axis))
        pair = [self.tiles[row], self.tiles[column]]
        shorter = min(lanes if n is None else n for n in extents)
        # Squares of half a vector are better than none.
        lanes = lanes if shorter >= lanes else lanes // 2
        if finds_places(self.nest) or None in extents or shorter < lanes:
            self.ops.append(krnl.PermuteOp([*order, *pair]))
            return
        rows, columns = krnl.BlockOp(pair[0], lanes), krnl.BlockOp(pair[1], lanes)
        order += [rows.outer, columns.outer, rows.inner, columns.inner]
        self.ops += [rows, columns, krnl.PermuteOp(order)]
        self.ops.append(krnl.TensorizeOp(rows.inner, columns.inner, lanes))

    def vectorize(self, axis: int, lanes: int, vectors: int) -> None:
        """Runs an innermost loop as vectors, some of them side by side."""
        extent = static(self.nest.extents[axis])
        if vectors > 1 and (extent is None or extent > lanes):
            self.block(axis, vectors * lanes, extent)
        else:
            self.tiles[axis] = self.nest.loops[axis]
        self.ops.append(krnl.VectorizeOp(self.tiles[axis], lanes))

    def outline(self) -> None:
        """Makes the nest a function of its own."""
        self.ops.append(krnl.OutlineOp(self.outer[0]))

    def loop(self, axis: int) -> ShareableLoop:
        """The outermost loop over an axis."""
        is_known = static(self.nest.extents[axis]) is not None
        return ShareableLoop(self.outer[axis], self.iterations[axis], is_known)

    def outer_loops(self) -> list[ShareableLoop]:
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
