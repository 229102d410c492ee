"""Picking, repeating and exchanging parts: Slice, Split, Tile, Trilu, DepthToSpace and the like."""

from __future__ import annotations

from collections.abc import Sequence

from dialects.onnx.dims import Dim, exact_quotient, floordiv
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axes, normalize_axis, slice_bounds, split_sizes
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.maps import same_place
from passes.lower.onnx_to_krnl.registry import index_map, root
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.bind_parameters import parameter

Indices = Sequence[Affine]
Part = tuple[Affine, Affine, Affine]
"""First index, step, number of elements of one axis of a Slice."""


@index_map("Slice")
def slice_(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Element `start + i * step` along each axis."""
    parts = slice_parts(k, op)
    at = [
        first + index_ops.product(k, entry, step)
        for entry, (first, step, _) in zip(entries, parts, strict=True)
    ]
    return k.read(op.operands[0], at)


@result_sizes("Slice")
def slice_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """Sizes of a Slice whose axes or steps only a run knows."""
    return [count for _, _, count in slice_parts(k, op)]


def slice_parts(k: Kernel, op: OnnxOp) -> list[Part]:
    """What a Slice takes of every axis of its operand."""
    dims = k.dims(op.operands[0])
    return _static_parts(k, op, dims) or _runtime_parts(k, op, dims)


def _static_parts(k: Kernel, op: OnnxOp, dims: Sequence[Dim]) -> list[Part] | None:
    """With axes and steps that are known; None where they are not."""
    if len(op.operands) == 1:
        starts, ends = list(op.get("starts")), list(op.get("ends"))
        axes, steps = op.get("axes"), None
    else:
        starts, ends, axes, steps = (_bound(op, number) for number in (1, 2, 3, 4))
        if starts is None or ends is None or axes is _UNKNOWN or steps is _UNKNOWN:
            return None
    axes = list(range(len(starts))) if axes is None else normalize_axes(axes, len(dims))
    steps = [1] * len(starts) if steps is None else steps
    parts: list[Part] = [(affine(0), affine(1), k.size(dim)) for dim in dims]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        first, count = slice_bounds(start, end, step, dims[axis])
        parts[axis] = (k.size(first), affine(step), k.size(count))
    return parts


_UNKNOWN: list[int] = []


def _bound(op: OnnxOp, number: int) -> list | None:
    """A parameter; axes and steps that are not numbers are `_UNKNOWN`, absent ones None."""
    found = parameter(op, number)
    if number < 3:
        return found
    if found is None:
        absent = number >= len(op.operands) or is_none(op.operands[number])
        return None if absent else _UNKNOWN
    return found if all(isinstance(entry, int) for entry in found) else _UNKNOWN


def _runtime_parts(k: Kernel, op: OnnxOp, dims: Sequence[Dim]) -> list[Part]:
    """With bounds, axes or steps that are read when the kernel runs."""
    starts, ends, axes, steps = (index_ops.parameters(k, op, number) for number in (1, 2, 3, 4))
    assert starts is not None and ends is not None
    axes = [affine(axis) for axis in range(len(starts))] if axes is None else axes
    steps = [affine(1)] * len(starts) if steps is None else steps
    axes = [index_ops.from_end(k, axis, affine(len(dims))) for axis in axes]
    return [
        _runtime_part(k, axis, k.size(dim), list(zip(axes, starts, ends, steps, strict=True)))
        for axis, dim in enumerate(dims)
    ]


def _runtime_part(
    k: Kernel, axis: int, dim: Affine, given: list[tuple[Affine, Affine, Affine, Affine]]
) -> Part:
    """What is taken of one axis: the entry of ``given`` that names it decides."""
    start, end, step = affine(0), dim, affine(1)
    for named, its_start, its_end, its_step in given:
        chosen = k.compare_index("eq", named, affine(axis))
        start = index_ops.select(k, chosen, its_start, start)
        end = index_ops.select(k, chosen, its_end, end)
        step = index_ops.select(k, chosen, its_step, step)
    forwards = k.compare_index("gt", step, affine(0))
    lowest = index_ops.select(k, forwards, affine(0), affine(-1))
    highest = index_ops.select(k, forwards, dim, dim - 1)
    first = _from_end(k, start, dim, affine(0), highest)
    last = _from_end(k, end, dim, lowest, highest)
    distance = index_ops.select(k, forwards, last - first, first - last)
    size = index_ops.maximum(k, index_ops.select(k, forwards, step, step * -1), 1)
    count = index_ops.floordiv(k, distance + size - 1, size)
    return first, step, index_ops.minimum(k, index_ops.maximum(k, count, 0), dim)


def _from_end(k: Kernel, entry: Affine, dim: Affine, low: Affine, high: Affine) -> Affine:
    """A bound, negative ones counted from the end, inside of [low, high]."""
    entry = index_ops.from_end(k, entry, dim)
    return index_ops.maximum(k, index_ops.minimum(k, entry, high), low)


@index_map("Split")
def split(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Result ``number`` starts where the results before it end."""
    dims = k.dims(op.operands[0])
    axis = normalize_axis(op.get("axis") or 0, len(dims))
    sizes = _split_sizes(op, dims[axis]) or [k.dims(result)[axis] for result in op.results]
    offset = sum((k.size(size) for size in sizes[:number]), affine(0))
    return k.read(op.operands[0], [*entries[:axis], entries[axis] + offset, *entries[axis + 1 :]])


def _split_sizes(op: OnnxOp, dim: Dim) -> Sequence[Dim] | None:
    """Sizes of all parts, also of absent ones; None where only the results' types tell."""
    given = op.get("split") or parameter(op, 1)
    if given or (len(op.operands) > 1 and not is_none(op.operands[1])):
        return given  # type: ignore[return-value]
    return split_sizes(dim, len(op.results), rounded_up=op.SINCE >= 18)


@index_map("ReverseSequence")
def reverse_sequence(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Element `length - 1 - t` of the first `length` time steps of a batch entry."""
    time, batch = op.get("time_axis"), op.get("batch_axis")
    dims = k.dims(op.operands[0])
    length = index_ops.read_index(k, op.operands[1], [entries[batch]])
    step = entries[time]
    inside = k.compare_index("lt", step, length)
    mirrored = index_ops.select(k, inside, length - 1 - step, step)
    at = [*entries]
    at[time] = index_ops.clamp(k, mirrored, dims[time])
    return k.read(op.operands[0], at)


@index_map("Trilu", forward=same_place)
def trilu(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """The element above (or below) the k-th diagonal, 0 elsewhere."""
    diagonal = (index_ops.parameters(k, op, 1) or [affine(0)])[0]
    row, column = entries[-2:]
    order = "le" if op.get("upper") else "ge"
    kept = k.compare_index(order, row + diagonal, column)
    element = k.read(op.operands[0], entries)
    return k.s.select(kept, element, k.s.like(0, element))


@root("Tile", fuses="maps")
def tile(k: Kernel, op: OnnxOp) -> None:
    """The operand again and again: a repeated axis is two loops, over its copies and in one."""
    dims, result = k.dims(op.operands[0]), op.results[0]
    sizes = k.dims(result)
    order = k.layout(result).order
    extents: list[Dim | Affine] = []
    for axis in order:
        if dims[axis] not in (1, sizes[axis]):
            extents.append(_copies(k, dims[axis], sizes[axis]))
            extents.append(dims[axis])
        else:
            extents.append(sizes[axis])

    def body(ivs: list[Affine]) -> None:
        at, entries = [affine(0)] * len(dims), [affine(0)] * len(dims)
        variables = iter(ivs)
        for axis in order:
            entries[axis] = at[axis] = next(variables)
            if dims[axis] not in (1, sizes[axis]):
                at[axis] = next(variables)
                entries[axis] = k.times(entries[axis], dims[axis]) + at[axis]
            elif dims[axis] == 1:
                at[axis] = affine(0)
        k.give(result, entries, k.read(op.operands[0], at))

    k.nest(extents, body)


def _copies(k: Kernel, dim: Dim, size: Dim) -> Dim | Affine:
    """How often an axis of size ``dim`` stands in one of size ``size``."""
    known = exact_quotient(size, dim)
    if known is not None:
        return known
    return index_ops.floordiv(k, k.size(size), index_ops.maximum(k, k.size(dim), 1))


@result_sizes("Tile")
def tile_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """The operand's sizes times the repeats; version 1 repeats one axis."""
    sizes = [k.size(dim) for dim in k.dims(op.operands[0])]
    repeats = index_ops.parameters(k, op, 1) or []
    if len(op.operands) < 3:
        return [index_ops.product(k, *pair) for pair in zip(sizes, repeats, strict=True)]
    axes = index_ops.parameters(k, op, 2) or []
    chosen = index_ops.from_end(k, axes[0], affine(len(sizes)))
    for axis, size in enumerate(sizes):
        hit = k.compare_index("eq", chosen, affine(axis))
        sizes[axis] = index_ops.select(k, hit, index_ops.product(k, size, repeats[0]), size)
    return sizes


def _depth_to_space(k: Kernel, op: OnnxOp, entries: Indices) -> list[Affine]:
    """Where the element of DepthToSpace's operand stands in its result."""
    block = op.get("blocksize")
    n, channel, y, x = entries
    depth = floordiv(k.dims(op.operands[0])[1], block * block)
    if (op.get("mode") or "DCR") == "DCR":
        place, channel = k.divide(channel, depth)
    else:
        channel, place = channel // (block * block), channel % (block * block)
    return [n, channel, y * block + place // block, x * block + place % block]


@index_map("DepthToSpace", forward=_depth_to_space)
def depth_to_space(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Blocks of channels as squares of pixels; DCR: the channel varies fastest, CRD: the place."""
    block = op.get("blocksize")
    n, channel, y, x = entries
    depth = floordiv(k.dims(op.operands[0])[1], block * block)
    place = y % block * block + x % block
    if (op.get("mode") or "DCR") == "DCR":
        channel = k.times(place, depth) + channel
    else:
        channel = channel * (block * block) + place
    return k.read(op.operands[0], [n, channel, y // block, x // block])


def _space_to_depth(k: Kernel, op: OnnxOp, entries: Indices) -> list[Affine]:
    """Where the element of SpaceToDepth's operand stands in its result."""
    block = op.get("blocksize")
    n, channel, y, x = entries
    place = y % block * block + x % block
    depth = k.dims(op.operands[0])[1]
    if (op.get("mode") or "DCR") == "DCR":
        channel = k.times(place, depth) + channel
    else:
        channel = channel * (block * block) + place
    return [n, channel, y // block, x // block]


@index_map("SpaceToDepth", forward=_space_to_depth)
def space_to_depth(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Squares of pixels as blocks of channels: DepthToSpace undone."""
    block = op.get("blocksize")
    n, channel, y, x = entries
    if (op.get("mode") or "DCR") == "DCR":
        place, channel = k.divide(channel, k.dims(op.operands[0])[1])
    else:
        channel, place = channel // (block * block), channel % (block * block)
    at = [n, channel, y * block + place // block, x * block + place % block]
    return k.read(op.operands[0], at)
