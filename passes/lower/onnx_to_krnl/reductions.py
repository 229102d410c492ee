"""Reductions: roots that combine the elements along some axes into one.

Each kind says how; `Space` says over which loops. Sums may be reordered, so that they run as
vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce as fold

from xdsl.ir import Attribute

from dialects.onnx.dims import product
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axes
from dialects.onnx.types import f64, is_none
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl import index_ops
from passes.lower.onnx_to_krnl.emitter import Bound
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root
from passes.lower.onnx_to_krnl.result_sizes import result_sizes
from passes.lower.onnx_to_krnl.scalars import REDUCTION, Scalar, Scalars, accumulator_type, i1
from passes.onnx.bind_parameters import parameter

LEAST_PIECE = 512
"""Columns of a row that are worth a partial result each, in memory, instead of in registers."""

ROWS = 4
"""Rows that are combined in registers for each load and store of a partial result."""

Entries = Sequence[Affine]

Extent = Bound | tuple[Bound, Bound]
"""A size, or lower and upper bound of a loop."""


@dataclass(frozen=True)
class Space:
    """The loops of a reduction: ``outer`` over results, ``inner`` over what each combines.

    ``source`` and ``result`` give the indices into operand and result for loop variables; ``count``
    is how many elements one result combines. With ``has_rows`` the last of the outer loops runs
    over neighbours of the operand.
    """

    outer: Sequence[Bound]
    inner: Sequence[Bound]
    source: Callable[[Entries, Entries], list[Affine]]
    result: Callable[[Entries], list[Affine]]
    count: Bound
    has_rows: bool = False


def known_axes(op: OnnxOp, rank: int) -> list[int] | None:
    """The axes that a reduction takes away, in order; None where only a run knows them."""
    axes = op.get("axes")
    if axes is None and len(op.operands) > 1:
        axes = parameter(op, 1)
        if axes is None and not is_none(op.operands[1]):
            return None
    if not axes:
        return [] if op.get("noop_with_empty_axes") else list(range(rank))
    return sorted(normalize_axes([int(axis) for axis in axes], rank))  # type: ignore[arg-type]


def reduction_space(k: Kernel, op: OnnxOp) -> Space:
    """The loops of a reduction over axes that are known or that a run reads."""
    source, result = op.operands[0], op.results[0]
    if source in k.dims_override:
        # Axes are joined and all kept (`collapse.py`): those that are reduced have become 1.
        pairs = zip(k.dims(source), k.dims(result), strict=True)
        return _space(k, op, [axis for axis, pair in enumerate(pairs) if pair[0] != pair[1]])
    axes = known_axes(op, len(k.dims(source)))
    return _space_at_run_time(k, op) if axes is None else _space(k, op, axes)


def _space(k: Kernel, op: OnnxOp, axes: list[int]) -> Space:
    source, result = op.operands[0], op.results[0]
    dims = k.dims(source)
    kept = [axis for axis in range(len(dims)) if axis not in axes]
    keeps = len(k.dims(result)) == len(dims)
    inner = [axis for axis in k.layout(source).order if axis in axes]
    outer = [axis for axis in (k.layout(result).order if keeps else kept) if axis in kept]

    def at_source(ivs: Entries, taps: Entries) -> list[Affine]:
        at = {**dict(zip(outer, ivs, strict=True)), **dict(zip(inner, taps, strict=True))}
        return [at[axis] for axis in range(len(dims))]

    def at_result(ivs: Entries) -> list[Affine]:
        at = dict(zip(outer, ivs, strict=True))
        return [at.get(a, affine(0)) for a in range(len(dims)) if keeps or a in at]

    return Space(
        [dims[axis] for axis in outer],
        [dims[axis] for axis in inner],
        at_source,
        at_result,
        product(dims[axis] for axis in axes),
        outer[-1:] == list(k.layout(source).order[-1:]),
    )


# Axes that only a run knows -------------------------------------------------------------------


def _reduced(k: Kernel, op: OnnxOp) -> list[Affine]:
    """For each axis 1 if it is reduced, else 0, as a run reads them."""
    rank = len(k.dims(op.operands[0]))
    (count,) = k.dims(op.operands[1])
    none_given = k.compare_index("eq", k.size(count), affine(0))
    default = affine(0 if op.get("noop_with_empty_axes") else 1)
    flags: list[Affine] = []
    for axis in range(rank):

        def find(taps: list[Affine], carried: list[Scalar], axis: int = axis) -> list[Scalar]:
            given = index_ops.read_index(k, op.operands[1], taps)
            same = k.compare_index("eq", index_ops.from_end(k, given, affine(rank)), affine(axis))
            return [k.s.bit_or(carried[0], same)]

        (hit,) = k.reduce([count], [k.s.const(False, i1)], find)
        flag = index_ops.select(k, hit, affine(1), affine(0))
        flags.append(index_ops.select(k, none_given, default, flag))
    return flags


def _places(k: Kernel, flags: Sequence[Affine]) -> list[Affine]:
    """For each axis the number of kept axes in front of it: its place without those reduced."""
    places, before = [], affine(0)
    for flag in flags:
        places.append(before)
        before = before + (1 - flag)
    return places


def _choose(k: Kernel, values: Sequence[Affine], place: Affine) -> Affine:
    """One of several indices; 0 for a place outside."""
    chosen = affine(0)
    for number, value in enumerate(values):
        here = k.compare_index("eq", place, affine(number))
        chosen = index_ops.select(k, here, value, chosen)
    return chosen


def _space_at_run_time(k: Kernel, op: OnnxOp) -> Space:
    source, result = op.operands[0], op.results[0]
    dims, result_dims = k.dims(source), k.dims(result)
    keeps = len(result_dims) == len(dims)
    flags = _reduced(k, op)
    extents = [
        index_ops.select(k, k.compare_index("eq", flag, affine(1)), k.size(dim), affine(1))
        for flag, dim in zip(flags, dims, strict=True)
    ]
    places = _places(k, flags)
    count = affine(1)
    for extent in extents:
        count = index_ops.product(k, count, extent)

    def at_source(ivs: Entries, taps: Entries) -> list[Affine]:
        entries = []
        for axis, flag in enumerate(flags):
            kept = ivs[axis] if keeps else _choose(k, ivs, places[axis])
            reduced = k.compare_index("eq", flag, affine(1))
            entries.append(index_ops.select(k, reduced, taps[axis], kept))
        return entries

    return Space(list(result_dims), extents, at_source, list, count)


def _sizes_at_run_time(k: Kernel, op: OnnxOp) -> list[Affine]:
    """The result's sizes where only a run knows the axes."""
    dims = [k.size(dim) for dim in k.dims(op.operands[0])]
    flags = _reduced(k, op)
    kept = [k.compare_index("eq", flag, affine(0)) for flag in flags]
    if op.get("keepdims") != 0:
        return [
            index_ops.select(k, keep, dim, affine(1)) for keep, dim in zip(kept, dims, strict=True)
        ]
    places = _places(k, flags)
    sizes: list[Affine] = []
    for number in range(len(dims)):
        size = affine(1)
        for keep, place, dim in zip(kept, places, dims, strict=True):
            here = k.s.bit_and(keep, k.compare_index("eq", place, affine(number)))
            size = index_ops.select(k, here, dim, size)
        sizes.append(size)
    return sizes


