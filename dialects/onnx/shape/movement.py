"""Shapes of operators that move elements: transpose, reshape, slice, concatenate, gather, ..."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute

from dialects.onnx.dims import SIGNED_PREFIX, Dim, product, symbols_of
from dialects.onnx.shape.helpers import (
    broadcast,
    concat_dims,
    normalize_axes,
    normalize_axis,
    permutation,
    reshape_target,
    slice_bounds,
    split_sizes,
)
from dialects.onnx.shape.node import NodeShapes, infer, shape_text


@infer("Transpose")
def transpose(s: NodeShapes) -> list[Attribute]:
    """Axes in the order `perm`, reversed without it."""
    dims = s.dims(0)
    if dims is None:
        return [s.kind(0)]
    perm = permutation(s.get("perm"), len(dims))
    if sorted(perm) != list(range(len(dims))):
        s.fail(f"perm {list(perm)} is no permutation of the axes of {shape_text(dims)}")
    return [s.tensor([dims[axis] for axis in perm])]


@infer("Reshape")
def reshape(s: NodeShapes) -> list[Attribute]:
    """The target shape: an attribute in version 1, an operand since."""
    dims = s.dims(0)
    target = s.get("shape") if s.since == 1 else s.ints(1)
    if target is None:
        shape = s.dims(1)
        rank = shape[0] if shape else None
        return [s.tensor([s.fresh() for _ in range(rank)] if isinstance(rank, int) else None)]
    # An integer that a run reads may be a -1 or 0, which stand for sizes.
    target = [s.fresh("reshape") if is_signed(size) else size for size in target]
    if dims is not None:
        allow_zero = bool(s.get("allowzero", 0))
        return [s.tensor(reshape_target(dims, target, allow_zero, s.scope.assume))]
    return [s.tensor([s.fresh() if size in (0, -1) else size for size in target])]


@infer("Flatten")
def flatten(s: NodeShapes) -> list[Attribute]:
    """A matrix: the axes before `axis`, and the others."""
    dims = s.dims(0)
    if dims is None:
        return [s.tensor((s.fresh(), s.fresh()))]
    axis, rank = s.get("axis", 1), len(dims)
    if not -rank <= axis <= rank:
        s.fail(f"axis {axis} does not exist in {shape_text(dims)}")
    axis += rank if axis < 0 else 0
    return [s.tensor((product(dims[:axis]), product(dims[axis:])))]


def is_signed(size: Dim) -> bool:
    """Whether a size depends on integers that may be negative."""
    return any(name.startswith(SIGNED_PREFIX) for name in symbols_of(size))


def integers(entries: Sequence[Dim] | None) -> list[int] | None:
    """The entries when all are numbers, else None."""
    numbers = [entry for entry in entries or () if isinstance(entry, int)]
    return numbers if entries is not None and len(numbers) == len(entries) else None


def _axes_count(s: NodeShapes, operand: int) -> int | None:
    """How many axes an operand lists that is not known itself."""
    shape = s.dims(operand)
    return shape[0] if shape and isinstance(shape[0], int) else None


def _known_axes(s: NodeShapes, operand: int) -> Sequence[int] | None:
    """`axes`, an attribute until version 11 and an operand since; None when not known."""
    axes = s.get("axes")
    return integers(s.ints(operand)) if axes is None and s.present(operand) else axes


@infer("Squeeze")
def squeeze(s: NodeShapes) -> list[Attribute]:
    """Without the axes of size 1 that `axes` lists; without `axes` all of size 1."""
    dims = s.dims(0)
    if dims is None:
        return [s.kind(0)]
    axes = _known_axes(s, 1)
    if axes is None and s.present(1):
        count = _axes_count(s, 1)
        left = None if count is None else [s.fresh() for _ in range(len(dims) - count)]
        return [s.tensor(left)]
    if axes is None:
        known = all(isinstance(dim, int) for dim in dims)
        return [s.tensor([dim for dim in dims if dim != 1] if known else None)]
    axes = normalize_axes(axes, len(dims))
    for axis in axes:
        s.equal(dims[axis], 1, f"the squeezed axis {axis} of {shape_text(dims)} and 1")
    return [s.tensor([dim for axis, dim in enumerate(dims) if axis not in axes])]


@infer("Unsqueeze")
def unsqueeze(s: NodeShapes) -> list[Attribute]:
    """With axes of size 1 at the places `axes` of the result."""
    dims, axes = s.dims(0), _known_axes(s, 1)
    if dims is None:
        return [s.tensor(None)]
    if axes is None:
        count = _axes_count(s, 1)
        return [s.tensor(None if count is None else [s.fresh() for _ in range(len(dims) + count)])]
    axes = normalize_axes(axes, len(dims) + len(axes))
    rest = iter(dims)
    return [s.tensor([1 if i in axes else next(rest) for i in range(len(dims) + len(axes))])]


@infer("Concat")
def concat(s: NodeShapes) -> list[Attribute]:
    """Sizes added along `axis` (1 by default in version 1)."""
    shapes = [s.dims(i) for i in range(len(s.op.operands))]
    known = [dims for dims in shapes if dims is not None]
    if len(known) == len(shapes):
        return [s.tensor(concat_dims(known, s.get("axis", 1), s.scope.assume))]
    if not known:
        return [s.tensor(None)]
    axis = normalize_axis(s.get("axis", 1), len(known[0]))
    return [s.tensor([s.fresh() if i == axis else dim for i, dim in enumerate(known[0])])]


@infer("Split")
def split(s: NodeShapes) -> list[Attribute]:
    """Parts along `axis`: sizes from the attribute or operand `split`, else even ones."""
    dims, parts = s.ranked(0, 1), len(s.op.results)
    if dims is None:
        return [s.tensor(None)] * parts
    axis = normalize_axis(s.get("axis", 0), len(dims))
    sizes = s.get("split") or (s.ints(1) if s.present(1) else None)
    if sizes is None and s.present(1):
        sizes = [s.fresh() for _ in range(parts)]
    if sizes is None:
        sizes = split_sizes(dims[axis], parts, rounded_up=s.since >= 18)
        s.equal(
            sum(sizes), dims[axis], f"{parts} equal parts of {dims[axis]} elements and axis {axis}"
        )
    elif len(sizes) != parts:
        s.fail(f"{len(sizes)} sizes for {parts} outputs")
    else:
        s.equal(sum(sizes), dims[axis], f"the sum of split {shape_text(sizes)} and axis {axis}")
    return [s.tensor((*dims[:axis], size, *dims[axis + 1 :])) for size in sizes]


def slice_arguments(
    s: NodeShapes, rank: int
) -> tuple[list[int], list[Dim], list[Dim], list[int]] | None:
    """(axes, starts, ends, steps) of a Slice, attributes in version 1; None when not known."""
    if s.since == 1:
        starts, ends = s.get("starts"), s.get("ends")
        axes = s.get("axes") or range(len(starts))
        return normalize_axes(axes, rank), list(starts), list(ends), [1] * len(starts)
    starts, ends = s.ints(1), s.ints(2)
    axes = s.ints(3) if s.present(3) else list(range(len(starts or ())))
    steps = s.ints(4) if s.present(4) else [1] * len(starts or ())
    axes, steps = integers(axes), integers(steps)
    if starts is None or ends is None or axes is None or steps is None:
        return None
    if not len(starts) == len(ends) == len(axes) == len(steps):
        s.fail(f"{len(starts)} starts, {len(ends)} ends, {len(axes)} axes, {len(steps)} steps")
    return normalize_axes(axes, rank), starts, ends, steps


@infer("Slice")
def slice_(s: NodeShapes) -> list[Attribute]:
    """Elements start, start + step, ... before end, along the axes given."""
    dims = s.dims(0)
    if dims is None:
        return [s.kind(0)]
    known = slice_arguments(s, len(dims))
    if known is None:
        axes = integers(s.ints(3)) if s.present(3) else None
        touched = range(len(dims)) if axes is None else normalize_axes(axes, len(dims))
        return [s.tensor([s.fresh() if i in touched else dim for i, dim in enumerate(dims)])]
    sizes = list(dims)
    for axis, start, end, step in zip(*known, strict=True):
        sizes[axis] = slice_bounds(start, end, step, dims[axis])[1]
    return [s.tensor(sizes)]


@infer("Gather")
def gather(s: NodeShapes) -> list[Attribute]:
    """The indices' shape in the place of `axis`."""
    dims, indices = s.ranked(0, 1), s.dims(1)
    if dims is None or indices is None:
        return [s.tensor(None)]
    axis = normalize_axis(s.get("axis", 0), len(dims))
    return [s.tensor((*dims[:axis], *indices, *dims[axis + 1 :]))]


