"""Contents of tensors whose elements are sizes, or stand elsewhere in the operands."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr

from dialects.onnx.dims import product
from dialects.onnx.shape.contents import all_known, integers, known, objects, static_shape
from dialects.onnx.shape.helpers import normalize_axis, slice_of
from dialects.onnx.shape.movement import slice_arguments
from dialects.onnx.shape.node import CONTENT_ELEMENTS, NodeShapes, propagate
from dialects.onnx.shape.sizes import range_length, shape_range
from dialects.onnx.types import dims_of, dtype_of


@propagate("Shape")
def shape(s: NodeShapes) -> np.ndarray | None:
    """The operand's sizes."""
    dims = s.dims(0)
    if dims is None:
        return None
    start, end = shape_range(s, len(dims))
    return objects(dims[start:end])


@propagate("Size")
def size(s: NodeShapes) -> np.ndarray | None:
    """The product of the operand's sizes."""
    dims = s.dims(0)
    return None if dims is None else objects([product(dims)], ())


@propagate("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
def reshaped(s: NodeShapes) -> np.ndarray | None:
    """The same elements in the result's shape."""
    content, dims = known(s, 0), static_shape(s)
    return None if content is None or dims is None else content.reshape(dims)


@propagate("Transpose")
def transpose(s: NodeShapes) -> np.ndarray | None:
    """Axes in the order `perm`."""
    content = known(s, 0)
    return None if content is None else content.transpose(s.get("perm"))


@propagate("Concat")
def concat(s: NodeShapes) -> np.ndarray | None:
    """Contents one after the other."""
    contents = all_known(s)
    return None if contents is None else np.concatenate(contents, s.get("axis", 1))


@propagate("Split")
def split(s: NodeShapes) -> list[np.ndarray | None] | None:
    """Parts with the sizes of the result types."""
    content = known(s, 0)
    kinds = [dims_of(result.type) for result in s.op.results]
    if content is None or any(dims is None for dims in kinds):
        return None
    axis = normalize_axis(s.get("axis", 0), content.ndim)
    sizes = integers(objects(dims[axis] for dims in kinds if dims is not None))
    return None if sizes is None else list(np.split(content, np.cumsum(sizes)[:-1], axis))


@propagate("Gather")
def gather(s: NodeShapes) -> np.ndarray | None:
    """Elements at known indices."""
    content, at = known(s, 0), known(s, 1)
    if content is None or at is None or integers(at) is None:
        return None
    axis = normalize_axis(s.get("axis", 0), content.ndim)
    indices, count = at.astype(np.int64), content.shape[axis]
    if ((indices < -count) | (indices >= count)).any():
        s.fail(f"index {indices.tolist()} is out of range for an axis of size {count}")
    taken = np.take(content, indices, axis)
    return taken if isinstance(taken, np.ndarray) else objects([taken], ())


@propagate("GatherElements")
def gather_elements(s: NodeShapes) -> np.ndarray | None:
    """Elements at known indices."""
    content, at = known(s, 0), known(s, 1)
    if content is None or at is None or integers(at) is None:
        return None
    return np.take_along_axis(content, at.astype(np.int64), s.get("axis", 0))


@propagate("GatherND")
def gather_nd(s: NodeShapes) -> np.ndarray | None:
    """Elements at known index tuples."""
    content, at = known(s, 0), known(s, 1)
    if content is None or at is None or integers(at) is None or s.get("batch_dims", 0):
        return None
    taken = content[tuple(np.moveaxis(at.astype(np.int64), -1, 0))]
    return taken if isinstance(taken, np.ndarray) else objects([taken], ())


@propagate("ScatterND")
def scatter_nd(s: NodeShapes) -> np.ndarray | None:
    """The data with elements at known index tuples replaced."""
    content, at, updates = known(s, 0), known(s, 1), known(s, 2)
    if content is None or at is None or updates is None or integers(at) is None:
        return None
    if s.get("reduction", "none") != "none":
        return None
    result = content.copy()
    result[tuple(np.moveaxis(at.astype(np.int64), -1, 0))] = updates
    return result


@propagate("ScatterElements", "Scatter")
def scatter_elements(s: NodeShapes) -> np.ndarray | None:
    """The data with elements at known indices along an axis replaced."""
    content, at, updates = known(s, 0), known(s, 1), known(s, 2)
    if content is None or at is None or updates is None or integers(at) is None:
        return None
    if s.get("reduction", "none") != "none":
        return None
    result = content.copy()
    np.put_along_axis(result, at.astype(np.int64), updates, s.get("axis", 0))
    return result


@propagate("Slice")
def slice_(s: NodeShapes) -> np.ndarray | None:
    """Elements between known bounds."""
    content = known(s, 0)
    arguments = None if content is None else slice_arguments(s, content.ndim)
    if content is None or arguments is None:
        return None
    index: list[slice] = [slice(None)] * content.ndim
    for axis, *bound in zip(*arguments, strict=True):
        numbers = integers(objects(bound))
        if numbers is None:
            return None
        start, end, step = numbers
        index[axis] = slice_of(start, end, step, content.shape[axis])
    return content[tuple(index)]


@propagate("Expand")
def expand(s: NodeShapes) -> np.ndarray | None:
    """Elements repeated to the result's shape."""
    content, dims = known(s, 0), static_shape(s)
    return None if content is None or dims is None else np.broadcast_to(content, dims).copy()


@propagate("Tile")
def tile(s: NodeShapes) -> np.ndarray | None:
    """Elements repeated."""
    content, repeats = known(s, 0), integers(known(s, 1))
    return None if content is None or repeats is None or s.since == 1 else np.tile(content, repeats)


@propagate("ConstantOfShape")
def constant_of_shape(s: NodeShapes) -> np.ndarray | None:
    """One value everywhere."""
    dims = static_shape(s)
    if dims is None:
        return None
    value = s.get("value")
    if value is None:
        return np.full(dims, 0.0, object)
    if not isinstance(value, DenseIntOrFPElementsAttr):
        # Infinities, NaN and short floats are kept elsewhere; none of them is a size.
        return None
    entry = np.frombuffer(value.data.data, dtype_of(value.type))[:1].astype(object)[0]
    return np.full(dims, entry, object)


@propagate("Range")
def range_(s: NodeShapes) -> np.ndarray | None:
    """start, start + delta, ..."""
    known_ints = [s.ints(i) for i in range(3)]
    if any(entry is None for entry in known_ints):
        return None
    start, limit, delta = (entry[0] for entry in known_ints if entry)
    count = range_length(start, limit, delta)
    if not isinstance(count, int) or count > CONTENT_ELEMENTS:
        return None
    return objects(start + delta * i for i in range(count))


@propagate("NonZero")
def non_zero(s: NodeShapes) -> np.ndarray | None:
    """Indices of elements known not to be zero."""
    content = known(s, 0)
    if content is None or any(not isinstance(e, int | float) for e in content.reshape(-1)):
        return None
    return np.array(np.nonzero(content.astype(np.float64))).astype(object)
