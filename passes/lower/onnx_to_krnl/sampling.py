"""Roots that sample images at coordinates, or add up their patches: GridSample, Col2Im."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dtype_of, f32, f64
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


@root("GridSample", operands=(1,))
def grid_sample(k: Kernel, op: OnnxOp) -> None:
    """Pixels of images at the positions that a grid holds, x first; all channels of one at once."""
    source, grid = op.operands
    result = op.results[0]
    dims, sizes = k.dims(source), k.dims(result)
    mode = str(op.get("mode")).removeprefix("bi")
    kind = f64 if dtype_of(source.type).itemsize == 8 else f32
    sampler = _Sampler(k, mode, op.get("padding_mode"), bool(op.get("align_corners")), kind)
    spatial = dims[2:]

    def body(ivs: list[Affine]) -> None:
        taps = [
            sampler.taps(k.read(grid, [*ivs, affine(len(spatial) - 1 - axis)]), dim)
            for axis, dim in enumerate(spatial)
        ]

        def channel(inner: list[Affine]) -> None:
            value = _combined(k, op, [ivs[0], *inner], taps, None, kind)
            value = value if mode == "nearest" else rounded(k.s, value, k.element(result))
            k.give(result, [ivs[0], *inner, *ivs[1:]], value)

        k.nest([dims[1]], channel)

    k.nest([sizes[0], *sizes[2:]], body)


def _combined(
    k: Kernel,
    op: OnnxOp,
    at: list[Affine],
    taps: Sequence[Sequence[Tap]],
    inside: Scalar | None,
    kind: Attribute,
) -> Scalar:
    """The weighted sum over the taps of the axes that are left."""
    if not taps:
        value = k.read(op.operands[0], at)
        value = value if op.get("mode") == "nearest" else k.s.cast(value, kind)
        return value if inside is None else k.s.select(inside, value, k.s.like(0, value))
    total: Scalar | None = None
    for tap in taps[0]:
        both = tap.inside
        if both is not None and inside is not None:
            both = k.s.bit_and(both, inside)
        value = _combined(k, op, [*at, tap.place], taps[1:], both, kind)
        value = value if tap.weight is None else k.s.mul(value, tap.weight)
        total = value if total is None else k.s.add(total, value)
    assert total is not None
    return total


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
