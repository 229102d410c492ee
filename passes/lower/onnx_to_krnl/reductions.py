"""Reductions, softmax and normalisation: roots that combine many elements into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axes, normalize_axis
from dialects.onnx.types import is_none
from passes.lower.index import Affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, Scalars, accumulator_type
from passes.onnx.bind_parameters import parameter


@dataclass(frozen=True)
class Reduction:
    """How elements are combined: identity, what each contributes, how two combine, what comes last."""

    initial: Callable
    combine: Callable[[Scalars, Scalar, Scalar], Scalar]
    prepare: Callable[[Scalars, Scalar], Scalar] = lambda s, x: x
    finish: Callable | None = None


def _sum(s: Scalars, x: Scalar, y: Scalar) -> Scalar:
    return s.add(x, y, REDUCTION)


def _zero(s: Scalars, element) -> Scalar:
    return s.const(0, element)


REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": Reduction(_zero, _sum),
    "ReduceMean": Reduction(_zero, _sum, finish=lambda s, x, n: s.div(x, n)),
    "ReduceProd": Reduction(lambda s, e: s.const(1, e), lambda s, x, y: s.mul(x, y, REDUCTION)),
    "ReduceMax": Reduction(Scalars.lowest, Scalars.max),
    "ReduceMin": Reduction(Scalars.highest, Scalars.min),
    "ReduceL1": Reduction(_zero, _sum, Scalars.abs),
    "ReduceL2": Reduction(_zero, _sum, lambda s, x: s.mul(x, x), lambda s, x, n: s.sqrt(x)),
    "ReduceSumSquare": Reduction(_zero, _sum, lambda s, x: s.mul(x, x)),
    "ReduceLogSum": Reduction(_zero, _sum, finish=lambda s, x, n: s.log(x)),
}


def reduced_axes(k: Kernel, op: OnnxOp) -> list[int]:
    """The axes a reduction runs over; none given means all, or none with ``noop_with_empty_axes``."""
    rank = len(k.dims(op.operands[0]))
    axes = op.get("axes")
    if axes is None and len(op.operands) > 1:
        found = parameter(op, 1)
        if found is None and not is_none(op.operands[1]):
            raise k.unsupported(op, "the axes of a reduction are only known at run time")
        axes = None if found is None else [int(axis) for axis in found]  # type: ignore[arg-type]
    if not axes:
        return [] if op.get("noop_with_empty_axes") else list(range(rank))
    return sorted(normalize_axes(axes, rank))


def _emit(k: Kernel, op: OnnxOp, kind: Reduction) -> None:
    source, result = op.operands[0], op.results[0]
    dims = k.dims(source)
    axes = reduced_axes(k, op)
    kept = [axis for axis in range(len(dims)) if axis not in axes]
    element = k.element(result)
    accumulator = accumulator_type(element)
    keeps = len(k.dims(result)) == len(dims)
    order = [axis for axis in k.layout(source).order if axis in axes]
    outer = [a for a in (k.layout(result).order if keeps else kept) if a in kept]

    def body(ivs: list[Affine]) -> None:
        at = dict(zip(outer, ivs, strict=True))

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            inner = dict(zip(order, taps, strict=True))
            x = k.read(source, [at.get(a) or inner[a] for a in range(len(dims))])
            x = kind.prepare(k.s, k.s.cast(x, accumulator))
            return [kind.combine(k.s, carried[0], x)]

        (total,) = k.reduce([dims[a] for a in order], [kind.initial(k.s, accumulator)], step)
        if kind.finish is not None:
            total = kind.finish(k.s, total, _count(k, [dims[a] for a in axes], accumulator))
        zero = Affine(())
        entries = [at.get(a, zero) for a in range(len(dims)) if keeps or a in kept]
        k.give(result, entries, k.s.cast(total, element))

    k.nest([dims[a] for a in outer], body)


def _count(k: Kernel, dims: list[Dim], element) -> Scalar:
    product: Dim = 1
    for dim in dims:
        product = product * dim
    if isinstance(product, int):
        return k.s.const(product, element)
    return k.s.from_index(k.index_value(k.size(product)), element)


def _register(name: str, kind: Reduction) -> None:
    root(name)(lambda k, op: _emit(k, op, kind))


for _name, _kind in REDUCTIONS.items():
    _register(_name, _kind)


def _softmax_axes(k: Kernel, op: OnnxOp) -> list[int]:
    """The axis, or before version 13 all from it on."""
    rank = len(k.dims(op.operands[0]))
    axis = normalize_axis(op.get("axis"), rank)
    return [axis] if op.SINCE >= 13 else list(range(axis, rank))


@root("Softmax", "LogSoftmax")
def softmax(k: Kernel, op: OnnxOp) -> None:
    """exp(x - max) / sum(exp(x - max)), or its logarithm x - max - log(sum(...))."""
    source, result = op.operands[0], op.results[0]
    dims = k.dims(source)
    axes = _softmax_axes(k, op)
    outer = [a for a in range(len(dims)) if a not in axes]
    element = k.element(result)
    kind = accumulator_type(element)
    logarithm = op.OP_TYPE == "LogSoftmax"

    def body(ivs: list[Affine]) -> None:
        at = dict(zip(outer, ivs, strict=True))
        extents = [dims[a] for a in axes]

        def place(taps: list[Affine]) -> list[Affine]:
            inner = dict(zip(axes, taps, strict=True))
            return [at.get(a) or inner[a] for a in range(len(dims))]

        def shifted(taps: list[Affine], top: Scalar) -> Scalar:
            return k.s.sub(k.s.cast(k.read(source, place(taps)), kind), top)

        (top,) = k.reduce(
            extents,
            [k.s.lowest(kind)],
            lambda taps, c: [k.s.max(c[0], k.s.cast(k.read(source, place(taps)), kind))],
        )
        (total,) = k.reduce(
            extents,
            [k.s.const(0, kind)],
            lambda taps, c: [k.s.add(c[0], k.s.exp(shifted(taps, top)), REDUCTION)],
        )
        scale = k.s.log(total) if logarithm else k.s.reciprocal(total)

        def last(taps: list[Affine]) -> None:
            x = shifted(taps, top)
            x = k.s.sub(x, scale) if logarithm else k.s.mul(k.s.exp(x), scale)
            k.give(result, place(taps), k.s.cast(x, element))

        k.nest(extents, last)

    k.nest([dims[a] for a in outer], body)
