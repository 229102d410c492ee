"""Attention: softmax(f(query * key)) * value as one kernel, the scores never being stored.

`onnx-form-dispatches` puts a product, pointwise operations f on it, a Softmax along its columns and
a product with that into one dispatch. Its kernel goes through blocks of rows (queries), and each
through blocks of columns (keys), so small that scores and values stay in a core's own cache:

    for rows:                                              # shared out to threads
        top = -inf;  total = 0;  out = 0
        for keys:
            s = f(query[rows] * key[keys])                 # register tile
            new = max(top, max(s));  p = exp(s - new);  old = exp(top - new)
            total = old * total + sum(p);  top = new
            out = old * out + p * value[keys]              # register tile
        give(out / total)

That is the softmax of Milakov and Gimelshein (arXiv:1805.02867) in the blocks of Dao et al.
(arXiv:2205.14135). Where all keys are one block nothing is corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.contractions import batch_entries, multiply_add
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.reductions import max_over
from passes.lower.onnx_to_krnl.registry import chain
from passes.lower.onnx_to_krnl.scalars import NUMBERS, REDUCTION, Scalar, accumulator_type

MOST_ROWS = 84
"""Rows of a block: whole register tiles of 6 or 14 rows; each vector of keys serves all of them."""

TILE_ROWS = 6
"""Blocks of fewer rows have a multiple of this, so that no tile is partial."""

LEAST_KEYS = 64
"""Keys of a block at least: sums and largest scores are corrected after each."""


@dataclass(frozen=True)
class Blocks:
    """How an extent is cut: ``count`` blocks of ``size``, no larger than the static ``most``."""

    count: Bound
    size: Bound
    most: int


@chain("MatMul", "Softmax", "MatMul")
def attention(k: Kernel, scores: OnnxOp, softmax: OnnxOp, product: OnnxOp) -> None:
    """One kernel for the three; see the file's docstring."""
    emission = _Attention(k, scores, softmax, product)
    outer = [*emission.batch_dims, emission.row_blocks.count]
    k.nest(outer, lambda ivs: emission.block(ivs[:-1], ivs[-1]))


