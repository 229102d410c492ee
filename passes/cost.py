"""What products of matrices cost, in cycles of one core.

Counted from their sizes and the description of a target, for passes that choose between ways to
compute the same: `onnx-apply-winograd`, `onnx-apply-strassen`.
"""

from __future__ import annotations

from dataclasses import dataclass

from passes.krnl.tiles import panel_width, tile_rows

MEMORY_BYTES_PER_CYCLE = 4
"""What one core reads from memory."""

TILE_OVERHEAD = 16
"""Cycles to begin and end a tile of registers."""


@dataclass(frozen=True)
class Numbers:
    """What is multiplied: how many numbers of an operand each lane takes in with one product, how
    many of these a core starts in a cycle, and the bytes of a direct weight and of a mapped number.
    """

    group: int
    products_per_cycle: float
    weight_bytes: int
    mapped_bytes: int


FLOATS = Numbers(1, 2, 4, 4)
"""float32: a multiply-add is one operation."""

INTEGERS = Numbers(2, 1.5, 1, 2)
"""Bytes, and what the maps make of them: the sum of a pair's products is added by another one."""


@dataclass(frozen=True)
class Machine:
    """A core: lanes and number of vector registers, its first, its second and the shared cache."""

    lanes: int
    registers: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int


def product_cycles(
    machine: Machine, numbers: Numbers, rows: int, columns: int, depth: int
) -> float:
    """Products of [rows, depth] with [depth, columns] packed in panels, tile by tile."""
    panel = panel_width(columns, machine.lanes, machine.registers)
    vectors = panel // machine.lanes
    height = tile_rows(rows, vectors, machine.registers)
    tiles = -(-rows // height) * -(-columns // panel)
    cycles = -(-depth // numbers.group) / numbers.products_per_cycle + 1
    return tiles * (height * vectors * cycles + TILE_OVERHEAD)
