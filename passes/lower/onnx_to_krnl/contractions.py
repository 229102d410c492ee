"""Sums of products: MatMul, Gemm and Conv, of floats or integers, as one form of nest.

    for rows, columns:  acc = 0;  for taps:  acc += lhs[row, tap] * rhs[tap, column];  give(acc)

The nest is marked with its row and column loop, which is all that the schedule needs to make a
register tile of it. The right-hand side comes packed in panels of columns, a convolution's input
channels-last (`passes/onnx/assign_layouts/` sees to both), so that columns are neighbours in
memory. `onnx-decompose-integers` has taken the zero points out of products of bytes.

A right-hand side that is not packed, and whose rows lie too far apart for the cache, is copied by
the product itself, a few panels at a time:

    for panels:  for taps, columns:  copy[panel, tap, column] = rhs[tap, first + column]
                 for panel:  for rows, columns of the panel:  ... copy[panel, tap, column] ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from xdsl.dialects.builtin import ArrayAttr
from xdsl.ir import SSAValue

from dialects import krnl
from dialects.onnx.dims import Dim, numbers_of
from dialects.onnx.ops import OnnxOp, SplitMatMul
from dialects.onnx.types import dims_of, is_none, layout_of, panel_of
from passes.krnl.tiles import COPIED_COLUMNS, place_axis, row_axis
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, accumulator_type

LONG_SUM = 128
"""Terms from which on a bias is added at the end."""

NARROW_GROUPS = (2, 4, 8)
"""Groups of so many channels share vectors: their channels are columns of one loop."""

WHOLE_VECTORS = 16
"""Channels come in multiples of this there: masked vectors cannot be shuffled cheaply."""


def multiply_add(k: Kernel, acc: Scalar, lhs: Scalar, rhs: Scalar) -> Scalar:
    """acc + lhs * rhs in the accumulator's type."""
    s = k.s
    product = s.mul(s.cast(lhs, acc.element), s.cast(rhs, acc.element), REDUCTION)
    return s.add(acc, product, REDUCTION)


def accumulate(k: Kernel, op: OnnxOp, acc: Scalar, lhs: Scalar, rhs: Scalar) -> Scalar:
    """The next value of a sum; operands that `onnx-pack-integers` packed hold several numbers."""
    packed = op.attributes.get("onnx.packed")
    if packed is None:
        return multiply_add(k, acc, lhs, rhs)
    assert isinstance(packed, ArrayAttr)
    first, second = packed
    is_short = "onnx.short_pairs" in op.attributes
    made = krnl.DotOp(acc.value, lhs.value, rhs.value, (first, second), is_short)
    return Scalar(k.add(made), acc.element)


def batch_entries(
    k: Kernel, dims: Sequence[Dim], batch: Sequence[Affine], result: Sequence[Dim]
) -> list[Affine]:
    """Batch indices of an operand that broadcasts against the result's batch axes."""
    skipped = len(result) - len(dims)
    return [
        k._broadcast_entry(batch[skipped + axis], dim, result[skipped + axis])
        for axis, dim in enumerate(dims)
    ]


@root("MatMul", "MatMulInteger", fuses="none")
def matmul(k: Kernel, op: OnnxOp) -> None:
    """numpy.matmul: batches broadcast, one-dimensional operands count as a row or a column."""
    if "onnx.copied_panel" in op.attributes:
        _by_copied_panels(k, op)
        return
    lhs_dims, rhs_dims = k.dims(op.operands[0]), k.dims(op.operands[1])
    has_rows, batch_dims = len(lhs_dims) > 1, _batch_dims(k, op)
    rows: Dim = lhs_dims[-2] if has_rows else 1
    columns: Dim = rhs_dims[-1] if len(rhs_dims) > 1 else 1

    def body(ivs: list[Affine]) -> None:
        *batch, _, column = ivs
        _element(k, op, ivs, lambda tap: _right(k, op, batch, tap, column))

    count = len(batch_dims)
    row_loop = row_axis(lhs_dims) if len(rhs_dims) == 2 and has_rows else count
    k.nest([*batch_dims, rows, columns], body, contraction=(row_loop, count + 1))


