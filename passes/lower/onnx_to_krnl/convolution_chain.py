"""A convolution and the depthwise one behind it, row by row: what lies between stays in the cache.

    for images, bands of rows, groups of channels:                  shared out to threads
      for rows of the result:                                       one after the other
        for new rows under the windows:  between[row mod n] = f(first convolution), padding around
        for places, channels:  give(sum over taps of between[(row + tap) mod n] * weight)

`between` is a buffer of the thread's own for as many rows as are under a window. Rows that two
bands need are computed by both. Requires channels-last values of known sizes: where what lies
between would not stay in the cache, `onnx-form-dispatches` puts both into one dispatch.
"""

from __future__ import annotations

from math import prod

from dialects.onnx.dims import numbers_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, panel_of
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.contractions import (
    accumulate,
    spatial_attribute,
    sum_with_bias,
    under_window,
)
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.padding import fill_of, pad_amounts
from passes.lower.onnx_to_krnl.registry import chain
from passes.lower.onnx_to_krnl.scalars import Scalar

ENOUGH_UNITS = 4
"""Bands and groups that few threads can share."""

MOST_COMPUTED_TWICE = 0.08
"""The part of the rows between that bands may compute twice."""


@chain("Conv", "Conv")
def convolution_chain(k: Kernel, first: OnnxOp, second: OnnxOp) -> None:
    """All bands of all images."""
    pair = _Pair(k, first, second)
    k.nest([pair.images, pair.bands, pair.groups], pair.band)


def buffer_dims(first: OnnxOp, second: OnnxOp) -> tuple[int, int, int]:
    """Rows, places and channels of the buffer for what lies between two convolutions."""
    channels, _, width = numbers_of((dims_of(second.operands[0].type) or ())[1:])
    panel = panel_of(first.operands[1].type)
    columns = panel if channels % panel == 0 else channels
    # A power of two: which row of the buffer it is takes no division.
    return 1 << (_span(second) - 1).bit_length(), width, columns


def _span(second: OnnxOp) -> int:
    """Rows under a window."""
    taps, *_ = numbers_of((dims_of(second.operands[1].type) or ())[2:])
    return (taps - 1) * spatial_attribute(second, "dilations", 2)[0] + 1


class _Pair:
    """Sizes of both convolutions, and the steps of a band."""

    def __init__(self, k: Kernel, first: OnnxOp, second: OnnxOp) -> None:
        self.k, self.first, self.second = k, first, second
        between = second.operands[0]
        owner = between.owner
        self.pad = owner if isinstance(owner, OnnxOp) and owner.OP_TYPE == "Pad" else None
        self.given = between if self.pad is None else self.pad.operands[0]
        self.element = k.element(between)
        self.images, *known = k.dims(self.given)
        self.channels, self.height, self.width = numbers_of(known)
        self.rows, self.places = numbers_of(k.dims(second.results[0])[2:])
        before = [affine(0)] * 4 if self.pad is None else pad_amounts(k, self.pad)[0]
        self.top, self.left = (amount.constant for amount in before[2:])
        self.taps = numbers_of(k.dims(second.operands[1])[2:])
        self.strides = spatial_attribute(second, "strides", 2)
        self.span = _span(second)
        self.overlap = max(self.span - self.strides[0], 0)
        self.slots, self.padded_width, self.columns = buffer_dims(first, second)
        self.groups = self.channels // self.columns
        self.bands = self._bands()

    def _bands(self) -> int:
        """Equal bands of rows: enough for threads, so few that little is computed twice."""
        images = self.images if isinstance(self.images, int) else 1
        wanted = -(-ENOUGH_UNITS // max(1, images * self.groups))
        most = int(MOST_COMPUTED_TWICE * self.rows * self.strides[0] / max(self.overlap, 1))
        few = range(1, max(1, min(wanted, most)) + 1)
        return max(count for count in few if self.rows % count == 0)

    def band(self, ivs: list[Affine]) -> None:
        """A band of rows, for a group of the channels."""
        k = self.k
        self.image, band, group = ivs
        self.channel = group * self.columns
        height = self.rows // self.bands
        start, end = band * height, band * height + height
        self.between = k.scratch([self.slots, self.padded_width, self.columns], self.element)
        for side in ((0, self.left), (self.left + self.width, self.padded_width)):
            if side[0] < side[1]:
                k.nest([self.slots, side, self.columns], self.fill)
        down = self.strides[0]
        self.compute(start * down, self.overlap)

        def row(ivs: list[Affine], _: list[Scalar]) -> list[Scalar]:
            self.compute(ivs[0] * down + self.overlap, self.span - self.overlap)
            self.slide(ivs[0])
            return []

        # A reduction that carries nothing: rows follow each other.
        k.reduce([(start, end)], [], row)

    def fill(self, at: list[Affine]) -> None:
        """An element of the padding."""
        assert self.pad is not None
        self.k.store(fill_of(self.k, self.pad, self.element), self.between, at)

    def compute(self, first: Affine, count: int) -> None:
        """Some rows between, counted with their padding."""
        self.k.nest([count], lambda ivs: self.compute_row(first + ivs[0]))

    def compute_row(self, row: Affine) -> None:
        """A row of the first convolution or of padding."""
        k, y = self.k, row - self.top
        is_inside = k.inside(y, self.height)
        if is_inside is None:
            self.expand(row)
            return
        extents = [self.padded_width, self.columns]
        k.run_if(is_inside, lambda: self.expand(row))
        k.run_if(
            k.s.invert(is_inside),
            lambda: k.nest(extents, lambda at: self.fill([row % self.slots, *at])),
        )

    def expand(self, row: Affine) -> None:
        """A row of the first convolution, and of what is computed between."""
        k, (data, weight) = self.k, self.first.operands[:2]
        result, y = self.first.results[0], row - self.top
        _, inputs, *window = numbers_of(k.dims(weight))
        point = [affine(0)] * 2 if prod(window) == 1 else []

        def body(ivs: list[Affine]) -> None:
            x, column = ivs
            output = self.channel + column

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                *places, channel = [*point, *taps]
                at = under_window(self.first, [y, x], places)
                a = k.read(data, [self.image, channel, *at])
                b = k.read(weight, [output, channel, *places])
                return [accumulate(k, self.first, carried[0], a, b)]

            taps = [inputs] if point else [*window, inputs]
            k.bound[result] = sum_with_bias(k, self.first, output, taps, step)
            value = k.read(self.given, [self.image, output, y, x])
            del k.bound[result]
            k.store(value, self.between, [row % self.slots, x + self.left, column])

        k.nest([self.width, self.columns], body, contraction=(0, 1))

    def slide(self, row: Affine) -> None:
        """A row of the depthwise convolution."""
        k, weight, result = self.k, self.second.operands[1], self.second.results[0]

        def body(ivs: list[Affine]) -> None:
            x, column = ivs
            output = self.channel + column

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                y, place = under_window(self.second, [row, x], taps)
                a = k.load(self.between, [y % self.slots, place, column], self.element)
                b = k.read(weight, [output, affine(0), *taps])
                return [accumulate(k, self.second, carried[0], a, b)]

            total = sum_with_bias(k, self.second, output, self.taps, step)
            k.give(result, [self.image, output, row, x], total)

        k.nest([self.places, self.columns], body, contraction=(0, 1))
