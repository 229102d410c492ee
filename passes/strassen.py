"""Strassen's product of two matrices of 2 x 2 blocks: seven products of blocks in place of eight.

    [C11 C12]   [A11 A12] [B11 B12]    M1 = (A11 + A22) (B11 + B22)    M5 = (A11 + A12) B22
    [C21 C22] = [A21 A22] [B21 B22]    M2 = (A21 + A22)  B11           M6 = (A21 - A11) (B11 + B12)
                                       M3 =  A11 (B12 - B22)           M7 = (A12 - A22) (B21 + B22)
                                       M4 =  A22 (B21 - B11)

    C11 = M1 + M4 - M5 + M7     C12 = M3 + M5     C21 = M2 + M4     C22 = M1 - M2 + M3 + M6

(V. Strassen, "Gaussian Elimination is not Optimal", Numerische Mathematik 13, 1969.) That one step
pays for matrices of a few hundred rows, if the sums are formed where the blocks are loaded anyway,
is from Huang, Smith, Henry and van de Geijn, "Strassen's Algorithm Reloaded", SC16.

Used by `onnx-apply-strassen`, which decides by the costs below, and by the lowering of
`onnx.StrassenSums` and `onnx.StrassenMatMul`.
"""

from __future__ import annotations

from dataclasses import dataclass

from passes.cost import FLOATS, MEMORY_BYTES_PER_CYCLE, Machine, product_cycles
from passes.krnl.tiles import CACHE_PERIOD, panel_vectors, tile_rows

Block = tuple[int, int]
"""Row and column of a block, 0 or 1."""


@dataclass(frozen=True)
class Term:
    """A block, and another one that is added to it (``sign`` 1), subtracted (-1) or absent (0)."""

    block: Block
    other: Block
    sign: int = 0


def _term(text: str) -> Term:
    """``12-22``: block 12 minus block 22."""
    blocks = [(int(text[at]) - 1, int(text[at + 1]) - 1) for at in range(0, len(text), 3)]
    sign = {"+": 1, "-": -1, "": 0}[text[2:3]]
    return Term(blocks[0], blocks[-1], sign)


LEFT = tuple(map(_term, ("11+22", "21+22", "11", "22", "11+12", "21-11", "12-22")))
RIGHT = tuple(map(_term, ("11+22", "11", "12-22", "21-11", "22", "11+12", "21+22")))
"""The factors of each product."""

RESULTS = (
    (((0, 1), (3, 1), (4, -1), (6, 1)), ((2, 1), (4, 1))),
    (((1, 1), (3, 1)), ((0, 1), (1, -1), (2, 1), (5, 1))),
)
"""The blocks of the result: products, and their signs."""

MOST_ROWS = 160
"""Rows of each half that are multiplied at a time: their products stay in the core's cache."""

FEWEST_TILES = 4
"""A half of fewer tiles of rows is too few for the time that forming sums of weights takes."""

SUMS = 11
"""Loads and stores of four elements of the left-hand side and of the seven sums of them."""

SHARE_OF_CACHE = 0.25
"""Sums that fill more than that of the shared cache are written to memory, and read from there."""

FORMING = 3.5
"""Cycles in which a vector of the right-hand side's sums is loaded and stored, for each step."""

GATHERING = 30
"""Cycles from seven products of blocks, of a vector each, to four vectors of the result."""

TILE_CYCLES = 32
"""What a tile costs besides its products, more than `passes/cost.py` counts: sums over
half the depth begin and end twice as often."""

KEPT = 0.5
"""The part of the first cache that keeps a block of the right-hand side's sums."""

WORTHWHILE = 0.955
"""The most of the direct product's cost that is worth the sums' memory and rounding."""


@dataclass(frozen=True)
class Plan:
    """How a product is computed: see `onnx.StrassenMatMul`. Costs are cycles of one core."""

    panel: int
    taps: int
    block: int
    head: int
    cycles: int
    direct: int

    @property
    def is_worthwhile(self) -> bool:
        """Whether that is enough faster than the direct product."""
        return self.cycles < WORTHWHILE * self.direct


def pair_width(columns: int, lanes: int, registers: int) -> int:
    """Columns of a panel of which there is an even number; 0 where no good width has that."""
    widths = [vectors * lanes for vectors in panel_vectors(registers)]
    widths = [width for width in widths if -(-columns // width) % 2 == 0]
    return min(widths, key=lambda width: -(-columns // width) * width, default=0)


def plan(rows: int, depth: int, columns: int, machine: Machine) -> Plan | None:
    """The plan for a product of [rows, depth] with [depth, columns].

    None where the depth or the number of panels is odd, or the rows are too few. An odd row is
    paired with zeros.
    """
    width = pair_width(columns, machine.lanes, machine.registers)
    if depth % 2 or not width:
        return None
    vectors, half = width // machine.lanes, -(-rows // 2)
    height = tile_rows(None, vectors, machine.registers)
    if half < FEWEST_TILES * height:
        return None
    blocks = -(-half // MOST_ROWS)
    block = -(-half // blocks)
    # The tile that forms sums of the right-hand side has the rows that are left by whole ones.
    head = (block - 1) % height + 1
    tiles = (block - head) // height
    forming = depth / 2 * vectors * max((head + 1) / FLOATS.products_per_cycle, FORMING)
    products = product_cycles(machine, FLOATS, tiles * height, width, depth // 2)
    pair = 7 * (products + forming + TILE_CYCLES * (tiles + 1)) + GATHERING * block * vectors
    sums = SUMS * half * depth / 2 / machine.lanes
    if len(LEFT) * half * depth / 2 * FLOATS.mapped_bytes > SHARE_OF_CACHE * machine.l3_bytes:
        moved = SUMS + len(LEFT)
        sums += FLOATS.mapped_bytes * moved * half * depth / 2 / MEMORY_BYTES_PER_CYCLE
    cycles = blocks * -(-columns // (2 * width)) * pair + sums
    direct = product_cycles(machine, FLOATS, rows, columns, depth)
    taps = block_of_depth(depth // 2, width, machine.l1_bytes)
    return Plan(width, taps, block, head, round(cycles), round(direct))


def block_of_depth(depth: int, width: int, l1_bytes: int) -> int:
    """So much of the depth at a time that sums of the weights stay in the first cache.

    A divisor of the depth; all of it where the divisors are too small to be worth a visit to the
    products each.
    """
    most = max(1, min(depth, int(KEPT * l1_bytes) // (FLOATS.weight_bytes * width)))
    found = max(taps for taps in range(1, most + 1) if depth % taps == 0)
    return depth if 2 * found < most else found


def rows_of_plane(half: int, taps: int) -> int:
    """Rows of one product's sums, with one as a gap where planes would begin in the same places of
    the first cache: all seven are written at once.
    """
    return half + (half * taps * FLOATS.weight_bytes % CACHE_PERIOD == 0)