class _Attention:
    """Emission of one attention kernel. Scores, sums and products are of type ``kind``."""

    def __init__(self, k: Kernel, scores: OnnxOp, softmax: OnnxOp, product: OnnxOp) -> None:
        self.k = k
        self.scores, self.product = scores, product
        self.given = softmax.operands[0]
        cleared = product.operands[0].owner
        self.cleared = cleared if isinstance(cleared, OnnxOp) and cleared is not softmax else None
        self.query, self.key = scores.operands[:2]
        self.value = product.operands[1]
        self.kind = accumulator_type(k.element(product.results[0]))
        *self.batch_dims, self.rows, self.keys = k.dims(self.given)
        self.depth, self.columns = k.dims(self.query)[-1], k.dims(self.value)[-1]
        self.row_blocks = _row_blocks(k, self.rows)
        self.key_block = _key_block(k, self.key, [self.depth, self.columns])
        self.is_single = isinstance(self.keys, int) and self.keys <= self.key_block

    def block(self, batch: Sequence[Affine], number: Affine) -> None:
        """All of a block of rows."""
        k, most = self.k, self.row_blocks.most
        self.batch, self.height = batch, self.row_blocks.size
        self.start = self._start(number)
        self.powers = k.scratch([most, self.key_block], self.kind)
        self.tops, self.scale = k.scratch([most], self.kind), k.scratch([most], self.kind)
        if self.is_single:
            self._scores(affine(0), self.keys)
            k.nest([self.height], lambda rows: self._find_top(rows[0]))
            k.nest([self.height], lambda rows: self._softmax(rows[0]))
            self._multiply(affine(0), self.keys)
            return
        columns = self.columns
        assert isinstance(columns, int)
        self.totals = k.scratch([most], self.kind)
        self.sums = k.scratch([most, columns], self.kind)
        k.nest([self.height], lambda rows: self._begin(rows[0]))
        count = (k.size(self.keys) + (self.key_block - 1)) // self.key_block
        # A reduction that carries nothing: blocks of keys follow each other.
        k.reduce([count], [], lambda ivs, _: self._add_keys(ivs[0]) or [])
        k.nest([self.height], lambda rows: self._end(rows[0]))

    def _start(self, number: Affine) -> Affine:
        """The first row of a block; the last block begins early enough to be whole."""
        rows, most = self.rows, self.row_blocks.most
        if isinstance(rows, int) and rows % most == 0:
            return number * most
        if isinstance(rows, int) and rows < most:
            return affine(0)
        last = self.k.size(rows) - self.k.size(self.height)
        return index_ops.minimum(self.k, number * most, last)

    # Products -------------------------------------------------------------------------------

    def _scores(self, first: Affine, width: Bound) -> None:
        """powers = f(query * key) for a block of keys."""
        k, dims = self.k, self.batch_dims
        element = k.element(self.scores.results[0])

        def body(ivs: list[Affine]) -> None:
            row, column = self.start + ivs[0], first + ivs[1]

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                at = batch_entries(k, k.dims(self.query)[:-2], self.batch, dims)
                a = k.read(self.query, [*at, row, taps[0]])
                at = batch_entries(k, k.dims(self.key)[:-2], self.batch, dims)
                b = k.read(self.key, [*at, taps[0], column])
                return [multiply_add(k, carried[0], a, b)]

            (total,) = k.reduce([self.depth], [k.s.const(0, self.kind)], step)
            k.bound[self.scores.results[0]] = k.s.cast(total, element)
            score = k.read(self.given, [*self.batch, row, column])
            del k.bound[self.scores.results[0]]
            k.store(k.s.cast(score, self.kind), self.powers, ivs)

        k.nest([self.height, width], body, contraction=(0, 1))

    def _multiply(self, first: Affine, width: Bound) -> None:
        """sums = sums * scale + powers * value; the results at once where there is no sum yet."""
        k, dims = self.k, self.batch_dims

        def body(ivs: list[Affine]) -> None:
            row, column = ivs

            def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
                a = k.load(self.powers, [row, taps[0]], self.kind)
                at = batch_entries(k, k.dims(self.value)[:-2], self.batch, dims)
                b = k.read(self.value, [*at, first + taps[0], column])
                return [multiply_add(k, carried[0], a, b)]

            scale = k.load(self.scale, [row], self.kind)
            if self.is_single:
                (total,) = k.reduce([width], [k.s.const(0, self.kind)], step)
                self._give(row, column, k.s.mul(total, scale))
                return
            before = k.s.mul(k.load(self.sums, ivs, self.kind), scale)
            (total,) = k.reduce([width], [before], step)
            k.store(total, self.sums, ivs)

        k.nest([self.height, self.columns], body, contraction=(0, 1))

    def _give(self, row: Affine, column: Affine, value: Scalar) -> None:
        result = self.product.results[0]
        value = self.k.s.cast(value, self.k.element(result))
        self.k.give(result, [*self.batch, self.start + row, column], value)

    # Softmax --------------------------------------------------------------------------------

    def _powers(self, row: Affine, width: Bound, top: Scalar) -> Scalar:
        """powers = exp(powers - top) for a row; gives their sum."""
        k = self.k

        cleared = self._is_cleared(row)

        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            power = k.s.exp_normal(k.s.sub(k.load(self.powers, [row, taps[0]], self.kind), top))
            if cleared is not None:
                power = k.s.select(cleared, k.s.const(0, self.kind), power)
            k.store(power, self.powers, [row, taps[0]])
            return [k.s.add(carried[0], power, REDUCTION)]

        return k.reduce([width], [k.s.const(0, self.kind)], step)[0]

    def _top(self, row: Affine, width: Bound) -> Scalar:
        """The largest score of a row; any of them if there is a NaN."""
        k = self.k
        return max_over(
            k,
            [width],
            self.kind,
            lambda taps: k.load(self.powers, [row, taps[0]], self.kind),
            NUMBERS,
        )

    def _find_top(self, row: Affine) -> None:
        self.k.store(self._top(row, self.keys), self.tops, [row])

    def _softmax(self, row: Affine) -> None:
        """Of a row with all keys: the exponentials, and what they are to be multiplied with."""
        total = self._powers(row, self.keys, self.k.load(self.tops, [row], self.kind))
        self.k.store(self._inverse(row, total), self.scale, [row])

    def _is_cleared(self, row: Affine) -> Scalar | None:
        """Whether a row counts as zeros whatever its scores; None where none does."""
        if self.cleared is None:
            return None
        condition = self.cleared.operands[0]
        at = [*self.batch, self.start + row, affine(0)]
        return self.k.read(condition, self.k.broadcast(condition, self.cleared, at))

    def _inverse(self, row: Affine, total: Scalar) -> Scalar:
        """What a row's sums are multiplied with; 1 where no score counts."""
        k = self.k
        conditions = [self._is_cleared(row)]
        if not isinstance(self.keys, int):
            conditions.append(k.compare_index("eq", k.size(self.keys), affine(0)))
        for condition in conditions:
            if condition is not None:
                total = k.s.select(condition, k.s.const(1, self.kind), total)
        return k.s.reciprocal(total)

    def _begin(self, row: Affine) -> None:
        k = self.k
        k.store(k.s.lowest(self.kind), self.tops, [row])
        k.store(k.s.const(0, self.kind), self.totals, [row])
        zero = k.s.const(0, self.kind)
        k.nest([self.columns], lambda ivs: k.store(zero, self.sums, [row, ivs[0]]))

    def _add_keys(self, number: Affine) -> None:
        """One block of keys."""
        k, most = self.k, self.key_block
        first = number * most
        is_even = isinstance(self.keys, int) and self.keys % most == 0
        left = k.size(self.keys) - first
        width: Bound = most if is_even else index_ops.minimum(k, left, most)
        self._scores(first, width)
        k.nest([self.height], lambda rows: self._raise_top(rows[0], width))
        k.nest([self.height], lambda rows: self._add_powers(rows[0], width))
        self._multiply(first, width)

    def _raise_top(self, row: Affine, width: Bound) -> None:
        """Takes a block's largest score into a row's, and what that makes of the sums so far."""
        k, s = self.k, self.k.s
        before = k.load(self.tops, [row], self.kind)
        top = s.max(before, self._top(row, width))
        k.store(top, self.tops, [row])
        k.store(s.exp_normal(s.sub(before, self._finite(top))), self.scale, [row])

    def _add_powers(self, row: Affine, width: Bound) -> None:
        """A row's exponentials in relation to its largest score so far, and their sum."""
        k, s = self.k, self.k.s
        powers = self._powers(row, width, self._finite(k.load(self.tops, [row], self.kind)))
        total = s.mul(k.load(self.totals, [row], self.kind), k.load(self.scale, [row], self.kind))
        k.store(s.add(total, powers), self.totals, [row])

    def _finite(self, top: Scalar) -> Scalar:
        """0 in place of -inf: while all scores are that, all exponentials are 0."""
        s = self.k.s
        return s.select(s.equal(top, s.lowest(self.kind)), s.const(0, self.kind), top)

    def _end(self, row: Affine) -> None:
        """Gives a row's results. A row without any key has zeros, as sums of nothing are."""
        k, s = self.k, self.k.s
        scale = self._inverse(row, k.load(self.totals, [row], self.kind))

        def body(ivs: list[Affine]) -> None:
            value = k.load(self.sums, [row, ivs[0]], self.kind)
            self._give(row, ivs[0], s.mul(value, scale))

        k.nest([self.columns], body)


