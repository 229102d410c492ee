"""Joining axes: a pointwise dispatch over [8, 64, 56, 56] is one over [8, 64, 3136] or [1605632].

Axes that are neighbours in memory and that every operand treats alike (all of it, or broadcast)
become one, so that the innermost loop is long and the vectorizer sees no short rows. The same goes
for the axes of a reduction: those that it takes away, and those that it keeps. A product with one
matrix, which a convolution with a kernel of size 1 is too, has all rows of all batches as one axis.
A transposition alone has those axes as one that stay neighbours: [64, 56, 56] to [56, 56, 64] goes
from [64, 3136] to [3136, 64].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.dialects import func
from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import permutation
from dialects.onnx.types import dims_of, element_type_of, is_tensor, layout_of, panel_of
from passes.lower.onnx_to_krnl.contractions import WHOLE_VECTORS
from passes.lower.onnx_to_krnl.reductions import known_axes
from passes.lower.onnx_to_krnl.registry import FRAMES, POINTWISE, key_of
from passes.lower.onnx_to_krnl.scalars import storage_type
from passes.onnx.editing import has_strides, is_pointwise

PRODUCTS = ("MatMul", "MatMulInteger", "Conv", "ConvInteger")
"""Roots whose rows are joined where all of them meet one matrix."""


CONV, TRANSPOSE = ("", "Conv"), ("", "Transpose")

SAMPLING = ("", "GridSample")
"""The root that reads images at places which data tell: it numbers the elements of each."""


@dataclass(frozen=True)
class _Shape:
    """What values are broadcast to: its sizes, and which axis of the whole each of its axes is."""

    dims: tuple[Dim, ...]
    places: tuple[int, ...]


def collapsed_dims(dispatch: func.FuncOp) -> dict[SSAValue, tuple[Dim, ...]]:
    """Sizes of the values of a pointwise dispatch, or one around a root, after joining.

    Results of a reduction keep the axes that it takes away, with size 1. What a product multiplies
    with is left out. Empty where nothing may be joined.
    """
    body = dispatch.body.block
    nodes = [op for op in body.ops if isinstance(op, OnnxOp)]
    others = [op for op in nodes if key_of(op) not in POINTWISE]
    root = others[0] if others else None
    if root is not None and key_of(root) == SAMPLING:
        return _flat_images(root)
    if root is not None and key_of(root) == TRANSPOSE and len(nodes) == 1:
        return _transposed(root)
    if root is not None and sum(key_of(op) == CONV for op in others) > 1:
        return _rows_of_chain(root)
    factors = _factors(root)
    assert body.last_op is not None
    outputs = list(body.last_op.operands)
    framed: dict[SSAValue, SSAValue] = {}
    if factors:
        framed = _framed(others[1:])
        others = [op for op in others if op.results[0] not in framed]
        nodes = [op for op in nodes if op.results[0] not in framed]
        outputs = list(dict.fromkeys(framed.get(value, value) for value in outputs))
    if not nodes or len(others) > 1:
        return {}
    if root is not None and not (factors or _is_reduction(root)):
        return {}
    whole = outputs[0] if root is None else root.operands[0]
    dims = dims_of(whole.type)
    if dims is None:
        return {}
    front = _Shape(dims, tuple(range(len(dims))))
    result = front if root is None else _reduced(root, dims)
    if factors:
        result = _Shape(dims_of(outputs[0].type) or (), front.places)
    if result is None or any(dims_of(value.type) != result.dims for value in outputs):
        return {}
    order = layout_of(whole.type) or front.places
    # Nothing is computed in front of a product: other operands of what is behind it go with that.
    behind = set(nodes) - {root} if factors else _behind(nodes, root)
    aligned: dict[SSAValue, list[Dim]] = {}
    for op in nodes:
        for value in (*op.operands, *op.results):
            if not is_tensor(value.type) or value in factors:
                continue
            is_behind = op in behind or (op is root and value in op.results)
            entry = _aligned(value, result if is_behind else front, order)
            if entry is None or aligned.setdefault(value, entry) != entry:
                return {}
    grouped = _rows_and_columns if factors else _groups
    groups = grouped([dims[a] for a in order], list(aligned.values()))
    if factors and not groups:
        return {}
    joined = {
        value: tuple(prod((entry[a] for a in group), start=1) for group in groups)
        for value, entry in aligned.items()
    }
    return _with_pairs(root, joined) if root is not None and factors and not framed else joined


def _with_pairs(
    root: OnnxOp, joined: dict[SSAValue, tuple[Dim, ...]]
) -> dict[SSAValue, tuple[Dim, ...]]:
    """The same with results as one axis, where pairs of rows fill vectors that a row does not."""
    data, weight = root.operands[:2]
    rows, columns = joined[root.results[0]]
    panel = panel_of(weight.type)
    if not (isinstance(rows, int) and isinstance(columns, int)):
        return joined
    results = {value: dims for value, dims in joined.items() if value is not data}
    is_half = columns % WHOLE_VECTORS == WHOLE_VECTORS // 2 and columns < panel
    is_alike = data.has_one_use() and all(dims == (rows, columns) for dims in results.values())
    if root.OP_TYPE != "Conv" or rows % 2 or not is_half or not is_alike:
        return joined
    return {data: joined[data], **{value: (product(dims),) for value, dims in results.items()}}


def _framed(ops: Sequence[OnnxOp]) -> dict[SSAValue, SSAValue]:
    """Results of frames and what stands in them, where rows are cheap to tell apart again."""
    return {
        op.results[0]: op.operands[0]
        for op in ops
        if key_of(op) in FRAMES
        and all(isinstance(dim, int) for dim in (dims_of(op.operands[0].type) or ())[1:])
    }


def _flat_images(root: OnnxOp) -> dict[SSAValue, tuple[Dim, ...]]:
    """What a root samples, as [images, channels, elements], unless something else reads it too."""
    source, dims = root.operands[0], dims_of(root.operands[0].type)
    if dims is None or not source.has_one_use():
        return {}
    return {source: (*dims[:2], product(dims[2:]))}


def _rows_of_chain(first: OnnxOp) -> dict[SSAValue, tuple[Dim, ...]]:
    """What the first of two convolutions reads, as [rows, channels], unless others read it too."""
    data, dims = first.operands[0], dims_of(first.operands[0].type)
    if dims is None or not _factors(first) or not data.has_one_use():
        return {}
    return {data: (product([dims[0], *dims[2:]]), dims[1])}


def runs_of_axes(perm: Sequence[int]) -> list[tuple[int, ...]]:
    """The axes of a transposition's operand in the order of the result, neighbours in both joined.

    >>> runs_of_axes([0, 2, 3, 1])
    [(0,), (2, 3), (1,)]
    """
    runs: list[tuple[int, ...]] = []
    for axis in perm:
        if runs and runs[-1][-1] + 1 == axis:
            runs[-1] = (*runs[-1], axis)
        else:
            runs.append((axis,))
    return runs


def joined_permutation(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation of what `runs_of_axes` joins."""
    runs = runs_of_axes(perm)
    order = sorted(runs)
    return tuple(order.index(run) for run in runs)


