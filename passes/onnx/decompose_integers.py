"""`onnx-decompose-integers`: take the zero points out of ConvInteger and MatMulInteger.

Requires inferred shapes; runs before parameters are bound. Ensures that neither operator has zero
points, and that a ConvInteger which had one has no padding: the zero point was put around its data.

The weights are constant in nearly all models. Then their zero points vanish into them, and the
data's comes down to a term for each column, which is a constant too unless the zero point is not:

    sum_k (a - az) * (b - bz)  =  sum_k a * (b - bz)  -  az * sum_k (b - bz)

    %y = MatMulInteger(%a, %b, %az, %bz)   ==>   %p = MatMulInteger(%a, %b') : b' = b - bz
                                                 %y = Sub(%p, Mul(Cast(%az), %columns))

Zero points of other operands are subtracted before the product, which leaves i16.

With ``unsigned-data`` signed data of constant weights become unsigned, for instructions that
multiply ui8 by i8: 128 is added to them, by flipping their highest bits, and to their zero point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, i8
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from dialects.onnx import ops
from dialects.onnx.constants import pool_of
from dialects.onnx.dims import Dim
from dialects.onnx.ops import Const, Content, OnnxOp
from dialects.onnx.types import dims_of, element_type, element_type_of, tensor_type
from passes.onnx.editing import erase_dead, replace_value, take_padding
from passes.onnx.simplify import opset_of
from passes.onnx.simplify.quantized import aligned
from passes.onnx.simplify.rewriter import Rewriter, present


@dataclass(frozen=True)
class DecomposeIntegers(ModulePass):
    """Makes zero points part of operands, or terms behind the products.

    ``unsigned_data`` says that the target multiplies ui8 by i8.
    """

    name = "onnx-decompose-integers"

    unsigned_data: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place; operands of unknown rank stay."""
        rewriter = Rewriter(pool_of(ctx), opset_of(op))
        found = [
            node
            for node in op.walk()
            if isinstance(node, OnnxOp)
            and (_has_zeros(node) or (self.unsigned_data and _has_signed_data(node)))
        ]
        for node in found:
            if rewriter.dims(node.operands[0]) and rewriter.dims(node.operands[1]):
                rewriter.at, rewriter.made = node, []
                _Decomposition(rewriter, node, self.unsigned_data).run()
        for function in op.body.block.ops if found else ():
            if isinstance(function, FuncOp) and not function.is_declaration:
                erase_dead(function.body.block)


def _is_product(op: OnnxOp) -> bool:
    return not op.DOMAIN and op.OP_TYPE in ("ConvInteger", "MatMulInteger")


def _has_zeros(op: OnnxOp) -> bool:
    return _is_product(op) and any(present(op, number) is not None for number in (2, 3))


def _has_signed_data(op: OnnxOp) -> bool:
    """Whether a product of signed data and weights can be one of unsigned data."""
    if not _is_product(op) or (op.OP_TYPE == "ConvInteger" and op.get("group") != 1):
        return False
    kinds = [value.type for value in op.operands[:2]]
    is_matrix = len(dims_of(kinds[1]) or ()) > 1 and isinstance(op.operands[1].owner, Const)
    return is_matrix and all(element_type_of(kind) == i8 for kind in kinds)


