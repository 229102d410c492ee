"""Roots that change sizes at the ends of axes: Pad, CenterCropPad.

The result is cut into boxes, each a nest without conditions: what lies outside of the operand, and
the interior, which is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.ir import Attribute, SSAValue

from dialects.onnx.dims import Dim, bounds, floordiv, maximum
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import dims_of, is_none, layout_of
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.layout import Layout
from passes.lower.onnx_to_krnl.registry import FRAMES, FrameRule, root
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.bind_parameters import parameter


@dataclass(frozen=True)
class Axis:
    """One axis of a padded tensor: indices [lower, upper) of the result stand in the operand.

    ``before`` elements stand in front of the operand's first (a negative number: so many are
    cut off).
    """

    before: Affine
    lower: Affine
    upper: Affine
    size: Affine
    dim: Dim

    @property
    def is_whole(self) -> bool:
        """Whether the axis stays as it is."""
        return self.before == affine(0) and self.size == self.upper and self.lower == affine(0)


def axis_of(k: Kernel, before: Affine, dim: Dim, size: Dim) -> Axis:
    """An axis with ``before`` elements in front of an operand of size ``dim``."""
    whole = k.size(size)
    if before == affine(0) and dim == size:
        return Axis(before, before, whole, whole, dim)
    lower = index_ops.minimum(k, index_ops.maximum(k, before, 0), whole)
    end = index_ops.minimum(k, before + k.size(dim), whole)
    return Axis(before, lower, index_ops.maximum(k, end, lower), whole, dim)


@root("Pad")
def pad(k: Kernel, op: OnnxOp) -> None:
    """The operand, and around it a constant or elements of the operand."""
    source, result = op.operands[0], op.results[0]
    axes = _axes(k, op)
    mode = op.get("mode") or "constant"
    if mode == "constant":
        element = k.element(result)
        fill_with_constant(k, source, result, axes, lambda: fill_of(k, op, element))
    else:
        fill_with_elements(k, source, result, axes, mode)


def _axes(k: Kernel, op: OnnxOp) -> list[Axis]:
    before, _ = pad_amounts(k, op)
    dims = dims_of(op.operands[0].type) or ()
    sizes = zip(before, dims, k.dims(op.results[0]), strict=True)
    return [axis_of(k, amount, dim, size) for amount, dim, size in sizes]


def _is_frame(op: OnnxOp) -> bool:
    """Whether a Pad puts a known constant around its whole operand, in the same layout."""
    given = parameter(op, 1)
    fill = op.operands[2] if len(op.operands) > 2 else None
    return (
        (op.get("mode") or "constant") == "constant"
        and given is not None
        and all(not isinstance(amount, float) and _is_natural(amount) for amount in given)
        and (len(op.operands) < 4 or is_none(op.operands[3]))
        and (fill is None or is_none(fill) or isinstance(fill.owner, Const))
        and layout_of(op.operands[0].type) == layout_of(op.results[0].type)
    )


def _is_natural(amount: Dim) -> bool:
    low, _ = bounds(amount)
    return low is not None and low >= 0


def _inside(k: Kernel, op: OnnxOp, entries: Sequence[Affine]) -> list[Affine]:
    """Where an element of a Pad's operand stands in its result."""
    before, _ = pad_amounts(k, op)
    return [entry + amount for entry, amount in zip(entries, before, strict=True)]


def _surround(k: Kernel, op: OnnxOp) -> None:
    """Fills what a Pad puts around its operand: two sides of every padded axis."""
    result, axes = op.results[0], _axes(k, op)
    layout, fill = k.layout(result), lambda: fill_of(k, op, k.element(result))
    inside = [(axes[a].lower, axes[a].upper) for a in layout.order]
    whole = [(affine(0), axes[a].size) for a in layout.order]
    for box in index_ops.around(inside, whole):
        k.nest(box, lambda ivs: k.write_output(result, k.logical(layout, ivs), fill()))


FRAMES["", "Pad"] = FrameRule(_is_frame, _inside, _surround)


@result_sizes("Pad")
def pad_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """Sizes with what is put before and after."""
    dims = k.dims(op.operands[0])
    return [a + k.size(dim) + b for dim, a, b in zip(dims, *pad_amounts(k, op), strict=True)]


def pad_amounts(k: Kernel, op: OnnxOp) -> tuple[list[Affine], list[Affine]]:
    """How many elements stand before and after every axis."""
    rank = len(dims_of(op.operands[0].type) or ())
    given = op.get("pads") or op.get("paddings") if len(op.operands) == 1 else None
    amounts = [affine(a) for a in given] if given else index_ops.parameters(k, op, 1) or []
    axes = parameter(op, 3)
    if len(op.operands) > 3 and axes is None and not is_none(op.operands[3]):
        return _runtime_amounts(k, op, amounts, rank)
    places = list(range(rank))
    if axes is not None:
        places = [normalize_axis(int(axis), rank) for axis in axes]  # type: ignore[arg-type]
    before, after = [affine(0)] * rank, [affine(0)] * rank
    for number, axis in enumerate(places):
        before[axis], after[axis] = amounts[number], amounts[number + len(places)]
    return before, after


def _runtime_amounts(
    k: Kernel, op: OnnxOp, amounts: Sequence[Affine], rank: int
) -> tuple[list[Affine], list[Affine]]:
    """Amounts of axes that only a run knows."""
    before, after = [affine(0)] * rank, [affine(0)] * rank
    named = index_ops.parameters(k, op, 3) or []
    for number, entry in enumerate(named):
        entry = index_ops.from_end(k, entry, affine(rank))
        for axis in range(rank):
            chosen = k.compare_index("eq", entry, affine(axis))
            before[axis] = index_ops.select(k, chosen, amounts[number], before[axis])
            end = amounts[number + len(named)]
            after[axis] = index_ops.select(k, chosen, end, after[axis])
    return before, after