@infer("GatherElements")
def gather_elements(s: NodeShapes) -> list[Attribute]:
    """The indices' shape."""
    _indices_fit(s)
    return [s.tensor(s.dims(1))]


def _indices_fit(s: NodeShapes) -> None:
    """Notes that indices along `axis` must not exceed the data's other axes."""
    dims, indices = s.dims(0), s.dims(1)
    if dims is None or indices is None:
        return
    if len(dims) != len(indices):
        s.fail(f"indices {shape_text(indices)} and data {shape_text(dims)} differ in rank")
    axis = normalize_axis(s.get("axis", 0), len(dims))
    for i, (count, dim) in enumerate(zip(indices, dims, strict=True)):
        if i != axis:
            s.at_most(count, dim, f"indices along axis {i}")


def _same_shape(s: NodeShapes, i: int, wanted: Sequence[Dim]) -> None:
    """Notes that operand ``i`` must have the shape ``wanted``."""
    dims = s.dims(i)
    if dims is None:
        return
    what = f"input {i} of shape {shape_text(dims)} must have shape {shape_text(wanted)}: sizes"
    if len(dims) != len(wanted):
        s.fail(what.removesuffix(": sizes"))
    for size, dim in zip(dims, wanted, strict=True):
        s.equal(size, dim, what)


