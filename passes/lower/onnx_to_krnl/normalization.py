"""Normalisations: roots that first find out about many elements, then scale each.

The formulas are those of the ONNX operator specifications; variances are means of squared distances
from the mean, in the accumulator's type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import math
from xdsl.ir import Attribute, SSAValue

from dialects.onnx.dims import Dim, product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axes, normalize_axis
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.reductions import Entries, number, sum_over
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar, accumulator_type

TINY = 1e-9
"""What MeanVarianceNormalization adds to the standard deviation."""

CHANNELS = 1
"""The axis of images that channels lie along."""

Element = Callable[[Entries], Scalar]


class Normalization:
    """An operator with its loops: ``outer`` axes number groups, ``inner`` ones their elements.

    Inner axes that are neighbours in memory have one loop (``runs``), which is longer; one that
    some operands have numbers for is to be kept ``apart``.
    """

    def __init__(
        self, k: Kernel, op: OnnxOp, inner: Sequence[int], apart: int | None = None
    ) -> None:
        self.k = k
        self.op = op
        self.source, self.result = op.operands[0], op.results[0]
        self.dims = k.dims(self.source)
        order = k.layout(self.source).order
        self.inner = [axis for axis in order if axis in inner]
        self.outer = [axis for axis in order if axis not in inner]
        self.runs = self._runs(order, apart)
        self.element = k.element(self.result)
        self.kind = accumulator_type(self.element)

    def _runs(self, order: Sequence[int], apart: int | None) -> list[list[int]]:
        """The inner axes, neighbours of known sizes joined; ``apart`` is one that stays alone.

        Where elements of a group are no neighbours in memory, vectors are of several groups, and
        nothing is gained: sums of short inner loops are even unrolled into several.
        """
        if order[-1] not in self.inner or order[-1] == apart:
            return [[axis] for axis in self.inner]
        runs: list[list[int]] = []
        for axis in self.inner:
            before = runs[-1][-1] if runs else None
            is_neighbour = before is not None and order.index(before) + 1 == order.index(axis)
            if is_neighbour and isinstance(self.dims[axis], int) and apart not in (before, axis):
                runs[-1].append(axis)
            else:
                runs.append([axis])
        return runs

    @property
    def extents(self) -> list[Dim]:
        """Sizes of the loops over a group."""
        return [product(self.dims[axis] for axis in run) for run in self.runs]

    def at(self, ivs: Entries, taps: Entries) -> list[Affine]:
        """Indices of an element."""
        found = dict(zip(self.outer, ivs, strict=True)) | self.inside(taps)
        return [found[axis] for axis in range(len(self.dims))]

    def inside(self, taps: Entries) -> dict[int, Affine]:
        """Indices along the inner axes."""
        found: dict[int, Affine] = {}
        for run, tap in zip(self.runs, taps, strict=True):
            entries = self.k.divide_along(tap, [self.dims[axis] for axis in run])
            found |= zip(run, entries, strict=True)
        return found

    def read(self, value: SSAValue, entries: Entries) -> Scalar:
        """An element as it is computed with."""
        return self.k.s.cast(self.k.read(value, list(entries)), self.kind)

    def give(self, entries: Entries, y: Scalar) -> None:
        """One element of the result."""
        self.k.give(self.result, list(entries), self.k.s.cast(y, self.element))

    def run(self, group: Callable[[list[Affine], Element], Element]) -> None:
        """All groups: ``group(variables, x)`` tells what becomes of the elements of one."""

        def body(ivs: list[Affine]) -> None:
            last = group(ivs, lambda taps: self.read(self.source, self.at(ivs, taps)))
            self.k.nest(self.extents, lambda taps: self.give(self.at(ivs, taps), last(taps)))

        self.k.nest([self.dims[axis] for axis in self.outer], body)


def mean_of(k: Kernel, extents: Sequence[Dim], kind: Attribute, x: Element) -> Scalar:
    """The mean of something over loops."""
    count: Dim = 1
    for extent in extents:
        count = count * extent
    return k.s.div(sum_over(k, extents, kind, x), number(k, count, kind))


def moments(
    k: Kernel, extents: Sequence[Dim], kind: Attribute, x: Element
) -> tuple[Scalar, Scalar]:
    """Mean and variance of something over loops."""
    mean = mean_of(k, extents, kind, x)

    def squared(taps: Entries) -> Scalar:
        distance = k.s.sub(x(taps), mean)
        return k.s.mul(distance, distance)

    return mean, mean_of(k, extents, kind, squared)


def inverse_deviation(k: Kernel, variance: Scalar, epsilon: float) -> Scalar:
    """1 / sqrt(variance + epsilon)"""
    return k.s.reciprocal(k.s.sqrt(k.s.add(variance, k.s.like(epsilon, variance))))


# Over the last axes -----------------------------------------------------------------------------


def _rows(k: Kernel, op: OnnxOp) -> Normalization:
    """The groups of an operator that normalises the axes from `axis` on."""
    rank = len(k.dims(op.operands[0]))
    return Normalization(k, op, range(normalize_axis(op.get("axis"), rank), rank))


@root("LayerNormalization")
def layer_normalization(k: Kernel, op: OnnxOp) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on."""
    n = _rows(k, op)
    scale, bias = op.operands[1], op.operands[2] if len(op.operands) > 2 else None

    def group(ivs: list[Affine], x: Element) -> Element:
        mean, variance = moments(k, n.extents, n.kind, x)
        inverse = inverse_deviation(k, variance, op.get("epsilon"))
        statistics = n.at(ivs, [affine(0)] * len(n.runs))
        for output, value in zip(op.results[1:], (mean, inverse), strict=False):
            if not is_none(output):
                k.give(output, statistics, k.s.cast(value, k.element(output)))

        def last(taps: Entries) -> Scalar:
            entries = n.at(ivs, taps)
            y = k.s.mul(k.s.sub(x(taps), mean), inverse)
            y = k.s.mul(y, n.read(scale, k.broadcast(scale, op, entries)))
            if bias is None or is_none(bias):
                return y
            return k.s.add(y, n.read(bias, k.broadcast(bias, op, entries)))

        return last

    n.run(group)


