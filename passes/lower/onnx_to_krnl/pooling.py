"""Pools: roots that combine the elements under a window.

A tap of a window that lies outside of the operand is not read. Only windows at the sides ask: those
that lie inside have a nest of their own, without branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import math

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import resolve_pads
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.reductions import number
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, accumulator_type

Step = Callable[[list[Affine], Scalar, list[Scalar]], Sequence[Scalar]]


class Window:
    """The geometry of a pooling operator: where a window lies, and which of its taps are inside."""

    def __init__(self, k: Kernel, op: OnnxOp) -> None:
        self.k = k
        self.op = op
        self.source, self.result = op.operands[0], op.results[0]
        self.dims = k.dims(self.source)
        self.spatial = self.dims[2:]
        ones = (1,) * len(self.spatial)
        self.kernel: tuple[Dim, ...] = tuple(op.get("kernel_shape") or self.spatial)
        self.strides = tuple(op.get("strides") or ones)
        self.dilations = tuple(op.get("dilations") or ones)
        self.before, self.after = resolve_pads(
            op.get("auto_pad") or "NOTSET",
            self.spatial,
            self.kernel,
            self.strides,
            self.dilations,
            op.get("pads"),
        )
        self.is_global = op.OP_TYPE.startswith("Global")
        self.overhangs = not self.is_global and (
            any([*self.before, *self.after]) or bool(op.get("ceil_mode"))
        )
        self.asks = self.overhangs
        self.element = k.element(self.result)
        self.kind = accumulator_type(self.element)

    def starts(self, place: Sequence[Affine]) -> list[Affine]:
        """Where a window begins; may be outside."""
        return [
            p * stride - self.k.size(before)
            for p, stride, before in zip(place, self.strides, self.before, strict=True)
        ]

    def reduce(
        self, entries: Sequence[Affine], initial: Sequence[Scalar], outside: Scalar, step: Step
    ) -> list[Scalar]:
        """Goes over a window: ``step(indices, element, carried)``; padding is ``outside``."""
        k = self.k
        image, channel, *place = entries
        starts = self.starts(place)

        def tap(taps: list[Affine], carried: list[Scalar]) -> Sequence[Scalar]:
            at = [
                start + t * dilation
                for start, t, dilation in zip(starts, taps, self.dilations, strict=True)
            ]
            indices = [image, channel, *at]

            def value() -> Scalar:
                return k.s.cast(k.read(self.source, indices), outside.element)

            inside = k.all_inside(at, self.spatial) if self.asks else None
            x = value() if inside is None else k.when(inside, value, lambda: outside)
            return step(indices, x, carried)

        return k.reduce(self.kernel, initial, tap)

    def run(self, body: Callable[[list[Affine]], None]) -> None:
        """Loops over the results in the order of their buffer: windows inside, then the sides."""
        k = self.k
        layout = k.layout(self.result)
        whole = [(affine(0), k.size(dim)) for dim in k.dims(self.result)]
        inside = [*whole[:2], *self.inside()] if self.overhangs else whole
        whole, inside = ([extents[a] for a in layout.order] for extents in (whole, inside))
        self.asks = False
        k.nest(inside, lambda ivs: body(k.logical(layout, ivs)))
        self.asks = self.overhangs
        for box in index_ops.around(inside, whole):
            k.nest(box, lambda ivs: body(k.logical(layout, ivs)))

    def inside(self) -> list[tuple[Affine, Affine]]:
        """Along each spatial axis, the places whose windows lie inside of the operand."""
        k = self.k
        found: list[tuple[Affine, Affine]] = []
        geometry = zip(self.before, self.strides, self.dilations, strict=True)
        for axis, (before, stride, dilation) in enumerate(geometry):
            count = k.size(k.dims(self.result)[2 + axis])
            lower = index_ops.minimum(k, (k.size(before) + (stride - 1)) // stride, count)
            reach = (k.size(self.kernel[axis]) - 1) * dilation
            room = k.size(self.spatial[axis]) + k.size(before) - reach
            upper = index_ops.minimum(k, (room + (stride - 1)) // stride, count)
            found.append((lower, index_ops.maximum(k, upper, lower)))
        return found

    def count(self, place: Sequence[Affine]) -> Bound:
        """How many taps of a window count: those inside the operand, or inside the padding too."""
        if not self.asks:
            return product(self.kernel)
        total = affine(1)
        includes = bool(self.op.get("count_include_pad"))
        for axis, start in enumerate(self.starts(place)):
            low, high = affine(0), self.k.size(self.spatial[axis])
            if includes:
                low = low - self.k.size(self.before[axis])
                high = high + self.k.size(self.after[axis])
            dilation = self.dilations[axis]
            first = (low - start + (dilation - 1)) // dilation
            behind = (high - start + (dilation - 1)) // dilation
            first = index_ops.maximum(self.k, first, 0)
            behind = index_ops.minimum(self.k, behind, self.k.size(self.kernel[axis]))
            total = index_ops.product(self.k, total, behind - first)
        return total


@root("MaxPool", "GlobalMaxPool")
def max_pool(k: Kernel, op: OnnxOp) -> None:
    """The largest element under each window, and where it stands."""
    w = Window(k, op)
    if len(op.results) > 1 and not is_none(op.results[1]):
        _max_pool_with_indices(w)
        return

    def body(entries: list[Affine]) -> None:
        lowest = k.s.lowest(w.element)
        (found,) = w.reduce(
            entries, [lowest], lowest, lambda at, x, carried: [k.s.max(carried[0], x, REDUCTION)]
        )
        k.give(w.result, entries, found)

    w.run(body)


def _max_pool_with_indices(w: Window) -> None:
    k, indices = w.k, w.op.results[1]
    order = list(range(len(w.dims)))
    if w.op.get("storage_order"):
        order = [*order[:2], *reversed(order[2:])]

    def step(at: list[Affine], x: Scalar, carried: list[Scalar]) -> list[Scalar]:
        flat = affine(0)
        for axis in order:
            flat = k.times(flat, w.dims[axis]) + at[axis]
        place = k.s.from_index(k.index_value(flat), k.element(indices))
        larger = k.s.compare("gt", x, carried[0])
        first = k.s.compare("lt", carried[1], k.s.like(0, carried[1]))
        larger = k.s.bit_or(larger, first)
        inside = k.all_inside(at[2:], w.spatial) if w.asks else None
        if inside is not None:
            larger = k.s.bit_and(larger, inside)
        return [k.s.select(larger, x, carried[0]), k.s.select(larger, place, carried[1])]

    def body(entries: list[Affine]) -> None:
        lowest = k.s.lowest(w.element)
        initial = [lowest, k.s.const(-1, k.element(indices))]
        found = w.reduce(entries, initial, lowest, step)
        k.give(w.result, entries, found[0])
        k.give(indices, entries, found[1])

    w.run(body)


@root("AveragePool", "GlobalAveragePool")
def average_pool(k: Kernel, op: OnnxOp) -> None:
    """The mean under each window; padding counts only with `count_include_pad`."""
    w = Window(k, op)

    def body(entries: list[Affine]) -> None:
        zero = k.s.const(0, w.kind)
        (total,) = w.reduce(
            entries, [zero], zero, lambda at, x, carried: [k.s.add(carried[0], x, REDUCTION)]
        )
        mean = k.s.div(total, number(k, w.count(entries[2:]), w.kind))
        k.give(w.result, entries, k.s.cast(mean, w.element))

    w.run(body)


@root("LpPool", "GlobalLpPool")
def lp_pool(k: Kernel, op: OnnxOp) -> None:
    """The p-norm of the elements under each window."""
    w = Window(k, op)
    p = op.get("p")
    p = 2 if p is None else p

    def share(x: Scalar) -> Scalar:
        if p == 1:
            return k.s.abs(x)
        if p == 2:
            return k.s.mul(x, x)
        return k.s.binary(math.PowFOp, k.s.abs(x), k.s.like(p, x))

    def body(entries: list[Affine]) -> None:
        zero = k.s.const(0, w.kind)

        def step(at: list[Affine], x: Scalar, carried: list[Scalar]) -> list[Scalar]:
            return [k.s.add(carried[0], share(x), REDUCTION)]

        (total,) = w.reduce(entries, [zero], zero, step)
        if p == 2:
            total = k.s.sqrt(total)
        elif p != 1:
            total = k.s.binary(math.PowFOp, total, k.s.like(1 / p, total))
        k.give(w.result, entries, k.s.cast(total, w.element))

    w.run(body)


@root("MaxUnpool", fuses="none", epilogue=False)
def max_unpool(k: Kernel, op: OnnxOp) -> None:
    """Zeros, and each element where its index in the pool's operand says.

    Indices count in the shape that the pool's attributes give; a larger `output_shape` has zeros
    behind. They are kept inside for the memory's sake.
    """
    source, indices, result = op.operands[0], op.operands[1], op.results[0]
    dims, result_dims, element = k.dims(source), k.dims(result), k.element(result)
    k.nest(result_dims, lambda ivs: k.write_output(result, ivs, k.s.const(0, element)))
    pooled = [*dims[:2], *_unpooled(op, dims[2:])]

    def body(ivs: list[Affine]) -> None:
        flat = index_ops.clamp(k, index_ops.read_index(k, indices, ivs), product(pooled))
        entries = k.divide_along(flat, pooled)
        inside = [
            index_ops.clamp(k, entry, dim) for entry, dim in zip(entries, result_dims, strict=True)
        ]
        k.write_output(result, inside, k.read(source, ivs))

    k.nest(dims, body)


def _unpooled(op: OnnxOp, dims: Sequence[Dim]) -> list[Dim]:
    """The spatial sizes of a pool's operand."""
    rank = len(dims)
    strides, pads = op.get("strides") or (1,) * rank, op.get("pads") or (0,) * (2 * rank)
    return [
        (dim - 1) * strides[axis] + op.get("kernel_shape")[axis] - pads[axis] - pads[axis + rank]
        for axis, dim in enumerate(dims)
    ]
