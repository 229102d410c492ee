"""ConvTranspose by gathering: every element of the result from the elements that reach it.

Along a spatial axis, input i under tap k of the kernel adds to output

    i * stride + k * dilation - pad

Outputs o = stride * q + r of one *phase* r get something from the same taps k = k0, k0 + step, ...:
those for which `r + pad - k * dilation` is a multiple of the stride; the inputs are neighbours, q
plus a constant. So each phase is a convolution with some of the taps, a nest marked as contraction:

    for q, m:
      acc = 0
      for j, c:  acc += data[q + offset - j * back, c] * weight[c, m, k0 + step * j]

Requires what `passes/onnx/assign_layouts/` does: known `pads`, data channels-last with margins of
zeros (`onnx.margins` in front) so wide that no tap leaves them, weights packed by output channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd, prod

from dialects.onnx.dims import Dim, ceildiv
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.contractions import multiply_add, spatial_attribute
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.scalars import Scalar, accumulator_type

MOST_PHASES = 16
"""Up to so many phases have a nest each; more are a loop around one nest."""


@dataclass(frozen=True)
class Axis:
    """The geometry of one spatial axis; ``margin`` zeros stand in front of the data."""

    stride: int
    dilation: int
    kernel: int
    pad: int
    margin: int
    size: Dim

    @property
    def step(self) -> int:
        """The distance of taps that reach one output."""
        return self.stride // gcd(self.stride, self.dilation)

    @property
    def back(self) -> int:
        """How far the input moves back from one such tap to the next."""
        return self.dilation // gcd(self.stride, self.dilation)

    def is_reached(self, phase: int) -> bool:
        """Whether any tap can reach outputs of a phase."""
        return (phase + self.pad) % gcd(self.stride, self.dilation) == 0

    def first_tap(self, phase: Affine) -> Affine:
        """The smallest k with (phase + pad - k * dilation) a multiple of the stride."""
        common = gcd(self.stride, self.dilation)
        if self.step == 1:
            return affine(0)
        inverse = pow(self.dilation // common, -1, self.step)
        return ((phase + self.pad) // common * inverse) % self.step

    def count(self, first: Affine) -> Affine:
        """How many taps there are from the first on."""
        return (self.kernel - first + (self.step - 1)) // self.step

    def offset(self, phase: Affine, first: Affine) -> Affine:
        """The input under the first tap for q = 0."""
        return (phase + self.pad - first * self.dilation) // self.stride + self.margin

    def outputs(self, phase: Affine) -> Bound:
        """How many outputs a phase has."""
        if not phase.terms:
            return ceildiv(self.size - phase.constant, self.stride)
        assert isinstance(self.size, int)
        return (self.size - phase + (self.stride - 1)) // self.stride


@root("ConvTranspose", fuses="none")
def conv_transpose(k: Kernel, op: OnnxOp) -> None:
    """The transposed convolution, phase by phase."""
    layer = _Layer(k, op)
    if prod(axis.stride for axis in layer.axes) <= MOST_PHASES or not layer.can_loop:
        for phase in product(*(range(axis.stride) for axis in layer.axes)):
            layer.phase([], [affine(entry) for entry in phase])
        return
    k.nest(
        [layer.images, *(axis.stride for axis in layer.axes)],
        lambda ivs: layer.phase(ivs[:1], ivs[1:]),
    )


class _Layer:
    """What all phases share."""

    def __init__(self, k: Kernel, op: OnnxOp) -> None:
        self.k = k
        self.op = op
        self.data, self.weight, *rest = op.operands
        self.bias = rest[0] if rest and not is_none(rest[0]) else None
        self.result = op.results[0]
        dims, weights = k.dims(self.result), k.dims(self.weight)
        self.images = dims[0]
        self.groups: int = op.get("group")
        channels, per_group = weights[:2]
        assert isinstance(channels, int) and isinstance(per_group, int)
        self.channels, self.per_group = channels // self.groups, per_group
        self.axes = _axes(op, dims[2:], weights[2:])
        self.kind = accumulator_type(k.element(self.result))

    @property
    def can_loop(self) -> bool:
        """Whether phases can be a loop: what depends on them is affine, and all have taps."""
        return all(
            isinstance(axis.size, int) and gcd(axis.stride, axis.dilation) == 1
            for axis in self.axes
        )

    def phase(self, image: list[Affine], phase: Sequence[Affine]) -> None:
        """The outputs of one phase; ``image`` is the image if a loop around it runs over them."""
        k = self.k
        depthwise = self.groups > 1 and self.per_group == 1
        firsts = [axis.first_tap(r) for axis, r in zip(self.axes, phase, strict=True)]
        counts = [axis.count(first) for axis, first in zip(self.axes, firsts, strict=True)]
        places = list(zip(self.axes, phase, firsts, strict=True))
        offsets = [axis.offset(r, first) for axis, r, first in places]
        if any(not r.terms and not axis.is_reached(r.constant) for axis, r, _ in places):
            counts = [affine(0)] * len(counts)
        rank = len(self.axes)

        def body(ivs: list[Affine]) -> None:
            number, ivs = (image[0], ivs) if image else (ivs[0], ivs[1:])
            q, columns = ivs[:rank], ivs[rank:]
            group, column, output = self.columns(columns)

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                *window, channel = taps
                at = [
                    i + offset - j * axis.back
                    for i, offset, j, axis in zip(q, offsets, window, self.axes, strict=True)
                ]
                tap = [
                    first + j * axis.step
                    for first, j, axis in zip(firsts, window, self.axes, strict=True)
                ]
                source = group * self.channels + channel
                a = k.read(self.data, [number, source, *at])
                b = k.read(self.weight, [source, column, *tap])
                return [multiply_add(k, carried[0], a, b)]

            (total,) = k.reduce([*counts, self.channels], [k.s.const(0, self.kind)], step)
            if self.bias is not None:
                total = k.s.add(total, k.s.cast(k.read(self.bias, [output]), self.kind))
            place = [i * axis.stride + r for i, axis, r in zip(q, self.axes, phase, strict=True)]
            total = k.s.cast(total, k.element(self.result))
            k.give(self.result, [number, output, *place], total)

        outputs = [axis.outputs(r) for axis, r in zip(self.axes, phase, strict=True)]
        if 0 in outputs:
            return
        space: list[Bound] = [*([] if image else [self.images]), *outputs]
        row = len(space) - 1
        if depthwise or self.groups == 1:
            space.append(self.groups * self.per_group)
        else:
            space += [self.groups, self.per_group]
        k.nest(space, body, contraction=(row, len(space) - 1))

    def columns(self, ivs: Sequence[Affine]) -> tuple[Affine, Affine, Affine]:
        """Group, output channel inside of the group, and output channel."""
        if self.groups == 1:
            return affine(0), ivs[0], ivs[0]
        if self.per_group == 1:
            return ivs[0], affine(0), ivs[0]
        return ivs[0], ivs[1], ivs[0] * self.per_group + ivs[1]


def _axes(op: OnnxOp, sizes: Sequence[Dim], kernel: Sequence[Dim]) -> list[Axis]:
    rank = len(sizes)
    strides = spatial_attribute(op, "strides", rank)
    dilations = spatial_attribute(op, "dilations", rank)
    margins = op.attributes["onnx.margins"].get_values()  # type: ignore[attr-defined]
    pads = op.get("pads")
    return [
        Axis(strides[n], dilations[n], int(kernel[n]), pads[n], margins[n], sizes[n])  # type: ignore[arg-type]
        for n in range(rank)
    ]