def fill_of(k: Kernel, op: OnnxOp, element: Attribute) -> Scalar:
    """The constant that stands around the operand."""
    if len(op.operands) > 2 and not is_none(op.operands[2]):
        rank = len(k.dims(op.operands[2]))
        return k.read(op.operands[2], [affine(0)] * rank)
    return k.s.const(op.get("value") or 0, element)


@root("CenterCropPad")
def center_crop_pad(k: Kernel, op: OnnxOp) -> None:
    """The middle of the operand, zeros around it where the result is larger."""
    source, result = op.operands[0], op.results[0]
    element = k.element(result)
    axes = []
    for dim, size in zip(k.dims(source), k.dims(result), strict=True):
        added, removed = maximum(size - dim, 0), maximum(dim - size, 0)
        before = floordiv(added, 2) - floordiv(removed, 2)
        axes.append(axis_of(k, k.size(before), dim, size))
    fill_with_constant(k, source, result, axes, lambda: k.s.const(0, element))


def fill_with_constant(
    k: Kernel, source: SSAValue, result: SSAValue, axes: Sequence[Axis], fill: Callable[[], Scalar]
) -> None:
    """The operand inside, a constant outside: a nest for the inside and each side of each axis."""
    layout = k.layout(result)
    order = _buffer_axes(layout, axes)

    def place(outer: list[Affine], ivs: list[Affine]) -> list[Affine]:
        return layout.logical([*outer, *ivs])

    def border(outer: list[Affine], extents: list[tuple[Affine, Affine]]) -> None:
        if extents[-1] == (affine(0), affine(0)):
            return
        rest = [(affine(0), axis.size) for axis in order[len(outer) + len(extents) :]]
        k.nest([*extents, *rest], lambda ivs: k.give(result, place(outer, ivs), fill()))

    def level(outer: list[Affine]) -> None:
        run: list[tuple[Affine, Affine]] = []
        for axis in order[len(outer) :]:
            if not axis.is_whole:
                break
            run.append((affine(0), axis.size))
        depth = len(outer) + len(run)
        if depth == len(order):
            k.nest(run, lambda ivs: copy(place(outer, ivs)))
            return
        axis = order[depth]
        if axis.lower != affine(0):
            border(outer, [*run, (affine(0), axis.lower)])
        inside = [*run, (axis.lower, axis.upper)]
        rest = order[depth + 1 :]
        if all(other.is_whole for other in rest):
            inside += [(affine(0), other.size) for other in rest]
            k.nest(inside, lambda ivs: copy(place(outer, ivs)))
        else:
            k.nest(inside, lambda ivs: level([*outer, *ivs]))
        if axis.upper != axis.size:
            border(outer, [*run, (axis.upper, axis.size)])

    def copy(entries: list[Affine]) -> None:
        inner = [entry - axis.before for entry, axis in zip(entries, axes, strict=True)]
        k.give(result, entries, k.read(source, inner))

    level([])


def _buffer_axes(layout: Layout, axes: Sequence[Axis]) -> list[Axis]:
    """The axes of a buffer: one that is cut into panels, which stays whole, counts twice."""
    found = [axes[axis] for axis in layout.order]
    cut = layout.cut_axis
    if cut is not None:
        panels, width = axes[cut].size // layout.panel, affine(layout.panel)
        for place, count in ((layout.order.index(cut), panels), (-1, width)):
            found[place] = Axis(affine(0), affine(0), count, count, axes[cut].dim)
    return found


def fill_with_elements(
    k: Kernel, source: SSAValue, result: SSAValue, axes: Sequence[Axis], mode: str
) -> None:
    """Elements of the operand outside as well; the innermost padded axis is cut in three."""
    layout = k.layout(result)
    padded = [a for a in layout.order if not axes[a].is_whole]
    cut = padded[-1] if padded else layout.order[-1]
    whole = axes[cut]
    parts = [(affine(0), whole.lower), (whole.lower, whole.upper), (whole.upper, whole.size)]
    for number, part in enumerate(parts):
        mapped = [a for a in padded if a != cut or number != 1]

        def body(ivs: list[Affine], mapped: list[int] = mapped) -> None:
            entries = k.logical(layout, ivs)
            at = [entry - axis.before for entry, axis in zip(entries, axes, strict=True)]
            for a in mapped:
                at[a] = _reflected(k, mode, at[a], axes[a].dim)
            k.give(result, entries, k.read(source, at))

        if part[0] != part[1]:
            extents = [part if a == cut else (affine(0), axes[a].size) for a in layout.order]
            k.nest(extents, body)


def _reflected(k: Kernel, mode: str, entry: Affine, dim: Dim) -> Affine:
    """The operand's index that an index outside of it stands for."""
    size = k.size(dim)
    if mode == "edge":
        return index_ops.clamp(k, entry, dim)
    if mode == "wrap":
        return index_ops.modulo(k, entry, index_ops.maximum(k, size, 1))
    # reflect: 0 1 2 1 0 1 ... has period 2 * last
    last = size - 1
    positive = index_ops.maximum(k, entry, entry * -1)
    rest = index_ops.modulo(k, positive, index_ops.maximum(k, last * 2, 1))
    return index_ops.minimum(k, rest, last * 2 - rest)
