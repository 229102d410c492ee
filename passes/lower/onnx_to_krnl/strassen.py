"""`onnx.StrassenSums` and `onnx.StrassenMatMul`: seven products of blocks (`passes/strassen.py`).

    sums[b, p, r, k]    what product p has on its left, of rows r and r + half, depth k of block b

    for blocks of rows, pairs of panels of the weights:         shared out to threads
      for blocks b of the depth:
        for p = 0 .. 6:
          for the first rows r:  for k, c:                      a tile as high as the rows left over
              right[k, c] = what product p has on its right, of the four quarters of both panels
              products[p, r, c] += sums[b, p, r, k] * right[k, c]
          for the other rows r:  for k, c:                      whole tiles
              products[p, r, c] += sums[b, p, r, k] * right[k, c]
      for r, c:      products[0 .. 3, r, c] = the four blocks of the result
      for i, r, j:   for c:  give(products[2 i + j, r, c] + bias)

`right` and `products` are buffers of the thread's own. The weights are read by the first tile
alone, while it multiplies; the depth is cut into blocks so that `right` stays in the first cache.
A block behind the last rows does some of them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import i32
from xdsl.ir import Attribute, SSAValue

from dialects.onnx.dims import numbers_of
from dialects.onnx.ops import OnnxOp, StrassenMatMul, StrassenSums
from dialects.onnx.types import is_none, panel_of
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.contractions import multiply_add
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.strassen import LEFT, RESULTS, RIGHT

PLANE_GAP = 16
"""Numbers between planes of a buffer: planes would else begin at the same places of a cache."""


@root("StrassenSums", fuses="none")
def strassen_sums(k: Kernel, op: OnnxOp) -> None:
    """The left-hand sides of the seven products, of each row and the one half of the rows on."""
    assert isinstance(op, StrassenSums)
    data, sums, axis = op.data, op.sums, op.get("axis")
    blocks, _, _, taps = numbers_of(k.dims(sums))
    rows = _rows(k, data, axis)
    half = -(-rows // 2)

    def pair(row: Affine, is_whole: bool) -> None:
        def step(ivs: list[Affine]) -> None:
            part, tap = ivs

            def block(place: tuple[int, int]) -> Scalar:
                if place[0] and not is_whole:
                    return k.s.const(0, k.element(data))
                at, column = row + half * place[0], (part + blocks * place[1]) * taps + tap
                return k.read(data, k.row_entries(data, at, column))

            for number, term in enumerate(LEFT):
                value = block(term.block)
                if term.sign:
                    value = (k.s.add if term.sign > 0 else k.s.sub)(value, block(term.other))
                k.give(sums, [part, affine(number), row, tap], value)

        k.nest([blocks, taps], step)

    k.nest([rows - half], lambda ivs: pair(ivs[0], is_whole=True))
    if rows % 2:
        k.nest([(half - 1, half)], lambda ivs: pair(ivs[0], is_whole=False))


def _rows(k: Kernel, value: SSAValue, axis: int) -> int:
    """How many rows a tensor has whose columns lie along an axis."""
    dims = [dim for place, dim in enumerate(k.dims(value)) if place != axis]
    assert all(isinstance(dim, int) for dim in dims), "only known numbers of rows are halved"
    return prod(dims)  # type: ignore[arg-type]


@root("StrassenMatMul", fuses="none")
def strassen_matmul(k: Kernel, op: OnnxOp) -> None:
    """The products, and the blocks of the result that they add up to."""
    assert isinstance(op, StrassenMatMul)
    product = _Product(k, op)
    pairs = -(-product.columns // (2 * product.width))
    k.nest([-(-product.half // product.block), pairs], product.run)


class _Product:
    """Sizes of a product, and the steps of a block."""

    def __init__(self, k: Kernel, op: StrassenMatMul) -> None:
        self.k = k
        self.op = op
        self.axis: int = op.get("axis")
        self.block: int = op.get("block")
        self.head: int = op.get("head")
        self.blocks, self.planes, _, self.taps = numbers_of(k.dims(op.sums))
        (self.columns,) = numbers_of([k.dims(op.y)[self.axis]])
        self.width = panel_of(op.weight.type)
        self.rows = _rows(k, op.y, self.axis)
        self.half = -(-self.rows // 2)
        self.kind: Attribute = k.element(op.y)

    def run(self, ivs: list[Affine]) -> None:
        """A block of rows of both halves, for a pair of panels."""
        k, size = self.k, self.block * self.width
        first = index_ops.minimum(k, ivs[0] * self.block, self.half - self.block)
        right = k.scratch([self.taps, self.width], self.kind)
        products = k.scratch([self.planes, size + PLANE_GAP], self.kind)
        if self.blocks > 1:
            zero = k.s.const(0, self.kind)
            k.nest([self.planes, size], lambda at: k.store(zero, products, at))

        def some(at: list[Affine]) -> None:
            self.multiply(at[1], first, at[0], ivs[1], right, products)

        k.nest([self.blocks, self.planes], some)
        k.nest([size], lambda at: self.gather(products, at[0]))
        for half in range(2):
            # The last row of the second half may be none.
            rows = index_ops.minimum(k, affine(self.rows - half * self.half) - first, self.block)
            extents = [rows, 2]
            k.nest(
                extents,
                lambda at, half=half: self.finish(first, ivs[1], half, *at, products=products),
            )

    def multiply(
        self,
        number: Affine,
        first: Affine,
        block: Affine,
        pair: Affine,
        right: SSAValue,
        products: SSAValue,
    ) -> None:
        """One of the seven products, of a block of the depth."""
        k = self.k
        above = block * 4 * self.taps
        quarters = [above + self.quarter(number, [t.block for t in RIGHT])]
        quarters.append(above + self.quarter(number, [t.other for t in RIGHT]))
        sign = _choice(number, [int(t.sign > 0) for t in RIGHT])
        sign = sign - _choice(number, [int(t.sign < 0) for t in RIGHT])
        factor = k.s.cast(k.s.from_index(k.index_value(sign), i32), self.kind)

        def element(tap: Affine, column: Affine, is_first: bool) -> Scalar:
            if not is_first:
                return k.load(right, [tap, column], self.kind)
            place = pair * self.width + column
            one, other = (k.read(self.op.weight, [row + tap, place]) for row in quarters)
            value = k.s.add(one, k.s.mul(factor, other))
            k.store(value, right, [tap, column])
            return value

        def tile(ivs: list[Affine], is_first: bool) -> None:
            row, column = ivs

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                lhs = k.read(self.op.sums, [block, number, first + row, taps[0]])
                rhs = element(taps[0], column, is_first)
                return [multiply_add(k, carried[0], lhs, rhs)]

            place = [number, row * self.width + column]
            (total,) = k.reduce([self.taps], [k.s.const(0, self.kind)], step)
            if self.blocks > 1:
                total = k.s.add(total, k.load(products, place, self.kind))
            k.store(total, products, place)

        k.nest([self.head, self.width], lambda ivs: tile(ivs, True), contraction=(0, 1))
        rest = [(self.head, self.block), self.width]
        k.nest(rest, lambda ivs: tile(ivs, False), contraction=(0, 1))

    def quarter(self, number: Affine, blocks: Sequence[tuple[int, int]]) -> Affine:
        """The row of a block's weights where the quarter of each product begins."""
        below, beside = (_choice(number, [block[i] for block in blocks]) for i in range(2))
        return (below * 2 + beside) * self.taps

    def gather(self, products: SSAValue, at: Affine) -> None:
        """The blocks of the result in the places of the first products."""
        k = self.k
        values = [k.load(products, [affine(p), at], self.kind) for p in range(self.planes)]
        blocks: list[Scalar] = []
        for sums in (sums for row in RESULTS for sums in row):
            total = values[sums[0][0]]
            for number, sign in sums[1:]:
                total = (k.s.add if sign > 0 else k.s.sub)(total, values[number])
            blocks.append(total)
        for number, block in enumerate(blocks):
            k.store(block, products, [affine(number), at])

    def finish(
        self, first: Affine, pair: Affine, half: int, row: Affine, side: Affine, products: SSAValue
    ) -> None:
        """A row of one block of the result."""
        k, op = self.k, self.op
        at, start = first + row + half * self.half, (pair * 2 + side) * self.width

        def element(ivs: list[Affine]) -> None:
            column = start + ivs[0]
            total = k.load(products, [side + half * 2, row * self.width + ivs[0]], self.kind)
            if not is_none(op.bias):
                total = k.s.add(total, k.read(op.bias, [column]))
            k.give(op.y, k.row_entries(op.y, at, column), total)

        # The last panel has columns that the result lacks.
        k.nest([index_ops.minimum(k, start * -1 + self.columns, self.width)], element)


def _choice(number: Affine, bits: Sequence[int]) -> Affine:
    """The bit with that number, as an index expression: a sum of steps.

    So that what is read with it stays affine. For n bits and 0 <= x < n, x reaches a where
    (x + n - a) // n is 1.
    """
    value, before = affine(bits[0]), bits[0]
    for at, bit in enumerate(bits[1:], 1):
        if bit != before:
            value = value + ((number + (len(bits) - at)) // len(bits)) * (bit - before)
        before = bit
    return value