class _Decomposition:
    """The rewriting of one operation."""

    def __init__(self, r: Rewriter, op: OnnxOp, unsigned_data: bool) -> None:
        self.r = r
        self.op = op
        self.unsigned_data = unsigned_data
        self.is_conv = op.OP_TYPE == "ConvInteger"

    def run(self) -> None:
        """Replaces the operation."""
        data_zero, weight_zero = self.zero(2), self.zero(3)
        data = self.op.operands[0]
        weight = self.centered(self.op.operands[1], weight_zero)
        weights = self.r.constant(weight)
        if self.unsigned_data and weights is not None and _has_signed_data(self.op):
            data, data_zero = self.unsigned(data, data_zero)
        if data_zero is None or weights is None or weights.ndim == 1:
            made = self.without_zeros([self.centered(data, data_zero), weight])
        else:
            made = self.corrected(data, data_zero, weight, weights)
        replace_value(self.op.results[0], made)
        assert self.op.parent is not None
        self.op.parent.erase_op(self.op)

    # Zero points ----------------------------------------------------------------------------

    def zero(self, number: int) -> SSAValue | None:
        """An operand's zero point so that it broadcasts against it; None for 0."""
        value = present(self.op, number)
        if value is None:
            return None
        array = self.r.constant(value)
        if array is not None and not array.any():
            return None
        rank = len(self.r.dims(self.op.operands[number - 2]) or ())
        # A vector has an element for each output, for each row of `a`, or each column of `b`.
        in_product = 1 if number == 2 and rank > 1 else 0
        return aligned(self.r, value, rank - 1 if self.is_conv else in_product)

    def centered(self, value: SSAValue, zero: SSAValue | None) -> SSAValue:
        """value - zero: constants in the shortest type that holds them, others in i16."""
        if zero is None:
            return value
        array, offset = self.r.constant(value), self.r.constant(zero)
        if array is not None and offset is not None:
            difference = array.astype(np.int16) - offset.astype(np.int16)
            return self.r.const(_shortest(difference), "weight")
        wide = (self.r.make("Cast", v, to=TensorProto.INT16) for v in (value, zero))
        kind = tensor_type(element_type(np.int16), self.r.dims(value))
        cls = ops.class_of_schema_version("", "Sub", 14)
        return self.r.build(cls, list(wide), {}, result_type=kind)

    def corrected(
        self, data: SSAValue, zero: SSAValue, weight: SSAValue, weights: np.ndarray
    ) -> SSAValue:
        """The product of the data as it is, minus the zero point times the sums of the weights."""
        sums = self.sums(weights)
        if self.is_conv:
            data = self.padded(data, zero)
        total = self.without_zeros([data, weight])
        offset = self.r.constant(zero)
        if offset is not None:
            return self.r.make("Sub", total, self.r.const(offset.astype(np.int32) * sums, "offset"))
        wide = self.r.make("Cast", zero, to=TensorProto.INT32)
        return self.r.make("Sub", total, self.r.make("Mul", wide, self.r.const(sums, "sums")))

    def sums(self, weights: np.ndarray) -> np.ndarray:
        """Sums over the taps, so that they broadcast against the product."""
        if self.is_conv:
            spatial = [1] * (weights.ndim - 2)
            flat = weights.reshape(weights.shape[0], -1)
            return flat.sum(1, dtype=np.int32).reshape(-1, *spatial)
        has_rows = len(self.r.dims(self.op.operands[0]) or ()) > 1
        return weights.sum(-2, dtype=np.int32, keepdims=has_rows)

    def unsigned(self, data: SSAValue, zero: SSAValue | None) -> tuple[SSAValue, SSAValue]:
        """Signed data and their zero point, both plus 128."""
        array = None if zero is None else self.r.constant(zero)
        if zero is None:
            made = self.r.const(np.array(128, np.uint8), "zero_point")
        elif array is not None:
            made = self.r.const((array.astype(np.int16) + 128).astype(np.uint8), "zero_point")
        else:
            made = self.flipped(zero)
        return self.flipped(data), made

    def flipped(self, value: SSAValue) -> SSAValue:
        """i8 numbers plus 128 as ui8: the same bits but the highest."""
        bits = self.r.make("Cast", value, to=TensorProto.UINT8)
        flip = self.r.const(np.array(128, np.uint8), "flip")
        cls = ops.class_of_schema_version("", "BitwiseXor", 18)
        return self.r.build(cls, [bits, flip], {})

    # Building -------------------------------------------------------------------------------

    def without_zeros(self, operands: Sequence[SSAValue]) -> SSAValue:
        """The same operation on other operands."""
        return self.r.build(type(self.op), operands, {}, dict(self.op.properties))

    def padded(self, data: SSAValue, zero: SSAValue) -> SSAValue:
        """Data inside of a margin of zero points; the operation has no padding any more."""
        r, op = self.r, self.op
        dims, weights = r.dims(data), r.dims(op.operands[1])
        assert dims is not None and weights is not None
        before, after = take_padding(op, dims, weights)
        if not any([*before, *after]):
            return data
        amounts = self.amounts([0, 0, *before, 0, 0, *after])
        sizes = [a + b + c for a, b, c in zip(before, dims[2:], after, strict=True)]
        kind = tensor_type(element_type_of(data.type), [*dims[:2], *sizes])
        cls = ops.class_of_schema_version("", "Pad", 13)
        return r.build(cls, [data, amounts, zero], {}, result_type=kind)

    def amounts(self, entries: Sequence[Dim]) -> SSAValue:
        """Numbers or symbolic sizes as a tensor."""
        if all(isinstance(entry, int) for entry in entries):
            return self.r.const(list(entries), "pads")  # type: ignore[arg-type]
        made = Content.create(
            result_types=[tensor_type(element_type(np.int64), [len(entries)])],
            properties={"content": ArrayAttr([StringAttr(str(entry)) for entry in entries])},
            location=self.op.location,
        )
        assert self.op.parent is not None
        self.op.parent.insert_op_before(made, self.op)
        return made.result


def _shortest(array: np.ndarray) -> np.ndarray:
    """i16 numbers as i8, where that holds them all."""
    short = array.astype(np.int8)
    return short if (short == array).all() else array
