"""Shapes of operators that make tensors from sizes, or sizes from tensors."""

from __future__ import annotations

import math

import numpy as np
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim, DimExpr, ceildiv, floordiv, maximum
from dialects.onnx.shape.elements import element_of_code
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.shape.node import NodeShapes, infer, shape_text
from dialects.onnx.shape.ratio import LARGEST_FACTOR, Ratio
from dialects.onnx.types import f32, is_tensor, tensor_type

i64 = IntegerType(64)


def shape_range(s: NodeShapes, rank: int) -> tuple[int, int]:
    """(start, end) of the axes that a Shape asks for."""
    start, end = s.get("start", 0), s.get("end", rank)
    start, end = (max(0, min(rank, i + rank if i < 0 else i)) for i in (start, end))
    return start, max(start, end)


@infer("Shape")
def shape(s: NodeShapes) -> list[Attribute]:
    """[rank], or fewer with `start` and `end`."""
    rank = s.rank(0)
    if rank is None:
        return [s.tensor((s.fresh("rank"),), i64)]
    start, end = shape_range(s, rank)
    return [s.tensor((end - start,), i64)]


@infer("Size")
def size(s: NodeShapes) -> list[Attribute]:
    """A scalar."""
    return [s.tensor((), i64)]


@infer("Constant")
def constant(s: NodeShapes) -> list[Attribute]:
    """The type of the attribute that holds the value."""
    for name, element in (
        ("value_int", i64),
        ("value_ints", i64),
        ("value_float", f32),
        ("value_floats", f32),
    ):
        if (value := s.get(name)) is not None:
            return [tensor_type(element, (len(value),) if name.endswith("s") else ())]
    kind = getattr(s.get("value"), "type", None)
    if kind is None or not is_tensor(kind):
        s.fail("a Constant without a value that is a tensor")
    return [kind]


@infer("ConstantOfShape")
def constant_of_shape(s: NodeShapes) -> list[Attribute]:
    """The shape that the operand lists."""
    value = s.get("value")
    element = f32 if value is None else value.type.element_type
    sizes = s.ints(0)
    if sizes is None:
        dims = s.dims(0)
        rank = dims[0] if dims else None
        sizes = [s.fresh() for _ in range(rank)] if isinstance(rank, int) else None
    return [tensor_type(element, sizes)]


def range_length(start: Dim, limit: Dim, delta: Dim) -> Dim | None:
    """How many numbers an integer Range gives; None when the sign of ``delta`` is not known."""
    if not isinstance(delta, int) or delta == 0:
        return None
    if delta > 0:
        return maximum(ceildiv(limit - start, delta), 0)
    return maximum(ceildiv(start - limit, -delta), 0)


@infer("Range")
def range_(s: NodeShapes) -> list[Attribute]:
    """max(ceil((limit - start) / delta), 0) numbers."""
    contents = [s.value(i) for i in range(3)]
    numbers = [c.reshape(-1)[0] for c in contents if c is not None]
    if len(numbers) == 3 and all(isinstance(n, float | np.floating) for n in numbers):
        start, limit, delta = numbers
        return [s.tensor((max(math.ceil((limit - start) / delta), 0),))]
    known = [s.ints(i) for i in range(3)]
    if all(known):
        length = range_length(*(entry[0] for entry in known if entry))
        if length is not None:
            return [s.tensor((length,))]
    return [s.tensor((s.fresh("range"),))]


@infer("OneHot")
def one_hot(s: NodeShapes) -> list[Attribute]:
    """A new axis of size `depth`."""
    dims, depth = s.dims(0), s.value(1)
    if dims is None:
        return [s.tensor(None, s.element(2))]
    known = None if depth is None else depth.reshape(-1)[0]
    count = s.fresh("depth") if known is None else known
    count = int(count) if isinstance(count, int | float | np.number) else count
    axis = normalize_axis(s.get("axis", -1), len(dims) + 1)
    return [s.tensor((*dims[:axis], count, *dims[axis:]), s.element(2))]


@infer("HannWindow", "HammingWindow", "BlackmanWindow")
def window(s: NodeShapes) -> list[Attribute]:
    """A vector as long as the operand says."""
    known = s.ints(0)
    element = element_of_code(s.get("output_datatype", 1))
    return [s.tensor((known[0] if known else s.fresh("window"),), element)]


@infer("MelWeightMatrix")
def mel_weight_matrix(s: NodeShapes) -> list[Attribute]:
    """[dft_length / 2 + 1, mel bins]"""
    bins, length = s.ints(0), s.ints(1)
    element = element_of_code(s.get("output_datatype", 1))
    rows = floordiv(length[0], 2) + 1 if length else s.fresh("bins")
    return [s.tensor((rows, bins[0] if bins else s.fresh("mel")), element)]


