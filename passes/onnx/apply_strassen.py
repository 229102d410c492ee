"""`onnx-apply-strassen`: large products of matrices by Strassen's seven products of blocks.

Requires inferred shapes, before layouts are assigned. Ensures that products of float32 with a
constant matrix, by as many rows as pay, are `onnx.StrassenMatMul` of `onnx.StrassenSums`, which
products of the same data share: MatMul, Gemm, and Conv with a kernel of size 1. Which ones, says
the cost model in `passes/strassen.py`; the costs stand on the operation as `onnx.cycles`.

    %1 = MatMul(%x, %w)   ==>   %s = StrassenSums(%x) : tensor<2x7x64x192xf32>
                                %1 = StrassenMatMul(%s, %w, none) {panel = 16, block = 64, head = 4}
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.krnl import integer
from dialects.onnx.constants import ConstantPool, constant_of, make_const, pool_of
from dialects.onnx.ops import NoValue, OnnxOp, StrassenMatMul, StrassenSums
from dialects.onnx.types import dims_of, element_type_of, is_none, none_type, tensor_type
from passes.cost import Machine
from passes.onnx.editing import has_strides, is_pointwise
from passes.strassen import LEFT, plan, rows_of_plane


@dataclass(frozen=True)
class ApplyStrassen(ModulePass):
    """Rewrites products.

    ``vector_bits`` and ``registers`` describe the target's vector unit, ``l1_bytes``, ``l2_bytes``
    and ``l3_bytes`` its caches. With ``always`` every product that can be is rewritten.
    """

    name = "onnx-apply-strassen"

    vector_bits: int = 512
    registers: int = 32
    l1_bytes: int = 32_768
    l2_bytes: int = 524_288
    l3_bytes: int = 8_388_608
    always: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        caches = self.l1_bytes, self.l2_bytes, self.l3_bytes
        machine = Machine(self.vector_bits // 32, self.registers, *caches)
        rewriting = _Rewriting(machine, self.always, pool_of(ctx))
        for node in list(op.walk()):
            if isinstance(node, OnnxOp) and not node.DOMAIN:
                product = _product_of(node, rewriting.pool)
                if product is not None:
                    rewriting.product(node, product)


@dataclass(frozen=True)
class _Operands:
    """A product in one form: rows of the data, its axis that is summed over, matrix and addend."""

    rows: int
    axis: int
    matrix: np.ndarray
    bias: SSAValue | None


def _product_of(op: OnnxOp, pool: ConstantPool) -> _Operands | None:
    """What an operation multiplies, if that is data of known sizes and a constant matrix."""
    if op.OP_TYPE not in ("MatMul", "Gemm", "Conv"):
        return None
    dims, result = dims_of(op.operands[0].type), dims_of(op.results[0].type)
    if dims is None or result is None:
        return None
    sizes = [dim for dim in dims if isinstance(dim, int)]
    if len(sizes) != len(dims):
        return None
    matrix = constant_of(op.operands[1], pool)
    if matrix is None or matrix.dtype != np.float32:
        return None
    axis = len(dims) - 1
    bias = op.operands[2] if len(op.operands) > 2 and not is_none(op.operands[2]) else None
    if op.OP_TYPE == "Gemm":
        if op.get("transA") or op.get("alpha") != 1 or op.get("beta") != 1:
            return None
        matrix = matrix.T if op.get("transB") else matrix
    elif op.OP_TYPE == "Conv":
        if matrix.ndim < 3 or has_strides(op) or not is_pointwise(op):
            return None
        axis, matrix = 1, matrix.reshape(matrix.shape[:2]).T
    if matrix.ndim != 2 or len(dims) < 2:
        return None
    if bias is not None and dims_of(bias.type) != matrix.shape[1:]:
        return None
    # A sum with an infinite weight would spoil other columns than its own.
    rows = prod(sizes[:axis] + sizes[axis + 1 :])
    return _Operands(rows, axis, matrix, bias) if np.isfinite(matrix).all() else None


class _Rewriting:
    """One walk; products of the same data share its sums."""

    def __init__(self, machine: Machine, always: bool, pool: ConstantPool) -> None:
        self.machine = machine
        self.always = always
        self.pool = pool
        self.sums: dict[tuple[SSAValue, int, int, Block | None], SSAValue] = {}

    def product(self, op: OnnxOp, operands: _Operands) -> None:
        """Rewrites a product if that pays."""
        depth, columns = operands.matrix.shape
        found = plan(operands.rows, depth, columns, self.machine)
        if found is None:
            return
        cycles = {"direct": integer(found.direct), "strassen": integer(found.cycles)}
        op.attributes["onnx.cycles"] = DictionaryAttr(cycles)
        if not (self.always or found.is_worthwhile):
            return
        quarters = in_quarters(operands.matrix, found.taps, found.panel)
        weight = make_const(quarters, self.pool, "strassen")
        weight.location = op.location
        absent = NoValue.create(result_types=[none_type])
        axis = IntegerAttr(operands.axis, i64)
        made = StrassenMatMul.create(
            operands=[
                self.summed(op, operands, found.taps),
                weight.result,
                absent.result if operands.bias is None else operands.bias,
            ],
            result_types=[op.results[0].type],
            properties={
                "axis": axis,
                "panel": integer(found.panel),
                "block": integer(found.block),
                "head": integer(found.head),
            },
            attributes=dict(op.attributes),
            location=op.location,
        )
        made.y.name_hint = op.results[0].name_hint
        before: list[Operation] = [weight, *([absent] if operands.bias is None else [])]
        block = op.parent
        assert block is not None
        block.insert_ops_before([*before, made], op)
        op.results[0].replace_all_uses_with(made.y)
        block.erase_op(op)

    def summed(self, op: OnnxOp, operands: _Operands, taps: int) -> SSAValue:
        """The sums of a product's left-hand side."""
        data, block = op.operands[0], op.parent
        key = (data, operands.axis, taps, block)
        if key not in self.sums:
            blocks = operands.matrix.shape[0] // (2 * taps)
            dims = [blocks, len(LEFT), rows_of_plane(-(-operands.rows // 2), taps), taps]
            made = StrassenSums.create(
                operands=[data],
                result_types=[tensor_type(element_type_of(data.type), dims)],
                properties={"axis": IntegerAttr(operands.axis, i64)},
                location=op.location,
            )
            assert block is not None
            block.insert_op_before(made, op)
            self.sums[key] = made.sums
        return self.sums[key]


def in_quarters(matrix: np.ndarray, taps: int, panel: int) -> np.ndarray:
    """The weights of `onnx.StrassenMatMul`: see there."""
    depth, columns = matrix.shape
    pairs = -(-columns // (2 * panel))
    padded = np.pad(matrix, ((0, 0), (0, pairs * 2 * panel - columns)))
    halves = padded.reshape(2, depth // (2 * taps), taps, pairs, 2, panel)
    # below, block, tap, pair, beside, column -> block, below, beside, tap, pair, column
    return halves.transpose(1, 0, 4, 2, 3, 5).reshape(2 * depth, pairs * panel)
