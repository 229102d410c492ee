"""Layouts of convolutions: channels-last data, packed weights, no padding left to do."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects import func
from xdsl.ir import SSAValue

from dialects.krnl import integers
from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, layout_of
from passes.krnl.tiles import CACHE_PERIOD
from passes.lower.krnl_to_affine.access import WIDEST_STRIDE
from passes.onnx.assign_layouts.layouts import Layouts, bits_of_element, channels_last, set_layout
from passes.onnx.assign_layouts.padding import leave_out_taps, margins, put_in_front
from passes.onnx.assign_layouts.products import product_of_places
from passes.onnx.editing import take_padding

LARGEST_PLANE = 262_144
"""Bytes of a padded plane that stays in a core's cache."""

COLLISION_BYTES = 1024
"""Sixteen cache lines. Caches take their sets from the bits above those of a line."""

FEW_CHANNELS = 4
"""Channels of an image that are as near to each other in planes as side by side."""


def convolution(layouts: Layouts, op: OnnxOp) -> None:
    """Channels-last data and result, packed weights, padding made explicit."""
    sizes = _sizes(op)
    if sizes is None:
        return
    (data, weight), (dims, weight_dims, result) = op.operands[:2], sizes
    if is_alone(op) and product_of_places(layouts, op, dims, weight_dims, result):
        return
    if stays_row_major(layouts, op, dims, weight_dims, result):
        before, after = take_padding(op, dims, weight_dims)
        if copies_planes(op, dims, before, after):
            op.properties["pads"] = integers((*before, *after))  # type: ignore[arg-type]
        else:
            put_in_front(op, dims, before, after, None)
        layouts.row_major_operands(op)
        return
    order = channels_last(len(dims))
    spatial = range(2, len(dims))
    before, after = take_padding(op, dims, weight_dims)
    if op.get("group") == 1:
        leave_out_taps(op, dims, weight_dims, result, before, after)
    panel = panels_of_groups(layouts, weight, weight_dims, op.get("group"))
    if panel:
        layouts.convert(op, 1, (0, *spatial, 1, 0), panel)
    else:
        layouts.convert(op, 1, (*spatial, 1, 0))
    is_padded, channels = any([*before, *after]), weight_dims[1]
    assert isinstance(channels, int)
    if op.get("group") > 1 and panel and is_padded and _collides(data, dims[1]):
        # A copy is made anyway: one in which a group's channels at all places are neighbours.
        put_in_front(op, dims, before, after, (0, 1, *spatial, 1), channels)
    elif is_padded and op.get("group") == 1 and _stays_in_planes(op, dims, before, after):
        put_in_front(op, dims, before, after, None)
    else:
        put_in_front(op, dims, before, after, order)
        layouts.convert(op, 0, order)
    _end(layouts, op, order)


def _stays_in_planes(
    op: OnnxOp, dims: Sequence[Dim], before: Sequence[Dim], after: Sequence[Dim]
) -> bool:
    """Whether a convolution reads an image with its padding plane by plane.

    A tile loads single numbers, for which channels need not be neighbours. Few of them are few
    planes to go through at once, as long as these begin at different places of the first cache.
    """
    data = op.operands[0]
    sizes = [a + b + c for a, b, c in zip(before, dims[2:], after, strict=True)]
    sizes = [size for size in sizes if isinstance(size, int)]
    if layout_of(data.type) is not None or "onnx.packed" in op.attributes:
        return False
    if len(sizes) < len(dims) - 2 or not isinstance(dims[1], int) or dims[1] > FEW_CHANNELS:
        return False
    return prod(sizes) * bits_of_element(data) // 8 % CACHE_PERIOD != 0


def winograd_convolution(layouts: Layouts, op: OnnxOp) -> None:
    """Channels-last data and result, packed weights; padding stays the kernel's own."""
    result, weights = dims_of(op.results[0].type), dims_of(op.operands[1].type)
    assert result is not None and weights is not None
    order = channels_last(len(result))
    layouts.convert(op, 0, order)
    layouts.convert(op, 1, (0, 2, 1, 2), layouts.panel(op.operands[1], weights[2]))
    _end(layouts, op, order)


