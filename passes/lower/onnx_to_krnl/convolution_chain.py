"""A convolution and the depthwise one behind it: what lies between stays in the core's cache.

A small image's is computed as a whole, for a group of channels after the other:

    for images, groups of channels:                               shared out to threads
      for rows:  between[row] = f(first convolution), padding around
      for rows, places, channels:  give(sum over taps of between[row + tap] * weight)

A large image's is computed row by row:

    for images, bands of rows, groups of channels:                  shared out to threads
      for rows of the result:                                       one after the other
        for new rows under the windows:  between[row mod n] = f(first convolution), padding around
        for places, channels:  give(sum over taps of between[(row + tap) mod n] * weight)

`between` is a buffer of the thread's own, of all rows, or of n: as many as are under a window, and
a power of two. Rows that two bands need are computed by both. Requires channels-last values of
known sizes, which `onnx-form-dispatches` sees to where it puts both into one dispatch.

A reduction over all places goes along (`place_reduction.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd, prod

from dialects.onnx.dims import numbers_of
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, panel_of
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.contractions import (
    WHOLE_VECTORS,
    accumulate,
    spatial_attribute,
    sum_with_bias,
    under_window,
)
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.padding import fill_of, pad_amounts
from passes.lower.onnx_to_krnl.place_reduction import PlaceReduction
from passes.lower.onnx_to_krnl.reductions import REDUCTIONS
from passes.lower.onnx_to_krnl.registry import chain
from passes.lower.onnx_to_krnl.scalars import Scalar
from passes.onnx.assign_layouts.layouts import bits_of_element
from passes.onnx.editing import has_strides, is_pointwise

ENOUGH_UNITS = 4
"""Bands and groups that few threads can share."""

MOST_BETWEEN = 262_144
"""Bytes that a thread keeps on its stack, and in its cache, of what lies between."""

PART_OF_GROUP, PART_OF_RING = 4, 16
"""Parts of the core's cache: what lies between of a whole image, and a few rows of it, at most."""

MOST_COMPUTED_TWICE = 0.08
"""The part of the rows between that bands may compute twice."""


def convolution_chain(k: Kernel, *roots: OnnxOp) -> None:
    """All bands of all images, and what comes of a reduction of them."""
    pair = _Pair(k, *roots)
    k.nest([pair.images, pair.bands, pair.groups], pair.band)
    if pair.reduction is not None:
        pair.reduction.finish()


chain("Conv", "Conv")(convolution_chain)
for _name in REDUCTIONS:
    chain("Conv", "Conv", _name)(convolution_chain)


