"""`onnx-assign-layouts`: decide how tensors lie in memory, before dispatches are formed.

Requires inferred shapes. Ensures that every convolution's data is channels-last, or row-major if a
depthwise one or one with a kernel of size 1 stands alone, and has no padding left to do (an
explicit Pad stands in front of it), that every product's right-hand side is packed in panels of
columns, that operators without a wish follow their operands, and that arguments and results of
functions are row-major. Layouts stand in the types; where a value is needed in another one, an
Identity with the wanted type is inserted, to be fused like any other index map.

    %1 = Conv(%x, %w) {pads = 1}   ==>   %p = Pad(%x) : tensor<..., [0, 2, 3, 1]>
                                         %v = Identity(%w) : tensor<..., [0, 2, 3, 1, 0], 64>
                                         %1 = Conv(%p, %v) {pads = 0} : tensor<..., [0, 2, 3, 1]>
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block
from xdsl.passes import ModulePass

from dialects.onnx import ops
from dialects.onnx.constants import pool_of
from dialects.onnx.ops import Const, OnnxOp
from dialects.onnx.types import dims_of, is_tensor, layout_of
from passes.onnx.assign_layouts.convolutions import (
    convolution,
    transposed_convolution,
    winograd_convolution,
)
from passes.onnx.assign_layouts.layouts import Layouts, columns_last, panel_of_order, set_layout
from passes.onnx.assign_layouts.products import product, strassen_product

__all__ = ["AssignLayouts"]

FOLLOWS = frozenset(
    [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Max",
        "Min",
        "Sum",
        "Mean",
        "Where",
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Elu",
        "Selu",
        "Celu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Mish",
        "Tanh",
        "Erf",
        "Gelu",
        "Swish",
        "Softplus",
        "Softsign",
        "Clip",
        "Cast",
        "Identity",
        "Dropout",
        "Neg",
        "Abs",
        "Exp",
        "Log",
        "Sqrt",
        "Reciprocal",
        "Floor",
        "Ceil",
        "Round",
        "Sign",
        "ThresholdedRelu",
        "Shrink",
        "Concat",
        "Pad",
        "Slice",
        "Split",
        "Resize",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "LpPool",
        "GlobalLpPool",
        "BatchNormalization",
        "InstanceNormalization",
        "LRN",
        "DepthToSpace",
        "SpaceToDepth",
        "And",
        "Or",
        "Xor",
        "Not",
        "Equal",
        "Less",
        "Greater",
        "LessOrEqual",
        "GreaterOrEqual",
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "CenterCropPad",
        "Softmax",
        "LogSoftmax",
        "LpNormalization",
        "MeanVarianceNormalization",
        "GroupNormalization",
    ]
)
"""Operators that read and write any layout equally well: they take their first operand's."""

REDUCTIONS = frozenset(
    [
        "ReduceMean",
        "ReduceMax",
        "ReduceSum",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSum",
        "ReduceLogSumExp",
    ]
)
"""Operators that read any layout; what they keep of it is theirs, unless they drop axes."""


@dataclass(frozen=True)
class AssignLayouts(ModulePass):
    """Chooses buffer layouts.

    ``vector_bits`` and ``registers`` describe the target's vector unit, ``l2_bytes`` the cache of
    one core.
    """

    name = "onnx-assign-layouts"

    vector_bits: int = 512
    registers: int = 32
    l2_bytes: int = 524_288

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        for function in op.ops:
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                layouts = Layouts(pool_of(ctx), self.vector_bits, self.registers, self.l2_bytes)
                _block(layouts, function.body.block)


def _block(layouts: Layouts, block: Block) -> None:
    """Assigns layouts to the values of a block, in order."""
    for op in list(block.ops):
        for region in op.regions:
            for nested in region.blocks:
                _block(layouts, nested)
        if isinstance(op, func.ReturnOp | ops.Yield) or op.regions:
            layouts.row_major_operands(op)
        elif isinstance(op, OnnxOp):
            _operation(layouts, op)


def _operation(layouts: Layouts, op: OnnxOp) -> None:
    """Gives one operation's operands and results their layouts."""
    name = op.OP_TYPE
    if name in ("Conv", "ConvInteger") and op.DOMAIN == "":
        convolution(layouts, op)
    elif name == "WinogradConv":
        winograd_convolution(layouts, op)
    elif name == "StrassenSums":
        layouts.convert(op, 0, columns_last(op.operands[0], op.get("axis")))
    elif name == "StrassenMatMul":
        strassen_product(layouts, op)
    elif name == "SplitMatMul":
        layouts.row_major_operands(op, skip=(1, 3))
        for number in (1, 3):
            layouts.convert(op, number, (1, 0, 1), op.get("panel"))
    elif name in ("MatMul", "Gemm", "MatMulInteger"):
        layouts.row_major_operands(op, skip=(1,))
        product(layouts, op)
    elif name == "ConvTranspose":
        transposed_convolution(layouts, op)
    elif name == "Recurrence":
        layouts.row_major_operands(op, skip=(1, 2))
        _recurrence(layouts, op)
    elif name == "Pack":
        _pack(layouts, op)
    elif name in REDUCTIONS and op.get("keepdims") == 0:
        layouts.row_major_operands(op, skip=(0,))
    elif name in FOLLOWS or name in REDUCTIONS:
        _follow(layouts, op)
    elif name not in ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"):
        layouts.row_major_operands(op)


def _follow(layouts: Layouts, op: OnnxOp) -> None:
    """Operands of full rank and the result share one layout."""
    result = dims_of(op.results[0].type)
    if result is None:
        layouts.row_major_operands(op)
        return
    orders = [
        layout_of(v.type)
        for v in op.operands
        if is_tensor(v.type)
        and len(dims_of(v.type) or ()) == len(result)
        and not isinstance(v.owner, Const)
    ]
    order = next((o for o in orders if o is not None and not panel_of_order(o)), None)
    for number, value in enumerate(op.operands):
        dims = dims_of(value.type) if is_tensor(value.type) else None
        if dims is None:
            continue
        long = sum(dim != 1 for dim in dims) > 1
        same = len(dims) == len(result)
        if not isinstance(value.owner, Const) or layout_of(value.type):
            layouts.convert(op, number, order if same else None)
        elif same and long and order is not None:
            layouts.convert(op, number, order)
    for value in op.results:
        dims = dims_of(value.type) if is_tensor(value.type) else None
        if dims is not None and len(dims) == len(result):
            set_layout(value, order)


def _pack(layouts: Layouts, op: OnnxOp) -> None:
    """The packed axis innermost, so that what is packed are neighbours in memory."""
    dims, axis = dims_of(op.operands[0].type), op.get("axis")
    assert dims is not None
    order = (*(other for other in range(len(dims)) if other != axis), axis)
    layouts.convert(op, 0, order)
    set_layout(op.results[0], order)


def _recurrence(layouts: Layouts, op: OnnxOp) -> None:
    """Packs recurrent weights [directions, gate units, hidden] in panels of gate units."""
    gates = dims_of(op.operands[0].type)
    batch = gates[0 if op.get("layout") else 1] if gates else 0
    for number in (1, 2):
        value = op.operands[number]
        dims = dims_of(value.type)
        if dims is not None:
            layouts.convert(op, number, (0, 1, 2, 1), layouts.panel(value, dims[1], batch))
