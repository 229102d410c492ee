"""Roots that go along elements in order: CumSum, CumProd, Compress, NonZero."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import IntegerType

from dialects.onnx.dims import Dim, minimum
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.maps import remap
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import Scalar, accumulator_type
from passes.onnx.bind_parameters import parameter

i64 = IntegerType(64)


def in_order(
    k: Kernel, extents: Sequence[Bound | tuple[Bound, Bound]], body: Callable[[list[Affine]], None]
) -> None:
    """Loops whose iterations run one after the other: they carry a number that says so."""

    def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        body(ivs)
        return carried

    k.reduce(extents, [k.s.const(0, i64)], step)


def for_axis(k: Kernel, op: OnnxOp, number: int, rank: int, emit: Callable[[int], None]) -> None:
    """Emits for the axis that an operand holds; one that only a run knows selects among all."""
    found = parameter(op, number)
    if found is not None and isinstance(found[0], int):
        emit(normalize_axis(found[0], rank))
        return
    entries = index_ops.parameters(k, op, number)
    assert entries is not None
    chosen = index_ops.from_end(k, entries[0], affine(rank))
    for axis in range(rank):
        hit = k.compare_index("eq", chosen, affine(axis))
        k.run_if(hit, lambda axis=axis: emit(axis))


@root("CumSum", "CumProd")
def cumulate(k: Kernel, op: OnnxOp) -> None:
    """Sums or products of all elements up to each one (`exclusive`: without it) along an axis."""
    rank = len(k.dims(op.operands[0]))
    if rank == 0:
        k.give(op.results[0], [], k.read(op.operands[0], []))
    else:
        for_axis(k, op, 1, rank, lambda axis: _cumulate(k, op, axis))


def _cumulate(k: Kernel, op: OnnxOp, axis: int) -> None:
    source, result = op.operands[0], op.results[0]
    dims, element = k.dims(result), k.element(result)
    kind = accumulator_type(element)
    combine = k.s.add if op.OP_TYPE == "CumSum" else k.s.mul
    others = [a for a in range(len(dims)) if a != axis]
    last = k.size(dims[axis]) - 1

    def line(ivs: list[Affine]) -> None:
        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            place = last - taps[0] if op.get("reverse") else taps[0]
            entries = [*ivs[:axis], place, *ivs[axis:]]
            total = combine(carried[0], k.s.cast(k.read(source, entries), kind))
            given = carried[0] if op.get("exclusive") else total
            k.give(result, entries, k.s.cast(given, element))
            return [total]

        k.reduce([dims[axis]], [k.s.const(int(op.OP_TYPE == "CumProd"), kind)], step)

    k.nest([dims[a] for a in others], line)


def _counted(k: Kernel, hit: Scalar, count: Scalar) -> Scalar:
    """A count, one higher where something holds."""
    return k.s.add(count, k.s.cast(hit, i64))


def _is_nonzero(k: Kernel, op: OnnxOp, entries: list[Affine]) -> Scalar:
    element = k.read(op.operands[0], entries)
    return element if element.is_bool else k.s.compare("ne", element, k.s.like(0, element))


@result_sizes("NonZero")
def nonzero_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """Rank and number of elements that are not zero."""
    dims = k.dims(op.operands[0])
    (count,) = k.reduce(
        dims,
        [k.s.const(0, i64)],
        lambda ivs, carried: [_counted(k, _is_nonzero(k, op, ivs), carried[0])],
    )
    return [affine(len(dims)), index_ops.from_scalar(k, count)]


@root("NonZero", epilogue=False)
def nonzero(k: Kernel, op: OnnxOp) -> None:
    """Indices of the elements that are not zero: a row for each axis, in row-major order."""
    result = op.results[0]
    room = k.dims(result)[1]

    def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        hit = _is_nonzero(k, op, ivs)
        place = index_ops.clamp(k, index_ops.from_scalar(k, carried[0]), room)

        def store() -> None:
            for axis, iv in enumerate(ivs):
                number = k.s.from_index(k.index_value(iv), i64)
                k.give(result, [affine(axis), place], number)

        k.run_if(hit, store)
        return [_counted(k, hit, carried[0])]

    k.reduce(k.dims(op.operands[0]), [k.s.const(0, i64)], step)


def _compressed(k: Kernel, op: OnnxOp) -> tuple[int | None, list[Dim], Dim]:
    """The axis of a Compress, sizes of the operand (flat without an axis), number of conditions."""
    dims = list(k.dims(op.operands[0]))
    axis = op.get("axis")
    if axis is None:
        count: Dim = 1
        for dim in dims:
            count = count * dim
        dims, place = [count], None
    else:
        place = normalize_axis(axis, len(dims))
    return place, dims, minimum(k.dims(op.operands[1])[0], dims[place or 0])


@result_sizes("Compress")
def compress_sizes(k: Kernel, op: OnnxOp) -> list[Affine]:
    """The operand's sizes, along the axis the number of true conditions."""
    axis, dims, conditions = _compressed(k, op)
    (count,) = k.reduce(
        [conditions],
        [k.s.const(0, i64)],
        lambda ivs, carried: [_counted(k, k.read(op.operands[1], ivs), carried[0])],
    )
    sizes = [k.size(dim) for dim in dims]
    sizes[axis or 0] = index_ops.from_scalar(k, count)
    return sizes


@root("Compress", epilogue=False)
def compress(k: Kernel, op: OnnxOp) -> None:
    """The parts of the operand along an axis (or flat) whose condition holds."""
    source, result = op.operands[0], op.results[0]
    axis, dims, conditions = _compressed(k, op)
    along = axis or 0
    room = k.dims(result)[along]

    def step(ivs: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        hit = k.read(op.operands[1], ivs)
        place = index_ops.clamp(k, index_ops.from_scalar(k, carried[0]), room)

        def part(inner: list[Affine]) -> None:
            at = [*inner[:along], *ivs, *inner[along:]]
            at = at if axis is not None else remap(k, dims, k.dims(source), at)
            k.give(result, [*inner[:along], place, *inner[along:]], k.read(source, at))

        k.run_if(hit, lambda: k.nest([*dims[:along], *dims[along + 1 :]], part))
        return [_counted(k, hit, carried[0])]

    k.reduce([conditions], [k.s.const(0, i64)], step)