# Kinds of reductions ----------------------------------------------------------------------------

Finish = Callable[[Scalars, Scalar, Scalar], Scalar]


@dataclass(frozen=True)
class Reduction:
    """How elements are combined.

    ``initial`` is what no elements give, ``prepare`` what each contributes, ``finish`` (builder,
    total, number of elements) what becomes of the total.
    """

    initial: Callable[[Scalars, Attribute], Scalar]
    combine: Callable[[Scalars, Scalar, Scalar], Scalar]
    prepare: Callable[[Scalars, Scalar], Scalar] = lambda s, x: x
    finish: Finish = lambda s, x, n: x

    def combined(self, s: Scalars, parts: Sequence[Scalar]) -> Scalar:
        """All of some parts."""
        return fold(lambda a, b: self.combine(s, a, b), parts)


def _sum(s: Scalars, x: Scalar, y: Scalar) -> Scalar:
    return s.add(x, y, REDUCTION)


def _zero(s: Scalars, element: Attribute) -> Scalar:
    return s.const(0, element)


def _square(s: Scalars, x: Scalar) -> Scalar:
    return s.mul(x, x)


def _real(function: Callable[[Scalars, Scalar], Scalar]) -> Finish:
    """A function of real numbers; integers are rounded towards zero behind it."""

    def finish(s: Scalars, x: Scalar, count: Scalar) -> Scalar:
        if x.is_float:
            return function(s, x)
        return s.cast(function(s, s.cast(x, f64)), x.element)

    return finish


REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": Reduction(_zero, _sum),
    "ReduceMean": Reduction(_zero, _sum, finish=lambda s, x, n: s.div(x, n)),
    "ReduceProd": Reduction(lambda s, e: s.const(1, e), lambda s, x, y: s.mul(x, y, REDUCTION)),
    "ReduceMax": Reduction(Scalars.lowest, lambda s, x, y: s.max(x, y, REDUCTION)),
    "ReduceMin": Reduction(Scalars.highest, lambda s, x, y: s.min(x, y, REDUCTION)),
    "ReduceL1": Reduction(_zero, _sum, Scalars.abs),
    "ReduceL2": Reduction(_zero, _sum, _square, _real(Scalars.sqrt)),
    "ReduceSumSquare": Reduction(_zero, _sum, _square),
    "ReduceLogSum": Reduction(_zero, _sum, finish=_real(Scalars.log)),
}
"""All reductions that go over the elements once."""


def number(k: Kernel, count: Bound, kind: Attribute) -> Scalar:
    """A number of elements as a number of some type."""
    if isinstance(count, int):
        return k.s.const(count, kind)
    return k.s.from_index(k.index_value(k.size(count)), kind)


def sum_over(
    k: Kernel, extents: Sequence[Extent], kind: Attribute, element: Callable[[Entries], Scalar]
) -> Scalar:
    """The sum of something over loops."""

    def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        return [k.s.add(carried[0], element(taps), REDUCTION)]

    return k.reduce(extents, [k.s.const(0, kind)], step)[0]


def max_over(
    k: Kernel,
    extents: Sequence[Extent],
    kind: Attribute,
    element: Callable[[Entries], Scalar],
    flags: Attribute = REDUCTION,
) -> Scalar:
    """The largest of something over loops; NaN wins, unless ``flags`` let anything win then."""

    def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
        return [k.s.max(carried[0], element(taps), flags)]

    return k.reduce(extents, [k.s.lowest(kind)], step)[0]


def _emit(k: Kernel, op: OnnxOp, reduction: Reduction) -> None:
    source, result = op.operands[0], op.results[0]
    element = k.element(result)
    kind = accumulator_type(element)
    space = reduction_space(k, op)

    def x(ivs: Entries, taps: Entries) -> Scalar:
        return reduction.prepare(k.s, k.s.cast(k.read(source, space.source(ivs, taps)), kind))

    def finish(ivs: Entries, total: Scalar) -> None:
        total = reduction.finish(k.s, total, number(k, space.count, kind))
        k.give(result, space.result(ivs), k.s.cast(total, element))

    def body(ivs: list[Affine]) -> None:
        def step(taps: list[Affine], carried: list[Scalar]) -> list[Scalar]:
            return [reduction.combine(k.s, carried[0], x(ivs, taps))]

        (total,) = k.reduce(space.inner, [reduction.initial(k.s, kind)], step)
        finish(ivs, total)

    width = _piece_of_a_row(space)
    if width is None:
        k.nest(space.outer, body)
    else:
        _combine_rows(k, reduction, space, width, kind, x, finish)