def _batch_dims(k: Kernel, op: OnnxOp) -> tuple[Dim, ...]:
    """The batch axes of a MatMul's result."""
    dims = k.dims(op.results[0])
    return dims[: len(dims) - sum(len(k.dims(value)) > 1 for value in op.operands[:2])]


def _right(k: Kernel, op: OnnxOp, batch: Sequence[Affine], tap: Affine, column: Affine) -> Scalar:
    """An element of a MatMul's right-hand side."""
    dims = k.dims(op.operands[1])
    at = batch_entries(k, dims[:-2], batch, _batch_dims(k, op))
    return k.read(op.operands[1], [*at, tap, *([column] if len(dims) > 1 else [])])


def _element(
    k: Kernel, op: OnnxOp, place: Sequence[Affine], right: Callable[[Affine], Scalar]
) -> None:
    """An element of a MatMul's result; ``right`` gives what the right-hand side has at a tap."""
    *batch, row, column = place
    lhs, result = op.operands[0], op.results[0]
    lhs_dims, rhs_dims = k.dims(lhs), k.dims(op.operands[1])
    depth = lhs_dims[-1]
    rows = [row] if len(lhs_dims) > 1 else []
    columns = [column] if len(rhs_dims) > 1 else []

    def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        at = batch_entries(k, lhs_dims[:-2], batch, _batch_dims(k, op))
        a = k.read(lhs, [*at, *rows, taps[0]])
        return [accumulate(k, op, carried[0], a, right(taps[0]))]

    accumulator = accumulator_type(k.element(result))
    (total,) = k.reduce([depth], [k.s.const(0, accumulator)], step)
    k.give(result, [*batch, *rows, *columns], k.s.cast(total, k.element(result)))


