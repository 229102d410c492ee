"""Pools: roots that combine the elements under a window."""

from __future__ import annotations

from collections.abc import Sequence

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import resolve_pads
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, accumulator_type


class Window:
    """The geometry of a pooling operator: where a window lies, and which of its taps are inside."""

    def __init__(self, k: Kernel, op: OnnxOp) -> None:
        self.k = k
        self.dims = k.dims(op.operands[0])
        self.spatial = self.dims[2:]
        rank = len(self.spatial)
        self.kernel: tuple[Dim, ...] = tuple(op.get("kernel_shape") or self.spatial)
        self.strides = tuple(op.get("strides") or (1,) * rank)
        self.dilations = tuple(op.get("dilations") or (1,) * rank)
        self.before, self.after = resolve_pads(
            op.get("auto_pad") or "NOTSET",
            self.spatial,
            self.kernel,
            self.strides,
            self.dilations,
            op.get("pads"),
        )

    def taps(self, place: Sequence[Affine], window: Sequence[Affine]) -> list[Affine]:
        """Spatial indices of the operand's element under one tap of a window; may be outside."""
        return [
            p * s + w * d - self.k.size(b)
            for p, s, w, d, b in zip(
                place, self.strides, window, self.dilations, self.before, strict=True
            )
        ]


@root("MaxPool", "GlobalMaxPool")
def max_pool(k: Kernel, op: OnnxOp) -> None:
    """The largest element under each window, and where it stands."""
    w = Window(k, op)
    source, result = op.operands[0], op.results[0]
    wants_indices = len(op.results) > 1 and not is_none(op.results[1])
    element = k.element(result)
    layout = k.layout(result)

    def body(ivs: list[Affine]) -> None:
        entries = k.logical(layout, ivs)
        image, channel, *place = entries

        def step(window: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            at = w.taps(place, window)
            inside = k.all_inside(at, w.spatial)

            def value() -> Scalar:
                return k.read(source, [image, channel, *at])

            def outside() -> Scalar:
                return k.s.lowest(element)

            x = value() if inside is None else k.when(inside, value, outside)
            if not wants_indices:
                return [k.s.max(carried[0], x)]
            return _with_index(k, op, w, carried, x, [image, channel, *at])

        initial = [k.s.lowest(element)]
        if wants_indices:
            initial.append(k.s.const(-1, k.element(op.results[1])))
        found = k.reduce(w.kernel, initial, step)
        k.give(result, entries, found[0])
        if wants_indices:
            k.give(op.results[1], entries, found[1])

    k.nest([k.dims(result)[a] for a in layout.order], body)


def _with_index(
    k: Kernel,
    op: OnnxOp,
    w: Window,
    carried: list[Scalar],
    x: Scalar,
    at: list[Affine],
) -> list[Scalar]:
    """The running maximum with the flat index of its first occurrence."""
    order = list(range(len(at)))
    if op.get("storage_order"):
        order = [*order[:2], *reversed(order[2:])]
    flat = affine(0)
    for axis in order:
        flat = k.times(flat, w.dims[axis]) + at[axis]
    number = k.s.from_index(k.index_value(flat), k.element(op.results[1]))
    larger = k.s.compare("gt", x, carried[0])
    inside = k.all_inside(at[2:], w.spatial)
    first = k.s.compare("lt", carried[1], k.s.like(0, carried[1]))
    larger = k.s.bit_or(larger, first)
    if inside is not None:
        larger = k.s.bit_and(larger, inside)
    return [k.s.select(larger, x, carried[0]), k.s.select(larger, number, carried[1])]


@root("AveragePool", "GlobalAveragePool")
def average_pool(k: Kernel, op: OnnxOp) -> None:
    """The mean under each window; padding counts only with ``count_include_pad``."""
    w = Window(k, op)
    source, result = op.operands[0], op.results[0]
    element = k.element(result)
    kind = accumulator_type(element)
    layout = k.layout(result)
    is_global = op.OP_TYPE == "GlobalAveragePool"
    padded = any([*w.before, *w.after]) or bool(op.get("ceil_mode"))

    def body(ivs: list[Affine]) -> None:
        entries = k.logical(layout, ivs)
        image, channel, *place = entries

        def step(window: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            at = w.taps(place, window)
            inside = k.all_inside(at, w.spatial) if padded else None

            def value() -> Scalar:
                return k.s.cast(k.read(source, [image, channel, *at]), kind)

            def outside() -> Scalar:
                return k.s.const(0, kind)

            x = value() if inside is None else k.when(inside, value, outside)
            return [k.s.add(carried[0], x, REDUCTION)]

        (total,) = k.reduce(w.kernel, [k.s.const(0, kind)], step)
        count = _count(k, op, w, place, kind, padded and not is_global)
        k.give(result, entries, k.s.cast(k.s.div(total, count), element))

    k.nest([k.dims(result)[a] for a in layout.order], body)


def _count(
    k: Kernel, op: OnnxOp, w: Window, place: list[Affine], kind, padded: bool  # noqa: ANN001
) -> Scalar:
    """How many elements a window averages over."""
    if not padded:
        product: Dim = 1
        for size in w.kernel:
            product = product * size
        return k.s.from_index(k.index_value(k.size(product)), kind)
    total: Scalar | None = None
    axes = zip(w.spatial, w.kernel, w.strides, w.dilations, w.before, w.after, place, strict=True)
    for dim, size, stride, dilation, before, after, p in axes:
        count = _inside_count(
            k, p * stride, dim, size, dilation, (before, after), bool(op.get("count_include_pad"))
        )
        part = k.s.cast(count, kind)
        total = part if total is None else k.s.mul(total, part)
    assert total is not None
    return total


def _inside_count(
    k: Kernel,
    start: Affine,
    dim: Dim,
    size: Dim,
    dilation: int,
    pads: tuple[Dim, Dim],
    include_pad: bool,
) -> Scalar:
    """Taps of one axis that fall inside the operand (or inside its padded extent)."""
    from dialects.onnx.types import element_type

    i64 = element_type("int64")  # type: ignore[arg-type]
    low = affine(0) if include_pad else k.size(pads[0])
    high = k.size(dim) + k.size(pads[0])
    if include_pad:
        high = high + k.size(pads[1])

    def step(tap: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        at = start + tap[0] * dilation
        inside = k.s.bit_and(
            k.compare_index("ge", at, low), k.compare_index("lt", at, high)
        )
        return [k.s.add(carried[0], k.s.cast(inside, i64))]

    return k.reduce([size], [k.s.const(0, i64)], step)[0]
