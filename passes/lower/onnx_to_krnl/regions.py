"""Pools over regions of interest: MaxRoiPool and RoiAlign.

The geometry is computed in the data's accumulator type. A region names its image by a number, which
is kept inside for the memory's sake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import math
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar, accumulator_type

i64 = IntegerType(64)


def _whole(k: Kernel, x: Scalar) -> Affine:
    """A float without fraction as an index."""
    return k.index_of(k.s.to_index(k.s.cast(x, i64)))


def _float(k: Kernel, entry: Affine, kind: Attribute) -> Scalar:
    return k.s.from_index(k.index_value(entry), kind)


@root("MaxRoiPool", fuses="none")
def max_roi_pool(k: Kernel, op: OnnxOp) -> None:
    """The largest elements in the cells of a grid over each region, 0 in an empty cell."""
    source, regions = op.operands
    result = op.results[0]
    images, _, *spatial = k.dims(source)
    element = k.element(result)
    kind = accumulator_type(element)

    def body(ivs: list[Affine]) -> None:
        region, channel, *cell = ivs

        def coordinate(place: int) -> Scalar:
            return k.s.cast(k.read(regions, [region, affine(place)]), kind)

        image = index_ops.clamp(k, _whole(k, coordinate(0)), images)
        bounds = []
        for axis, (size, cells, place) in enumerate(
            zip(spatial, op.get("pooled_shape"), cell, strict=True)
        ):
            scale = k.s.const(op.get("spatial_scale"), kind)
            first, last = (
                _whole(k, k.s.unary(math.RoundOp, k.s.mul(coordinate(n - axis), scale)))
                for n in (2, 4)
            )
            length = index_ops.maximum(k, last - first + 1, 1)
            step = k.s.div(_float(k, length, kind), k.s.const(cells, kind))
            low = k.s.floor(k.s.mul(_float(k, place, kind), step))
            high = k.s.unary(math.CeilOp, k.s.mul(_float(k, place + 1, kind), step))
            end = k.size(size)
            bounds.append(
                tuple(
                    index_ops.maximum(k, index_ops.minimum(k, _whole(k, edge) + first, end), 0)
                    for edge in (low, high)
                )
            )
        lowest = k.s.lowest(element)

        def step_(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            return [k.s.max(carried[0], k.read(source, [image, channel, *taps]))]

        (found,) = k.reduce(bounds, [lowest], step_)
        empty = [k.compare_index("le", high, low) for low, high in bounds]
        nothing = k.s.bit_or(empty[0], empty[1])
        k.give(result, ivs, k.s.select(nothing, k.s.const(0, element), found))

    k.nest(k.dims(result), body)


@dataclass(frozen=True)
class _Line:
    """One axis of a region's grid: where it starts, the size of a cell, and samples in each."""

    start: Scalar
    cell: Scalar
    samples: Affine


@root("RoiAlign", fuses="none")
def roi_align(k: Kernel, op: OnnxOp) -> None:
    """Means or maxima of interpolated samples in the cells of a grid over each region."""
    source, regions, numbers = op.operands
    result = op.results[0]
    images, _, *spatial = k.dims(source)
    element = k.element(result)
    kind = accumulator_type(element)
    is_max = op.get("mode") == "max"

    def body(ivs: list[Affine]) -> None:
        region, channel, *cell = ivs
        number = index_ops.read_index(k, numbers, [region])
        image = index_ops.clamp(k, number, images)
        lines = [
            _line(
                k,
                op,
                [k.s.cast(k.read(regions, [region, affine(n - axis)]), kind) for n in (1, 3)],
                axis,
            )
            for axis in range(2)
        ]

        def sample(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            points = [
                _point(k, line, place, tap, size)
                for line, place, tap, size in zip(lines, cell, taps, spatial, strict=True)
            ]
            parts: list[Scalar] = []
            for y, weight_y in points[0].corners:
                for x, weight_x in points[1].corners:
                    value = k.s.cast(k.read(source, [image, channel, y, x]), kind)
                    parts.append(k.s.mul(k.s.mul(weight_y, weight_x), value))
            total = parts[0]
            for part in parts[1:]:
                total = k.s.max(total, part) if is_max else k.s.add(total, part)
            outside = k.s.bit_or(points[0].outside, points[1].outside)
            total = k.s.select(outside, k.s.like(0, total), total)
            return [k.s.max(carried[0], total) if is_max else k.s.add(carried[0], total)]

        initial = k.s.lowest(kind) if is_max else k.s.const(0, kind)
        (found,) = k.reduce([line.samples for line in lines], [initial], sample)
        count = index_ops.product(k, lines[0].samples, lines[1].samples)
        none = k.compare_index("le", count, affine(0))
        if not is_max:
            count = index_ops.maximum(k, count, 1)
            found = k.s.div(found, _float(k, count, kind))
        k.give(result, ivs, k.s.cast(k.s.select(none, k.s.const(0, kind), found), element))

    k.nest(k.dims(result), body)


def _line(k: Kernel, op: OnnxOp, edges: Sequence[Scalar], axis: int) -> _Line:
    """The grid along the height (0) or width (1) of a region."""
    half_pixel = op.SINCE >= 16 and op.get("coordinate_transformation_mode") == "half_pixel"
    cells = op.get("output_width" if axis else "output_height")
    scale = op.get("spatial_scale")
    ends = [k.s.mul(edge, k.s.like(scale, edge)) for edge in edges]
    if half_pixel:
        ends = [k.s.sub(end, k.s.like(0.5, end)) for end in ends]
    length = k.s.sub(ends[1], ends[0])
    if not half_pixel:
        length = k.s.max(length, k.s.like(1, length))
    cell = k.s.div(length, k.s.like(cells, length))
    samples = affine(op.get("sampling_ratio"))
    if not samples.constant:
        samples = index_ops.maximum(k, _whole(k, k.s.unary(math.CeilOp, cell)), 0)
    return _Line(ends[0], cell, samples)


@dataclass(frozen=True)
class _Point:
    """A sample along an axis: its two neighbours with their weights, and whether it counts as 0."""

    corners: tuple[tuple[Affine, Scalar], tuple[Affine, Scalar]]
    outside: Scalar


def _point(k: Kernel, line: _Line, cell: Affine, tap: Affine, size: Dim) -> _Point:
    kind = line.start.element
    s = k.s
    place = s.add(line.start, s.mul(_float(k, cell, kind), line.cell))
    part = s.div(
        s.mul(s.add(_float(k, tap, kind), s.const(0.5, kind)), line.cell),
        _float(k, line.samples, kind),
    )
    at = s.add(place, part)
    end = _float(k, k.size(size), kind)
    outside = s.bit_or(s.compare("lt", at, s.const(-1, kind)), s.compare("gt", at, end))
    at = s.max(at, s.const(0, kind))
    low = index_ops.clamp(k, _whole(k, s.floor(s.min(at, end))), size)
    high = index_ops.clamp(k, low + 1, size)
    at = s.min(at, _float(k, k.size(size) - 1, kind))
    weight = s.sub(at, _float(k, low, kind))
    return _Point(((low, s.sub(s.const(1, kind), weight)), (high, weight)), outside)
