"""Shapes of reductions, sorts and counts along axes."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute

from dialects.onnx.dims import Dim, product
from dialects.onnx.shape.helpers import normalize_axes, normalize_axis
from dialects.onnx.shape.movement import integers
from dialects.onnx.shape.node import NodeShapes, infer

i64 = IntegerType(64)


def reduced_axes(s: NodeShapes, rank: int) -> list[int] | None:
    """Axes that a reduction takes away; None when only the run knows them.

    An attribute until version 13 or 18, an operand since; none means all, or with
    `noop_with_empty_axes` nothing.
    """
    axes = s.get("axes")
    if axes is None and s.present(1):
        axes = integers(s.ints(1))
        if axes is None:
            return None
    if not axes:
        return [] if s.get("noop_with_empty_axes", 0) else list(range(rank))
    return normalize_axes(axes, rank)


def reduce_dims(dims: tuple[Dim, ...], axes: list[int], keepdims: bool) -> list[Dim]:
    """Sizes after reducing ``axes`` to 1, or taking them away."""
    if keepdims:
        return [1 if axis in axes else dim for axis, dim in enumerate(dims)]
    return [dim for axis, dim in enumerate(dims) if axis not in axes]


@infer(
    *[
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
    ],
    *["ReduceSum", "ReduceSumSquare"],
)
def reduction(s: NodeShapes) -> list[Attribute]:
    """One number for each index outside the axes."""
    dims = s.dims(0)
    if dims is None:
        return [s.tensor(None)]
    keepdims = bool(s.get("keepdims", 1))
    axes = reduced_axes(s, len(dims))
    if axes is not None:
        return [s.tensor(reduce_dims(dims, axes, keepdims))]
    if keepdims:
        return [s.tensor([s.fresh() for _ in dims])]
    count = (s.dims(1) or (None,))[0]
    kept = len(dims) - count if isinstance(count, int) and count else None
    return [s.tensor(None if kept is None else [s.fresh() for _ in range(kept)])]


@infer("ArgMax", "ArgMin")
def arg_reduction(s: NodeShapes) -> list[Attribute]:
    """The index of an extreme along one axis."""
    dims = s.dims(0)
    if dims is None:
        return [s.tensor(None, i64)]
    axis = normalize_axis(s.get("axis", 0), len(dims))
    return [s.tensor(reduce_dims(dims, [axis], bool(s.get("keepdims", 1))), i64)]


@infer("TopK")
def top_k(s: NodeShapes) -> list[Attribute]:
    """`k` values and indices along an axis; k is an attribute before version 10."""
    dims = s.ranked(0, 1)
    if dims is None:
        return [s.tensor(None), s.tensor(None, i64)]
    axis = normalize_axis(s.get("axis", -1), len(dims))
    known = [s.get("k")] if s.since < 10 else s.ints(1)
    count = known[0] if known else s.fresh()
    s.at_most(count, dims[axis], f"k is more than the elements of axis {axis}")
    kept = (*dims[:axis], count, *dims[axis + 1 :])
    return [s.tensor(kept), s.tensor(kept, i64)]


@infer("NonZero")
def non_zero(s: NodeShapes) -> list[Attribute]:
    """[rank, how many elements are not zero]"""
    rank = s.rank(0)
    return [s.tensor((s.fresh("rank") if rank is None else rank, s.fresh("nonzero")), i64)]


@infer("Unique")
def unique(s: NodeShapes) -> list[Attribute]:
    """The different elements (or slices along `axis`), and three index vectors."""
    dims, axis, count = s.dims(0), s.get("axis"), s.fresh("unique")
    vector = s.tensor((count,), i64)
    if axis is None:
        total = s.fresh("elements") if dims is None else product(dims)
        return [s.tensor((count,)), vector, s.tensor((total,), i64), vector]
    if dims is None:
        return [s.tensor(None), vector, s.tensor(None, i64), vector]
    axis = normalize_axis(axis, len(dims))
    kept = s.tensor((*dims[:axis], count, *dims[axis + 1 :]))
    return [kept, vector, s.tensor((dims[axis],), i64), vector]


@infer("NonMaxSuppression")
def non_max_suppression(s: NodeShapes) -> list[Attribute]:
    """[selected boxes, 3]"""
    return [s.tensor((s.fresh("selected"), 3), i64)]


@infer("Compress")
def compress(s: NodeShapes) -> list[Attribute]:
    """The elements (or slices along `axis`) whose condition holds."""
    dims, axis, count = s.dims(0), s.get("axis"), s.fresh("compressed")
    axis = None if axis is None or dims is None else normalize_axis(axis, len(dims))
    flags = s.ranked(1, 1, 1)
    if dims is not None and flags is not None:
        s.at_most(flags[0], product(dims) if axis is None else dims[axis], "conditions")
    if dims is None:
        return [s.tensor((count,) if s.get("axis") is None else None)]
    if axis is None:
        return [s.tensor((count,))]
    return [s.tensor((*dims[:axis], count, *dims[axis + 1 :]))]


@infer("Det")
def det(s: NodeShapes) -> list[Attribute]:
    """One number per matrix."""
    dims = s.ranked(0, 2)
    return [s.tensor(None if dims is None else dims[:-2])]


@infer("NegativeLogLikelihoodLoss")
def negative_log_likelihood(s: NodeShapes) -> list[Attribute]:
    """A scalar, or with reduction `none` one number per target."""
    return [s.tensor(s.dims(1) if s.get("reduction", "mean") == "none" else ())]


@infer("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(s: NodeShapes) -> list[Attribute]:
    """A scalar or one number per target, and the log of the probabilities."""
    return [s.tensor(s.dims(1) if s.get("reduction", "mean") == "none" else ()), s.kind(0)]


@infer("CenterCropPad")
def center_crop_pad(s: NodeShapes) -> list[Attribute]:
    """The sizes of operand 1 along `axes`."""
    dims, target = s.dims(0), s.ints(1)
    if dims is None:
        return [s.tensor(None)]
    axes = normalize_axes(s.get("axes") or range(len(dims)), len(dims))
    sizes = dict(
        zip(axes, target if target is not None else [s.fresh() for _ in axes], strict=True)
    )
    return [s.tensor([sizes.get(axis, dim) for axis, dim in enumerate(dims)])]
