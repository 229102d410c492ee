"""Shapes of convolutions, pools and other windows over spatial dimensions ([N, C, spatial ...])."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim, floordiv, product
from dialects.onnx.shape.helpers import conv_output, resolve_pads
from dialects.onnx.shape.node import NodeShapes, infer, shape_text

i32 = IntegerType(32)
i64 = IntegerType(64)


def per_axis(s: NodeShapes, name: str, count: int) -> tuple[int, ...]:
    """An attribute with one number per spatial dimension, ones by default."""
    values = tuple(s.get(name) or (1,) * count)
    if len(values) != count:
        s.fail(f"{name} {list(values)} do not fit {count} spatial dimensions")
    return values


def window_output(
    s: NodeShapes, spatial: Sequence[Dim], kernel: Sequence[Dim], ceil_mode: bool = False
) -> list[Dim]:
    """Spatial sizes after a window that the operation's attributes describe."""
    count = len(spatial)
    strides, dilations = per_axis(s, "strides", count), per_axis(s, "dilations", count)
    if min(strides) < 1 or min(dilations) < 1:
        s.fail(f"strides {list(strides)} and dilations {list(dilations)} must be positive")
    begins, ends = resolve_pads(
        s.get("auto_pad", "NOTSET"), spatial, kernel, strides, dilations, s.get("pads")
    )
    return [
        conv_output(*entry, ceil_mode=ceil_mode)
        for entry in zip(spatial, kernel, strides, dilations, begins, ends, strict=True)
    ]


def convolution(s: NodeShapes, data: int, weight: int) -> list[Dim] | None:
    """The shape of a convolution of operand ``data`` with ``weight`` [M, C / group, kernel ...]."""
    dims, weights = s.ranked(data, 3), s.ranked(weight, 3)
    if dims is None:
        return None
    if weights is None:
        return [dims[0], *[s.fresh() for _ in dims[1:]]]
    if len(dims) != len(weights):
        s.fail(f"data {shape_text(dims)} and weights {shape_text(weights)} differ in rank")
    channels = weights[1] * s.get("group", 1)
    s.equal(dims[1], channels, f"channels of data {shape_text(dims)} and {shape_text(weights)}")
    kernel = s.get("kernel_shape") or weights[2:]
    if len(kernel) != len(dims) - 2:
        s.fail(f"kernel_shape {list(kernel)} does not fit data {shape_text(dims)}")
    return [dims[0], weights[0], *window_output(s, dims[2:], kernel)]


@infer("Conv")
def conv(s: NodeShapes) -> list[Attribute]:
    """[N, M, windows ...]"""
    return [s.tensor(convolution(s, 0, 1))]


@infer("ConvInteger")
def conv_integer(s: NodeShapes) -> list[Attribute]:
    """A convolution of bytes to i32."""
    return [s.tensor(convolution(s, 0, 1), i32)]


@infer("QLinearConv")
def qlinear_conv(s: NodeShapes) -> list[Attribute]:
    """A quantized convolution; the output zero point's element type."""
    return [s.tensor(convolution(s, 0, 3), s.element(7))]


@infer("DeformConv")
def deform_conv(s: NodeShapes) -> list[Attribute]:
    """A convolution whose taps are shifted by data."""
    return [s.tensor(convolution(s, 0, 1))]


@infer("CausalConvWithState")
def causal_conv_with_state(s: NodeShapes) -> list[Attribute]:
    """[N, C, length] keeps its shape; the state is [N, C, kernel - 1]."""
    dims, weights = s.dims(0), s.dims(1)
    if dims is None or weights is None:
        return [s.kind(0), s.tensor(None)]
    return [s.kind(0), s.tensor((dims[0], dims[1], weights[-1] - 1))]


@infer("ConvTranspose")
def conv_transpose(s: NodeShapes) -> list[Attribute]:
    """[N, M, ...]: `output_shape`, or stride * (size - 1) + window + output_padding - pads."""
    dims, weights = s.ranked(0, 3), s.ranked(1, 3)
    if dims is None or weights is None:
        return [s.tensor(None)]
    s.equal(dims[1], weights[0], f"channels of {shape_text(dims)} and {shape_text(weights)}")
    channels = weights[1] * s.get("group", 1)
    return [s.tensor([dims[0], channels, *_transposed_spatial(s, dims[2:], weights[2:])])]


def _transposed_spatial(
    s: NodeShapes, spatial: Sequence[Dim], weights: Sequence[Dim]
) -> Sequence[Dim]:
    if asked := s.get("output_shape"):
        return asked[-len(spatial) :]
    count = len(spatial)
    kernel = s.get("kernel_shape") or weights
    strides, dilations = per_axis(s, "strides", count), per_axis(s, "dilations", count)
    auto_pad, pads = s.get("auto_pad", "NOTSET"), s.get("pads") or (0,) * (2 * count)
    extra = s.get("output_padding") or (0,) * count
    if auto_pad.startswith("SAME"):
        return [dim * stride for dim, stride in zip(spatial, strides, strict=True)]
    if auto_pad == "VALID":
        pads = (0,) * (2 * count)
    return [
        (dim - 1) * strides[i]
        + (kernel[i] - 1) * dilations[i]
        + 1
        + extra[i]
        - pads[i]
        - pads[i + count]
        for i, dim in enumerate(spatial)
    ]