def _transposed(op: OnnxOp) -> dict[SSAValue, tuple[Dim, ...]]:
    """Sizes of a transposition's operand and result, both of which lie in order."""
    source, result = op.operands[0], op.results[0]
    dims = dims_of(source.type)
    if dims is None or layout_of(source.type) or layout_of(result.type):
        return {}
    runs = runs_of_axes(permutation(op.get("perm"), len(dims)))
    sizes = {run: product(dims[axis] for axis in run) for run in runs}
    return {
        source: tuple(sizes[run] for run in sorted(runs)),
        result: tuple(sizes[run] for run in runs),
    }


def _is_reduction(op: OnnxOp) -> bool:
    return not op.DOMAIN and op.OP_TYPE.startswith("Reduce")


def _factors(root: OnnxOp | None) -> set[SSAValue]:
    """What every row of every batch is multiplied with (and a bias); empty for other roots."""
    if root is None or root.DOMAIN or root.OP_TYPE not in PRODUCTS:
        return set()
    data, weight = (dims_of(value.type) for value in root.operands[:2])
    same_order = layout_of(root.operands[0].type) == layout_of(root.results[0].type)
    if data is None or weight is None or not same_order:
        return set()
    if root.OP_TYPE.startswith("MatMul"):
        return set(root.operands[1:]) if len(weight) == 2 and len(data) > 2 else set()
    return set(root.operands[1:]) if is_pointwise(root) and not has_strides(root) else set()