@infer("Scatter", "ScatterElements")
def scatter_elements(s: NodeShapes) -> list[Attribute]:
    """The data's type; updates have the indices' shape."""
    _indices_fit(s)
    if (indices := s.dims(1)) is not None:
        _same_shape(s, 2, indices)
    return [s.kind(0)]


@infer("ScatterND")
def scatter_nd(s: NodeShapes) -> list[Attribute]:
    """The data's type; an update for each index has the axes that the index leaves open."""
    dims, indices = s.ranked(0, 1), s.ranked(1, 1)
    if dims is not None and indices is not None and isinstance(indices[-1], int):
        if indices[-1] > len(dims):
            s.fail(f"indices {shape_text(indices)} name more axes than {shape_text(dims)} has")
        _same_shape(s, 2, (*indices[:-1], *dims[indices[-1] :]))
    return [s.kind(0)]


@infer("ReverseSequence")
def reverse_sequence(s: NodeShapes) -> list[Attribute]:
    """The data's type; there is a length for each batch."""
    dims, lengths = s.ranked(0, 2), s.ranked(1, 1, 1)
    if dims is not None and lengths is not None:
        batch = normalize_axis(s.get("batch_axis", 1), len(dims))
        s.equal(lengths[0], dims[batch], "the number of sequence lengths and the batch")
    return [s.kind(0)]


@infer("GatherND")
def gather_nd(s: NodeShapes) -> list[Attribute]:
    """Indices without their last axis, then the axes of the data that an index leaves open."""
    dims, indices = s.ranked(0, 1), s.ranked(1, 1)
    if dims is None or indices is None or not isinstance(indices[-1], int):
        return [s.tensor(None)]
    start = s.get("batch_dims", 0) + indices[-1]
    if start > len(dims):
        s.fail(f"indices {shape_text(indices)} name more axes than {shape_text(dims)} has")
    return [s.tensor((*indices[:-1], *dims[start:]))]


@infer("ArrayFeatureExtractor", domain="ai.onnx.ml")
def array_feature_extractor(s: NodeShapes) -> list[Attribute]:
    """Elements of the last axis."""
    dims, indices = s.ranked(0, 1), s.dims(1)
    if dims is None or indices is None:
        return [s.tensor(None)]
    batch = (1,) if len(dims) == 1 else dims[:-1]
    return [s.tensor((*batch, product(indices)))]


@infer("Expand")
def expand(s: NodeShapes) -> list[Attribute]:
    """Broadcast with the shape operand."""
    dims, target = s.dims(0), s.ints(1)
    if dims is None or target is None:
        return [s.tensor(None)]
    return [s.tensor(broadcast(dims, target, assume=s.scope.assume_broadcast))]


@infer("Tile")
def tile(s: NodeShapes) -> list[Attribute]:
    """Each size times its repeats; version 1 repeats one axis."""
    dims, repeats = s.dims(0), s.ints(1)
    if dims is None:
        return [s.tensor(None)]
    if s.since == 1:
        axes = s.ints(2)
        if repeats is None or axes is None:
            return [s.tensor([s.fresh() for _ in dims])]
        axis = normalize_axis(int(axes[0]), len(dims))  # type: ignore[arg-type]
        return [s.tensor([dim * repeats[0] if i == axis else dim for i, dim in enumerate(dims)])]
    if repeats is None:
        return [s.tensor([s.fresh() for _ in dims])]
    if len(repeats) != len(dims):
        s.fail(f"{len(repeats)} repeats for {shape_text(dims)}")
    return [s.tensor([dim * count for dim, count in zip(dims, repeats, strict=True)])]


def pad_amounts(s: NodeShapes, rank: int) -> tuple[list[Dim], list[Dim]] | None:
    """(before, after) for every axis of a Pad; None when not known."""
    pads = s.get("pads") or s.get("paddings") if s.since < 11 else s.ints(1)
    if pads is None:
        return None
    axes = list(range(rank))
    if s.present(3):
        given = integers(s.ints(3))
        if given is None:
            return None
        axes = normalize_axes(given, rank)
    if len(pads) != 2 * len(axes):
        s.fail(f"{len(pads)} pads for {len(axes)} axes")
    begins: list[Dim] = [0] * rank
    ends: list[Dim] = [0] * rank
    for i, axis in enumerate(axes):
        begins[axis], ends[axis] = pads[i], pads[i + len(axes)]
    return begins, ends


@infer("Pad")
def pad(s: NodeShapes) -> list[Attribute]:
    """Sizes plus what is put before and after."""
    dims = s.dims(0)
    if dims is None:
        return [s.kind(0)]
    amounts = pad_amounts(s, len(dims))
    if amounts is None:
        return [s.tensor([s.fresh() for _ in dims])]
    return [s.tensor([a + dim + b for dim, a, b in zip(dims, *amounts, strict=True)])]