def _piece_of_a_row(space: Space) -> int | None:
    """The width of the equal pieces in which long rows are combined to one."""
    if not (space.has_rows and space.inner):
        return None
    columns, rows = space.outer[-1], space.inner[-1]
    if not (isinstance(columns, int) and isinstance(rows, int)) or rows < 2 * ROWS:
        return None
    pieces = next((n for n in range(columns // LEAST_PIECE, 0, -1) if columns % n == 0), 0)
    return columns // pieces if pieces else None


def _combine_rows(
    k: Kernel,
    reduction: Reduction,
    space: Space,
    width: int,
    kind: Attribute,
    x: Callable[[Entries, Entries], Scalar],
    finish: Callable[[Entries, Scalar], None],
) -> None:
    """Rows combined to one in a small buffer, a few of them at a time.

        for pieces of a row:                                          independent of each other
          totals[column] = initial
          for groups of rows, in order:
            totals[column] = combine(totals[column], rows of the group)
          result[column] = finish(totals[column])

    That reads memory in long runs, which the hardware fetches ahead. The columns that registers
    hold would be a few cache lines of each row, and the next row is in another page.
    """
    *outer, columns = space.outer
    *inner, rows = space.inner
    assert isinstance(columns, int) and isinstance(rows, int)

    def piece(ivs: list[Affine]) -> None:
        totals = k.scratch([width], kind)

        def over_columns(body: Callable[[list[Affine], list[Affine]], None]) -> None:
            k.nest([width], lambda at: body([*ivs[:-1], ivs[-1] * width + at[0]], at))

        def add(taps: list[Affine], first: Affine, count: int) -> list[Scalar]:
            def column(entries: list[Affine], at: list[Affine]) -> None:
                parts = [x(entries, [*taps, first + n]) for n in range(count)]
                total = reduction.combined(k.s, parts)
                total = reduction.combine(k.s, k.load(totals, at, kind), total)
                k.store(total, totals, at)

            over_columns(column)
            return []

        over_columns(lambda _, at: k.store(reduction.initial(k.s, kind), totals, at))
        groups = [*inner, rows // ROWS]
        k.reduce(groups, [], lambda taps, _: add(taps[:-1], taps[-1] * ROWS, ROWS))
        if rows % ROWS:
            first = affine(rows - rows % ROWS)
            k.reduce(inner, [], lambda taps, _: add(taps, first, rows % ROWS))
        over_columns(lambda entries, at: finish(entries, k.load(totals, at, kind)))

    k.nest([*outer, columns // width], piece)


def _register(name: str, reduction: Reduction) -> None:
    root(name)(lambda k, op: _emit(k, op, reduction))
    result_sizes(name)(_sizes_at_run_time)


for _name, _reduction in REDUCTIONS.items():
    _register(_name, _reduction)

result_sizes("ReduceLogSumExp")(_sizes_at_run_time)


@root("ReduceLogSumExp")
def reduce_log_sum_exp(k: Kernel, op: OnnxOp) -> None:
    """max + log(sum(exp(x - max))), with 0 for a largest element that is infinite."""
    source, result = op.operands[0], op.results[0]
    element = k.element(result)
    kind = accumulator_type(element)
    if not k.s.const(0, kind).is_float:
        kind = f64
    space = reduction_space(k, op)

    def body(ivs: list[Affine]) -> None:
        def x(taps: Entries) -> Scalar:
            return k.s.cast(k.read(source, space.source(ivs, taps)), kind)

        top = max_over(k, space.inner, kind, x)
        infinite = k.s.equal(k.s.abs(top), k.s.highest(kind))
        top = k.s.select(infinite, k.s.const(0, kind), top)
        total = sum_over(k, space.inner, kind, lambda taps: k.s.exp(k.s.sub(x(taps), top)))
        k.give(result, space.result(ivs), k.s.cast(k.s.add(top, k.s.log(total)), element))

    k.nest(space.outer, body)