@root("RMSNormalization")
def rms_normalization(k: Kernel, op: OnnxOp) -> None:
    """x / sqrt(mean(x * x) + epsilon) * scale over the axes from `axis` on."""
    n = _rows(k, op)
    scale = op.operands[1]

    def group(ivs: list[Affine], x: Element) -> Element:
        def squared(taps: Entries) -> Scalar:
            value = x(taps)
            return k.s.mul(value, value)

        mean = mean_of(k, n.extents, n.kind, squared)
        inverse = inverse_deviation(k, mean, op.get("epsilon"))

        def last(taps: Entries) -> Scalar:
            factor = n.read(scale, k.broadcast(scale, op, n.at(ivs, taps)))
            return k.s.mul(k.s.mul(x(taps), inverse), factor)

        return last

    n.run(group)


@root("LpNormalization")
def lp_normalization(k: Kernel, op: OnnxOp) -> None:
    """x / norm along `axis`, the sum of absolute values or the Euclidean norm; 0 / 0 is 0."""
    rank = len(k.dims(op.operands[0]))
    n = Normalization(k, op, [normalize_axis(op.get("axis"), rank)])
    power = op.get("p")
    if power not in (1, 2):
        raise k.unsupported(op, f"p = {power}", "the operator defines 1 and 2")

    def group(ivs: list[Affine], x: Element) -> Element:
        def share(taps: Entries) -> Scalar:
            value = x(taps)
            return k.s.abs(value) if power == 1 else k.s.mul(value, value)

        norm = sum_over(k, n.extents, n.kind, share)
        norm = norm if power == 1 else k.s.sqrt(norm)
        zero = k.s.like(0, norm)
        is_zero = k.s.equal(norm, zero)
        divisor = k.s.select(is_zero, k.s.like(1, norm), norm)
        return lambda taps: k.s.select(is_zero, zero, k.s.div(x(taps), divisor))

    n.run(group)


@root("MeanVarianceNormalization")
def mean_variance_normalization(k: Kernel, op: OnnxOp) -> None:
    """(x - mean) / (deviation + 1e-9) over `axes`."""
    axes = op.get("axes")
    rank = len(k.dims(op.operands[0]))
    n = Normalization(k, op, normalize_axes((0, 2, 3) if axes is None else axes, rank))

    def group(ivs: list[Affine], x: Element) -> Element:
        mean, variance = moments(k, n.extents, n.kind, x)
        deviation = k.s.add(k.s.sqrt(variance), k.s.const(TINY, n.kind))
        return lambda taps: k.s.div(k.s.sub(x(taps), mean), deviation)

    n.run(group)


# By channels ------------------------------------------------------------------------------------


