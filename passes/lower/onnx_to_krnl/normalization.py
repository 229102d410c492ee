"""Normalisations over the elements of a row: mean and variance first, then each element."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, accumulator_type


def element_count(k: Kernel, dims: list[Dim], kind) -> Scalar:  # noqa: ANN001
    """How many elements a mean is over, as a number."""
    product: Dim = 1
    for dim in dims:
        product = product * dim
    if isinstance(product, int):
        return k.s.const(product, kind)
    return k.s.from_index(k.index_value(k.size(product)), kind)


def sum_over(
    k: Kernel, extents: list[Dim], kind, element: Callable[[list[Affine]], Scalar]  # noqa: ANN001
) -> Scalar:
    """The sum of something over loops."""
    return k.reduce(
        extents,
        [k.s.const(0, kind)],
        lambda taps, carried: [k.s.add(carried[0], element(taps), REDUCTION)],
    )[0]


def _parameter(k: Kernel, value: SSAValue, op: OnnxOp, entries: list[Affine], kind) -> Scalar:  # noqa: ANN001
    return k.s.cast(k.read(value, k.broadcast(value, op, entries)), kind)


@root("LayerNormalization")
def layer_normalization(k: Kernel, op: OnnxOp) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from ``axis`` on."""
    source, scale, *rest = op.operands
    bias = rest[0] if rest and not is_none(rest[0]) else None
    result = op.results[0]
    dims = list(k.dims(source))
    axis = normalize_axis(op.get("axis"), len(dims))
    extents = dims[axis:]
    element = k.element(result)
    kind = accumulator_type(element)

    def body(ivs: list[Affine]) -> None:
        def x(taps: list[Affine]) -> Scalar:
            return k.s.cast(k.read(source, [*ivs, *taps]), kind)

        count = element_count(k, extents, kind)
        mean = k.s.div(sum_over(k, extents, kind, x), count)

        def squared(taps: list[Affine]) -> Scalar:
            distance = k.s.sub(x(taps), mean)
            return k.s.mul(distance, distance)

        variance = k.s.div(sum_over(k, extents, kind, squared), count)
        epsilon = k.s.const(op.get("epsilon"), kind)
        inverse = k.s.reciprocal(k.s.sqrt(k.s.add(variance, epsilon)))

        def last(taps: list[Affine]) -> None:
            entries = [*ivs, *taps]
            y = k.s.mul(k.s.sub(x(taps), mean), inverse)
            y = k.s.mul(y, _parameter(k, scale, op, entries, kind))
            if bias is not None:
                y = k.s.add(y, _parameter(k, bias, op, entries, kind))
            k.give(result, entries, k.s.cast(y, element))

        k.nest(extents, last)
        statistics = [affine(0)] * len(extents)
        for output, value in zip(op.results[1:], (mean, inverse), strict=False):
            if not is_none(output):
                k.give(output, [*ivs, *statistics], k.s.cast(value, k.element(output)))

    k.nest(dims[:axis], body)


@root("RMSNormalization")
def rms_normalization(k: Kernel, op: OnnxOp) -> None:
    """x / sqrt(mean(x * x) + epsilon) * scale over the axes from ``axis`` on."""
    source, scale = op.operands
    result = op.results[0]
    dims = list(k.dims(source))
    axis = normalize_axis(op.get("axis"), len(dims))
    extents = dims[axis:]
    element = k.element(result)
    kind = accumulator_type(element)

    def body(ivs: list[Affine]) -> None:
        def x(taps: list[Affine]) -> Scalar:
            return k.s.cast(k.read(source, [*ivs, *taps]), kind)

        def squared(taps: list[Affine]) -> Scalar:
            value = x(taps)
            return k.s.mul(value, value)

        count = element_count(k, extents, kind)
        mean = k.s.div(sum_over(k, extents, kind, squared), count)
        epsilon = k.s.const(op.get("epsilon"), kind)
        inverse = k.s.reciprocal(k.s.sqrt(k.s.add(mean, epsilon)))

        def last(taps: list[Affine]) -> None:
            entries = [*ivs, *taps]
            y = k.s.mul(x(taps), inverse)
            y = k.s.mul(y, _parameter(k, scale, op, entries, kind))
            k.give(result, entries, k.s.cast(y, element))

        k.nest(extents, last)

    k.nest(dims[:axis], body)