@dataclass(frozen=True)
class Between:
    """What lies between two convolutions, ``height`` rows with their padding, and the buffer for
    some of it: ``rows``, ``places`` and ``columns``."""

    height: int
    rows: int
    places: int
    columns: int
    element_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether the buffer holds all rows."""
        return self.rows >= self.height

    @property
    def buffer_bytes(self) -> int:
        """Size of the buffer."""
        return self.rows * self.places * self.columns * self.element_bytes


def what_lies_between(first: OnnxOp, second: OnnxOp, cache_bytes: int) -> Between:
    """What lies between two convolutions, with a buffer for it.

    That has all rows where a part of the core's cache holds them, and threads find groups of
    channels to share.
    """
    value = second.operands[0]
    channels, height, width = numbers_of((dims_of(value.type) or ())[1:])
    panel, element_bytes = panel_of(first.operands[1].type), bits_of_element(value) // 8
    columns = panel if channels % panel == 0 else channels
    # Two threads share an odd number of wide groups unevenly.
    is_uneven = channels // columns % 2 == 1 and columns % (2 * WHOLE_VECTORS) == 0
    part = columns // 2 if is_uneven else columns
    whole = Between(height, height, width, part, element_bytes)
    is_small = whole.buffer_bytes <= min(cache_bytes // PART_OF_GROUP, MOST_BETWEEN)
    is_product = is_pointwise(first) and not has_strides(first)
    if is_small and is_product and channels // part >= ENOUGH_UNITS:
        return whole
    # A power of two: which row of the buffer it is takes no division.
    ring = replace(whole, rows=1 << (_span(second) - 1).bit_length(), columns=columns)
    if columns == panel and ring.buffer_bytes > cache_bytes // PART_OF_RING:
        return replace(ring, columns=gcd(columns, WHOLE_VECTORS))
    return ring


def bands_of(second: OnnxOp, lying: Between) -> int:
    """Equal bands of rows: enough for threads, so few that little is computed twice."""
    if lying.is_whole:
        return 1
    images, *known = dims_of(second.results[0].type) or (1,)
    channels, rows, _ = numbers_of(known)
    units = channels // lying.columns * (images if isinstance(images, int) else 1)
    wanted = -(-ENOUGH_UNITS // max(1, units))
    stride = spatial_attribute(second, "strides", 2)[0]
    most = int(MOST_COMPUTED_TWICE * rows * stride / max(_overlap(second), 1))
    few = range(1, max(1, min(wanted, most)) + 1)
    return max(count for count in few if rows % count == 0)


def _span(second: OnnxOp) -> int:
    """Rows under a window."""
    taps, *_ = numbers_of((dims_of(second.operands[1].type) or ())[2:])
    return (taps - 1) * spatial_attribute(second, "dilations", 2)[0] + 1


def _overlap(second: OnnxOp) -> int:
    """Rows that are under two windows, one below the other."""
    return max(_span(second) - spatial_attribute(second, "strides", 2)[0], 0)


class _Pair:
    """Sizes of both convolutions, and the steps of a band."""

    def __init__(
        self, k: Kernel, first: OnnxOp, second: OnnxOp, reduced: OnnxOp | None = None
    ) -> None:
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
        self.overlap = _overlap(second)
        buffer = what_lies_between(first, second, k.cache_bytes)
        self.is_whole, self.padded_height = buffer.is_whole, buffer.height
        self.slots, self.padded_width, self.columns = buffer.rows, buffer.places, buffer.columns
        self.groups = self.channels // self.columns
        self.bands = bands_of(second, buffer)
        self.reduction = None
        if reduced is not None:
            self.reduction = PlaceReduction(k, reduced, self.bands, self.columns)

    def band(self, ivs: list[Affine]) -> None:
        """A band of rows, for a group of the channels."""
        k = self.k
        self.image, band, group = ivs
        down, height = self.strides[0], self.rows // self.bands
        start, end = band * height, band * height + height
        # A single group begins at 0, whether or not it is a number of whole panels.
        self.channel = group * self.columns if self.groups > 1 else affine(0)
        self.between = k.scratch([self.slots, self.padded_width, self.columns], self.element)
        self.clear((0, self.slots), (0, self.left))
        self.clear((0, self.slots), (self.left + self.width, self.padded_width))
        if self.is_whole:
            below = self.top + self.height
            self.clear((0, self.top), (0, self.padded_width))
            self.clear((below, self.padded_height), (0, self.padded_width))
            self.expand(affine(0), self.height * self.width)
        else:
            self.compute(start * down, self.overlap)
        if self.reduction is not None:
            self.reduction.begin(self.image, band, self.channel)

        def row(ivs: list[Affine], _: list[Scalar]) -> list[Scalar]:
            if not self.is_whole:
                self.compute(ivs[0] * down + self.overlap, self.span - self.overlap)
            self.slide(ivs[0])
            if self.reduction is not None:
                self.reduction.add_row(self.image, band, self.channel, ivs[0])
            return []

        # A reduction that carries nothing: rows follow each other.
        k.reduce([(start, end)], [], row)

    def clear(self, rows: tuple[int, int], places: tuple[int, int]) -> None:
        """Fills a part of the buffer with padding."""
        if rows[0] < rows[1] and places[0] < places[1]:
            self.k.nest([rows, places, self.columns], self.fill)

    def slot(self, row: Affine) -> Affine:
        """Where a row between, counted with its padding, stands in the buffer."""
        return row if self.is_whole else row % self.slots

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
            self.expand(y * self.width, self.width)
            return
        extents = [self.padded_width, self.columns]
        k.run_if(is_inside, lambda: self.expand(y * self.width, self.width))
        k.run_if(
            k.s.invert(is_inside),
            lambda: k.nest(extents, lambda at: self.fill([self.slot(row), *at])),
        )

    def expand(self, start: Affine, count: int) -> None:
        """Some places of the first convolution, row by row, and what is computed between."""
        k, result = self.k, self.first.results[0]

        def body(ivs: list[Affine]) -> None:
            place, column = start + ivs[0], ivs[1]
            y, x, output = place // self.width, place % self.width, self.channel + column
            k.bound[result] = self.element_of_first(place, output)
            value = k.read(self.given, [self.image, output, y, x])
            del k.bound[result]
            k.store(value, self.between, [self.slot(y + self.top), x + self.left, column])

        k.nest([count, self.columns], body, contraction=(0, 1))

    def element_of_first(self, place: Affine, output: Affine) -> Scalar:
        """An element of the first convolution."""
        k, (data, weight) = self.k, self.first.operands[:2]
        _, inputs, *window = numbers_of(k.dims(weight))
        is_point, is_joined = prod(window) == 1, data in k.dims_override

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            *places, channel = [affine(0), affine(0), *taps] if is_point else taps
            if is_joined:
                a = k.read(data, [self.image * (self.height * self.width) + place, channel])
            else:
                at = under_window(self.first, [place // self.width, place % self.width], places)
                a = k.read(data, [self.image, channel, *at])
            b = k.read(weight, [output, channel, *places])
            return [accumulate(k, self.first, carried[0], a, b)]

        taps = [inputs] if is_point else [*window, inputs]
        return sum_with_bias(k, self.first, output, taps, step)

    def slide(self, row: Affine) -> None:
        """A row of the depthwise convolution."""
        k, weight, result = self.k, self.second.operands[1], self.second.results[0]

        def body(ivs: list[Affine]) -> None:
            x, column = ivs
            output = self.channel + column

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                y, place = under_window(self.second, [row, x], taps)
                a = k.load(self.between, [self.slot(y), place, column], self.element)
                b = k.read(weight, [output, affine(0), *taps])
                return [accumulate(k, self.second, carried[0], a, b)]

            total = sum_with_bias(k, self.second, output, self.taps, step)
            k.give(result, [self.image, output, row, x], total)

        k.nest([self.places, self.columns], body, contraction=(0, 1))
