"""One body, many iterations side by side: from scalar operations to unrolled rows and vectors.

A tile has at most one dimension of vectors (columns) and any number of unrolled ones (rows). Every value of
the body exists once for each coordinate of those dimensions that it depends on, and no more often: in a
matrix product, a row's element is loaded once for all columns and broadcast, a column's vector once for
all rows, and only products and sums exist for every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerType,
    VectorType,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from dialects import arith, krnl, vector
from dialects.affine import VectorLoadOp, VectorStoreOp
from passes.lower.index import Affine, Var, from_expr
from passes.lower.index import affine as as_affine
from runtime.errors import InvalidModelError, Place

if TYPE_CHECKING:
    from passes.lower.krnl_to_affine.nest import KernelLowering

Coordinates = tuple[int, ...]
index = IndexType()


@dataclass(eq=False)
class TileDim:
    """A dimension of a tile: ``count`` rows, or ``count`` vectors of ``lanes`` columns.

    ``variable`` stands for the offset inside the tile in index expressions. ``valid`` is the number of
    columns when the last vector is not full, as a number or as an expression.
    """

    variable: Var
    count: int
    lanes: int = 0
    valid: int | Affine | None = None

    @property
    def is_vector(self) -> bool:
        """Whether coordinates of this dimension are vectors."""
        return self.lanes > 0


@dataclass
class Varied:
    """A value of the body: one SSA value for each coordinate of the dimensions it depends on."""

    dims: tuple[TileDim, ...]
    values: dict[Coordinates, SSAValue]

    def at(self, dims: tuple[TileDim, ...], coordinates: Coordinates) -> SSAValue:
        """The value at coordinates of some more dimensions."""
        if self.dims == dims:
            return self.values[coordinates]
        place = dict(zip(dims, coordinates, strict=True))
        return self.values[tuple(place[dim] for dim in self.dims)]

    @property
    def has_vectors(self) -> bool:
        """Whether the values are vectors."""
        return any(dim.is_vector for dim in self.dims)


@cache
def vector_type(lanes: int, element: Attribute) -> VectorType:
    """A memoised vector type."""
    return VectorType(element, [lanes])


@dataclass
class Tile:
    """Emission of one body for all coordinates of a tile."""

    lowering: KernelLowering
    dims: tuple[TileDim, ...]
    env: dict[SSAValue, Varied] = field(default_factory=dict)
    indices: dict[SSAValue, Affine] = field(default_factory=dict)
    broadcasts: dict[SSAValue, SSAValue] = field(default_factory=dict)
    masks: dict[int, SSAValue] = field(default_factory=dict)

    @property
    def block(self) -> Block:
        """Where operations go."""
        return self.lowering.block

    def add(self, op: Operation) -> SSAValue:
        """Appends an operation and returns its only result."""
        self.block.add_op(op)
        return op.results[0]

    def coordinates(self, dims: Iterable[TileDim]) -> Iterable[Coordinates]:
        """All coordinates of some dimensions."""
        return product(*(range(dim.count) for dim in dims))

    # Values ---------------------------------------------------------------------------------

    def varied(self, value: SSAValue) -> Varied:
        """What a value of the old body became; index expressions are materialised."""
        found = self.env.get(value)
        if found is None and value in self.indices:
            found = self.env[value] = self._materialise(self.indices[value])
        if found is None:
            found = Varied((), {(): self.lowering.outer(value)})
        return found

    def index(self, value: SSAValue) -> Affine:
        """An index value as an expression; a computed one stands for itself."""
        found = self.indices.get(value)
        if found is None:
            varied = self.varied(value)
            source = value if varied.dims else varied.values[()]
            found = self.indices[value] = as_affine(self.lowering.variable(source))
        return found

    def _materialise(self, expression: Affine) -> Varied:
        dims = self._dims_of([expression])
        values: dict[Coordinates, SSAValue] = {}
        for at in self.coordinates(dims):
            (entry,), lane = self._at([expression], dims, at)
            value = self.lowering.index_value(entry.substitute({lane: 0}) if lane else entry)
            if lane is not None:
                value = self._lanes_from(value, entry.coefficient(lane), lane)
            values[at] = value
        return Varied(dims, values)

    def _lanes_from(self, first: SSAValue, stride: int | None, lane: Var) -> SSAValue:
        """The index vector `first + stride * (0, 1, 2, ...)`."""
        if stride is None:
            raise _unsupported("an index that is divided along the vectorized loop")
        assert lane.high is not None
        lanes = lane.high + 1
        kind = vector_type(lanes, index)
        steps = DenseIntOrFPElementsAttr.from_list(kind, [stride * n for n in range(lanes)])
        offsets = self.add(arith.ConstantOp(steps))
        start = self.add(vector.BroadcastOp(first, kind))
        return self.add(arith.AddiOp(start, offsets))

    def _dims_of(self, expressions: list[Affine]) -> tuple[TileDim, ...]:
        """The dimensions that index expressions depend on, also through computed index values."""
        variables = {v for e in expressions for v in e.variables()}
        through = {d for v in variables if v.value in self.env for d in self.env[v.value].dims}
        return tuple(d for d in self.dims if d.variable in variables or d in through)

    def _at(
        self, expressions: list[Affine], dims: tuple[TileDim, ...], at: Coordinates
    ) -> tuple[list[Affine], Var | None]:
        """The expressions at coordinates, and the variable that runs over a vector's lanes."""
        if not dims:
            return expressions, None
        lane: Var | None = None
        values: dict = {}
        for dim, coordinate in zip(dims, at, strict=True):
            values[dim.variable] = coordinate
            if dim.is_vector:
                lane = Var(None, 0, dim.lanes - 1)
                values[dim.variable] = as_affine(lane) + coordinate * dim.lanes
        for variable in {v for e in expressions for v in e.variables()}:
            varied = self.env.get(variable.value) if variable.value is not None else None
            if varied is not None and varied.dims:
                if varied.has_vectors:
                    raise _unsupported("an address computed from data along the vectorized loop")
                values[variable] = as_affine(self.lowering.variable(varied.at(dims, at)))
        return [e.substitute(values) for e in expressions], lane

    def as_vector(self, value: SSAValue, lanes: int) -> SSAValue:
        """A scalar in all lanes; a vector as it is."""
        if isinstance(value.type, VectorType):
            return value
        if value not in self.broadcasts:
            kind = vector_type(lanes, value.type)
            self.broadcasts[value] = self.add(
                vector.BroadcastOp.create(operands=[value], result_types=[kind])
            )
        return self.broadcasts[value]

    # Operations -----------------------------------------------------------------------------

    def emit(self, op: Operation) -> None:
        """Emits one operation of the body."""
        rule = _RULES.get(type(op))
        if rule is not None:
            rule(self, op)
        elif op.regions:
            self._with_regions(op)
        else:
            self._elementwise(op)

    def _elementwise(self, op: Operation) -> None:
        operands = [self.varied(value) for value in op.operands]
        dims = tuple(d for d in self.dims if any(d in v.dims for v in operands))
        lanes = next((d.lanes for d in dims if d.is_vector), 0)
        types = [vector_type(lanes, r.type) if lanes else r.type for r in op.results]
        outputs: list[dict[Coordinates, SSAValue]] = [{} for _ in op.results]
        for at in self.coordinates(dims):
            values = [v.at(dims, at) for v in operands]
            if lanes:
                values = [self.as_vector(v, lanes) for v in values]
            made = type(op).create(
                operands=values,
                result_types=types,
                properties=op.properties,
                attributes=op.attributes,
                location=op.location,
            )
            self.block.add_op(made)
            for output, result in zip(outputs, made.results, strict=True):
                output[at] = result
        for result, output in zip(op.results, outputs, strict=True):
            self.env[result] = Varied(dims, output)

    def _with_regions(self, op: Operation) -> None:
        """Control flow: once for every row that it depends on; vectors stay vectors inside.

        What decides (the operation's own operands) must be the same for all lanes.
        """
        inside = self._dims_inside(op)
        deciding = {d for value in op.operands for d in self._dims_of_value(value)}
        if any(dim.is_vector for dim in deciding):
            raise _unsupported(f"{op.name} that is decided lane by lane")
        rows = tuple(d for d in inside if not d.is_vector)
        columns = tuple(d for d in inside if d.is_vector) if op.results else ()
        outputs: list[dict[Coordinates, SSAValue]] = [{} for _ in op.results]
        for at in self.coordinates(rows):
            narrowed = self._narrowed(rows, at)
            for place in narrowed.coordinates(columns):
                single = narrowed._one_vector(columns, place)
                made = single._clone_with_regions(op)
                for output, result in zip(outputs, made.results, strict=True):
                    output[(*at, *place)] = result
        order = (*rows, *columns)
        for result, output in zip(op.results, outputs, strict=True):
            dims = tuple(d for d in self.dims if d in order)
            self.env[result] = Varied(
                dims,
                {
                    tuple(
                        c for _, c in sorted(zip(map(self.dims.index, order), at, strict=True))
                    ): v
                    for at, v in output.items()
                },
            )

    def _dims_of_value(self, value: SSAValue) -> tuple[TileDim, ...]:
        if value in self.env:
            return self.env[value].dims
        return self._dims_of([self.indices[value]]) if value in self.indices else ()

    def _one_vector(self, columns: tuple[TileDim, ...], place: Coordinates) -> Tile:
        """This tile with one of its vectors left."""
        if not columns:
            return self
        (dim,), (coordinate,) = columns, place
        valid = None if dim.valid is None else dim.valid - coordinate * dim.lanes
        if isinstance(valid, int) and valid >= dim.lanes:
            valid = None
        only = TileDim(Var(None, 0, dim.lanes - 1), 1, dim.lanes, valid)
        moved = as_affine(only.variable) + coordinate * dim.lanes
        env = {
            value: Varied((only,), {(0,): varied.values[place]})
            if varied.dims == columns
            else varied
            for value, varied in self.env.items()
        }
        indices = {
            value: e.substitute({dim.variable: moved})
            for value, e in self.indices.items()
            if value not in env
        }
        return Tile(self.lowering, (only,), env, indices, dict(self.broadcasts), {})

    def _narrowed(self, dims: tuple[TileDim, ...], at: Coordinates) -> Tile:
        """This tile with some dimensions fixed."""
        fixed = {d.variable: c for d, c in zip(dims, at, strict=True)}
        rest = tuple(d for d in self.dims if d not in dims)
        env: dict[SSAValue, Varied] = {}
        for value, varied in self.env.items():
            kept = tuple(d for d in varied.dims if d not in dims)
            place = dict(zip(dims, at, strict=True))
            env[value] = Varied(
                kept,
                {
                    c: varied.at((*kept, *place), (*c, *place.values()))
                    for c in self.coordinates(kept)
                },
            )
        indices = {v: e.substitute(fixed) for v, e in self.indices.items() if v not in env}
        return Tile(self.lowering, rest, env, indices, dict(self.broadcasts), dict(self.masks))

    def _clone_with_regions(self, op: Operation) -> Operation:
        operands = [self.varied(value).values[()] for value in op.operands]
        regions: list[Region] = []
        lanes = next((d.lanes for d in self.dims), 0)
        types = [vector_type(lanes, r.type) if lanes else r.type for r in op.results]
        outer = self.block
        for region in op.regions:
            block = Block(arg_types=[a.type for a in region.block.args] if region.blocks else [])
            inner = self._scope()
            if region.blocks:
                self.lowering.block = block
                for old, new in zip(region.block.args, block.args, strict=True):
                    inner.env[old] = Varied((), {(): new})
                    self.lowering.computed.add(new)
                inner.body(region.block)
                inner.terminate(region.block, lanes)
            regions.append(Region(block) if region.blocks else Region())
        self.lowering.block = outer
        made = type(op).create(
            operands=operands,
            result_types=types,
            properties=op.properties,
            attributes=op.attributes,
            regions=regions,
            location=op.location,
        )
        outer.add_op(made)
        return made

    def _scope(self) -> Tile:
        """A tile for a nested block: what it emits is not seen outside."""
        return Tile(
            self.lowering,
            self.dims,
            dict(self.env),
            dict(self.indices),
            dict(self.broadcasts),
            dict(self.masks),
        )

    def body(self, block: Block) -> None:
        """Emits a whole block, nested loops included."""
        self.lowering.body(block, self)

    def terminate(self, block: Block, lanes: int) -> None:
        """Ends a region of control flow with what it yields, as vectors if its results are."""
        last = block.last_op
        if last is None:
            return
        values = [next(iter(self.varied(value).values.values())) for value in last.operands]
        if lanes:
            values = [self.as_vector(value, lanes) for value in values]
        self.block.add_op(type(last).create(operands=values, properties=last.properties))

    def _dims_inside(self, op: Operation) -> tuple[TileDim, ...]:
        found: set[TileDim] = set()
        for nested in op.walk():
            for value in nested.operands:
                if value in self.indices:
                    found.update(self._dims_of([self.indices[value]]))
                elif value in self.env:
                    found.update(self.env[value].dims)
        return tuple(d for d in self.dims if d in found)

    # Memory ---------------------------------------------------------------------------------

    def access(self, op: krnl.LoadOp | krnl.StoreOp) -> list[Affine]:
        """The index expressions of a load or store."""
        operands = [self.index(value) for value in op.indices]
        return [from_expr(result, operands) for result in op.map.data.results]

    def load(self, op: krnl.LoadOp) -> None:
        """A scalar load for each row, a vector load for each vector of neighbouring elements."""
        expressions = self.access(op)
        dims = self._dims_of(expressions)
        source = self.varied(op.memref).values[()]
        dim = next((d for d in dims if d.is_vector), None)
        values: dict[Coordinates, SSAValue] = {}
        for at in self.coordinates(dims):
            indices, lane = self._at(expressions, dims, at)
            if lane is None:
                values[at] = self.lowering.load(source, indices, op)
                continue
            assert dim is not None
            if is_contiguous(indices, lane):
                start = [e.substitute({lane: 0}) for e in indices]
                mask = self.mask(dim, at[dims.index(dim)])
                values[at] = self._load_vector(source, start, dim.lanes, mask, op)
            else:
                values[at] = self._gather(source, indices, lane, dim, at[dims.index(dim)], op)
        self.env[op.result] = Varied(dims, values)

    def _load_vector(
        self,
        source: SSAValue,
        start: list[Affine],
        lanes: int,
        mask: SSAValue | None,
        op: krnl.LoadOp,
    ) -> SSAValue:
        kind = vector_type(lanes, op.result.type)
        if mask is not None:
            at = [self.lowering.index_value(e) for e in start]
            zero = self.zero(kind)
            return self.add(
                vector.MaskedLoadOp.create(
                    operands=[source, *at, mask, zero],
                    result_types=[kind],
                    location=op.location,
                )
            )
        map, operands = self.lowering.affine_map(start)
        return self.add(
            VectorLoadOp.create(
                operands=[source, *operands],
                result_types=[kind],
                properties={"map": map},
                location=op.location,
            )
        )

    def _gather(
        self,
        source: SSAValue,
        indices: list[Affine],
        lane: Var,
        dim: TileDim,
        coordinate: int,
        op: krnl.LoadOp,
    ) -> SSAValue:
        """Lane by lane: the elements are not neighbours."""
        if isinstance(dim.valid, Affine):
            raise _unsupported("a strided access along a vectorized loop of dynamic length")
        result = self.zero(vector_type(dim.lanes, op.result.type))
        for n in range(
            min(dim.lanes, (dim.valid or dim.lanes * dim.count) - coordinate * dim.lanes)
        ):
            element = self.lowering.load(source, [e.substitute({lane: n}) for e in indices], op)
            result = self.add(
                vector.InsertOp.create(
                    operands=[element, result],
                    result_types=[result.type],
                    properties={"static_position": krnl.integers((n,))},
                )
            )
        return result

    def store(self, op: krnl.StoreOp) -> None:
        """The counterpart of ``load``."""
        expressions = self.access(op)
        stored = self.varied(op.value)
        involved = {*self._dims_of(expressions), *stored.dims}
        dims = tuple(d for d in self.dims if d in involved)
        target = self.varied(op.memref).values[()]
        dim = next((d for d in dims if d.is_vector), None)
        for at in self.coordinates(dims):
            value = stored.at(dims, at)
            indices, lane = self._at(expressions, dims, at)
            if lane is None or dim is None:
                self.lowering.store(value, target, indices, op)
                continue
            value = self.as_vector(value, dim.lanes)
            coordinate = at[dims.index(dim)]
            if is_contiguous(indices, lane):
                start = [e.substitute({lane: 0}) for e in indices]
                self._store_vector(value, target, start, self.mask(dim, coordinate), op)
            else:
                self._scatter(value, target, indices, lane, dim, coordinate, op)

    def _store_vector(
        self,
        value: SSAValue,
        target: SSAValue,
        start: list[Affine],
        mask: SSAValue | None,
        op: krnl.StoreOp,
    ) -> None:
        if mask is not None:
            at = [self.lowering.index_value(e) for e in start]
            made: Operation = vector.MaskedStoreOp.create(
                operands=[target, *at, mask, value],
                location=op.location,
            )
        else:
            map, operands = self.lowering.affine_map(start)
            made = VectorStoreOp.create(
                operands=[value, target, *operands],
                properties={"map": map},
                location=op.location,
            )
        self.block.add_op(made)

    def _scatter(
        self,
        value: SSAValue,
        target: SSAValue,
        indices: list[Affine],
        lane: Var,
        dim: TileDim,
        coordinate: int,
        op: krnl.StoreOp,
    ) -> None:
        if isinstance(dim.valid, Affine):
            raise _unsupported("a strided store along a vectorized loop of dynamic length")
        for n in range(
            min(dim.lanes, (dim.valid or dim.lanes * dim.count) - coordinate * dim.lanes)
        ):
            element = self.add(
                vector.ExtractOp.create(
                    operands=[value],
                    result_types=[value.type.element_type],  # type: ignore[attr-defined]
                    properties={"static_position": krnl.integers((n,))},
                )
            )
            at = [e.substitute({lane: n}) for e in indices]
            self.lowering.store(element, target, at, op)

    def zero(self, kind: VectorType) -> SSAValue:
        """A vector of zeros."""
        value = self.lowering.zero(kind.element_type)
        return self.as_vector(value, kind.get_shape()[0])

    def mask(self, dim: TileDim, coordinate: int) -> SSAValue | None:
        """Which lanes of a vector are inside the loop; None when all are."""
        if dim.valid is None:
            return None
        left = dim.valid - coordinate * dim.lanes
        if isinstance(left, int) and left >= dim.lanes:
            return None
        if coordinate not in self.masks:
            count = self.lowering.index_value(as_affine(left))
            kind = vector_type(dim.lanes, IntegerType(1))
            self.masks[coordinate] = self.add(
                vector.CreateMaskOp.create(operands=[count], result_types=[kind])
            )
        return self.masks[coordinate]

    def index_op(self, op: krnl.IndexOp) -> None:
        """An index expression stays one until somebody needs it as a value."""
        operands = [self.index(value) for value in op.indices]
        self.indices[op.result] = from_expr(op.map.data.results[0], operands)


def is_contiguous(indices: list[Affine], lane: Var) -> bool:
    """Whether neighbouring lanes read neighbouring elements."""
    *leading, last = [e.coefficient(lane) for e in indices]
    return last == 1 and not any(c is None or c for c in leading)


def _unsupported(what: str) -> InvalidModelError:
    return InvalidModelError(
        f"the schedule vectorizes a nest with {what}",
        Place(stage="krnl"),
        "vectorize another loop, or leave this nest to LLVM's vectorizer",
    )


_RULES: dict[type[Operation], Callable[[Tile, Operation], None]] = {
    krnl.LoadOp: Tile.load,  # type: ignore[dict-item]
    krnl.StoreOp: Tile.store,  # type: ignore[dict-item]
    krnl.IndexOp: Tile.index_op,  # type: ignore[dict-item]
}
