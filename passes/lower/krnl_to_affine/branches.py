"""Control flow inside of a tile: once for every row that it depends on, with vectors inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Operation, Region, SSAValue

from passes.lower.index import Atom, Index, Var
from passes.lower.index import affine as as_affine
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


def emit(tile: Tile, op: Operation) -> None:
    """Emits an operation with regions. What decides must be the same for all lanes.

    Raises InvalidModelError where it is not.
    """
    deciding = {d for value in op.operands for d in tile.dims_of_value(value)}
    if any(dim.is_vector for dim in deciding):
        raise unsupported(f"{op.name} that is decided lane by lane")
    inside = tile.dims_inside(op)
    rows = tuple(d for d in inside if not d.is_vector)
    columns = tuple(d for d in inside if d.is_vector) if op.results else ()
    outputs: list[dict[Coordinates, SSAValue]] = [{} for _ in op.results]
    for at in tile.coordinates(rows):
        row = _narrowed(tile, rows, at)
        for place in tile.coordinates(columns):
            made = _clone(_one_vector(row, columns, place), op, lanes_of(columns))
            for output, result in zip(outputs, made.results, strict=True):
                output[(*at, *place)] = result
    order = (*rows, *columns)
    dims = tuple(d for d in tile.dims if d in order)
    places = [order.index(d) for d in dims]
    for result, output in zip(op.results, outputs, strict=True):
        values = {tuple(at[n] for n in places): value for at, value in output.items()}
        tile.env[result] = Varied(dims, values)


def _narrowed(tile: Tile, dims: tuple[TileDim, ...], at: Coordinates) -> Tile:
    """A tile with some of its rows fixed."""
    place = dict(zip(dims, at, strict=True))
    fixed: dict[Atom, Index] = {d.variable: c for d, c in place.items()}
    narrowed = tile.inside()
    narrowed.dims = tuple(d for d in tile.dims if d not in dims)
    for value, varied in tile.env.items():
        kept = tuple(d for d in varied.dims if d not in dims)
        values = {
            c: varied.at((*kept, *place), (*c, *place.values())) for c in tile.coordinates(kept)
        }
        narrowed.env[value] = Varied(kept, values)
        if varied.dims and not kept and isinstance(value.type, IndexType):
            # A computed index stood for itself in expressions: now it is one value.
            fixed[tile.lowering.variable(value)] = as_affine(tile.lowering.variable(values[()]))
    for value, expression in tile.indices.items():
        narrowed.indices[value] = expression.substitute(fixed)
    return narrowed


def _one_vector(tile: Tile, columns: tuple[TileDim, ...], place: Coordinates) -> Tile:
    """A tile with one of its vectors left."""
    if not columns:
        return tile
    (dim,), (coordinate,) = columns, place
    valid = None if dim.valid is None else dim.valid - coordinate * dim.lanes
    if isinstance(valid, int) and valid >= dim.lanes:
        valid = None
    only = TileDim(Var(None, 0, dim.lanes - 1), 1, dim.lanes, valid)
    moved: dict[Atom, Index] = {
        dim.variable: as_affine(only.variable) + coordinate * dim.lanes,
    }
    single = tile.inside()
    single.dims = tuple(only if d is dim else d for d in tile.dims)
    single.masks = {}
    for value, varied in tile.env.items():
        if varied.dims == columns:
            single.env[value] = Varied((only,), {(0,): varied.values[place]})
    for value, expression in tile.indices.items():
        single.indices[value] = expression.substitute(moved)
    return single


def _clone(tile: Tile, op: Operation, lanes: int) -> Operation:
    """The operation with its regions emitted anew; results have ``lanes``, or are scalars."""
    operands = [tile.single(value) for value in op.operands]
    types = [vector_type(lanes, r.type) if lanes else r.type for r in op.results]
    outside = tile.lowering.block
    regions = [_region(tile, region, lanes) for region in op.regions]
    tile.lowering.block = outside
    made = type(op).create(
        operands=operands,
        result_types=types,
        properties=op.properties,
        attributes=op.attributes,
        regions=regions,
        location=op.location,
    )
    outside.add_op(made)
    return made


def _region(tile: Tile, region: Region, lanes: int) -> Region:
    if not region.blocks:
        return Region()
    block = Block(arg_types=[a.type for a in region.block.args])
    inner = tile.inside()
    tile.lowering.block = block
    for old, new in zip(region.block.args, block.args, strict=True):
        inner.env[old] = Varied((), {(): new})
        tile.lowering.computed.add(new)
    inner.body(region.block)
    _terminate(inner, region.block, lanes)
    return Region(block)


def _terminate(tile: Tile, block: Block, lanes: int) -> None:
    """Ends a region with what it yields."""
    last = block.last_op
    if last is None:
        return
    values: list[SSAValue] = []
    for value in last.operands:
        varied = tile.varied(value)
        assert vector_dim(varied.dims) is None or lanes
        values.append(tile.as_vector(next(iter(varied.values.values())), lanes))
    made = type(last).create(operands=values, properties=last.properties, location=last.location)
    tile.lowering.block.add_op(made)
