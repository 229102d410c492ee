"""`krnl.dot` of a tile: each accumulator's lanes take in the numbers that integers hold packed.

%s = krnl.dot %acc, %a of i16, %b of i8 : i32, i16        in 8 lanes, %a being the same in all:

%0 = vector.broadcast %a : i32 to vector<8xi32>           for each row
%1 = vector.bitcast %0 : vector<8xi32> to vector<16xi16>
%2 = vector.bitcast %b : vector<8xi16> to vector<16xi8>   for each vector of columns
%3 = arith.extsi %2 : vector<16xi8> to vector<16xi16>
%s = vector.contract {...} %1, %3, %acc                   for each of both (as vector<8x2xi16>)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import IntegerType, Signedness, VectorType, i16
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import arith, krnl, vector
from passes.lower.krnl_to_affine.tile_values import Coordinates, Varied, lanes_of, vector_type

if TYPE_CHECKING:
    from passes.lower.krnl_to_affine.tile import Tile


def dot(tile: Tile, op: krnl.DotOp) -> None:
    """One `vector.contract` for each accumulator; operands are taken apart once for all of them."""
    acc, lhs, rhs = (tile.varied(value) for value in op.operands)
    dims = tuple(d for d in tile.dims if any(d in v.dims for v in (acc, lhs, rhs)))
    lanes = lanes_of(dims)
    emission = _Emission(tile, op, lanes)
    values: dict[Coordinates, SSAValue] = {}
    for at in tile.coordinates(dims):
        factors = [
            emission.numbers(lhs.at(dims, at), op.lhs_element),
            emission.numbers(rhs.at(dims, at), op.rhs_element),
        ]
        total = tile.as_vector(acc.at(dims, at), max(1, lanes))
        properties = vector.DOT_PRODUCT
        total = emission.made(
            vector.ContractionOp, [*factors, total], total.type, properties, op.attributes
        )
        values[at] = total if lanes else emission.only_element(total)
    tile.env[op.result] = Varied(dims, values)


class _Emission:
    """Emission of one operation, and the operands that were taken apart already."""

    def __init__(self, tile: Tile, op: krnl.DotOp, lanes: int) -> None:
        self.tile = tile
        self.op = op
        self.lanes = max(1, lanes)
        self.known: dict[tuple[SSAValue, IntegerType], SSAValue] = {}

    def made(
        self,
        kind: type[Operation],
        operands: list[SSAValue],
        result: Attribute,
        properties: Mapping[str, Attribute] | None = None,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> SSAValue:
        """Appends an operation."""
        return self.tile.add(
            kind.create(
                operands=operands,
                result_types=[result],
                properties=properties or {},
                attributes=attributes or {},
                location=self.op.location,
            )
        )

    def numbers(self, value: SSAValue, element: IntegerType) -> SSAValue:
        """The numbers that a packed value, or each of its lanes, holds: lanes by numbers of i16."""
        if (value, element) not in self.known:
            self.known[value, element] = self._numbers(value, element)
        return self.known[value, element]

    def _numbers(self, value: SSAValue, element: IntegerType) -> SSAValue:
        group = self.op.group
        signless = IntegerType(element.width.data)
        value = self.tile.as_vector(value, self.lanes)
        flat = self.made(vector.BitcastOp, [value], vector_type(self.lanes * group, signless))
        result = self.made(vector.ShapeCastOp, [flat], VectorType(signless, [self.lanes, group]))
        if signless == i16:
            return result
        is_unsigned = element.signedness.data is Signedness.UNSIGNED
        kind = arith.ExtUIOp if is_unsigned else arith.ExtSIOp
        return self.made(kind, [result], VectorType(i16, [self.lanes, group]))

    def only_element(self, value: SSAValue) -> SSAValue:
        """The element of a vector of one lane."""
        return self.tile.add(
            vector.ExtractOp.create(
                operands=[value],
                result_types=[self.op.result.type],
                properties={"static_position": krnl.integers((0,))},
            )
        )
