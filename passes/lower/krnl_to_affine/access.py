"""Loads and stores of a tile: scalars for rows, vectors for neighbours, else lane by lane."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xdsl.dialects import vector
from xdsl.dialects.builtin import DYNAMIC_INDEX, MemRefType, VectorType
from xdsl.ir import Operation, SSAValue

from dialects import krnl
from dialects.affine import VectorLoadOp, VectorStoreOp
from passes.lower.index import Affine, Var, from_expr, to_map
from passes.lower.krnl_to_affine.tile_values import (
    Coordinates,
    TileDim,
    Varied,
    lanes_of,
    unsupported,
    vector_dim,
    vector_type,
)

if TYPE_CHECKING:
    from passes.lower.krnl_to_affine.tile import Tile


SHORT_LENGTHS = {2, 4, 8}
"""Vectors of so many elements are loaded where a longer one would be shuffled out of several."""

Chosen = dict[int, tuple[Affine, list[int], int] | None]
"""For each vector of a tile: where the one begins that its lanes are in, and which they are."""

WIDEST_STRIDE = 4
"""Elements that are at most so far apart come in whole vectors, out of which they are shuffled."""


@dataclass(frozen=True)
class Run:
    """Lanes from ``first`` on that are one element or neighbours, and where the first one is.

    ``steps`` is how far apart they may be, a single lane's either.
    """

    first: int
    place: list[Affine]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Lanes:
    """Where one vector lies in memory: an index for each lane, and which of its tile it is."""

    indices: list[Affine]
    lane: Var
    dim: TileDim
    coordinate: int

    @property
    def stride(self) -> int | None:
        """How far apart the elements are along the innermost axis; None if along others too."""
        *leading, last = [e.coefficient(self.lane) for e in self.indices]
        return None if any(c is None or c for c in leading) else last

    @property
    def is_full(self) -> bool:
        """Whether all lanes are inside of the loop, for certain."""
        return self.dim.valid is None or (
            isinstance(self.dim.valid, int) and len(self.inside()) == self.dim.lanes
        )

    def within_vector(self, source: SSAValue) -> tuple[Affine, list[int], int] | None:
        """The innermost index of a vector that all lanes are in, where each is, and its length.

        The vector is an aligned one of as many lanes, or a shorter one that ends with the last of
        them. None where there is none, or where rows of ``source`` are not made of whole vectors.
        """
        *leading, last = self.indices
        lanes = self.dim.lanes
        assert isinstance(source.type, MemRefType)
        size = source.type.get_shape()[-1]
        whole = self.is_full and size != DYNAMIC_INDEX and size % lanes == 0
        if not whole or any(e.depends_on(self.lane) for e in leading):
            return None
        start = last.substitute({self.lane: 0})
        for first in (start // lanes * lanes, start):
            offsets = [last.substitute({self.lane: lane}) - first for lane in range(lanes)]
            if any(e.terms for e in offsets):
                continue
            places = [e.constant for e in offsets]
            length = lanes if first is not start else max(places) + 1
            if min(places) >= 0 and max(places) < length and length in SHORT_LENGTHS | {lanes}:
                return first, places, length
        return None

    def runs(self) -> list[Run] | None:
        """The lanes in runs of one element, or of neighbours; None where that takes more than two.

        Two rows of a product side by side have a vector in which one ends and the other begins.
        """
        if not self.is_full:
            return None
        found: list[Run] = []
        places = [self.at(lane) for lane in range(self.dim.lanes)]
        for lane, (place, before) in enumerate(zip(places, [places[0], *places], strict=False)):
            steps = [a - b for a, b in zip(place, before, strict=True)]
            if any(step.terms for step in steps):
                return None
            *leading, step = [step.constant for step in steps]
            last = found[-1] if found else None
            if last is None or any(leading) or step not in last.steps:
                found.append(Run(lane, place, (0, 1)))
            else:
                found[-1] = replace(last, steps=(step,))
        return found if len(found) <= 2 else None

    def at(self, lane: int) -> list[Affine]:
        """The indices of one lane."""
        return [e.substitute({self.lane: lane}) for e in self.indices]

    def inside(self) -> range:
        """The lanes inside of the loop. Raises InvalidModelError where only a run knows them."""
        if isinstance(self.dim.valid, Affine):
            raise unsupported("strided elements along a vectorized loop of dynamic length")
        total = self.dim.lanes * self.dim.count if self.dim.valid is None else self.dim.valid
        return range(min(self.dim.lanes, total - self.coordinate * self.dim.lanes))


def _expressions(tile: Tile, op: krnl.LoadOp | krnl.StoreOp) -> list[Affine]:
    operands = [tile.index(value) for value in op.indices]
    return [from_expr(result, operands) for result in op.map.data.results]


def _place(
    tile: Tile, expressions: list[Affine], dims: tuple[TileDim, ...], at: Coordinates
) -> list[Affine] | Lanes:
    """The element at coordinates, or the elements of the vector there."""
    indices, lane = tile.at(expressions, dims, at)
    dim = vector_dim(dims)
    if lane is None or dim is None:
        return indices
    return Lanes(indices, lane, dim, at[dims.index(dim)])


def load(tile: Tile, op: krnl.LoadOp) -> None:
    """A scalar load for each row, a vector load for each vector of neighbouring elements."""
    expressions = _expressions(tile, op)
    dims = tile.dims_of(expressions)
    source = tile.single(op.memref)
    row = _row_of_neighbours(expressions, dims)
    if row is not None:
        tile.env[op.result] = Varied(dims, _load_transposed(tile, op, expressions, dims, row))
        return
    values: dict[Coordinates, SSAValue] = {}
    # Mostly rows do not matter for where lanes stand along the innermost axis.
    rows_matter = any(not dim.is_vector for dim in tile.dims_of(expressions[-1:]))
    chosen: Chosen = {}
    for at in tile.coordinates(dims):
        place = _place(tile, expressions, dims, at)
        if isinstance(place, Lanes):
            chosen = {} if rows_matter else chosen
            values[at] = _load_lanes(tile, source, place, chosen, op)
        else:
            values[at] = tile.lowering.load(source, place, op)
    tile.env[op.result] = Varied(dims, values)


def _load_lanes(
    tile: Tile, source: SSAValue, place: Lanes, chosen: Chosen, op: krnl.LoadOp
) -> SSAValue:
    """A vector: of neighbours, shuffled out of vectors, or lane by lane. Each is loaded once."""
    stride = place.stride
    if stride == 1:
        mask = tile.mask(place.dim, place.coordinate)
        return _load_vector(tile, source, place.at(0), place.dim.lanes, op, mask)
    if stride in range(2, WIDEST_STRIDE + 1) and place.is_full:
        return _load_strided(tile, source, place, op)
    if place.coordinate not in chosen:
        chosen[place.coordinate] = place.within_vector(source)
    found = chosen[place.coordinate]
    if found is not None:
        return _load_chosen(tile, source, place, found, op)
    joined = _load_runs(tile, source, place, op)
    return _gather(tile, source, place, op) if joined is None else joined


def _row_of_neighbours(expressions: list[Affine], dims: tuple[TileDim, ...]) -> TileDim | None:
    """The unrolled dimension along which a strided operand has its neighbours.

    Only where it makes squares with the lanes of full vectors.
    """
    across = vector_dim(dims)
    if across is None or across.valid is not None:
        return None
    *leading, last = expressions
    if last.coefficient(across.variable) == 1:
        return None
    for dim in dims:
        unit = last.coefficient(dim.variable) == 1
        if dim is not across and dim.count == across.lanes and unit:
            return None if any(e.depends_on(dim.variable) for e in leading) else dim
    return None


def _load_transposed(
    tile: Tile,
    op: krnl.LoadOp,
    expressions: list[Affine],
    dims: tuple[TileDim, ...],
    row: TileDim,
) -> dict[Coordinates, SSAValue]:
    """Squares of a strided operand: a vector along the rows for each lane, then shuffles."""
    across, source = vector_dim(dims), tile.single(op.memref)
    assert across is not None
    others = tuple(dim for dim in dims if dim is not row)
    first = [e.substitute({row.variable: 0}) for e in expressions]
    values: dict[Coordinates, SSAValue] = {}
    for at in tile.coordinates(others):
        place = _place(tile, first, others, at)
        assert isinstance(place, Lanes)
        starts = map(place.at, range(across.lanes))
        vectors = [_load_vector(tile, source, start, across.lanes, op) for start in starts]
        for number, vector_of_row in enumerate(transposed(tile, vectors)):
            full = dict(zip(others, at, strict=True)) | {row: number}
            values[tuple(full[dim] for dim in dims)] = vector_of_row
    return values


def transposed(tile: Tile, vectors: list[SSAValue]) -> list[SSAValue]:
    """The columns of a square of N vectors of N lanes, N a power of 2, in N * log2(N) shuffles.

    Step s exchanges the lanes whose number has bit s with those of the vector s further on (the
    butterfly of Eklundh, "A fast computer method for matrix transposing").
    """
    lanes, step = len(vectors), 1
    while step < lanes:
        moved = list(vectors)
        for n in range(lanes):
            if not n & step:
                a, b = vectors[n], vectors[n + step]
                low = [x + lanes - step if x & step else x for x in range(lanes)]
                high = [x + lanes if x & step else x + step for x in range(lanes)]
                moved[n], moved[n + step] = _shuffle(tile, a, b, low), _shuffle(tile, a, b, high)
        vectors, step = moved, 2 * step
    return vectors


def _shuffle(tile: Tile, lhs: SSAValue, rhs: SSAValue, lanes: list[int]) -> SSAValue:
    assert isinstance(lhs.type, VectorType)
    loaded, element = tile.lowering.loaded, lhs.type.element_type
    key = (tile.lowering.block, lhs, rhs, *lanes)
    if key not in loaded:
        loaded[key] = tile.add(
            vector.ShuffleOp.create(
                operands=[lhs, rhs],
                result_types=[vector_type(len(lanes), element)],
                properties={"mask": krnl.integers(tuple(lanes))},
            )
        )
    return loaded[key]


def _load_vector(
    tile: Tile,
    source: SSAValue,
    start: list[Affine],
    lanes: int,
    op: krnl.LoadOp,
    mask: SSAValue | None = None,
) -> SSAValue:
    """Neighbours from a place on, loaded once."""
    loaded = tile.lowering.loaded
    key = (tile.lowering.block, source, lanes, mask, *start)
    if key not in loaded:
        loaded[key] = _load_neighbours(tile, source, start, lanes, op, mask)
    return loaded[key]


def _load_neighbours(
    tile: Tile,
    source: SSAValue,
    start: list[Affine],
    lanes: int,
    op: krnl.LoadOp,
    mask: SSAValue | None,
) -> SSAValue:
    kind = vector_type(lanes, op.result.type)
    if mask is None and tile.lowering.all_affine(start):
        map, operands = to_map(start)
        made: Operation = VectorLoadOp.create(
            operands=[source, *operands], result_types=[kind], properties={"map": map}
        )
    else:
        at = [tile.lowering.index_value(e) for e in start]
        made = (
            vector.LoadOp.create(operands=[source, *at], result_types=[kind])
            if mask is None
            else vector.MaskedLoadOp.create(
                operands=[source, *at, mask, tile.zero(kind)], result_types=[kind]
            )
        )
    made.location = op.location
    return tile.add(made)


def _load_strided(tile: Tile, source: SSAValue, place: Lanes, op: krnl.LoadOp) -> SSAValue:
    """Elements that are S apart: out of S vectors, the last of which ends with the last element."""
    stride, lanes = place.stride, place.dim.lanes
    assert stride is not None
    *leading, last = place.at(0)
    result: SSAValue | None = None
    for number in range(stride):
        first = min(number * lanes, (lanes - 1) * (stride - 1))
        loaded = _load_vector(tile, source, [*leading, last + first], lanes, op)
        offsets = [lane * stride - first for lane in range(lanes)]
        chosen = [lanes + at if 0 <= at < lanes else lane for lane, at in enumerate(offsets)]
        if result is None:
            chosen = [at - lanes if at >= lanes else 0 for at in chosen]
        result = _shuffle(tile, loaded if result is None else result, loaded, chosen)
    assert result is not None
    return result


def _load_chosen(
    tile: Tile,
    source: SSAValue,
    place: Lanes,
    chosen: tuple[Affine, list[int], int],
    op: krnl.LoadOp,
) -> SSAValue:
    """Elements of one vector in another order, some of them more than once."""
    first, offsets, length = chosen
    loaded = _load_vector(tile, source, [*place.at(0)[:-1], first], length, op)
    return _shuffle(tile, loaded, loaded, offsets)


def _load_runs(tile: Tile, source: SSAValue, place: Lanes, op: krnl.LoadOp) -> SSAValue | None:
    """A vector of one or two runs, each out of a vector; None where there are others."""
    runs = place.runs()
    if runs is None:
        return None
    lanes, vectors, chosen = place.dim.lanes, [], []
    for number, run in enumerate(runs):
        first = 0 if 0 in run.steps else _load_around(source, run, lanes)
        if first is None:
            return None
        end = runs[number + 1].first if number + 1 < len(runs) else lanes
        if 0 in run.steps:
            vectors.append(tile.as_vector(_load_element(tile, source, run.place, op), lanes))
            offsets = range(run.first, end)
        else:
            start = [*run.place[:-1], Affine((), first)]
            vectors.append(_load_vector(tile, source, start, lanes, op))
            offset = run.place[-1].constant - first - run.first
            offsets = range(run.first + offset, end + offset)
        chosen += [number * lanes + at for at in offsets]
    in_order = chosen == list(range(lanes))
    return vectors[0] if in_order else _shuffle(tile, vectors[0], vectors[-1], chosen)


def _load_around(source: SSAValue, run: Run, lanes: int) -> int | None:
    """Where a vector begins that neighbours along the innermost axis are in; None if nowhere."""
    assert isinstance(source.type, MemRefType)
    size, last = source.type.get_shape()[-1], run.place[-1]
    if last.terms or size < lanes:
        return None
    return min(last.constant, size - lanes)


def _load_element(tile: Tile, source: SSAValue, place: list[Affine], op: krnl.LoadOp) -> SSAValue:
    loaded = tile.lowering.loaded
    key = (tile.lowering.block, source, *place)
    if key not in loaded:
        loaded[key] = tile.lowering.load(source, place, op)
    return loaded[key]


def _gather(tile: Tile, source: SSAValue, place: Lanes, op: krnl.LoadOp) -> SSAValue:
    """Lane by lane: the elements are not neighbours."""
    result = tile.zero(vector_type(place.dim.lanes, op.result.type))
    for n in place.inside():
        element = tile.lowering.load(source, place.at(n), op)
        result = tile.add(
            vector.InsertOp.create(
                operands=[element, result],
                result_types=[result.type],
                properties={"static_position": krnl.integers((n,))},
            )
        )
    return result


def store(tile: Tile, op: krnl.StoreOp) -> None:
    """The counterpart of ``load``; what was loaded before may be something else now."""
    tile.lowering.loaded.clear()
    expressions = _expressions(tile, op)
    stored = tile.varied(op.value)
    involved = {*tile.dims_of(expressions), *stored.dims}
    dims = tuple(d for d in tile.dims if d in involved)
    target = tile.single(op.memref)
    for at in tile.coordinates(dims):
        value = stored.at(dims, at)
        place = _place(tile, expressions, dims, at)
        if not isinstance(place, Lanes):
            tile.lowering.store(value, target, place, op)
            continue
        value = tile.as_vector(value, lanes_of(dims))
        if place.stride == 1:
            _store_vector(tile, value, target, place, op)
        else:
            _scatter(tile, value, target, place, op)


def _store_vector(
    tile: Tile, value: SSAValue, target: SSAValue, place: Lanes, op: krnl.StoreOp
) -> None:
    start = place.at(0)
    mask = tile.mask(place.dim, place.coordinate)
    if mask is None and tile.lowering.all_affine(start):
        map, operands = to_map(start)
        made: Operation = VectorStoreOp.create(
            operands=[value, target, *operands], properties={"map": map}
        )
    else:
        at = [tile.lowering.index_value(e) for e in start]
        made = (
            vector.StoreOp.create(operands=[value, target, *at])
            if mask is None
            else vector.MaskedStoreOp.create(operands=[target, *at, mask, value])
        )
    made.location = op.location
    tile.lowering.block.add_op(made)


def _scatter(tile: Tile, value: SSAValue, target: SSAValue, place: Lanes, op: krnl.StoreOp) -> None:
    assert isinstance(value.type, VectorType)
    for n in place.inside():
        element = tile.add(
            vector.ExtractOp.create(
                operands=[value],
                result_types=[value.type.element_type],
                properties={"static_position": krnl.integers((n,))},
            )
        )
        tile.lowering.store(element, target, place.at(n), op)