@infer("MaxPool", "AveragePool", "LpPool")
def pool(s: NodeShapes) -> Sequence[Attribute]:
    """[N, C, windows ...], of MaxPool also the indices."""
    dims = s.ranked(0, 3)
    if dims is None:
        return [s.kind(0), s.tensor(None, i64)][: len(s.op.results)]
    kernel = s.get("kernel_shape")
    if not kernel or len(kernel) != len(dims) - 2:
        s.fail(f"kernel_shape {kernel} does not fit data {shape_text(dims)}")
    pooled = [*dims[:2], *window_output(s, dims[2:], kernel, bool(s.get("ceil_mode", 0)))]
    return [s.tensor(pooled), s.tensor(pooled, i64)][: len(s.op.results)]


@infer("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(s: NodeShapes) -> list[Attribute]:
    """[N, C, 1, ...]"""
    dims = s.ranked(0, 2)
    return [s.tensor(None if dims is None else (*dims[:2], *[1] * (len(dims) - 2)))]


@infer("MaxUnpool")
def max_unpool(s: NodeShapes) -> list[Attribute]:
    """The output_shape operand, or the pool's formula backwards."""
    dims = s.ranked(0, 3)
    if s.present(2):
        return [s.tensor(s.ints(2))]
    if dims is None:
        return [s.tensor(None)]
    spatial, count = dims[2:], len(dims) - 2
    kernel, strides = s.get("kernel_shape"), per_axis(s, "strides", count)
    pads = s.get("pads") or (0,) * (2 * count)
    sizes = [
        (dim - 1) * strides[i] + kernel[i] - pads[i] - pads[i + count]
        for i, dim in enumerate(spatial)
    ]
    return [s.tensor([*dims[:2], *sizes])]


@infer("MaxRoiPool")
def max_roi_pool(s: NodeShapes) -> list[Attribute]:
    """[regions, C, pooled height, pooled width]"""
    dims, regions = s.ranked(0, 4, 4), s.ranked(1, 2, 2)
    if dims is None or regions is None:
        return [s.tensor(None)]
    return [s.tensor((regions[0], dims[1], *s.get("pooled_shape")))]


@infer("RoiAlign")
def roi_align(s: NodeShapes) -> list[Attribute]:
    """[regions, C, output height, output width]"""
    dims, regions = s.ranked(0, 4, 4), s.ranked(1, 2, 2)
    if dims is None or regions is None:
        return [s.tensor(None)]
    height, width = s.get("output_height", 1), s.get("output_width", 1)
    return [s.tensor((regions[0], dims[1], height, width))]


@infer("GridSample")
def grid_sample(s: NodeShapes) -> list[Attribute]:
    """[N, C, the grid's spatial sizes ...]"""
    dims, grid = s.ranked(0, 3), s.ranked(1, 3)
    if dims is None or grid is None:
        return [s.tensor(None)]
    return [s.tensor((*dims[:2], *grid[1:-1]))]


@infer("AffineGrid")
def affine_grid(s: NodeShapes) -> list[Attribute]:
    """[N, spatial ..., 2 or 3] for a `size` operand [N, C, spatial ...]."""
    size = s.ints(1)
    if size is None:
        return [s.tensor(None)]
    return [s.tensor((size[0], *size[2:], len(size) - 2))]


@infer("Col2Im")
def col2im(s: NodeShapes) -> list[Attribute]:
    """[N, C, image_shape ...] from [N, C * block elements, blocks]."""
    dims, image, block = s.ranked(0, 3, 3), s.ints(1), s.ints(2)
    if dims is None or image is None or block is None:
        return [s.tensor(None)]
    return [s.tensor((dims[0], dims[1] // product(block), *image))]


@infer("DepthToSpace")
def depth_to_space(s: NodeShapes) -> list[Attribute]:
    """[N, C / b^2, H * b, W * b]"""
    dims, block = s.ranked(0, 4, 4), s.get("blocksize")
    if dims is None:
        return [s.tensor(None)]
    n, c, h, w = dims
    depth = floordiv(c, block * block)
    s.equal(depth * (block * block), c, f"blocks of {block} x {block} channels and all of them")
    return [s.tensor((n, depth, h * block, w * block))]


@infer("SpaceToDepth")
def space_to_depth(s: NodeShapes) -> list[Attribute]:
    """[N, C * b^2, H / b, W / b]"""
    dims, block = s.ranked(0, 4, 4), s.get("blocksize")
    if dims is None:
        return [s.tensor(None)]
    n, c, *sizes = dims
    counts = [floordiv(size, block) for size in sizes]
    for count, size in zip(counts, sizes, strict=True):
        s.equal(count * block, size, f"blocks of {block} elements and all of them")
    return [s.tensor((n, c * (block * block), *counts))]