def transposed_convolution(layouts: Layouts, op: OnnxOp) -> None:
    """Channels-last data with margins for the kernel, packed weights, resolved attributes."""
    sizes = _sizes(op)
    if sizes is None:
        return
    weight, (dims, weights, result) = op.operands[1], sizes
    spatial = range(2, len(dims))
    order = channels_last(len(dims))
    before, after = margins(op, dims, weights, result)
    put_in_front(op, dims, before, after, order)
    op.attributes["onnx.margins"] = integers(tuple(before))
    layouts.convert(op, 0, order)
    if op.get("group") == 1:
        layouts.convert(op, 1, (1, *spatial, 0, 1), layouts.panel(weight, weights[1]))
    else:
        layouts.convert(op, 1, (*spatial, 1, 0) if weights[1] == 1 else (*spatial, 0, 1))
    _end(layouts, op, order)


def stays_row_major(
    layouts: Layouts, op: OnnxOp, dims: Sequence[Dim], weights: Sequence[Dim], result: Sequence[Dim]
) -> bool:
    """Whether a depthwise convolution stands alone: transpositions would cost more than it.

    Its rows have to be long enough for vectors of places, its strides short enough.
    """
    is_depthwise = weights[1] == 1 and op.get("group") == dims[1] == weights[0]
    columns, stride = result[-1], (op.get("strides") or (1,))[-1]
    if not isinstance(columns, int) or columns < layouts.panel(op.operands[0], 1):
        return False
    return is_depthwise and stride <= WIDEST_STRIDE and is_alone(op)


def copies_planes(
    op: OnnxOp, dims: Sequence[Dim], before: Sequence[Dim], after: Sequence[Dim]
) -> bool:
    """Whether a row-major convolution's kernel pads images itself, one plane at a time."""
    sizes = [*dims[2:], *before, *after]
    if len(dims) != 4 or not all(isinstance(size, int) for size in sizes):
        return False
    height, width = (size + a + b for size, a, b in zip(dims[2:], before, after, strict=True))
    plane = height * width * bits_of_element(op.operands[0]) // 8
    return plane <= LARGEST_PLANE  # type: ignore[operator]


def is_alone(op: OnnxOp) -> bool:
    """Whether a convolution has row-major data and a result that must be row-major."""
    ends = all(isinstance(use.operation, func.ReturnOp) for use in op.results[0].uses)
    return ends and layout_of(op.operands[0].type) is None


def panels_of_groups(layouts: Layouts, weight: SSAValue, dims: tuple[Dim, ...], groups: int) -> int:
    """Width of panels that none of two groups share, 0 where groups are no whole vectors."""
    if groups == 1:
        depth = prod(dim for dim in dims[1:] if isinstance(dim, int))
        return layouts.panel(weight, dims[0], depth=depth)
    width = layouts.panel(weight, _share(dims[0], groups))
    lanes = layouts.panel(weight, 1)
    widths = range(width, 0, -lanes)
    return next((w for w in widths if _share(dims[0], groups) % w == 0), 0)


def _sizes(op: OnnxOp) -> tuple[tuple[Dim, ...], tuple[Dim, ...], tuple[Dim, ...]] | None:
    """The sizes of data, weights and result, if all have a known rank."""
    data, weights, result = (dims_of(v.type) for v in (*op.operands[:2], op.results[0]))
    if data is None or weights is None or result is None:
        return None
    return data, weights, result


def _end(layouts: Layouts, op: OnnxOp, order: tuple[int, ...]) -> None:
    """Row-major operands behind the weights, and the result's layout."""
    for number in range(2, len(op.operands)):
        layouts.convert(op, number, None)
    set_layout(op.results[0], order)


def _share(channels: Dim, groups: int) -> int:
    assert isinstance(channels, int), "a convolution's weights have static sizes"
    return channels // groups


def _collides(data: SSAValue, channels: Dim) -> bool:
    """Whether channels-last neighbours are so many bytes apart that few of them stay in a cache.

    They are then mapped to a sixteenth of its sets, or fewer.
    """
    width = bits_of_element(data) // 8
    return isinstance(channels, int) and channels * width % COLLISION_BYTES == 0
