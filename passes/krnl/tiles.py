"""Shapes of register tiles: how many rows by how many columns of a sum of products.

A tile of R rows and V vectors keeps R * V accumulators, V vectors of the right-hand side and one
broadcast element of the left in registers, and loads R + V operands for R * V products.

A window that every column has for itself (a depthwise convolution, a pool) shares nothing between
columns, but neighbouring rows share what is under it: a tile of R rows and one vector loads
R + K - 1 vectors for the R * K products of one unrolled line of a window that is K wide.
"""

from __future__ import annotations

from collections.abc import Sequence

from dialects.onnx.dims import Dim

MOST_ROWS = 14
"""More rows than this cost code and time to compile, and gain nothing."""

FEWEST_SUMS = 8
"""Accumulators that keep a core busy: two multiply-adds a cycle, of four cycles each."""

SHARES = 4
"""Tiles of a single row that threads find to share."""

MOST_ROWS_OF_VECTORS = 10
"""Of several vectors each: LLVM loads rows ahead, and stores sums when it runs out of registers."""

CACHE_WAYS, CACHE_PERIOD = 8, 4096
"""Of the first cache of most cores: lines of a set, and bytes from one line of it to the next."""

COPIED_COLUMNS = 64
"""What a product copies of a row of its right-hand side at a time: a few lines of each page."""

STREAMS = 4
"""Panels that a single row goes over at once, at least, where there are as many."""

OVERHEAD = 0.5
"""What a tile costs besides its rows, in rows: it loads the columns' operands, starts and ends."""


def panel_width(
    columns: Dim, lanes: int, registers: int, rows: Dim = 0, most_vectors: int | None = None
) -> int:
    """Columns of a panel: so many vectors that tiles over it fill the registers.

    Accumulators need `rows` times the panel's vectors, the operands one more row and a broadcast.
    Many rows (0: a number that only a run knows) want narrow panels, as each vector that is loaded
    then serves many of them; few rows want wide ones. A single row goes over several panels at once
    (`panels_at_once`). The cache that many rows read a panel from holds ``most_vectors`` as deep as
    the panel: a wider one would come from further away each time.
    """
    widths = panel_vectors(registers)
    if rows == 1:
        most = _sums_of_a_row(registers) // STREAMS
        widths = tuple(range(most, most // 2, -1))
    elif isinstance(rows, int) and 0 < rows < (registers - 1) // widths[0] - 1:
        most = (registers - 2) // (rows + 1)
        widths = tuple(range(most, max(most // 2, widths[0]) - 1, -1))
    elif most_vectors is not None:
        widths = tuple(v for v in widths if v <= most_vectors) or (min(widths),)
    if not isinstance(columns, int):
        return lanes * widths[0]
    needed = -(-columns // lanes)
    if needed <= max(widths):
        return lanes * needed
    # The first of the good widths that leaves the fewest padded columns.
    return lanes * min(widths, key=lambda v: -(-needed // v) * v)


def panels_at_once(panels: int | None, vectors: int, registers: int) -> int:
    """Panels of so many vectors that a single row goes over at once, of as many as there are.

    Nothing is used twice then, so that memory is the limit, and it answers several streams sooner
    than one. The sums fill the registers, or a little less where that divides the panels: 64 are 16
    tiles of 4, which two threads share evenly, rather than 10 of 6 and a rest. Where there are few
    panels, tiles of them are narrow enough that threads have some to share.
    """
    most = max(1, _sums_of_a_row(registers) // vectors)
    if panels is not None:
        most = min(most, max(-(-FEWEST_SUMS // vectors), panels // SHARES))
    if panels is None or panels <= most:
        return most if panels is None else max(1, panels)
    return min(range(most, most // 2, -1), key=lambda count: -(-panels // count) * count)


def _sums_of_a_row(registers: int) -> int:
    """Accumulators of a single row: operands come from memory, but for one that is broadcast."""
    return 3 * registers // 4


def panel_vectors(registers: int) -> tuple[int, ...]:
    """Vectors of a panel that tiles of many rows go over, the best first."""
    return (2, 3) if registers < 32 else (4, 3, 2)


def tile_rows(extent: int | None, vectors: int, registers: int, pitch: int = 0) -> int:
    """Rows of a tile of that many vectors; few enough that all tiles are about equally high.

    ``pitch`` is the number of bytes from one row to the next, 0 if it is not known. Rows that lie
    in the same set of the first cache are no more than it holds beside the columns' operands.
    """
    most = MOST_ROWS if vectors == 1 else MOST_ROWS_OF_VECTORS
    if pitch and pitch % CACHE_PERIOD == 0:
        most = CACHE_WAYS - 1
    return _evenly(extent, min(most, (registers - 2 - vectors) // vectors))


def window_rows(extent: int | None, width: int, registers: int, in_groups: bool = False) -> int:
    """Rows of a tile of one vector whose rows share what is under a window ``width`` wide.

    A line of the window needs a register for each accumulator, for each of the `rows + width - 1`
    vectors under it, and one for its weights. Where columns are ``in_groups`` that read the same
    elements, what is shuffled out of those vectors needs registers, too.
    """
    most = registers // 4 if in_groups else (registers - width) // 2
    return _evenly(extent, min(MOST_ROWS, most))


def side_by_side(extent: int | None, lanes: int, most: int) -> int:
    """Vectors of a tile of one row: at most so many, few enough that they divide the columns."""
    return _evenly(None if extent is None else -(-extent // lanes), most)


def _evenly(extent: int | None, most: int) -> int:
    """At most so many rows that take the least time, as the last tile repeats rows to be full."""
    most = max(1, most)
    if extent is None or extent <= most:
        return most if extent is None else max(1, extent)
    heights = range(most, most // 2, -1)
    return min(heights, key=lambda rows: -(-extent // rows) * (rows + OVERHEAD))


def place_axis(spatial: Sequence[Dim]) -> int:
    """A convolution's spatial axis whose places are a tile's rows: the last, or a longer one."""
    sizes = [size if isinstance(size, int) else 64 for size in spatial]
    return max(range(len(sizes)), key=lambda axis: (min(sizes[axis], MOST_ROWS), axis))


def row_axis(dims: Sequence[Dim]) -> int:
    """The axis of a product's left-hand side, but for the last, whose elements are a tile's rows.

    That is the last one that is longer than 1: one matrix serves [197, 1, 768] as [1, 197, 768].
    """
    rows = [axis for axis, dim in enumerate(dims[:-1]) if dim != 1]
    return rows[-1] if rows else len(dims) - 2
