"""Windows that each column has for itself: depthwise convolutions, pools, narrow groups.

    for rows, columns:  acc = 0;  for taps:  acc += data[row + tap, column] * weight[tap, column]

Columns share no operand, so that a tile of registers gains nothing from more than one vector. What
is under the windows of neighbouring rows overlaps: with all taps unrolled, LLVM loads it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.ir import SSAValue

from dialects import krnl
from passes.krnl.nests import is_grouped, loads_along

MOST_TAPS = 16
"""More are not unrolled, only the lines of a window: rows share what lies under one line."""


@dataclass(frozen=True)
class Window:
    """The loop over the taps of a window, and how many there are along each of its axes."""

    taps: krnl.IterateOp
    extents: tuple[int, ...]

    def is_of_groups(self, variable: SSAValue) -> bool:
        """Whether a few columns read the same elements, which are shuffled out of vectors."""
        loads = loads_along(self.taps, variable)
        return any(is_grouped(op.map.data.results[-1], place) for op, place in loads)

    @property
    def width(self) -> int:
        """Taps along the longest axis."""
        return max(self.extents)

    def columns(self, rows: int, lanes: int, near_bytes: int) -> int:
        """How many columns, in whole vectors, may be in use at once for a cache of that size.

        In use are all weights of a column, and the elements under the windows of a tile.
        """
        lines = prod(self.extents) // self.width
        elements = prod(self.extents) + lines * (rows + self.width)
        return max(1, near_bytes // (4 * elements * lanes)) * lanes

    def unroll(self) -> None:
        """Has taps computed side by side: all of them, or those of the inner loops."""
        block = self.taps.parent
        assert block is not None
        for depth, loop in reversed(list(enumerate(self.taps.loops))):
            if prod(self.extents[depth:]) <= MOST_TAPS:
                block.insert_op_before(krnl.UnrollOp(loop), self.taps)


def sliding_window(nest: krnl.IterateOp, column: int) -> Window | None:
    """The window of a nest whose columns are places under it: neighbours along a row of data."""
    found = _taps(nest)
    if found is None:
        return None
    variable, taps = nest.induction_variables[column], set(found.taps.induction_variables)
    for op, _ in loads_along(found.taps, variable):
        used = {op.indices[place] for place in op.map.data.results[-1].used_dims()}
        if variable in used and taps & used:
            return found
    return None


def window_of(nest: krnl.IterateOp, column: int) -> Window | None:
    """The window of a nest in which everything that is summed up varies from column to column."""
    variable = nest.induction_variables[column]
    found = _taps(nest)
    if found is None:
        return None
    loads = [op for op in found.taps.body.walk() if isinstance(op, krnl.LoadOp)]
    return found if all(variable in op.indices for op in loads) else None


def _taps(nest: krnl.IterateOp) -> Window | None:
    """The only loop inside of a nest, if it hands on values and its length is known."""
    inner = [op for op in nest.body.block.ops if isinstance(op, krnl.IterateOp)]
    if len(inner) != 1 or not inner[0].inits:
        return None
    (taps,) = inner
    extents = []
    for lower, upper in taps.extents:
        if not (isinstance(lower, int) and isinstance(upper, int)):
            return None
        extents.append(upper - lower)
    return Window(taps, tuple(extents)) if prod(extents) and extents[-1] <= MOST_TAPS else None
