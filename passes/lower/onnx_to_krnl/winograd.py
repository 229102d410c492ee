"""`onnx.WinogradConv`: tiles of the result from products of transformed tiles of the data.

With m x m outputs in a tile, T tiles in a block, n = stride * (m - 1) + 3 and xi = 1 .. n^2:

    for images, groups of output channels, blocks:            shared out to threads
      for t, c:     data_[xi, t, c] = (B^T d B)[xi]            d: the n x n elements under the tile
      for some columns (output channels) at a time:
        for xi:  for t, k:  sums[xi, t, k] = sum over c of data_[xi, t, c] * weight[xi, c, k]
        for t, k:      sums[xi, t, k] = (A^T sums A)[xi]
        for t, k, elements of the tile:  give(sums + bias)

`data_` and `sums` are buffers of the thread's own, so small that they stay in its cache; the
product is a contraction like any other, whose panel of weights serves all tiles of the block. A
block behind the last tile does that one again. Where all tiles of one image are one block, its data
are transformed once, by all threads, and groups are shared out after that.

With a dilation tiles are of elements so far apart, d of them side by side along an axis begin at
neighbouring elements: the convolution is one of d^2 interleaved images without dilation.

Of integers `data_` has 16 bits and is multiplied in pairs of channels; elements come as multiples
of the outputs (`passes/winograd/integers.py`).

Requires channels-last data and packed weights (`passes/onnx/assign_layouts/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from xdsl.dialects.builtin import i8, i16, i32
from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim, ceildiv
from dialects.onnx.ops import OnnxOp, WinogradConv
from dialects.onnx.types import is_none, panel_of
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.contractions import accumulate
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.winograd.cost import columns_at_a_time, tiles_along
from passes.winograd.integers import integer_maps
from passes.winograd.matrices import Arithmetic, Matrix, apply, length_of, matrices

PLANE_GAP = 16
"""Lanes between planes of a buffer: planes would else begin at the same places of a cache."""

TILES_AT_A_TIME = 24
"""Tiles that are multiplied with whole tiles of registers, of 12, 8, 6 or 4 rows, where only a run
knows how many a block has."""

PAIR = 2
"""Integers that are multiplied at once."""


@root("WinogradConv", fuses="none")
def winograd_conv(k: Kernel, op: OnnxOp) -> None:
    """All tiles of all images."""
    assert isinstance(op, WinogradConv)
    layer = _Layer(k, op)
    blocks = ceildiv(layer.tiles, layer.block)
    if layer.images == 1 and blocks == 1:
        layer.run_together()
    else:
        k.nest([layer.images, layer.groups, blocks], layer.run)


class _Layer:
    """Sizes of a layer, and the steps of a block."""

    def __init__(self, k: Kernel, op: WinogradConv) -> None:
        self.k = k
        self.op = op
        self.tile: int = op.get("tile")
        self.stride: int = op.get("stride")
        self.dilation: int = op.get("dilation")
        self.block: int = op.get("block")
        self.groups: int = op.get("groups")
        self.images, _, *self.sizes = k.dims(op.y)
        down, self.across = (tiles_along(n, self.tile, self.dilation) for n in self.sizes)
        self.tiles: Dim = down * self.across
        planes, steps, outputs = k.dims(op.weight)
        assert isinstance(planes, int) and isinstance(steps, int) and isinstance(outputs, int)
        self.planes, self.steps, self.outputs = planes, steps, outputs
        self.columns = columns_at_a_time(outputs, panel_of(op.weight.type))
        self.length = length_of(self.tile, self.stride)
        self.kind = k.element(op.y)
        self.is_integer = "onnx.packed" in op.attributes
        maps = integer_maps if self.is_integer else matrices
        self.maps = maps(self.tile, self.stride)
        self.mapped = i16 if self.is_integer else self.kind
        self.channels = steps * PAIR if self.is_integer else steps

    def run(self, ivs: list[Affine]) -> None:
        """One block of tiles, for a group of the output channels."""
        image, group, block = ivs
        mapped, data = self.data_buffer()
        first = block * self.block
        count = self.count(first)
        self.k.nest([count], lambda t: self.transform_data(image, first, t[0], mapped))
        self.run_group(image, group, first, count, data)

    def count(self, first: Affine) -> Bound:
        """How many tiles a block has. The last one does some twice, unless that may be most."""
        if isinstance(self.tiles, int):
            return self.block
        return index_ops.minimum(self.k, self.k.size(self.tiles) - first, self.block)

    def run_together(self) -> None:
        """The only block: all groups take the same transformed data."""
        image = first = affine(0)
        mapped, data = self.data_buffer()
        self.k.nest([self.block], lambda t: self.transform_data(image, first, t[0], mapped))
        self.k.nest(
            [self.groups], lambda ivs: self.run_group(image, ivs[0], first, self.block, data)
        )

    def run_group(
        self, image: Affine, group: Affine, first: Affine, count: Bound, data: SSAValue
    ) -> None:
        """The products of a block's transformed data, for a group of the output channels."""
        k, sums = self.k, self.buffer(self.columns)

        def some(part: Affine, width: int) -> None:
            column = part * self.columns
            self.multiply(data, sums, count, column, width)
            k.nest([count], lambda t: self.finish(image, first, t[0], sums, column, width))

        whole, rest = divmod(self.outputs, self.columns)
        parts = whole + (rest > 0)
        share = -(-parts // self.groups)
        lower, upper = group * share, group * share + share
        full = (lower, index_ops.minimum(k, upper, whole))
        k.nest([full], lambda ivs: some(ivs[0], self.columns))
        if rest:
            last = (index_ops.maximum(k, lower, whole), index_ops.minimum(k, upper, parts))
            k.nest([last], lambda ivs: some(ivs[0], rest))

    def buffer(self, columns: int) -> SSAValue:
        """A buffer for all planes of a block."""
        return self.k.scratch([self.planes, self.block * columns + PLANE_GAP], self.kind)

    def data_buffer(self) -> tuple[SSAValue, SSAValue]:
        """The buffer of transformed data as it is written, and as products read it."""
        if not self.is_integer:
            buffer = self.buffer(self.channels)
            return buffer, buffer
        k, width = self.k, self.block * self.steps + PLANE_GAP
        numbers = self.planes * width * PAIR
        room = k.scratch([numbers * i16.width.data // i8.width.data], i8)
        words = k.view(room, [self.planes, width * PAIR], i16)
        return words, k.view(room, [self.planes, width], self.kind)

    def corner(self, first: Affine, t: Affine) -> list[Affine]:
        """The first output of a tile."""
        k = self.k
        number = index_ops.minimum(k, first + t, k.size(self.tiles) - 1)
        entries, d = k.divide(number, self.across), self.dilation
        return [entry // d * (self.tile * d) + entry % d for entry in entries]

    def transform_data(self, image: Affine, first: Affine, t: Affine, data: SSAValue) -> None:
        """B^T d B of one tile, for all channels; d has zeros where the tile leaves the image."""
        k = self.k
        y, x = (entry * self.stride for entry in self.corner(first, t))
        height, width = k.dims(self.op.data)[2:]
        top, left = self.op.get("pads")[:2]
        rows = [self.row(y + (row * self.dilation - top), height) for row in range(self.length)]
        inside = self.columns_inside(x - left, width, height)
        zero = k.s.const(0, self.mapped)

        def body(ivs: list[Affine]) -> None:
            (c,) = ivs
            place = t * self.channels + c

            def read(row: int, column: Affine) -> Scalar:
                entry, is_inside = rows[row]
                at = x + column * self.dilation - left
                value = k.read(self.op.data, [image, c, entry, at])
                value = k.s.cast(value, self.mapped)
                return value if is_inside is None else k.s.select(is_inside, value, zero)

            def clear(ivs: list[Affine]) -> None:
                for row in range(self.length):
                    k.store(zero, data, [ivs[0] + row * self.length, place])

            self.transform(self.maps.inputs, data, place, read, inside, clear)

        k.nest([self.channels], body)

    def row(self, entry: Affine, height: Dim) -> tuple[Affine, Scalar | None]:
        """A row that can be read, and whether it is the wanted one (None: certainly)."""
        is_inside = self.k.inside(entry, height)
        return (entry if is_inside is None else index_ops.clamp(self.k, entry, height)), is_inside

    def columns_inside(self, start: Affine, width: Dim, height: Dim) -> tuple[Affine, Affine]:
        """Which columns of a tile that begins at ``start`` are in the image."""
        k, length, d = self.k, affine(self.length), self.dilation
        before, behind = ((entry + (d - 1)) // d for entry in (start * -1, k.size(width) - start))
        lower = index_ops.minimum(k, index_ops.maximum(k, before, 0), length)
        upper = index_ops.minimum(k, behind, length)
        if not isinstance(height, int) or height == 0:
            # Of no rows there is none that can be read.
            upper = index_ops.minimum(k, upper, k.size(height) * self.length)
        return lower, index_ops.maximum(k, upper, lower)

    def transform(
        self,
        matrix: Matrix,
        planes: SSAValue,
        place: Affine,
        read: Callable[[int, Affine], Scalar],
        inside: tuple[Affine, Affine] | None = None,
        clear: Callable[[list[Affine]], None] | None = None,
    ) -> None:
        """A matrix times columns, then times rows of what ``read`` gives (row, column) of.

        The outcome goes to ``place`` in the planes. Columns that are not ``inside`` are zeros,
        which ``clear`` writes.
        """
        k, kind = self.k, self.kind if matrix is self.maps.outputs else self.mapped
        lower, upper = inside or (affine(0), affine(self.length))

        def down(ivs: list[Affine]) -> None:
            values = [read(row, ivs[0]) for row in range(self.length)]
            for row, value in enumerate(self.apply(matrix, values)):
                k.store(value, planes, [ivs[0] + row * self.length, place])

        def along(ivs: list[Affine]) -> None:
            row = ivs[0] * self.length
            values = [k.load(planes, [row + column, place], kind) for column in range(self.length)]
            for column, value in enumerate(self.apply(matrix, values)):
                k.store(value, planes, [row + column, place])

        k.nest([(lower, upper)], down)
        for outside in ((affine(0), lower), (upper, affine(self.length))):
            if clear is not None and outside[0] != outside[1]:
                k.nest([outside], clear)
        k.nest([len(matrix)], along)

    def apply(self, matrix: Matrix, values: Sequence[Scalar]) -> list[Scalar]:
        """A matrix times a vector of scalars."""
        s = self.k.s

        def scaled(a: Scalar | None, factor: Fraction, b: Scalar) -> Scalar:
            product = s.mul(b, s.like(float(factor), b))
            return product if a is None else s.add(a, product)

        return apply(matrix, values, Arithmetic(s.add, s.sub, scaled))

    def multiply(
        self, data: SSAValue, sums: SSAValue, count: Bound, column: Affine, width: int
    ) -> None:
        """The products of all planes, for some columns.

        Of a number of tiles that only a run knows: what is multiplied beside them is not read.
        """
        k = self.k

        def product(plane: Affine, t: Affine, output: Affine) -> None:
            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                a = k.load(data, [plane, t * self.steps + taps[0]], self.kind)
                b = k.read(self.op.weight, [plane, taps[0], column + output])
                return [accumulate(k, self.op, carried[0], a, b)]

            (total,) = k.reduce([self.steps], [k.s.const(0, self.kind)], step)
            k.store(total, sums, [plane, t * width + output])

        rows = self.block if isinstance(count, int) else min(self.block, TILES_AT_A_TIME)

        def some(plane: Affine, start: Affine) -> None:
            def element(ivs: list[Affine]) -> None:
                product(plane, start + ivs[0], ivs[1])

            k.nest([rows, width], element, contraction=(0, 1))

        def of_plane(ivs: list[Affine]) -> None:
            if isinstance(count, int):
                some(ivs[0], affine(0))
                return
            pieces = (count + (rows - 1)) // rows
            most = self.block - rows
            k.nest([pieces], lambda at: some(ivs[0], index_ops.minimum(k, at[0] * rows, most)))

        k.nest([self.planes], of_plane)

    def finish(
        self, image: Affine, first: Affine, t: Affine, sums: SSAValue, column: Affine, width: int
    ) -> None:
        """The outputs of one tile, for some columns."""
        k = self.k
        corner = self.corner(first, t)
        d = self.dilation
        rest = [
            index_ops.minimum(k, (k.size(size) - start + (d - 1)) // d, self.tile)
            for size, start in zip(self.sizes, corner, strict=True)
        ]

        def body(ivs: list[Affine]) -> None:
            (c,) = ivs
            place = t * width + c

            def read(row: int, at: Affine) -> Scalar:
                return k.load(sums, [at + row * self.length, place], self.kind)

            def element(ivs: list[Affine]) -> None:
                total = k.load(sums, [ivs[0] * self.length + ivs[1], place], self.kind)
                if self.is_integer:
                    total = self.divided(total, ivs)
                if not is_none(self.op.bias):
                    total = k.s.add(total, k.read(self.op.bias, [column + c]))
                at = [start + entry * d for start, entry in zip(corner, ivs, strict=True)]
                k.give(self.op.y, [image, column + c, *at], total)

            self.transform(self.maps.outputs, sums, place, read)
            k.nest(rest, element)

        k.nest([width], body)

    def divided(self, multiple: Scalar, at: list[Affine]) -> Scalar:
        """The output of which an element of a tile is a multiple modulo 2^32."""
        k, maps = self.k, integer_maps(self.tile, self.stride)
        if maps.odd != 1:
            multiple = k.s.mul(multiple, k.s.like(maps.inverse, multiple))
        # Shifts fall by one with each row down to the last ones.
        first, last = maps.shifts[0], maps.shifts[-1]
        distances = [index_ops.maximum(k, entry * -1 + first, last) for entry in at]
        distance = k.s.from_index(k.index_value(distances[0] + distances[1]), i32)
        return k.s.shift_right(multiple, distance)