def _row_blocks(k: Kernel, rows: Dim) -> Blocks:
    """Blocks of whole tiles, in which the fewest rows are computed twice."""
    if not isinstance(rows, int):
        count = (k.size(rows) + (MOST_ROWS - 1)) // MOST_ROWS
        return Blocks(count, index_ops.minimum(k, k.size(rows), MOST_ROWS), MOST_ROWS)
    if rows <= MOST_ROWS:
        return Blocks(1, rows, rows)
    sizes = range(MOST_ROWS, MOST_ROWS // 2, -TILE_ROWS)
    size = min(sizes, key=lambda size: -(-rows // size) * size)
    return Blocks(-(-rows // size), size, size)


def _key_block(k: Kernel, key: SSAValue, depths: Sequence[Dim]) -> int:
    """Keys of a block, whole panels: their values fill an eighth of a core's own cache."""
    keys, panel = k.dims(key)[-1], k.layout(key).panel or LEAST_KEYS // 4
    depth = max(size if isinstance(size, int) else LEAST_KEYS for size in depths)
    most = max(LEAST_KEYS, k.cache_bytes // (32 * max(1, depth)))
    if isinstance(keys, int):
        if keys <= most:
            return max(1, keys)
        most = -(-keys // -(-keys // most))
    return -(-most // panel) * panel
