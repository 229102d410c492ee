"""How values get the layouts that operations wish for."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.ir import Attribute, Operation, SSAValue

from dialects.onnx import ops
from dialects.onnx.constants import ConstantPool
from dialects.onnx.dims import Dim
from dialects.onnx.ops import Const
from dialects.onnx.types import dims_of, element_type_of, is_tensor, layout_of, tensor_type
from passes.krnl.tiles import panel_width


@dataclass(frozen=True)
class Layouts:
    """The layouts of one function's values.

    ``vector_bits`` and ``registers`` describe the target's vector unit, ``l2_bytes`` the cache of
    one core; ``converted`` has values in other layouts than their own.
    """

    pool: ConstantPool
    vector_bits: int
    registers: int
    l2_bytes: int
    converted: dict[tuple[SSAValue, Attribute], SSAValue] = field(default_factory=dict)

    def convert(
        self, op: Operation, number: int, order: tuple[int, ...] | None, panel: int = 0
    ) -> None:
        """Makes an operand have a layout, through an Identity where it has another one."""
        value = op.operands[number]
        dims = dims_of(value.type)
        if dims is None:
            return
        wanted = tensor_type(element_type_of(value.type), dims, order, panel)
        if wanted == value.type:
            return
        key = (value, wanted)
        if key not in self.converted or not _serves(self.converted[key], op):
            self.converted[key] = self._insert_conversion(op, value, wanted)
        op.operands[number] = self.converted[key]

    def _insert_conversion(self, op: Operation, value: SSAValue, wanted: Attribute) -> SSAValue:
        if isinstance(value.owner, Const):
            made: Operation = Const.create(
                result_types=[wanted], properties=value.owner.properties, location=op.location
            )
        else:
            made = ops.class_of_schema_version("", "Identity", 1).create(
                operands=[value], result_types=[wanted], location=op.location
            )
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        return made.results[0]

    def row_major_operands(self, op: Operation, skip: tuple[int, ...] = ()) -> None:
        """Undoes layouts for an operation that knows none."""
        for number, operand in enumerate(op.operands):
            if number not in skip and is_tensor(operand.type) and layout_of(operand.type):
                self.convert(op, number, None)

    def panel(self, value: SSAValue, columns: Dim, rows: Dim = 0, depth: int = 0) -> int:
        """Width of the panels for an element type; ``depth`` elements deep, 0 is few."""
        bits = bits_of_element(value)
        lanes = max(1, self.vector_bits // max(bits, 32))
        most_vectors = self.l2_bytes * 8 // max(1, depth * lanes * bits)
        return panel_width(columns, lanes, self.registers, rows, most_vectors)


def channels_last(rank: int) -> tuple[int, ...]:
    """The order of axes with channels innermost."""
    return (0, *range(2, rank), 1)


def columns_last(value: SSAValue, axis: int) -> tuple[int, ...] | None:
    """The order of axes in which one of them, the channels or the last, is innermost."""
    rank = len(dims_of(value.type) or ())
    return None if axis == rank - 1 else channels_last(rank)


def panel_of_order(order: tuple[int, ...]) -> bool:
    """Whether an order names an axis twice, that is, cuts it into panels."""
    return len(set(order)) != len(order)


def _serves(value: SSAValue, op: Operation) -> bool:
    """Whether a conversion made earlier can serve here: it stands in the same block."""
    return isinstance(value.owner, Operation) and value.owner.parent is op.parent


def set_layout(value: SSAValue, order: tuple[int, ...] | None) -> None:
    """Gives a tensor another layout; None is row-major."""
    value._type = tensor_type(element_type_of(value.type), dims_of(value.type), order)


def bits_of_element(value: SSAValue) -> int:
    """The width of a tensor's elements."""
    return getattr(element_type_of(value.type), "bitwidth", 32)
