"""Tensors made from sizes: ConstantOfShape, EyeLike, Range, Shape, Size, AffineGrid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects import math
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import Custom, OnnxOp
from dialects.onnx.types import dtype_of, f64
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import index_map, root
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.bind_parameters import parameter

Indices = Sequence[Affine]
i64 = IntegerType(64)


@index_map("ConstantOfShape")
def constant_of_shape(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """One number everywhere; 0 in float32 without one."""
    value = op.get("value")
    if value is None:
        return k.s.const(0, k.element(op.results[0]))
    assert isinstance(value, DenseIntOrFPElementsAttr)
    array = np.frombuffer(value.data.data, dtype_of(value.type))
    return k.s.const(array[0].item(), k.element(op.results[0]))


@index_map("EyeLike")
def eye_like(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """1 on the k-th diagonal, 0 elsewhere."""
    element = k.element(op.results[0])
    row, column = entries
    hit = k.compare_index("eq", row + (op.get("k") or 0), column)
    return k.s.select(hit, k.s.const(1, element), k.s.const(0, element))


@index_map("Range")
def range_(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """start + i * delta."""
    element = k.element(op.results[0])
    start, delta = (_number(k, op, operand) for operand in (0, 2))
    place = k.s.from_index(k.index_value(entries[0]), element)
    return k.s.add(start, k.s.mul(place, delta))


@result_sizes("Range")
def range_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """ceil((limit - start) / delta), at least 0."""
    start, limit, delta = (_number(k, op, operand) for operand in range(3))
    if start.is_float:
        start, limit, delta = (k.s.cast(x, f64) for x in (start, limit, delta))
        count = k.s.unary(math.CeilOp, k.s.div(k.s.sub(limit, start), delta))
        return [index_ops.maximum(k, index_ops.from_scalar(k, k.s.cast(count, i64)), 0)]
    start, limit, delta = (index_ops.from_scalar(k, x) for x in (start, limit, delta))
    forwards = k.compare_index("gt", delta, affine(0))
    distance = index_ops.select(k, forwards, limit - start, start - limit)
    step = index_ops.maximum(k, index_ops.select(k, forwards, delta, delta * -1), 1)
    return [index_ops.maximum(k, index_ops.floordiv(k, distance + step - 1, step), 0)]


def _number(k: Kernel, op: OnnxOp, operand: int) -> Scalar:
    """An operand of Range: known, or a scalar (or a single element) in memory."""
    found = parameter(op, operand)
    if found is None:
        value = op.operands[operand]
        return k.read(value, [affine(0)] * len(k.dims(value)))
    element = k.element(op.results[0]) if not isinstance(op, Custom) else None
    if isinstance(found[0], float):
        return k.s.const(found[0], element or f64)
    return k.s.from_index(k.index_value(k.size(found[0])), element or i64)


@root("Shape")
def shape(k: Kernel, op: OnnxOp) -> None:
    """The operand's sizes, or those of some axes."""
    dims = k.dims(op.operands[0])
    end = op.get("end")
    start, end, _ = slice(op.get("start") or 0, end).indices(len(dims))
    element = k.element(op.results[0])
    for place, dim in enumerate(dims[start:end]):
        number = k.s.from_index(k.index_value(k.size(dim)), element)
        k.give(op.results[0], [affine(place)], number)


@root("Size")
def size(k: Kernel, op: OnnxOp) -> None:
    """The operand's number of elements."""
    count = k.index_value(k.size(product(k.dims(op.operands[0]))))
    k.give(op.results[0], [], k.s.from_index(count, k.element(op.results[0])))


@index_map("AffineGrid")
def affine_grid(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """theta times the homogeneous coordinates of a pixel, which run from -1 to 1, x first."""
    theta = op.operands[0]
    batch, *pixel, component = entries
    sizes = k.dims(op.results[0])[1:-1]
    element = k.element(op.results[0])
    total = k.read(theta, [batch, component, affine(len(pixel))])
    for column, (entry, dim) in enumerate(zip(reversed(pixel), reversed(sizes), strict=True)):
        factor = k.read(theta, [batch, component, affine(column)])
        at = _centred(k, entry, dim, bool(op.get("align_corners")), element)
        total = k.s.add(total, k.s.mul(factor, at))
    return total


def _centred(k: Kernel, entry: Affine, dim: Dim, corners: bool, element: Attribute) -> Scalar:
    """A pixel's coordinate in [-1, 1]: of its centre, or with the outermost pixels at the ends."""
    count = k.size(dim)
    place = entry * 2 - (count - 1)
    scale = index_ops.maximum(k, count - 1, 1) if corners else count
    numbers = (k.s.from_index(k.index_value(x), element) for x in (place, scale))
    return k.s.div(*numbers)
