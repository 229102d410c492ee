"""A reduction over all places of what another root computes row by row, in the same kernel.

    for images, bands of rows, groups of channels:                   as the root shares them out
      totals[image, band, channel] = initial
      for rows, once they are stored:
        totals[image, band, channel] = combine(it, places of the row)
    for images, channels:  result[image, channel] = finish(combine(totals[image, bands, channel]))

Rows are read where they were stored: they are still in the first cache.
"""

from __future__ import annotations

from dialects.onnx.dims import numbers_of
from dialects.onnx.ops import OnnxOp
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.reductions import REDUCTIONS, ROWS
from passes.lower.onnx_to_krnl.scalars import Scalar, accumulator_type

MOST_TOTALS = 16_384
"""Totals that are worth their place on the stack."""


class PlaceReduction:
    """A reduction, its totals, and its steps for ``columns`` channels at a time."""

    def __init__(self, k: Kernel, op: OnnxOp, bands: int, columns: int) -> None:
        self.k, self.op, self.bands, self.columns = k, op, bands, columns
        self.reduction = REDUCTIONS[op.OP_TYPE]
        self.images, self.channels, self.height, self.width = numbers_of(k.dims(op.operands[0]))
        self.kind = accumulator_type(k.element(op.results[0]))
        self.totals = k.scratch([self.images, bands, self.channels], self.kind)

    def begin(self, image: Affine, band: Affine, channel: Affine) -> None:
        """Nothing is combined yet of a band, for the channels from one on."""
        k = self.k
        initial = self.reduction.initial(k.s, self.kind)
        k.nest(
            [self.columns],
            lambda at: k.store(initial, self.totals, [image, band, channel + at[0]]),
        )

    def add_row(self, image: Affine, band: Affine, channel: Affine, row: Affine) -> None:
        """Combines a row that has just been stored, a few places at a time."""

        def add(first: Affine, count: int, column: Affine) -> None:
            k, at = self.k, [image, band, channel + column]
            places = [[image, channel + column, row, first + place] for place in range(count)]
            parts = [*map(self._element, places), k.load(self.totals, at, self.kind)]
            k.store(self.reduction.combined(k.s, parts), self.totals, at)

        whole, rest = divmod(self.width, ROWS)
        if whole:
            self.k.nest([whole, self.columns], lambda at: add(at[0] * ROWS, ROWS, at[1]))
        if rest:
            self.k.nest([self.columns], lambda at: add(affine(whole * ROWS), rest, at[0]))

    def _element(self, entries: list[Affine]) -> Scalar:
        k = self.k
        value = k.read_output(self.op.operands[0], entries)
        return self.reduction.prepare(k.s, k.s.cast(value, self.kind))

    def finish(self) -> None:
        """Combines the bands, and stores the results."""
        k, result = self.k, self.op.results[0]
        count = k.s.const(self.height * self.width, self.kind)
        single = [affine(0)] * (len(k.dims(result)) - 2)

        def element(ivs: list[Affine]) -> None:
            image, channel = ivs
            at = [[image, affine(band), channel] for band in range(self.bands)]
            parts = [k.load(self.totals, each, self.kind) for each in at]
            total = self.reduction.combined(k.s, parts)
            total = self.reduction.finish(k.s, total, count)
            k.write_output(result, [image, channel, *single], k.s.cast(total, k.element(result)))

        k.nest([self.images, self.channels], element)
