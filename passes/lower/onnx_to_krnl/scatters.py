"""Roots that write at indices that are data: ScatterElements, Scatter, ScatterND, TensorScatter.

The result starts as a copy of the data. Updates go into it one after the other where two may meet.
"""

from __future__ import annotations

from collections.abc import Callable

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.gathers import index_tuple
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar, Scalars
from passes.lower.onnx_to_krnl.scans import in_order

REDUCTIONS: dict[str, Callable[[Scalars, Scalar, Scalar], Scalar]] = {
    "add": lambda s, old, new: s.add(old, new),
    "mul": lambda s, old, new: s.mul(old, new),
    "max": Scalars.max,
    "min": Scalars.min,
}


def _copy(k: Kernel, op: OnnxOp) -> None:
    """Fills the result with the data."""
    result = op.results[0]
    layout = k.layout(result)

    def body(ivs: list[Affine]) -> None:
        entries = k.logical(layout, ivs)
        k.give(result, entries, k.read(op.operands[0], entries))

    k.nest([k.dims(result)[axis] for axis in layout.order], body)


def _update(k: Kernel, op: OnnxOp, at: list[Affine], new: Scalar) -> None:
    """Replaces an element of the result, or combines it with the update."""
    result = op.results[0]
    combine = REDUCTIONS.get(op.get("reduction") or "none")
    if combine is not None:
        old = k.read_output(k.outputs[0], at)
        new = combine(k.s, old, new)
    k.give(result, at, new)


@root("ScatterElements", "Scatter", epilogue=False)
def scatter_elements(k: Kernel, op: OnnxOp) -> None:
    """Each update goes to its own place, with the index along an axis."""
    _copy(k, op)
    _, indices, updates = op.operands
    dims, extents = k.dims(op.results[0]), k.dims(indices)
    axis = normalize_axis(op.get("axis"), len(dims))
    others = [a for a in range(len(dims)) if a != axis]

    def line(ivs: list[Affine]) -> None:
        def step(ivs_along: list[Affine]) -> None:
            entries = [*ivs[:axis], *ivs_along, *ivs[axis:]]
            found = index_ops.read_index(k, indices, entries)
            new = k.read(updates, entries)
            at = [*ivs[:axis], index_ops.wrapped(k, found, dims[axis]), *ivs[axis:]]
            _update(k, op, at, new)

        in_order(k, [extents[axis]], step)

    k.nest([extents[a] for a in others], line)


@root("ScatterND", epilogue=False)
def scatter_nd(k: Kernel, op: OnnxOp) -> None:
    """Each slice of the updates goes to the place that a tuple of indices names."""
    _copy(k, op)
    _, indices, updates = op.operands
    dims = k.dims(op.results[0])
    rows = k.dims(indices)[:-1]

    def row(ivs: list[Affine]) -> None:
        named = index_tuple(k, op, ivs, dims)

        def body(inner: list[Affine]) -> None:
            _update(k, op, [*named, *inner], k.read(updates, [*ivs, *inner]))

        k.nest(dims[len(named) :], body)

    in_order(k, rows, row)


@root("TensorScatter", epilogue=False)
def tensor_scatter(k: Kernel, op: OnnxOp) -> None:
    """Rows of the updates go into a cache, from a place on that each batch entry names."""
    _copy(k, op)
    updates, result = op.operands[1], op.results[0]
    extents, dims = k.dims(updates), k.dims(result)
    axis = normalize_axis(op.get("axis"), len(dims))
    indexed = len(op.operands) > 2 and not is_none(op.operands[2])

    def prefix(outer: list[Affine]) -> None:
        start = index_ops.read_index(k, op.operands[2], outer[:1]) if indexed else affine(0)

        def row(ivs: list[Affine]) -> None:
            place = start + ivs[0]
            if op.get("mode") == "circular":
                place = index_ops.modulo(k, place, index_ops.maximum(k, k.size(dims[axis]), 1))
            place = index_ops.clamp(k, place, dims[axis])

            def body(inner: list[Affine]) -> None:
                k.give(result, [*outer, place, *inner], k.read(updates, [*outer, *ivs, *inner]))

            k.nest(extents[axis + 1 :], body)

        in_order(k, [extents[axis]], row)

    k.nest(extents[:axis], prefix)
