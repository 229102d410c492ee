"""`onnx-pack-integers`: pairs or fours of neighbouring integers as one number, for dot products.

Requires operators without zero points. Ensures that MatMulInteger and ConvInteger with constant
weights multiply groups: of both operands neighbours along the sum (channels, in a convolution)
stand in one integer, and the attribute `onnx.packed` says what these hold.

    %y = MatMulInteger(%a, %b)   ==>   %c = Cast(%a) : tensor<8x6xi16>
                                       %p = Pack(%c) {axis = 1} : tensor<8x3xi32>
                                       %y = MatMulInteger(%p, %b') : b' two i8 in an i16
                                            {onnx.packed = [i16, i8]}

Pairs are of i16 on the left, which the instruction multiplies; fours of ui8 by i8.
A sum over a number of elements that is no multiple is made longer by zeros.

Where only pairs are multiplied, another instruction still takes ui8 by i8, twice as many at a time,
if sums of two products fit 16 bits: |b0| + |b1| <= 128. Weights of which all pairs are like that
come in fours as well (`onnx.short_pairs`); those of a matrix of which nearly all are, split:

    %y = SplitMatMul(%p, %b', %places, %rest) {panel = 16}     b = b' + rest, both with short pairs

The rest is zero but for some fours of each panel of columns, and holds these only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    StringAttr,
    UnitAttr,
    i16,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx import ops
from dialects.onnx.constants import ConstantPool, constant_of, make_const, pool_of
from dialects.onnx.dims import Dim
from dialects.onnx.ops import NoValue, OnnxOp, Pack, SplitMatMul
from dialects.onnx.types import (
    dims_of,
    dtype_of,
    element_type,
    element_type_of,
    none_type,
    tensor_type,
)
from passes.krnl.tiles import panel_width, row_axis

FOUR = 4
"""Bytes that are multiplied at once."""

AVX2_BITS = 256
"""Older units than those with such vectors may lack the instruction."""

LONGEST_PAIR = 128
"""The largest |b0| + |b1| with which 255 * (|b0| + |b1|) has 16 bits."""

MOST_REST = 0.12
"""The most of the fours of a panel that a rest may have: with more, pairs of words are as fast."""

SHORT = (np.int8, np.uint8, np.int16)
"""Types of the numbers whose products are summed."""


@dataclass(frozen=True)
class PackIntegers(ModulePass):
    """Packs operands of integer products.

    ``group`` is how many products an instruction of the target sums; 1 for none. ``vector_bits``
    and ``registers`` describe its vector unit.
    """

    name = "onnx-pack-integers"

    group: int = 1
    vector_bits: int = 512
    registers: int = 32

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every product of the module in place."""
        if self.group == 1:
            return
        packing = _Packing(pool_of(ctx), self)
        for node in list(op.walk()):
            if (
                isinstance(node, OnnxOp)
                and not node.DOMAIN
                and "onnx.packed" not in node.attributes
            ):
                if node.OP_TYPE == "MatMulInteger":
                    packing.product(node, -1, -2)
                elif node.OP_TYPE == "ConvInteger" and node.get("group") == 1:
                    packing.product(node, 1, 1)