def _by_copied_panels(k: Kernel, op: OnnxOp) -> None:
    """A product of matrices of known sizes that copies its right-hand side panel by panel."""
    *batch_dims, rows, columns = k.dims(op.results[0])
    depth, element = k.dims(op.operands[0])[-1], k.element(op.operands[1])
    assert isinstance(depth, int) and isinstance(columns, int), "only known sizes are copied"
    width: int = op.attributes["onnx.copied_panel"].value.data  # type: ignore[attr-defined]
    panels = max(1, COPIED_COLUMNS // width)
    whole = columns // (panels * width)

    def product(batch: list[Affine], first: Affine, panels: int, width: int) -> None:
        copied = k.scratch([panels, depth, width], element)

        def copy(ivs: list[Affine]) -> None:
            tap, panel, column = ivs
            value = _right(k, op, batch, tap, first + panel * width + column)
            k.store(value, copied, [panel, tap, column])

        def panel(ivs: list[Affine]) -> None:
            (number,) = ivs

            def body(at: list[Affine]) -> None:
                row, column = at
                place = [*batch, row, first + number * width + column]
                _element(k, op, place, lambda tap: k.load(copied, [number, tap, column], element))

            k.nest([rows, width], body, contraction=(0, 1))

        k.nest([depth, panels, width], copy)
        k.nest([panels], panel)

    def some(ivs: list[Affine]) -> None:
        *batch, number = ivs
        product(batch, number * (panels * width), panels, width)

    def rest(batch: list[Affine]) -> None:
        first = whole * panels * width
        product(batch, affine(first), 1, columns - first)

    k.nest([*batch_dims, whole], some)
    if whole * panels * width < columns:
        k.nest([*batch_dims, 1], lambda ivs: rest(ivs[:-1]))


@root("SplitMatMul", fuses="none")
def split_matmul(k: Kernel, op: OnnxOp) -> None:
    """Panel by panel: the dense part of the weights, then the rest, of fours that the panel names.

    Rows of all batches are one loop.
    """
    assert isinstance(op, SplitMatMul)
    width: int = op.get("panel")
    depth, columns = k.dims(op.weight)
    panels, count = k.dims(op.places)
    *outer, _ = k.dims(op.y)
    assert columns == panels * width, "panels are whole"
    assert isinstance(depth, int)
    zero = k.s.const(0, k.element(op.y))

    def panel(ivs: list[Affine]) -> None:
        (number,) = ivs

        def body(ivs: list[Affine]) -> None:
            row, column = ivs[0], number * width + ivs[1]

            def product(weight: SSAValue, four: Affine, tap: Affine, acc: Scalar) -> Scalar:
                a = k.read(op.lhs, k.row_entries(op.lhs, row, four))
                return accumulate(k, op, acc, a, k.read(weight, [tap, column]))

            def dense(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                return [product(op.weight, taps[0], taps[0], carried[0])]

            def sparse(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                place = k.s.to_index(k.read(op.places, [number, taps[0]]))
                four = k.index_of(place, 0, depth - 1)
                return [product(op.rest, four, taps[0], carried[0])]

            total = k.reduce([count], k.reduce([depth], [zero], dense), sparse)
            k.give(op.y, k.row_entries(op.y, row, column), total[0])

        k.nest([prod(outer, start=1), width], body, contraction=(0, 1))

    k.nest([panels], panel)


@root("Gemm", fuses="none")
def gemm(k: Kernel, op: OnnxOp) -> None:
    """alpha * A' * B' + beta * C, with ' an optional transposition and C broadcast."""
    lhs, rhs, *rest = op.operands
    addend = rest[0] if rest and not is_none(rest[0]) else None
    result = op.results[0]
    rows, columns = k.dims(result)
    depth = k.dims(lhs)[0 if op.get("transA") else 1]
    element = k.element(result)
    accumulator = accumulator_type(element)

    def body(ivs: list[Affine]) -> None:
        row, column = ivs

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            tap = taps[0]
            a = k.read(lhs, [tap, row] if op.get("transA") else [row, tap])
            b = k.read(rhs, [column, tap] if op.get("transB") else [tap, column])
            return [multiply_add(k, carried[0], a, b)]

        (total,) = k.reduce([depth], [k.s.const(0, accumulator)], step)
        if op.get("alpha") != 1:
            total = k.s.mul(total, k.s.const(op.get("alpha"), accumulator))
        if addend is not None and op.get("beta") != 0:
            term = k.s.cast(k.read(addend, k.broadcast(addend, op, ivs)), accumulator)
            if op.get("beta") != 1:
                term = k.s.mul(term, k.s.const(op.get("beta"), accumulator))
            total = k.s.add(total, term)
        k.give(result, ivs, k.s.cast(total, element))

    k.nest([rows, columns], body, contraction=(0, 1))


def spatial_attribute(op: OnnxOp, name: str, rank: int) -> tuple[int, ...]:
    """`strides` or `dilations` of a window operator, 1 where absent."""
    return tuple(op.get(name) or (1,) * rank)


def under_window(op: OnnxOp, place: Sequence[Affine], taps: Sequence[Affine]) -> list[Affine]:
    """Where taps of a window at a place of the result lie, counted with the padding."""
    rank = len(place)
    strides, dilations = (spatial_attribute(op, name, rank) for name in ("strides", "dilations"))
    return [
        p * stride + tap * dilation
        for p, stride, tap, dilation in zip(place, strides, taps, dilations, strict=True)
    ]


@root("Conv", "ConvInteger", fuses="none")
def conv(k: Kernel, op: OnnxOp) -> None:
    """A sum over kernel taps of products over channels.

    Padding of an axis is not read, its taps are left out (`onnx-assign-layouts` leaves it only
    where that is worth it).
    """
    data, weight = op.operands[:2]
    result = op.results[0]
    dims, weight_dims = k.dims(result), k.dims(weight)
    rank = len(dims) - 2
    if rank <= 0:
        _joined_conv(k, op)
        return
    groups = op.get("group")
    channels, outputs = weight_dims[1], dims[1]
    pads = op.get("pads") or (0,) * (2 * rank)
    before, after = pads[:rank], pads[rank:]
    per_group = _per_group(outputs, groups)
    narrow = _is_narrow(op)
    is_row_major = layout_of(result.type) is None
    if is_row_major and any(pads):
        _padded_planes(k, op)
        return

    def body(ivs: list[Affine]) -> None:
        if is_row_major:
            image, output, *place = ivs
            group = output // per_group
        elif groups == 1 or narrow:
            image, *place, output = ivs
            group = output // per_group
        else:
            group, image, *place, column = ivs
            output = group * per_group + column

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            channel = taps[-2 if narrow else -1]
            window = [tap for tap in taps if tap is not channel]
            places = under_window(op, place, window)
            at = [entry - pad for entry, pad in zip(places, before, strict=True)]
            a = k.read(data, [image, k.times(group, channels) + channel, *at])
            b = k.read(weight, [output, channel, *window])
            return [accumulate(k, op, carried[0], a, b)]

        # Channels of a narrow group outside of a window's lines: neighbouring rows share a line.
        *lines, width = [
            taps if not pad and not after[axis] else _taps_inside(k, op, axis, place[axis])
            for axis, (taps, pad) in enumerate(zip(weight_dims[2:], before, strict=True))
        ]
        taps = [*lines, channels, width] if narrow else [*lines, width, channels]
        k.give(result, [image, output, *place], sum_with_bias(k, op, output, taps, step))

    space: list[Dim] = [dims[0], *dims[2:], outputs]
    rows = 1 + place_axis(dims[2:])
    if is_row_major:
        # Places are neighbours in memory: they make the tile.
        space, rows = list(dims), len(dims) - 2
    elif groups > 1 and not narrow:
        space, rows = [groups, *space[:-1], per_group], rows + 1
    k.nest(space, body, contraction=(rows, len(space) - 1))


def sum_with_bias(
    k: Kernel,
    op: OnnxOp,
    output: Affine,
    taps: Sequence[Bound | tuple[Bound, Bound]],
    step: Callable[[list[Affine], list[Scalar]], list[Scalar]],
) -> Scalar:
    """An element of a convolution's result: a sum over taps and the bias of its output channel.

    A short sum begins with the bias, which saves an addition. It would be rounded at every step of
    a long one.
    """
    element = k.element(op.results[0])
    accumulator = accumulator_type(element)
    bias = op.operands[2] if len(op.operands) > 2 and not is_none(op.operands[2]) else None

    def offset(value: SSAValue) -> Scalar:
        """The bias; read where it is needed, as it takes registers from the sum."""
        return k.s.cast(k.read(value, [output]), accumulator)

    is_short = prod(tap if isinstance(tap, int) else LONG_SUM for tap in taps) < LONG_SUM
    start = k.s.const(0, accumulator) if bias is None or not is_short else offset(bias)
    (total,) = k.reduce(taps, [start], step)
    if bias is not None and not is_short:
        total = k.s.add(total, offset(bias))
    return k.s.cast(total, element)


def _padded_planes(k: Kernel, op: OnnxOp) -> None:
    """A depthwise convolution of row-major images, plane by plane.

    Each plane is copied to a buffer of the thread's own, with its padding around it.
    """
    data, weight = op.operands[:2]
    dims, pads = k.dims(op.results[0]), op.get("pads")
    element = k.element(data)
    (top, bottom), (left, right) = (
        (pads[axis], pads[axis] + size)
        for axis, size in enumerate(k.dims(data)[2:])
        if isinstance(size, int)
    )
    height, width = bottom + pads[2], right + pads[3]

    def plane(ivs: list[Affine]) -> None:
        padded = k.scratch([height, width], element)
        zero = k.s.const(0, element)

        def clear(lines: tuple[int, int], places: tuple[int, int]) -> None:
            if lines[0] < lines[1] and places[0] < places[1]:
                k.nest([lines, places], lambda at: k.store(zero, padded, at))

        def copy(at: list[Affine]) -> None:
            value = k.read(data, [*ivs, at[0] - top, at[1] - left])
            k.store(value, padded, at)

        def sum_of_taps(at: list[Affine]) -> None:
            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                a = k.load(padded, under_window(op, at, taps), element)
                b = k.read(weight, [ivs[1], affine(0), *taps])
                return [accumulate(k, op, carried[0], a, b)]

            total = sum_with_bias(k, op, ivs[1], k.dims(weight)[2:], step)
            k.give(op.results[0], [*ivs, *at], total)

        clear((0, top), (0, width))
        clear((top, bottom), (0, left))
        k.nest([(top, bottom), (left, right)], copy)
        clear((top, bottom), (right, width))
        clear((bottom, height), (0, width))
        k.nest(dims[2:], sum_of_taps, contraction=(0, 1))

    k.nest(dims[:2], plane)


def _taps_inside(k: Kernel, op: OnnxOp, axis: int, place: Affine) -> tuple[Affine, Affine]:
    """The taps of a window along an axis that are inside of the data, for one place."""
    data, weight = op.operands[:2]
    rank = len(k.dims(data)) - 2
    stride = spatial_attribute(op, "strides", rank)[axis]
    dilation = spatial_attribute(op, "dilations", rank)[axis]
    start = place * stride - op.get("pads")[axis]
    size, taps = k.size(k.dims(data)[2 + axis]), k.size(k.dims(weight)[2 + axis])
    lower = index_ops.maximum(k, (start * -1 + (dilation - 1)) // dilation, 0)
    upper = index_ops.minimum(k, (size - start + (dilation - 1)) // dilation, taps)
    return lower, index_ops.maximum(k, upper, lower)


def _joined_conv(k: Kernel, op: OnnxOp) -> None:
    """A kernel of size 1, the places of all images being rows (`collapse.py`).

    Where two rows together fill vectors that one leaves half empty, both are one row of the nest.
    """
    data, weight, result = op.operands[0], op.operands[1], op.results[0]
    outputs, _, *sizes = k.dims(weight)
    window = [affine(0)] * len(sizes)
    is_pair = len(k.dims(result)) == 1
    assert isinstance(outputs, int), "a convolution's weights have static sizes"

    def body(ivs: list[Affine]) -> None:
        row, output = ivs
        place = ivs
        if is_pair:
            place = [row * (2 * outputs) + output]
            row, output = row * 2 + output // outputs, output % outputs

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            a = k.read(data, [row, taps[0]])
            b = k.read(weight, [output, taps[0], *window])
            return [accumulate(k, op, carried[0], a, b)]

        k.give(result, place, sum_with_bias(k, op, output, [k.dims(data)[1]], step))

    rows = k.dims(data)[0]
    space = [rows // 2, 2 * outputs] if is_pair and isinstance(rows, int) else [rows, outputs]
    k.nest(space, body, contraction=(0, 1))


def _is_narrow(op: OnnxOp) -> bool:
    """Whether several groups share a vector, each reading no more channels than it writes.

    Groups of whole vectors have panels of their own.
    """
    outputs, channels, *_ = numbers_of(dims_of(op.operands[1].type) or ())
    groups = op.get("group")
    per_group = outputs // groups
    if groups == 1 or channels > per_group:
        return groups > 1 and per_group == 1
    fills = per_group in NARROW_GROUPS and per_group * groups % WHOLE_VECTORS == 0
    return per_group == 1 or (fills and not panel_of(op.operands[1].type))


def _per_group(outputs: Dim, groups: int) -> int:
    assert isinstance(outputs, int), "a convolution's weights have static sizes"
    return outputs // groups