@root("InstanceNormalization")
def instance_normalization(k: Kernel, op: OnnxOp) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias in each channel of each image."""
    n = Normalization(k, op, range(2, len(k.dims(op.operands[0]))))
    scale, bias = op.operands[1:3]

    def group(ivs: list[Affine], x: Element) -> Element:
        mean, variance = moments(k, n.extents, n.kind, x)
        channel = ivs[n.outer.index(1)]
        factor = k.s.mul(
            inverse_deviation(k, variance, op.get("epsilon")), n.read(scale, [channel])
        )
        offset = n.read(bias, [channel])
        return lambda taps: k.s.add(k.s.mul(k.s.sub(x(taps), mean), factor), offset)

    n.run(group)


@root("GroupNormalization")
def group_normalization(k: Kernel, op: OnnxOp) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias in groups of channels of each image.

    Scale and bias are one number for each channel, in version 18 for each group.
    """
    n = Normalization(k, op, range(1, len(k.dims(op.operands[0]))), apart=CHANNELS)
    scale, bias = op.operands[1:3]
    groups = op.get("num_groups")
    per_group = n.dims[1] // groups
    extents = [
        per_group if run == [CHANNELS] else extent
        for run, extent in zip(n.runs, n.extents, strict=True)
    ]

    def body(ivs: list[Affine]) -> None:
        image, group = ivs
        first = k.times(group, per_group)

        def entries(taps: Entries) -> list[Affine]:
            at = n.inside(taps)
            return [image, first + at[CHANNELS], *(at[axis] for axis in range(2, len(n.dims)))]

        def x(taps: Entries) -> Scalar:
            return n.read(n.source, entries(taps))

        mean, variance = moments(k, extents, n.kind, x)
        inverse = inverse_deviation(k, variance, op.get("epsilon"))

        def last(taps: list[Affine]) -> None:
            at = entries(taps)
            channel = [group] if op.SINCE < 21 else [at[CHANNELS]]
            y = k.s.mul(k.s.mul(k.s.sub(x(taps), mean), inverse), n.read(scale, channel))
            n.give(at, k.s.add(y, n.read(bias, channel)))

        k.nest(extents, last)

    k.nest([n.dims[0], groups], body)


@root("BatchNormalization")
def batch_normalization(k: Kernel, op: OnnxOp) -> None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias in each channel of all images.

    Before version 9 with `spatial` = 0 each place of a channel has its own scale, bias, mean and
    variance. In training mode mean and variance are the data's, and the running ones follow them.
    """
    if op.get("training_mode"):
        _train(k, op)
        return
    if any(not is_none(result) for result in op.results[1:]):
        raise k.unsupported(op, "outputs for training", "export the model for inference")
    scale, bias, mean, variance = op.operands[1:5]
    n = Normalization(k, op, ())
    everywhere = op.get("spatial") == 0 and op.SINCE < 9

    def body(ivs: list[Affine]) -> None:
        entries = n.at(ivs, ())
        channel = entries[1:] if everywhere else entries[1 : 1 + len(k.dims(scale))]
        factor = inverse_deviation(k, n.read(variance, channel), op.get("epsilon"))
        factor = k.s.mul(factor, n.read(scale, channel))
        y = k.s.mul(k.s.sub(n.read(n.source, entries), n.read(mean, channel)), factor)
        n.give(entries, k.s.add(y, n.read(bias, channel)))

    k.nest([n.dims[axis] for axis in n.outer], body)


def _train(k: Kernel, op: OnnxOp) -> None:
    rank = len(k.dims(op.operands[0]))
    n = Normalization(k, op, [axis for axis in range(rank) if axis != 1])
    scale, bias, *running = op.operands[1:5]
    momentum = op.get("momentum")

    def group(ivs: list[Affine], x: Element) -> Element:
        found = moments(k, n.extents, n.kind, x)
        for old, new, output in zip(running, found, op.results[1:], strict=True):
            if not is_none(output):
                kept = k.s.mul(n.read(old, ivs), k.s.const(momentum, n.kind))
                fresh = k.s.mul(new, k.s.const(1 - momentum, n.kind))
                k.give(output, ivs, k.s.cast(k.s.add(kept, fresh), k.element(output)))
        mean, variance = found
        factor = inverse_deviation(k, variance, op.get("epsilon"))
        factor = k.s.mul(factor, n.read(scale, ivs))
        offset = n.read(bias, ivs)
        return lambda taps: k.s.add(k.s.mul(k.s.sub(x(taps), mean), factor), offset)

    n.run(group)


@root("LRN")
def local_response_normalization(k: Kernel, op: OnnxOp) -> None:
    """x / (bias + alpha / size * sum of squares of the `size` channels around x) ^ beta."""
    n = Normalization(k, op, ())
    size = op.get("size")
    before, behind = (size - 1) // 2, size // 2
    channels = k.size(n.dims[1])

    def body(ivs: list[Affine]) -> None:
        entries = n.at(ivs, ())
        first = index_ops.maximum(k, entries[1] - before, 0)
        last = index_ops.minimum(k, entries[1] + (behind + 1), channels)

        def squared(taps: Entries) -> Scalar:
            x = n.read(n.source, [entries[0], taps[0], *entries[2:]])
            return k.s.mul(x, x)

        total = sum_over(k, [(first, last)], n.kind, squared)
        base = k.s.mul(total, k.s.const(op.get("alpha") / size, n.kind))
        base = k.s.add(base, k.s.const(op.get("bias"), n.kind))
        divisor = k.s.binary(math.PowFOp, base, k.s.const(op.get("beta"), n.kind))
        n.give(entries, k.s.div(n.read(n.source, entries), divisor))

    k.nest([n.dims[axis] for axis in n.outer], body)