class _Packing:
    """The rewriting of a module, which remembers what was packed already."""

    def __init__(self, pool: ConstantPool, target: PackIntegers) -> None:
        self.pool = pool
        self.target = target
        self.packed: dict[tuple[SSAValue, int, int, Block | None], SSAValue] = {}

    def product(self, op: OnnxOp, data_axis: int, weight_axis: int) -> None:
        """Packs both operands of one operation along the axes that it sums over."""
        data, weight = op.operands[:2]
        weights, dims = constant_of(weight, self.pool), dims_of(data.type)
        if weights is None or weights.ndim < 2 or dims is None:
            return
        depth = dims[data_axis]
        if not isinstance(depth, int) or depth < 2:
            return
        data_axis, weight_axis = data_axis % len(dims), weight_axis % weights.ndim
        split = self.split(op, weights, weight_axis)
        group = 4 if split else self.group(dtype_of(data.type), weights.dtype)
        if group == 1:
            return
        lhs = element_type_of(data.type) if group == 4 else i16
        op.attributes["onnx.packed"] = ArrayAttr([lhs, element_type(weights.dtype)])
        operand = self.data(op, data, data_axis, group)
        if split is not None:
            op.attributes["onnx.short_pairs"] = UnitAttr()
        if split is None or split.rest is None:
            op.operands[0] = operand
            op.operands[1] = self.const(op, packed(weights, weight_axis, group))
            return
        made = SplitMatMul.create(
            operands=[
                operand,
                self.const(op, packed(split.dense, 0, group)),
                self.const(op, split.places),
                self.const(op, packed(split.rest, 0, group)),
            ],
            result_types=[op.results[0].type],
            properties={"panel": IntegerAttr(split.panel, i64)},
            attributes=op.attributes,
            location=op.location,
        )
        made.y.name_hint = op.results[0].name_hint
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        op.results[0].replace_all_uses_with(made.y)
        op.parent.erase_op(op)

    def const(self, op: OnnxOp, array: np.ndarray) -> SSAValue:
        """A constant in front of an operation."""
        made = make_const(array, self.pool, "packed")
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        return made.result

    def split(self, op: OnnxOp, weights: np.ndarray, axis: int) -> Split | None:
        """Weights for the instruction that takes bytes; None where pairs of words are better."""
        is_data_unsigned = dtype_of(op.operands[0].type) == np.uint8
        has_instruction = self.target.group == 2 and self.target.vector_bits >= AVX2_BITS
        if not has_instruction or not is_data_unsigned or weights.dtype != np.int8:
            return None
        rows = dims_of(op.operands[0].type) or ()
        if op.OP_TYPE == "MatMulInteger" and weights.ndim == 2 and len(rows) > 1:
            lanes = self.target.vector_bits // 32
            panel = panel_width(
                weights.shape[1], lanes, self.target.registers, rows[row_axis(rows)]
            )
            return split_weights(weights, panel)
        return Split(weights) if not _long_pairs(weights, axis).any() else None

    def group(self, data: np.dtype, weights: np.dtype) -> int:
        """How many numbers to pack: the instruction for four wants ui8 and i8."""
        if data not in SHORT or weights not in SHORT:
            return 1
        return 4 if self.target.group == 4 and (data, weights) == (np.uint8, np.int8) else 2

    # The left-hand side ---------------------------------------------------------------------

    def data(self, op: OnnxOp, value: SSAValue, axis: int, group: int) -> SSAValue:
        """What has the left-hand side packed: made once in a block."""
        key = (value, axis, group, op.parent)
        if key not in self.packed:
            if group == 2:
                value = self._as_words(op, value)
            self.packed[key] = self._pack(
                op, self._long_enough(op, value, axis, group), axis, group
            )
        return self.packed[key]

    def _as_words(self, op: OnnxOp, value: SSAValue) -> SSAValue:
        if element_type_of(value.type) == i16:
            return value
        cast = ops.class_of_schema_version("", "Cast", 13)
        to: dict[str, Attribute] = {"to": IntegerAttr(TensorProto.INT16, i64)}
        others = [use.operation for use in value.uses if use.operation is not op]
        words = self._made(op, cast, [value], tensor_type(i16, dims_of(value.type)), to)
        if all(_reads_words(other, op) for other in others):
            # Then bytes need not be stored beside the words.
            for other in others:
                other.operands[0] = words
        return words

    def _long_enough(self, op: OnnxOp, value: SSAValue, axis: int, group: int) -> SSAValue:
        """The data with zeros behind it, where its size is no multiple of the group."""
        dims = list(dims_of(value.type) or ())
        depth = dims[axis]
        assert isinstance(depth, int)
        missing = -depth % group
        if not missing:
            return value
        amounts: list[Dim] = [0] * (2 * len(dims))
        amounts[len(dims) + axis] = missing
        dims[axis] = depth + missing
        absent = NoValue.create(result_types=[none_type])
        assert op.parent is not None
        op.parent.insert_op_before(absent, op)
        made = self._made(
            op,
            ops.class_of_schema_version("", "Pad", 13),
            [value, absent.result, absent.result],
            tensor_type(element_type_of(value.type), dims),
        )
        strings = ArrayAttr([StringAttr(str(amount)) for amount in amounts])
        assert isinstance(made.owner, Operation)
        made.owner.attributes["onnx.parameters"] = DictionaryAttr({"1": strings})
        return made

    def _pack(self, op: OnnxOp, value: SSAValue, axis: int, group: int) -> SSAValue:
        dims, element = list(dims_of(value.type) or ()), element_type_of(value.type)
        assert isinstance(element, IntegerType)
        dims[axis] = dims[axis] // group
        kind = tensor_type(IntegerType(element.width.data * group), dims)
        return self._made(op, Pack, [value], kind, {"axis": IntegerAttr(axis, i64)})

    def _made(
        self,
        op: OnnxOp,
        cls: type[OnnxOp],
        operands: Sequence[SSAValue],
        kind: Attribute,
        properties: dict[str, Attribute] | None = None,
    ) -> SSAValue:
        made = cls.create(
            operands=operands,
            result_types=[kind],
            properties=properties or {},
            location=op.location,
        )
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        return made.results[0]


