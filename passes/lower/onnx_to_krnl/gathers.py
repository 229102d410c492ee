"""Index maps whose indices are data: Gather, GatherElements, GatherND, OneHot."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerType

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import index_map
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar

Indices = Sequence[Affine]
i64 = IntegerType(64)


@index_map("Gather")
def gather(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Slices of the data along an axis, in the order of the indices."""
    data, indices = op.operands
    dims = k.dims(data)
    axis = normalize_axis(op.get("axis"), len(dims))
    end = axis + len(k.dims(indices))
    found = index_ops.read_index(k, indices, entries[axis:end])
    at = [*entries[:axis], index_ops.wrapped(k, found, dims[axis]), *entries[end:]]
    return k.read(data, at)


@index_map("GatherElements")
def gather_elements(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """The data's element at the place of the index, with the index along an axis."""
    data, indices = op.operands
    dims = k.dims(data)
    axis = normalize_axis(op.get("axis"), len(dims))
    found = index_ops.read_index(k, indices, entries)
    at = [*entries[:axis], index_ops.wrapped(k, found, dims[axis]), *entries[axis + 1 :]]
    return k.read(data, at)


@index_map("GatherND")
def gather_nd(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Slices of the data at tuples of indices, after axes that both share."""
    data, indices = op.operands
    dims = k.dims(data)
    shared = op.get("batch_dims") or 0
    outer = len(k.dims(indices)) - 1
    named = index_tuple(k, op, entries[:outer], dims[shared:])
    return k.read(data, [*entries[:shared], *named, *entries[outer:]])


def index_tuple(k: Kernel, op: OnnxOp, row: Indices, dims: Sequence) -> list[Affine]:
    """One tuple of the indices, operand 1 of GatherND and ScatterND, as indices of these sizes."""
    indices = op.operands[1]
    width = k.dims(indices)[-1]
    if not isinstance(width, int):
        raise k.unsupported(op, "the length of the index tuples is only known at run time")
    return [
        index_ops.wrapped(k, index_ops.read_index(k, indices, [*row, affine(place)]), dims[place])
        for place in range(width)
    ]


@index_map("OneHot")
def one_hot(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """The second of `values` where the new axis' index is the operand's, the first elsewhere."""
    indices, _, values = op.operands
    axis = normalize_axis(op.get("axis"), len(entries))
    row = [*entries[:axis], *entries[axis + 1 :]]
    found = index_ops.from_scalar(k, k.s.cast(k.read(indices, row), i64))
    depth = k.size(k.dims(op.results[0])[axis])
    found = index_ops.from_end(k, found, depth)
    hot = k.compare_index("eq", found, entries[axis])
    off, on = (k.read(values, [affine(place)]) for place in (0, 1))
    return k.s.select(hot, on, off)


@result_sizes("OneHot")
def one_hot_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """The indices' sizes, and where the new axis stands the depth, a number of any type."""
    sizes = [k.size(dim) for dim in k.dims(op.operands[0])]
    axis = op.get("axis")
    axis = normalize_axis(-1 if axis is None else axis, len(sizes) + 1)
    depth = k.read(op.operands[1], [affine(0)] * len(k.dims(op.operands[1])))
    return [*sizes[:axis], index_ops.from_scalar(k, k.s.cast(depth, i64)), *sizes[axis:]]
