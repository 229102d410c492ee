"""Index maps: operators that only say where an element comes from."""

from __future__ import annotations

from collections.abc import Sequence

from dialects.onnx.dims import Dim, exact_quotient
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import permutation
from dialects.onnx.types import dims_of, is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.collapse import joined_permutation
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import index_map
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar, i1
from passes.lower.onnx_to_krnl.views import SHAPES
from passes.onnx.bind_parameters import parameter

Indices = Sequence[Affine]


def remap(
    k: Kernel, source: Sequence[Dim], target: Sequence[Dim], entries: Indices
) -> list[Affine]:
    """Indices into a tensor of sizes ``target`` that holds the same elements as one of ``source``.

    ``entries`` are indices into ``source``. Axes are matched in groups of equal products, so
    that only the axes that really are split or joined cost arithmetic.
    """
    result: list[Affine] = []
    for group_source, group_target in _groups(source, target):
        rows = [(entries[axis], source[axis]) for axis in group_source]
        result += _regroup(k, rows, [target[axis] for axis in group_target])
    return result


def _groups(source: Sequence[Dim], target: Sequence[Dim]) -> list[tuple[list[int], list[int]]]:
    """Smallest runs of axes of both sides with equal products, in order."""
    groups: list[tuple[list[int], list[int]]] = []
    a = b = 0
    while a < len(source) or b < len(target):
        left, right = [], []
        product_left: Dim = 1
        product_right: Dim = 1
        while True:
            if left and right and product_left == product_right:
                break
            grow_left = a < len(source) and (
                not left or b >= len(target) or _smaller(product_left, product_right)
            )
            if grow_left:
                product_left = product_left * source[a]
                left.append(a)
                a += 1
            elif b < len(target):
                product_right = product_right * target[b]
                right.append(b)
                b += 1
            elif a < len(source):
                product_left = product_left * source[a]
                left.append(a)
                a += 1
            else:
                break
        groups.append((left, right))
    return groups


def _smaller(lhs: Dim, rhs: Dim) -> bool:
    """Whether a product should grow first: it is less, or divides the other one.

    Where sizes are symbolic and neither does, this is a guess; none is wrong.
    """
    if isinstance(lhs, int) and isinstance(rhs, int):
        return lhs < rhs
    if lhs == 0 or rhs == 0 or exact_quotient(rhs, lhs) is None:
        return isinstance(lhs, int) and not isinstance(rhs, int)
    return True


def _regroup(k: Kernel, rows: list[tuple[Affine, Dim]], target: list[Dim]) -> list[Affine]:
    """One group: joins the source's axes into a number and splits it again."""
    long_source = [(entry, dim) for entry, dim in rows if dim != 1]
    long_target = [dim for dim in target if dim != 1]
    if len(long_source) <= 1 and len(long_target) <= 1:
        entry = long_source[0][0] if long_source else affine(0)
        return [affine(0) if dim == 1 else entry for dim in target]
    if [dim for _, dim in long_source] == long_target:
        entries = iter([entry for entry, _ in long_source])
        return [affine(0) if dim == 1 else next(entries) for dim in target]
    linear = affine(0)
    for entry, dim in long_source:
        linear = k.times(linear, dim) + entry
    result: list[Affine] = []
    for place, dim in reversed(list(enumerate(target))):
        if dim == 1:
            result.append(affine(0))
        elif all(other == 1 for other in target[:place]):
            result.append(linear)
            linear = affine(0)
        else:
            linear, rest = k.divide(linear, dim)
            result.append(rest)
    return result[::-1]


def _reshape_forward(k: Kernel, op: OnnxOp, entries: Indices) -> list[Affine]:
    return remap(k, k.dims(op.operands[0]), k.dims(op.results[0]), entries)