def _reads_words(user: Operation, op: OnnxOp) -> bool:
    """Whether an operation behind ``op`` dequantizes, which it can do with words as with bytes."""
    if not isinstance(user, OnnxOp) or user.DOMAIN or user.OP_TYPE != "DequantizeLinear":
        return False
    return user.parent is op.parent and op.is_before_in_block(user)


@dataclass(frozen=True)
class Split:
    """Weights with short pairs only, and what they lack: see `onnx.SplitMatMul`."""

    dense: np.ndarray
    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int32))
    rest: np.ndarray | None = None
    panel: int = 0


def split_weights(weights: np.ndarray, panel: int) -> Split | None:
    """Weights [K, N] in parts with short pairs; None where the rest would be too large."""
    is_long = _long_pairs(weights, 0)
    if not is_long.any():
        return Split(weights)
    depth, columns = weights.shape
    if columns % panel:
        return None
    padding = [(0, -depth % FOUR), (0, 0)]
    whole = np.pad(weights, padding)
    halves = np.pad(np.repeat(is_long, 2, axis=0), [(0, len(whole) - 2 * len(is_long)), (0, 0)])
    dense = np.where(halves, (whole / 2).astype(np.int8), whole)
    rest = (whole - dense).reshape(-1, FOUR, columns // panel, panel)
    # [panels, fours]: which fours of a panel have a rest.
    has_rest = rest.any(axis=(1, 3)).T
    count = int(has_rest.sum(axis=1).max())
    if count > MOST_REST * len(rest):
        return None
    order = np.argsort(~has_rest, axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(has_rest, order, axis=1)
    parts = rest.transpose(2, 0, 1, 3)[np.arange(len(order))[:, None], order]
    parts = parts * kept[:, :, None, None]
    together = parts.transpose(1, 2, 0, 3).reshape(-1, columns)
    return Split(dense, order.astype(np.int32), together.astype(np.int8), panel)


def _long_pairs(weights: np.ndarray, axis: int) -> np.ndarray:
    """Whether the products of two neighbours with unsigned bytes can have a sum beyond 16 bits."""
    sizes = np.abs(np.moveaxis(weights, axis, 0).astype(np.int16))
    even, odd = sizes[0::2], sizes[1::2]
    sums = even.copy()
    sums[: len(odd)] += odd
    return sums > LONGEST_PAIR


def packed(array: np.ndarray, axis: int, group: int) -> np.ndarray:
    """Groups of neighbours along an axis as one integer each; zeros where the last lacks some."""
    shape = list(array.shape)
    shape[axis] = -(-shape[axis] // group)
    numbers = np.zeros((*shape, group), array.dtype)
    before = (slice(None),) * axis
    for number in range(group):
        part = array[(*before, slice(number, None, group))]
        numbers[(*before, slice(0, part.shape[axis]), ..., number)] = part
    return numbers.view(f"<i{group * array.itemsize}")[..., 0]
