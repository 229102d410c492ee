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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    i16,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx import ops
from dialects.onnx.constants import ConstantPool, constant_of, make_const, pool_of
from dialects.onnx.dims import Dim
from dialects.onnx.ops import NoValue, OnnxOp, Pack
from dialects.onnx.types import (
    dims_of,
    dtype_of,
    element_type,
    element_type_of,
    none_type,
    tensor_type,
)

SHORT = (np.int8, np.uint8, np.int16)
"""Types of the numbers whose products are summed."""


@dataclass(frozen=True)
class PackIntegers(ModulePass):
    """Packs operands of integer products.

    ``group`` is how many products an instruction of the target sums; 1 for none.
    """

    name = "onnx-pack-integers"

    group: int = 1

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every product of the module in place."""
        if self.group == 1:
            return
        packing = _Packing(pool_of(ctx), self.group)
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

    def __init__(self, pool: ConstantPool, group: int) -> None:
        self.pool = pool
        self.most = group
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
        group = self.group(dtype_of(data.type), weights.dtype)
        if group == 1:
            return
        numbers = packed(weights, weight_axis % weights.ndim, group)
        made = make_const(numbers, self.pool, "packed")
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        op.operands[0] = self.data(op, data, data_axis % len(dims), group)
        op.operands[1] = made.result
        lhs = element_type_of(data.type) if group == 4 else i16
        op.attributes["onnx.packed"] = ArrayAttr([lhs, element_type(weights.dtype)])

    def group(self, data: np.dtype, weights: np.dtype) -> int:
        """How many numbers to pack: the instruction for four wants ui8 and i8."""
        if data not in SHORT or weights not in SHORT:
            return 1
        return 4 if self.most == 4 and (data, weights) == (np.uint8, np.int8) else 2

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