@infer("DFT")
def dft(s: NodeShapes) -> list[Attribute]:
    """[batch ..., length along `axis`, 2], half of it when `onesided`; the last axis is re, im."""
    dims = s.ranked(0, 2)
    if dims is None:
        return [s.tensor(None)]
    axis = s.get("axis", 1) if s.since < 20 else -2
    if s.since >= 20 and s.present(2):
        given = s.ints(2)
        if given is None or not isinstance(given[0], int):
            return [s.tensor([s.fresh() for _ in dims])]
        axis = given[0]
    axis = normalize_axis(axis, len(dims))
    length = s.ints(1) if s.present(1) else [dims[axis]]
    count: Dim = length[0] if length else s.fresh("dft")
    inverse, onesided = bool(s.get("inverse", 0)), bool(s.get("onesided", 0))
    # The inverse of a one-sided transform is real.
    if onesided and inverse and not s.present(1):
        count = (count - 1) * 2
    if onesided and not inverse:
        count = floordiv(count, 2) + 1
    last = 1 if onesided and inverse else 2
    result = [*dims[:-1], last]
    result[axis] = count
    return [s.tensor(result)]


@infer("STFT")
def stft(s: NodeShapes) -> list[Attribute]:
    """[batch, frames, bins, 2]"""
    dims, step = s.ranked(0, 2), s.ints(1)
    if dims is None or not step:
        return [s.tensor((dims[0] if dims else s.fresh(), s.fresh("frames"), s.fresh("bins"), 2))]
    given = s.ints(3) if s.present(3) else None
    window_dims = s.dims(2) if s.present(2) else None
    length = given[0] if given else (window_dims[0] if window_dims else None)
    if length is None:
        s.fail("neither a window nor a frame length")
    bins = floordiv(length, 2) + 1 if s.get("onesided", 1) else length
    frames = floordiv(dims[1] - length, step[0]) + 1
    return [s.tensor((dims[0], frames, bins, 2))]


@infer("TfIdfVectorizer")
def tf_idf_vectorizer(s: NodeShapes) -> list[Attribute]:
    """One number per n-gram of the pool, for each row."""
    dims = s.ranked(0, 1, 2)
    width = max(s.get("ngram_indexes")) + 1
    return [s.tensor(None if dims is None else (*dims[:-1], width), f32)]


def scaled(dim: Dim, scale: float) -> Dim | None:
    """floor(dim * scale) exactly, or None when the product depends on rounding.

    Small fractions have exact products in float32; other scales of symbolic sizes are left to the
    run.
    """
    if isinstance(dim, int):
        return math.floor(np.float32(dim) * np.float32(scale))
    numerator, denominator = float(scale).as_integer_ratio()
    if max(numerator, denominator) >= LARGEST_FACTOR:
        return None
    return floordiv(dim * numerator, denominator)


def resized(s: NodeShapes, dims: tuple[Dim, ...], scales: int, sizes: int | None) -> list[Dim]:
    """The sizes of a Resize or Upsample from its operand ``scales`` or ``sizes``."""
    given_axes = s.get("axes")
    axes = [normalize_axis(a, len(dims)) for a in given_axes] if given_axes else range(len(dims))
    result = list(dims)
    if sizes is not None and s.present(sizes) and s.dims(sizes) != (0,):
        target = s.ints(sizes) or [s.fresh("resize") for _ in axes]
        for axis, size_ in zip(axes, _with_policy(s, dims, axes, target), strict=True):
            result[axis] = size_
        return result
    factors = s.get("scales") or s.value(scales)
    if factors is None:
        return [s.fresh("resize") if axis in axes else dim for axis, dim in enumerate(dims)]
    if len(factors) != len(axes):
        s.fail(f"{len(factors)} scales for {len(axes)} axes of {shape_text(dims)}")
    for axis, factor in zip(axes, factors, strict=True):
        size_ = None if factor is None else _exact_or_scaled(dims[axis], factor)
        result[axis] = s.fresh("resize") if size_ is None else size_
    return result


def _exact_or_scaled(dim: Dim, factor: object) -> Dim | None:
    if isinstance(factor, int | float | np.number):
        return scaled(dim, float(factor))
    if isinstance(factor, Ratio):
        return floordiv(dim * factor.numerator, factor.denominator)
    return dim * factor if isinstance(factor, DimExpr) else None


def _with_policy(
    s: NodeShapes, dims: tuple[Dim, ...], axes: object, target: list[Dim]
) -> list[Dim]:
    policy = s.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return target
    touched = [dims[axis] for axis in axes]  # type: ignore[attr-defined]
    if not all(isinstance(entry, int) for entry in (*touched, *target)):
        return [s.fresh("resize") for _ in target]
    ratios = [t / d for t, d in zip(target, touched, strict=True)]  # type: ignore[operator]
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return [math.floor(d * ratio + 0.5) for d in touched]  # type: ignore[operator]


@infer("Resize")
def resize(s: NodeShapes) -> list[Attribute]:
    """Operands (X, scales) in version 10, (X, roi, scales, sizes) since."""
    dims = s.dims(0)
    if dims is None:
        return [s.kind(0)]
    at = (1, None) if s.since == 10 else (2, 3)
    return [s.tensor(resized(s, dims, *at))]


@infer("Upsample")
def upsample(s: NodeShapes) -> list[Attribute]:
    """Scales are two attributes in version 1, an attribute in 7, an operand since 9."""
    dims = s.dims(0)
    if dims is None:
        return [s.kind(0)]
    if s.since > 1:
        return [s.tensor(resized(s, dims, 1, None))]
    factors = (1, 1, s.get("height_scale"), s.get("width_scale"))
    sizes_ = [_exact_or_scaled(dim, f) or s.fresh() for dim, f in zip(dims, factors, strict=True)]
    return [s.tensor(sizes_)]