@index_map(*SHAPES, forward=_reshape_forward)
def reshape(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """The same elements in the same order under other indices."""
    source = op.operands[0]
    return k.read(source, remap(k, k.dims(op.results[0]), k.dims(source), entries))


@result_sizes("Reshape")
def reshape_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """The target's sizes; 0 copies the operand's (unless `allowzero`), -1 is what is left."""
    dims = [k.size(dim) for dim in k.dims(op.operands[0])]
    sizes = index_ops.parameters(k, op, 1) or []
    if not op.get("allowzero"):
        for axis, size in enumerate(sizes[: len(dims)]):
            copied = k.compare_index("eq", size, affine(0))
            sizes[axis] = index_ops.select(k, copied, dims[axis], size)
    total, known = affine(1), affine(1)
    for dim in dims:
        total = index_ops.product(k, total, dim)
    free = [k.compare_index("lt", size, affine(0)) for size in sizes]
    for size, is_free in zip(sizes, free, strict=True):
        known = index_ops.product(k, known, index_ops.select(k, is_free, affine(1), size))
    rest = index_ops.floordiv(k, total, index_ops.maximum(k, known, 1))
    return [
        index_ops.select(k, is_free, rest, size) for size, is_free in zip(sizes, free, strict=True)
    ]


@result_sizes("Unsqueeze")
def unsqueeze_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """1 at the listed axes, the operand's sizes in order elsewhere."""
    dims = [k.size(dim) for dim in k.dims(op.operands[0])]
    listed = index_ops.parameters(k, op, 1) or []
    rank = len(dims) + len(listed)
    sizes, place = [], affine(0)
    for axis in range(rank):
        hit = _is_listed(k, listed, axis, rank)
        size = affine(1)
        for number, dim in enumerate(dims):
            size = index_ops.select(k, k.compare_index("eq", place, affine(number)), dim, size)
        sizes.append(index_ops.select(k, hit, affine(1), size))
        place = index_ops.select(k, hit, place, place + 1)
    return sizes


@result_sizes("Squeeze")
def squeeze_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """The operand's sizes but for those of the listed axes."""
    dims = [k.size(dim) for dim in k.dims(op.operands[0])]
    listed = index_ops.parameters(k, op, 1) or []
    sizes, place = [affine(1)] * (len(dims) - len(listed)), affine(0)
    for axis, dim in enumerate(dims):
        hit = _is_listed(k, listed, axis, len(dims))
        for number, size in enumerate(sizes):
            here = k.compare_index("eq", place, affine(number))
            sizes[number] = index_ops.select(k, here, dim, size)
        place = index_ops.select(k, hit, place, place + 1)
    return sizes


def _is_listed(k: Kernel, listed: Sequence[Affine], axis: int, rank: int) -> Scalar:
    """Whether an axis is among some of the run, which may count from the end."""
    hit = k.s.const(False, i1)
    for entry in listed:
        place = index_ops.from_end(k, entry, affine(rank))
        hit = k.s.bit_or(hit, k.compare_index("eq", place, affine(axis)))
    return hit


def _permutation(k: Kernel, op: OnnxOp) -> tuple[int, ...]:
    dims = dims_of(op.operands[0].type)
    assert dims is not None
    perm = permutation(op.get("perm"), len(dims))
    # What it joins is fewer axes.
    return perm if len(k.dims(op.operands[0])) == len(perm) else joined_permutation(perm)


def _transpose_forward(k: Kernel, op: OnnxOp, entries: Indices) -> list[Affine]:
    return [entries[axis] for axis in _permutation(k, op)]


@index_map("Transpose", forward=_transpose_forward)
def transpose(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Axes in another order."""
    source = [affine(0)] * len(entries)
    for place, axis in enumerate(_permutation(k, op)):
        source[axis] = entries[place]
    return k.read(op.operands[0], source)


@index_map("Expand")
def expand(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """Broadcast to a larger shape."""
    return k.read(op.operands[0], k.broadcast(op.operands[0], op, entries))


def same_place(k: Kernel, op: OnnxOp, entries: Indices) -> list[Affine]:
    """Where an element stands that does not move."""
    return list(entries)


@index_map("Dropout", forward=same_place)
def dropout(k: Kernel, op: OnnxOp, number: int, entries: Indices) -> Scalar:
    """The input, which inference leaves whole, and a mask that says so."""
    training = parameter(op, 2) if len(op.operands) > 2 else [0]
    ratio = parameter(op, 1) if len(op.operands) > 1 else None
    if (training is None and not is_none(op.operands[2])) or (
        training is not None and training[0] and (ratio is None or ratio[0])
    ):
        raise k.unsupported(
            op, "Dropout in training mode draws random numbers", "export the model for inference"
        )
    if number == 1:
        return k.s.const(1, k.element(op.results[1]))
    return k.read(op.operands[0], entries)
