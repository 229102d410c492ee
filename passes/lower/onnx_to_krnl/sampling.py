"""Roots that sample images at coordinates, or add up their patches: GridSample, Col2Im."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType, i32
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim, ceildiv, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, dtype_of, f32, f64
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.quantization import rounded
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.resize_axes import LINEAR, cubic_polynomials, polynomial
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, accumulator_type

i64 = IntegerType(64)
CUBIC_COEFFICIENT = -0.75

POSITIONS = 128
"""Positions whose taps are found before the elements are read there."""


@dataclass(frozen=True)
class Tap:
    """An element along one axis, its weight (None: 1), and when it counts at all (None: always)."""

    place: Affine
    weight: Scalar | None
    inside: Scalar | None


@dataclass(frozen=True)
class _Sampler:
    """How coordinates of one axis of a GridSample become taps."""

    k: Kernel
    mode: str
    padding: str
    aligned: bool
    kind: Attribute

    @property
    def count(self) -> int:
        """How many elements along an axis give one."""
        return {"nearest": 1, "linear": 2, "cubic": 4}[self.mode]

    def taps(self, position: Scalar, dim: Dim) -> list[Tap]:
        """The taps for a position in [-1, 1]."""
        s = self.k.s
        x = self._coordinate(position, dim)
        if self.mode == "nearest":
            return [self._tap(self._padded(s.unary(math.RoundEvenOp, x), dim), None, dim)]
        x = self._padded(x, dim)
        below = s.floor(x)
        distance = s.sub(x, below)
        linear = self.mode == "linear"
        polynomials = LINEAR if linear else cubic_polynomials(CUBIC_COEFFICIENT)
        left = len(polynomials) // 2 - 1
        found = []
        for number, coefficients in enumerate(polynomials):
            weight = polynomial(self.k, coefficients, distance, self.kind)
            assert isinstance(weight, Scalar)
            found.append(self._tap(s.add(below, s.like(number - left, x)), weight, dim))
        return found

    def _length(self, dim: Dim) -> Scalar:
        return self.k.s.from_index(self.k.index_value(self.k.size(dim)), self.kind)

    def _coordinate(self, position: Scalar, dim: Dim) -> Scalar:
        """The position in elements: the ends are the centres of pixels, or their outer edges."""
        s, length = self.k.s, self._length(dim)
        one, half = s.like(1, length), s.like(0.5, length)
        shifted = s.add(s.cast(position, self.kind), one)
        if self.aligned:
            return s.mul(s.mul(shifted, half), s.sub(length, one))
        return s.mul(s.sub(s.mul(shifted, length), one), half)

    def _padded(self, x: Scalar, dim: Dim) -> Scalar:
        """The coordinate after padding; far outside it may be nearer without a difference.

        Cubic interpolation pads its taps only, as PyTorch and ONNX Runtime do.
        """
        s, length = self.k.s, self._length(dim)
        if self.padding == "reflection":
            return self._reflected(x, length)
        padded = self.padding == "border" and self.mode != "cubic"
        margin = s.like(0 if padded else 4, x)
        last = s.sub(length, s.like(1, x))
        return s.max(s.min(x, s.add(last, margin)), s.neg(margin))

    def _reflected(self, x: Scalar, length: Scalar) -> Scalar:
        """Mirrored at both ends until it is between them."""
        s = self.k.s
        low = s.like(0 if self.aligned else -0.5, x)
        span = s.sub(length, s.like(1, x)) if self.aligned else length
        empty = s.equal(span, s.like(0, x))
        period = s.select(empty, s.like(1, x), s.mul(s.like(2, x), span))
        distance = s.abs(s.sub(x, low))
        rest = s.sub(distance, s.mul(s.floor(s.div(distance, period)), period))
        mirrored = s.select(s.compare("gt", rest, span), s.sub(period, rest), rest)
        return s.select(empty, low, s.add(low, mirrored))

    def _tap(self, place: Scalar, weight: Scalar | None, dim: Dim) -> Tap:
        k = self.k
        if self.padding == "reflection":
            place = self._reflected(place, self._length(dim))
        found = index_ops.from_scalar(k, k.s.cast(place, i64))
        inside = k.inside(found, dim) if self.padding == "zeros" else None
        return Tap(index_ops.clamp(k, found, dim), weight, inside)


class _Taps:
    """The taps of some positions in buffers of the kernel's own: where they are, what they weigh.

    A tap is an element of an image, numbered over all axes. One that is not ``inside`` counts as 0,
    whatever stands there.
    """

    def __init__(self, sampler: _Sampler, spatial: Sequence[Dim]) -> None:
        self.sampler = sampler
        self.spatial = spatial
        count, pixels = sampler.count ** len(spatial), product(spatial)
        is_small = isinstance(pixels, int) and pixels < 2**31
        self.kind = i32 if is_small else i64
        self.places = sampler.k.scratch([count, POSITIONS], self.kind)
        self.inside = sampler.k.scratch([count, POSITIONS], i32)
        self.weights = sampler.k.scratch([count, POSITIONS], sampler.kind)

    def find(self, number: Affine, coordinates: Sequence[Scalar]) -> None:
        """Keeps the taps of a position."""
        k = self.sampler.k
        along = [
            self.sampler.taps(position, dim)
            for position, dim in zip(coordinates, self.spatial, strict=True)
        ]
        for n, taps in enumerate(itertools.product(*along)):
            at = [affine(n), number]
            place = affine(0)
            for tap, dim in zip(taps, self.spatial, strict=True):
                place = k.times(place, dim) + tap.place
            k.store(k.s.from_index(k.index_value(place), self.kind), self.places, at)
            weights = [tap.weight for tap in taps if tap.weight is not None]
            if weights:
                k.store(reduce(k.s.mul, weights), self.weights, at)
            inside = [tap.inside for tap in taps if tap.inside is not None]
            if inside:
                k.store(k.s.cast(reduce(k.s.bit_and, inside), i32), self.inside, at)

    def combined(self, number: Affine, read: Callable[[Affine], Scalar]) -> Scalar:
        """The weighted sum of the elements that ``read`` gives."""
        k, total = self.sampler.k, None
        for n in range(self.sampler.count ** len(self.spatial)):
            place = k.load(self.places, [affine(n), number], self.kind)
            value = read(index_ops.from_scalar(k, place))
            if self.sampler.padding == "zeros":
                inside = k.load(self.inside, [affine(n), number], i32)
                inside = k.s.compare("ne", inside, k.s.like(0, inside))
                value = k.s.select(inside, value, k.s.like(0, value))
            if self.sampler.mode != "nearest":
                weight = k.load(self.weights, [affine(n), number], self.sampler.kind)
                value = k.s.mul(k.s.cast(value, self.sampler.kind), weight)
            total = value if total is None else k.s.add(total, value)
        assert total is not None
        return total


@root("GridSample", operands=(1,))
def grid_sample(k: Kernel, op: OnnxOp) -> None:
    """Pixels of images at the positions that a grid holds, x first.

    What the coordinates tell is found for a block of positions, then taken for every channel.
    """
    source, grid = op.operands
    result = op.results[0]
    dims = dims_of(source.type)
    assert dims is not None
    images, channels, *spatial = dims
    mode = str(op.get("mode")).removeprefix("bi")
    kind = f64 if dtype_of(source.type).itemsize == 8 else f32
    sampler = _Sampler(k, mode, op.get("padding_mode"), bool(op.get("align_corners")), kind)
    sizes = k.dims(result)[2:]
    # Rows may be as short as the four points of an attention head: where sizes are known, blocks
    # are of all positions of an image.
    loops = 0 if all(isinstance(size, int) for size in sizes) else len(sizes) - 1
    positions = product(sizes[loops:])

    def body(ivs: list[Affine]) -> None:
        image, *outer, block = ivs
        first = block * POSITIONS
        count = index_ops.minimum(k, k.size(positions) - first, POSITIONS)
        taps = _Taps(sampler, spatial)

        def place(number: Affine) -> list[Affine]:
            return [*outer, *k.divide_along(first + number, sizes[loops:])]

        def pixel(channel: Affine, place: Affine) -> Scalar:
            is_flat = source in k.dims_override
            at = [place] if is_flat else k.divide_along(place, spatial)
            return k.read(source, [image, channel, *at])

        def find(ivs: list[Affine]) -> None:
            at = [image, *place(ivs[0])]
            axes = reversed(range(len(spatial)))
            taps.find(ivs[0], [k.read(grid, [*at, affine(axis)]) for axis in axes])

        def element(ivs: list[Affine]) -> None:
            channel, number = ivs
            value = taps.combined(number, lambda place: pixel(channel, place))
            value = value if mode == "nearest" else rounded(k.s, value, k.element(result))
            k.give(result, [image, channel, *place(number)], value)

        k.nest([count], find)
        k.nest([channels, count], element)

    k.nest([images, *sizes[:loops], ceildiv(positions, POSITIONS)], body)


@result_sizes("Col2Im")
def col2im_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """Batch, channels, and the sizes that `image_shape` lists."""
    dims = k.dims(op.operands[0])
    block = affine(1)
    for size in index_ops.parameters(k, op, 2) or []:
        block = index_ops.product(k, block, size)
    channels = index_ops.floordiv(k, k.size(dims[1]), block)
    return [k.size(dims[0]), channels, *(index_ops.parameters(k, op, 1) or [])]


@root("Col2Im", fuses="maps")
def col2im(k: Kernel, op: OnnxOp) -> None:
    """The sum, for each pixel, of the elements of all patches that hold it."""
    result = op.results[0]
    sizes = k.dims(result)
    image = sizes[2:]
    rank = len(image)
    kernel = index_ops.parameters(k, op, 2) or []
    strides, dilations = (op.get(name) or (1,) * rank for name in ("strides", "dilations"))
    pads = op.get("pads") or (0,) * (2 * rank)
    blocks = [
        (k.size(size) + pads[a] + pads[a + rank] - (kernel[a] - 1) * dilations[a] - 1) // strides[a]
        + 1
        for a, size in enumerate(image)
    ]
    element = k.element(result)
    kind = accumulator_type(element)

    def body(ivs: list[Affine]) -> None:
        batch, channel, *pixel = ivs

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            row, column = channel, affine(0)
            inside: Scalar | None = None
            for a, tap in enumerate(taps):
                start = pixel[a] + pads[a] - tap * dilations[a]
                hits = [k.inside(start // strides[a], blocks[a])]
                if strides[a] > 1:
                    hits.append(k.compare_index("eq", start % strides[a], affine(0)))
                for hit in hits:
                    if hit is not None:
                        inside = hit if inside is None else k.s.bit_and(inside, hit)
                row = index_ops.product(k, row, kernel[a]) + tap
                column = index_ops.product(k, column, blocks[a]) + start // strides[a]
            value = _element_if(k, op, inside, [batch, row, column], kind)
            return [k.s.add(carried[0], value, REDUCTION)]

        (total,) = k.reduce(kernel, [k.s.const(0, kind)], step)
        k.give(result, ivs, k.s.cast(total, element))

    k.nest(list(sizes), body)


def _element_if(
    k: Kernel, op: OnnxOp, inside: Scalar | None, at: list[Affine], kind: Attribute
) -> Scalar:
    """An element of the operand where a condition holds, else 0."""
    source = op.operands[0]
    if inside is None:
        return k.s.cast(k.read(source, at), kind)
    return k.when(inside, lambda: k.s.cast(k.read(source, at), kind), lambda: k.s.const(0, kind))
