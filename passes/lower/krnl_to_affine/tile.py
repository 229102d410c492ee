"""One body, many iterations side by side: from scalar operations to unrolled rows and vectors.

A tile has at most one dimension of vectors (columns) and any number of unrolled ones (rows). Every
value of the body exists once for each coordinate of those dimensions that it depends on, and no
more often: in a matrix product, a row's element is loaded once for all columns and broadcast, a
column's vector once for all rows, and only products and sums exist for every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerType,
    VectorType,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from dialects import krnl
from passes.lower.index import Affine, Atom, Index, Var, from_expr
from passes.lower.index import affine as as_affine
from passes.lower.krnl_to_affine import access, branches
from passes.lower.krnl_to_affine.dot import dot
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
    from passes.lower.krnl_to_affine.kernel import KernelLowering

index = IndexType()


@dataclass
class Tile:
    """Emission of one body for all coordinates of a tile.

    ``env`` holds what values of the old body became, ``indices`` the index expressions of those
    that are affine; ``broadcasts`` and ``masks`` remember vectors that were made already.
    """

    lowering: KernelLowering
    dims: tuple[TileDim, ...] = ()
    env: dict[SSAValue, Varied] = field(default_factory=dict)
    indices: dict[SSAValue, Affine] = field(default_factory=dict)
    broadcasts: dict[SSAValue, SSAValue] = field(default_factory=dict)
    masks: dict[int, SSAValue] = field(default_factory=dict)

    def inside(self, dims: Iterable[TileDim] = ()) -> Tile:
        """A tile for a nested block, with more dimensions: what it emits is not seen outside."""
        return Tile(
            self.lowering,
            (*self.dims, *dims),
            dict(self.env),
            dict(self.indices),
            dict(self.broadcasts),
            dict(self.masks),
        )

    def add(self, op: Operation) -> SSAValue:
        """Appends an operation and returns its only result."""
        return self.lowering.add(op)

    def coordinates(self, dims: Iterable[TileDim]) -> Iterable[Coordinates]:
        """All coordinates of some dimensions."""
        return product(*(range(dim.count) for dim in dims))

    # Values ---------------------------------------------------------------------------------

    def varied(self, value: SSAValue) -> Varied:
        """What a value of the old body became; index expressions are materialised."""
        found = self.env.get(value)
        if found is None and value in self.indices:
            found = self.env[value] = self.materialise(self.indices[value], index)
        if found is None:
            found = Varied((), {(): self.lowering.values[value]})
        return found

    def single(self, value: SSAValue) -> SSAValue:
        """What a value became that is the same in the whole tile."""
        return self.varied(value).values[()]

    def index(self, value: SSAValue) -> Affine:
        """An index value as an expression; a computed one stands for itself."""
        found = self.indices.get(value)
        if found is None:
            varied = self.varied(value)
            source = value if varied.dims else varied.values[()]
            found = self.indices[value] = as_affine(self.lowering.variable(source))
        return found

    def materialise(self, expression: Affine, kind: Attribute) -> Varied:
        """An index expression as values; ``kind`` is their type, or the type of their lanes."""
        dims = self.dims_of([expression])
        values: dict[Coordinates, SSAValue] = {}
        for at in self.coordinates(dims):
            (entry,), lane = self.at([expression], dims, at)
            value = self.lowering.index_value(entry.substitute({lane: 0}) if lane else entry)
            if kind != index:
                value = self.add(arith.IndexCastOp(value, kind))
            if lane is not None:
                value = self._lanes_from(value, entry.coefficient(lane), lane)
            values[at] = value
        return Varied(dims, values)

    def _lanes_from(self, first: SSAValue, stride: int | None, lane: Var) -> SSAValue:
        """The vector of integers `first + stride * (0, 1, 2, ...)`."""
        if stride is None:
            raise unsupported("an index that is divided along the vectorized loop")
        assert lane.high is not None and isinstance(first.type, IndexType | IntegerType)
        kind = VectorType(first.type, [lane.high + 1])
        steps = [stride * n for n in range(lane.high + 1)]
        offsets = self.add(arith.ConstantOp(DenseIntOrFPElementsAttr.from_list(kind, steps)))
        start = self.add(vector.BroadcastOp(first, kind))
        return self.add(arith.AddiOp(start, offsets))

    def dims_of(self, expressions: list[Affine]) -> tuple[TileDim, ...]:
        """The dimensions that index expressions depend on, also through computed index values."""
        variables = {v for e in expressions for v in e.variables()}
        values = {v.value for v in variables if v.value is not None}
        through = {dim for value in values & self.env.keys() for dim in self.env[value].dims}
        return tuple(d for d in self.dims if d.variable in variables or d in through)

    def dims_of_value(self, value: SSAValue) -> tuple[TileDim, ...]:
        """The dimensions that a value of the old body, if it is known yet, depends on."""
        if value in self.env:
            return self.env[value].dims
        return self.dims_of([self.indices[value]]) if value in self.indices else ()

    def dims_inside(self, op: Operation) -> tuple[TileDim, ...]:
        """The dimensions that anything in an operation and its regions depends on."""
        operands = {value for nested in op.walk() for value in nested.operands}
        found = {dim for value in operands for dim in self.dims_of_value(value)}
        return tuple(d for d in self.dims if d in found)

    def at(
        self, expressions: list[Affine], dims: tuple[TileDim, ...], at: Coordinates
    ) -> tuple[list[Affine], Var | None]:
        """The expressions at coordinates, and the variable that runs over a vector's lanes."""
        if not dims:
            return expressions, None
        lane: Var | None = None
        values: dict[Atom, Index] = {}
        for dim, coordinate in zip(dims, at, strict=True):
            values[dim.variable] = coordinate
            if dim.is_vector:
                lane = Var(None, 0, dim.lanes - 1)
                values[dim.variable] = as_affine(lane) + coordinate * dim.lanes
        for variable in {v for e in expressions for v in e.variables()}:
            varied = self.env.get(variable.value) if variable.value is not None else None
            if varied is not None and varied.dims:
                if vector_dim(varied.dims) is not None:
                    raise unsupported("an address computed from data along the vectorized loop")
                values[variable] = as_affine(self.lowering.variable(varied.at(dims, at)))
        return [e.substitute(values) for e in expressions], lane

    def as_vector(self, value: SSAValue, lanes: int) -> SSAValue:
        """A scalar in all lanes; a vector, or any value where there are no lanes, as it is."""
        if not lanes or isinstance(value.type, VectorType):
            return value
        if value not in self.broadcasts:
            kind = vector_type(lanes, value.type)
            self.broadcasts[value] = self.add(
                vector.BroadcastOp.create(operands=[value], result_types=[kind])
            )
        return self.broadcasts[value]

    def zero(self, kind: VectorType) -> SSAValue:
        """A vector of zeros."""
        return self.as_vector(self.lowering.zero(kind.element_type), kind.get_shape()[0])

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

    # Operations -----------------------------------------------------------------------------

    def body(self, block: Block) -> None:
        """Emits a whole block, nested loops included."""
        self.lowering.body(block, self)

    def emit(self, op: Operation) -> None:
        """Emits one operation of the body."""
        rule = _RULES.get(type(op))
        if rule is not None:
            rule(self, op)
        elif op.regions:
            branches.emit(self, op)
        else:
            self._elementwise(op)

    def _elementwise(self, op: Operation) -> None:
        operands = [self.varied(value) for value in op.operands]
        dims = tuple(d for d in self.dims if any(d in v.dims for v in operands))
        lanes = lanes_of(dims)
        types = [vector_type(lanes, r.type) if lanes else r.type for r in op.results]
        outputs: list[dict[Coordinates, SSAValue]] = [{} for _ in op.results]
        for at in self.coordinates(dims):
            made = type(op).create(
                operands=[self.as_vector(v.at(dims, at), lanes) for v in operands],
                result_types=types,
                properties=op.properties,
                attributes=op.attributes,
                location=op.location,
            )
            self.lowering.block.add_op(made)
            for output, result in zip(outputs, made.results, strict=True):
                output[at] = result
        for result, output in zip(op.results, outputs, strict=True):
            self.env[result] = Varied(dims, output)

    def _index(self, op: krnl.IndexOp) -> None:
        """An index expression stays one until somebody needs it as a value."""
        operands = [self.index(value) for value in op.indices]
        self.indices[op.result] = from_expr(op.map.data.results[0], operands)

    def _index_cast(self, op: arith.IndexCastOp) -> None:
        """An index along the lanes becomes a vector of integers at once."""
        value = op.input
        if vector_dim(self.dims_of_value(value)) is None:
            self._elementwise(op)
        elif value in self.indices:
            self.env[op.result] = self.materialise(self.indices[value], op.result.type)
        else:
            raise unsupported("index arithmetic beyond affine along the vectorized loop")


_RULES: dict[type[Operation], Callable[[Tile, Any], None]] = {
    krnl.LoadOp: access.load,
    krnl.StoreOp: access.store,
    krnl.DotOp: dot,
    krnl.IndexOp: Tile._index,
    arith.IndexCastOp: Tile._index_cast,
}