def _reduced(root: OnnxOp, dims: tuple[Dim, ...]) -> _Shape | None:
    """The shape of a reduction's result; None for axes that only a run knows."""
    axes = known_axes(root, len(dims))
    result = dims_of(root.results[0].type)
    if axes is None or result is None:
        return None
    keeps = len(result) == len(dims)
    return _Shape(result, tuple(a for a in range(len(dims)) if keeps or a not in axes))


def _behind(nodes: Sequence[OnnxOp], root: OnnxOp | None) -> set[OnnxOp]:
    """Operations that use a reduction's result."""
    found: set[OnnxOp] = set()
    for op in nodes:
        if root is not None and any(v.owner is root or v.owner in found for v in op.operands):
            found.add(op)
    return found


def _aligned(value: SSAValue, shape: _Shape, order: Sequence[int]) -> list[Dim] | None:
    """A value's sizes in the order of the whole's buffer, 1 where it is broadcast or reduced."""
    own = dims_of(value.type)
    if own is None or len(own) > len(shape.dims):
        return None
    skipped = len(shape.dims) - len(own)
    if any(d not in (1, whole) for d, whole in zip(own, shape.dims[skipped:], strict=True)):
        return None
    own_order = layout_of(value.type) or tuple(range(len(own)))
    if len(set(own_order)) != len(own_order):
        return None
    full: list[Dim] = [1] * len(order)
    for axis, dim in enumerate(own):
        full[shape.places[skipped + axis]] = dim
    long = [shape.places[skipped + axis] for axis in own_order if own[axis] != 1]
    if long != [axis for axis in order if full[axis] != 1]:
        return None
    return [full[axis] for axis in order]


def _rows_and_columns(dims: Sequence[Dim], values: Sequence[Sequence[Dim]]) -> list[list[int]]:
    """All axes but the innermost, and that one; nothing where a value broadcasts some of them."""
    rows = _groups(dims[:-1], values)
    return [*(rows or [[]]), [len(dims) - 1]] if len(rows) <= 1 else []


def _groups(dims: Sequence[Dim], values: Sequence[Sequence[Dim]]) -> list[list[int]]:
    """Runs of axes that every value either has or broadcasts as a whole."""
    groups: list[list[int]] = []
    for axis, dim in enumerate(dims):
        if dim == 1:
            continue
        alike = groups and all(
            (entry[groups[-1][0]] == 1) == (entry[axis] == 1) for entry in values
        )
        if alike:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def reusable_inputs(dispatch: func.FuncOp) -> list[int]:
    """Inputs whose buffer the only output may take over: elements are read where written.

    Of what is transposed in vectors, some elements are written twice, so that nothing is taken over
    there.
    """
    body = dispatch.body.block
    nodes = [op for op in body.ops if isinstance(op, OnnxOp)]
    assert body.last_op is not None
    outputs = body.last_op.operands
    if len(outputs) != 1 or not nodes or any(key_of(op) not in POINTWISE for op in nodes):
        return []
    shape, storage = _placement(outputs[0])
    placed = {n: _placement(v) for n, v in enumerate(body.args) if is_tensor(v.type)}
    if any(dims == shape[0] and order != shape[1] for (dims, order), _ in placed.values()):
        return []
    return [number for number, placement in placed.items() if placement == (shape, storage)]


def _placement(value: SSAValue) -> tuple:
    """What two tensors must share for one buffer to serve both: sizes, order, bytes."""
    order = (dims_of(value.type), layout_of(value.type))
    element = storage_type(element_type_of(value.type))
    return order, getattr(element, "bitwidth", 0)
