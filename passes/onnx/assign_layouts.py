"""`onnx-assign-layouts`: decide how tensors lie in memory, before dispatches are formed.

Requires inferred shapes. Ensures that every convolution's data is channels-last, or row-major if a
depthwise one stands alone, and has no padding left to do (an explicit Pad stands in front of it),
that every product's right-hand side is packed in panels of columns, that operators without a wish
follow their operands, and that arguments and
results of functions are row-major. Layouts stand in the types; where a value is needed in another
one, an Identity with the wanted type is inserted, to be fused like any other index map.

    %1 = Conv(%x, %w) {pads = 1}   ==>   %p = Pad(%x) : tensor<..., [0, 2, 3, 1]>
                                         %v = Identity(%w) : tensor<..., [0, 2, 3, 1, 0], 64>
                                         %1 = Conv(%p, %v) {pads = 0} : tensor<..., [0, 2, 3, 1]>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.krnl import integers
from dialects.onnx import ops
from dialects.onnx.constants import ConstantPool, constant_of, make_const, pool_of
from dialects.onnx.dims import Dim, maximum
from dialects.onnx.locations import place_of
from dialects.onnx.ops import Const, NoValue, OnnxOp
from dialects.onnx.shape.helpers import effective_kernel, transposed_pads
from dialects.onnx.types import (
    dims_of,
    element_type_of,
    is_none,
    is_tensor,
    layout_of,
    none_type,
    tensor_type,
)
from passes.krnl.tiles import panel_width, place_axis, row_axis
from passes.lower.krnl_to_affine.access import WIDEST_STRIDE
from passes.onnx.editing import is_pointwise, take_padding
from runtime.errors import UnsupportedError

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
        "Softmax",
        "LogSoftmax",
        "LpNormalization",
        "MeanVarianceNormalization",
        "GroupNormalization",
    ]
)
"""Operators that read and write any layout equally well: they take their first operand's."""


MOST_TAPS = 0.85
"""If no more of a convolution's taps than that are inside of its data, the others are left out."""

WORTH_A_COPY = 64
"""Rows that make it worth copying the other operand of a product."""

CACHE_BYTES, CACHE_WAYS, LINE_BYTES = 32_768, 8, 64
"""The first cache of most cores."""

PAGE_BYTES, MOST_PAGES = 4096, 32
"""A page of memory, and half as many of them as a core knows the addresses of without delay."""

COLLISION_BYTES = 1024
"""Sixteen cache lines. Caches take their sets from the bits above those of a line."""


def channels_last(rank: int) -> tuple[int, ...]:
    """The order of axes with channels innermost."""
    return (0, *range(2, rank), 1)


@dataclass(frozen=True)
class AssignLayouts(ModulePass):
    """Chooses buffer layouts.

    ``vector_bits`` and ``registers`` describe the target's vector unit.
    """

    name = "onnx-assign-layouts"

    vector_bits: int = 512
    registers: int = 32

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites every function of the module in place."""
        for function in op.ops:
            if isinstance(function, func.FuncOp) and not function.is_declaration:
                _Layouts(self, pool_of(ctx)).block(function.body.block)


class _Layouts:
    """One walk over a function, nested regions included."""

    def __init__(self, target: AssignLayouts, pool: ConstantPool) -> None:
        self.target = target
        self.pool = pool
        self.converted: dict[tuple[SSAValue, Attribute], SSAValue] = {}

    def block(self, block: Block) -> None:
        """Assigns layouts to the values of a block, in order."""
        for op in list(block.ops):
            for region in op.regions:
                for nested in region.blocks:
                    self.block(nested)
            if isinstance(op, func.ReturnOp | ops.Yield) or op.regions:
                self.row_major_operands(op)
            elif isinstance(op, OnnxOp):
                self.operation(op)

    def operation(self, op: OnnxOp) -> None:
        """Gives one operation's operands and results their layouts."""
        name = op.OP_TYPE
        if name in ("Conv", "ConvInteger") and op.DOMAIN == "":
            self.convolution(op)
        elif name == "WinogradConv":
            self.winograd_convolution(op)
        elif name == "StrassenSums":
            self.convert(op, 0, self.columns_last(op.operands[0], op.get("axis")))
        elif name == "StrassenMatMul":
            self.strassen_product(op)
        elif name == "SplitMatMul":
            self.row_major_operands(op, skip=(1, 3))
            for number in (1, 3):
                self.convert(op, number, (1, 0, 1), op.get("panel"))
        elif name in ("MatMul", "Gemm", "MatMulInteger"):
            self.row_major_operands(op, skip=(1,))
            self.product(op)
        elif name == "ConvTranspose":
            self.transposed_convolution(op)
        elif name == "Recurrence":
            self.row_major_operands(op, skip=(1, 2))
            self.recurrence(op)
        elif name == "Pack":
            self.pack(op)
        elif name in FOLLOWS:
            self.follow(op)
        elif name not in ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"):
            self.row_major_operands(op)

    # Changing a value's layout --------------------------------------------------------------

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
        if key not in self.converted or not _dominates(self.converted[key], op):
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

    # Kinds of operators ---------------------------------------------------------------------

    def follow(self, op: OnnxOp) -> None:
        """Operands of full rank and the result share one layout."""
        result = dims_of(op.results[0].type)
        if result is None:
            self.row_major_operands(op)
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
                self.convert(op, number, order if same else None)
            elif same and long and order is not None:
                self.convert(op, number, order)
        for value in op.results:
            dims = dims_of(value.type) if is_tensor(value.type) else None
            if dims is not None and len(dims) == len(result):
                _set_type(value, tensor_type(element_type_of(value.type), dims, order))

    def fold_transposed(self, op: OnnxOp, number: int) -> None:
        """Takes a transposed constant as a view of the constant: packing reads any order."""
        transpose = op.operands[number].owner
        if not isinstance(transpose, OnnxOp) or transpose.OP_TYPE != "Transpose":
            return
        array = constant_of(transpose.operands[0], self.pool)
        if array is None or layout_of(transpose.operands[0].type):
            return
        perm = transpose.get("perm") or tuple(range(array.ndim - 1, -1, -1))
        made = make_const(array.transpose(perm), self.pool, "transposed")
        assert op.parent is not None
        op.parent.insert_op_before(made, op)
        op.operands[number] = made.result
        if not list(transpose.results[0].uses):
            transpose.detach()
            transpose.erase()

    def product(self, op: OnnxOp) -> None:
        """Packs a right-hand side in panels, if it is constant or copied for the product anyway.

        Another one has its columns innermost.
        """
        self.fold_transposed(op, 1)
        value = op.operands[1]
        dims = dims_of(value.type)
        if dims is None or len(dims) < 2:
            self.row_major_operands(op)
            return
        rank = len(dims)
        row, column = rank - 2, rank - 1
        if op.OP_TYPE == "Gemm" and op.get("transB"):
            row, column = column, row
        rows = _rows(op, rank)
        if (
            isinstance(value.owner, Const)
            or _is_transposed_for(op, value)
            or self.is_scattered(value, rows, dims[row], dims[column])
        ):
            order = (*range(rank - 2), column, row, column)
            self.convert(op, 1, order, self.panel(value, dims[column], rows))
        else:
            # Packing would cost a pass over the data: rows of neighbouring columns are enough.
            self.convert(op, 1, (*range(rank - 2), row, column))

    def is_scattered(self, value: SSAValue, rows: Dim, depth: Dim, columns: Dim) -> bool:
        """Whether a panel's lines are so scattered that the first cache cannot hold them all.

        There is one for each step of the sum, a row's size from the next one, in those sets of the
        cache that multiples of this size reach, and soon in a page of its own. Many rows make up
        for the time of a copy.
        """
        if not (isinstance(rows, int) and isinstance(depth, int) and isinstance(columns, int)):
            return False
        row = columns * getattr(element_type_of(value.type), "bitwidth", 32) // 8
        lines = CACHE_BYTES // CACHE_WAYS // max(LINE_BYTES, gcd(row, CACHE_BYTES // CACHE_WAYS))
        is_whole = columns <= self.panel(value, columns, rows)
        collides = depth >= CACHE_WAYS * lines or (row >= PAGE_BYTES and depth >= MOST_PAGES)
        return rows >= WORTH_A_COPY and collides and not is_whole

    def pack(self, op: OnnxOp) -> None:
        """The packed axis innermost, so that what is packed are neighbours in memory."""
        dims, axis, result = dims_of(op.operands[0].type), op.get("axis"), op.results[0]
        assert dims is not None
        order = (*(other for other in range(len(dims)) if other != axis), axis)
        self.convert(op, 0, order)
        _set_type(result, tensor_type(element_type_of(result.type), dims_of(result.type), order))

    def recurrence(self, op: OnnxOp) -> None:
        """Packs recurrent weights [directions, gate units, hidden] in panels of gate units."""
        gates = dims_of(op.operands[0].type)
        batch = gates[0 if op.get("layout") else 1] if gates else 0
        for number in (1, 2):
            value = op.operands[number]
            dims = dims_of(value.type)
            if dims is not None:
                self.convert(op, number, (0, 1, 2, 1), self.panel(value, dims[1], batch))

    def panel(self, value: SSAValue, columns: Dim, rows: Dim = 0) -> int:
        """Width of the panels for an element type."""
        element = element_type_of(value.type)
        width = getattr(element, "bitwidth", 32)
        lanes = max(1, self.target.vector_bits // max(width, 32))
        return panel_width(columns, lanes, self.target.registers, rows)

    def convolution(self, op: OnnxOp) -> None:
        """Channels-last data and result, packed weights, padding made explicit."""
        data, weight = op.operands[:2]
        dims, weight_dims = dims_of(data.type), dims_of(weight.type)
        result = dims_of(op.results[0].type)
        if dims is None or weight_dims is None or result is None:
            return
        if self.is_alone(op) and self.product_of_places(op, dims, weight_dims, result):
            return
        if self.stays_row_major(op, dims, weight_dims, result):
            self.pad(op, dims, *take_padding(op, dims, weight_dims), None)
            self.row_major_operands(op)
            return
        order = channels_last(len(dims))
        spatial = range(2, len(dims))
        before, after = take_padding(op, dims, weight_dims)
        if op.get("group") == 1:
            leave_out_taps(op, dims, weight_dims, result, before, after)
        panel = self.panels_of_groups(weight, weight_dims, op.get("group"))
        if panel:
            self.convert(op, 1, (0, *spatial, 1, 0), panel)
        else:
            self.convert(op, 1, (*spatial, 1, 0))
        is_padded, channels = any([*before, *after]), weight_dims[1]
        assert isinstance(channels, int)
        if op.get("group") > 1 and panel and is_padded and _collides(data, dims[1]):
            # A copy is made anyway: one in which a group's channels at all places are neighbours.
            self.pad(op, dims, before, after, (0, 1, *spatial, 1), channels)
        else:
            self.pad(op, dims, before, after, order)
            self.convert(op, 0, order)
        for number in range(2, len(op.operands)):
            self.convert(op, number, None)
        value = op.results[0]
        _set_type(value, tensor_type(element_type_of(value.type), result, order))

    def stays_row_major(
        self, op: OnnxOp, dims: Sequence[Dim], weights: Sequence[Dim], result: Sequence[Dim]
    ) -> bool:
        """Whether a depthwise convolution stands alone: transpositions would cost more than it.

        Its rows have to be long enough for vectors of places, its strides short enough.
        """
        is_depthwise = weights[1] == 1 and op.get("group") == dims[1] == weights[0]
        columns, stride = result[-1], (op.get("strides") or (1,))[-1]
        if not isinstance(columns, int) or columns < self.panel(op.operands[0], 1):
            return False
        return is_depthwise and stride <= WIDEST_STRIDE and self.is_alone(op)

    def is_alone(self, op: OnnxOp) -> bool:
        """Whether a convolution has row-major data and a result that must be row-major."""
        ends = all(isinstance(use.operation, func.ReturnOp) for use in op.results[0].uses)
        return ends and layout_of(op.operands[0].type) is None

    def product_of_places(
        self, op: OnnxOp, dims: Sequence[Dim], weights: Sequence[Dim], result: Sequence[Dim]
    ) -> bool:
        """Makes a convolution with a kernel of size 1 the product of its weights with the data.

        So its operands and result need no other layout. Done for constant weights and known sizes.
        """
        arrays = [None if is_none(v) else constant_of(v, self.pool) for v in op.operands[1:]]
        if op.OP_TYPE != "Conv" or arrays[0] is None or not is_pointwise(op, weights[2:]):
            return False
        if len(arrays) > 1 and arrays[1] is None and not is_none(op.operands[2]):
            return False
        if not all(isinstance(dim, int) for dim in dims) or tuple(dims[2:]) != tuple(result[2:]):
            return False
        images, channels, *sizes = (dim for dim in dims if isinstance(dim, int))
        outputs, element = arrays[0].shape[0], element_type_of(op.results[0].type)
        matrix = make_const(arrays[0].reshape(outputs, channels), self.pool, "weights")
        data = _reshaped(op.operands[0], (images, channels, prod(sizes)))
        kind = tensor_type(element, (images, outputs, prod(sizes)))
        product = ops.class_of_schema_version("", "MatMul", 13).create(
            operands=[matrix.result, data[-1].results[0]], result_types=[kind]
        )
        made: list[Operation] = [matrix, *data, product]
        if len(arrays) > 1 and arrays[1] is not None:
            bias = make_const(arrays[1].reshape(outputs, 1), self.pool, "bias")
            add = ops.class_of_schema_version("", "Add", 14)
            operands = [product.results[0], bias.result]
            made += [bias, add.create(operands=operands, result_types=[kind])]
        made += _reshaped(made[-1].results[0], tuple(result))
        assert op.parent is not None
        for each in made:
            each.location = op.location
        op.parent.insert_ops_before(made, op)
        made[-1].results[0].name_hint = op.results[0].name_hint
        op.results[0].replace_all_uses_with(made[-1].results[0])
        op.parent.erase_op(op)
        self.product(product)
        return True

    def panels_of_groups(self, weight: SSAValue, dims: tuple[Dim, ...], groups: int) -> int:
        """Width of panels that none of two groups share, 0 where groups are no whole vectors."""
        width = self.panel(weight, dims[0] if groups == 1 else _share(dims[0], groups))
        if groups == 1:
            return width
        lanes = self.panel(weight, 1)
        widths = range(width, 0, -lanes)
        return next((w for w in widths if _share(dims[0], groups) % w == 0), 0)

    def winograd_convolution(self, op: OnnxOp) -> None:
        """Channels-last data and result, packed weights; padding stays the kernel's own."""
        result, weights = dims_of(op.results[0].type), dims_of(op.operands[1].type)
        assert result is not None and weights is not None
        order = channels_last(len(result))
        self.convert(op, 0, order)
        self.convert(op, 1, (0, 2, 1, 2), self.panel(op.operands[1], weights[2]))
        self.convert(op, 2, None)
        value = op.results[0]
        _set_type(value, tensor_type(element_type_of(value.type), result, order))

    def strassen_product(self, op: OnnxOp) -> None:
        """Packed weights; a result whose columns are neighbours, as the data's are."""
        self.convert(op, 1, (1, 0, 1), op.get("panel"))
        self.convert(op, 2, None)
        value = op.results[0]
        order = self.columns_last(value, op.get("axis"))
        _set_type(value, tensor_type(element_type_of(value.type), dims_of(value.type), order))

    def columns_last(self, value: SSAValue, axis: int) -> tuple[int, ...] | None:
        """The order of axes in which one of them, the channels or the last, is innermost."""
        rank = len(dims_of(value.type) or ())
        return None if axis == rank - 1 else channels_last(rank)

    def transposed_convolution(self, op: OnnxOp) -> None:
        """Channels-last data with margins for the kernel, packed weights, resolved attributes."""
        data, weight = op.operands[:2]
        dims, weights = dims_of(data.type), dims_of(weight.type)
        result = dims_of(op.results[0].type)
        if dims is None or weights is None or result is None:
            return
        spatial = range(2, len(dims))
        order = channels_last(len(dims))
        before, after = self.margins(op, dims, weights, result)
        self.pad(op, dims, before, after, order)
        op.attributes["onnx.margins"] = integers(tuple(before))
        self.convert(op, 0, order)
        if op.get("group") == 1:
            self.convert(op, 1, (1, *spatial, 0, 1), self.panel(weight, weights[1]))
        else:
            self.convert(op, 1, (*spatial, 1, 0) if weights[1] == 1 else (*spatial, 0, 1))
        for number in range(2, len(op.operands)):
            self.convert(op, number, None)
        value = op.results[0]
        _set_type(value, tensor_type(element_type_of(value.type), result, order))

    def margins(
        self,
        op: OnnxOp,
        dims: tuple[Dim, ...],
        weights: tuple[Dim, ...],
        result: tuple[Dim, ...],
    ) -> tuple[list[int], list[Dim]]:
        """Zeros around the data that the taps of a ConvTranspose reach; resolves `pads`."""
        rank = len(dims) - 2
        ones, zeros = (1,) * rank, (0,) * rank
        strides, dilations = op.get("strides") or ones, op.get("dilations") or ones
        spans = [effective_kernel(k, d) for k, d in zip(weights[2:], dilations, strict=True)]
        extra = op.get("output_padding") or zeros
        totals = [
            (dim - 1) * stride + span + more - size
            for dim, stride, span, more, size in zip(
                dims[2:], strides, spans, extra, result[2:], strict=True
            )
        ]
        given = op.get("pads") or (0,) * (2 * rank)
        auto = op.get("auto_pad") or "NOTSET"
        if auto == "VALID":
            auto, given = "NOTSET", (0,) * (2 * rank)
        if op.get("output_shape"):
            # What is larger than data and kernel make it begins where they begin.
            pads, _ = transposed_pads(auto, [maximum(total, 0) for total in totals], None)
        else:
            pads, _ = transposed_pads(auto, totals, given)
        if not all(isinstance(entry, int) for entry in (*pads, *spans)):
            raise UnsupportedError(
                "the padding or the kernel's size is only known at run time",
                place_of(op.location, "onnx"),
                "give fixed sizes with --dim",
            )
        op.properties.pop("auto_pad", None)
        op.properties["pads"] = integers((*pads, *zeros))  # type: ignore[arg-type]
        before: list[int] = []
        after: list[Dim] = []
        for dim, size, stride, span, pad in zip(
            dims[2:], result[2:], strides, spans, pads, strict=True
        ):
            assert isinstance(span, int) and isinstance(pad, int)
            before.append(max(0, (span - 1 - pad) // stride))
            after.append(maximum((size - 1 + pad) // stride - (dim - 1), 0))
        return before, after

    def pad(
        self,
        op: OnnxOp,
        dims: tuple[Dim, ...],
        before: Sequence[Dim],
        after: Sequence[Dim],
        order: tuple[int, ...] | None,
        panel: int = 0,
    ) -> None:
        """Puts a Pad with zeros around the spatial axes in front of operand 0, if there are any.

        Its result has the layout that is given.
        """
        if not any([*before, *after]):
            return
        before, after = [0, 0, *before], [0, 0, *after]
        padded = [a + b + c for a, b, c in zip(before, dims, after, strict=True)]
        data = op.operands[0]
        amounts = ArrayAttr([StringAttr(str(amount)) for amount in (*before, *after)])
        absent = NoValue.create(result_types=[none_type])
        element = element_type_of(data.type)
        pad = ops.class_of_schema_version("", "Pad", 13).create(
            operands=[data, absent.result, absent.result],
            result_types=[tensor_type(element, padded, order, panel)],
            attributes={"onnx.parameters": DictionaryAttr({"1": amounts})},
            location=op.location,
        )
        assert op.parent is not None
        op.parent.insert_ops_before([absent, pad], op)
        op.operands[0] = pad.results[0]


def _reshaped(value: SSAValue, dims: tuple[Dim, ...]) -> list[Operation]:
    """A Reshape to known sizes, and what it needs."""
    absent = NoValue.create(result_types=[none_type])
    sizes = ArrayAttr([StringAttr(str(dim)) for dim in dims])
    reshape = ops.class_of_schema_version("", "Reshape", 14).create(
        operands=[value, absent.result],
        result_types=[tensor_type(element_type_of(value.type), dims)],
        attributes={"onnx.parameters": DictionaryAttr({"1": sizes})},
    )
    return [absent, reshape]


def leave_out_taps(
    op: OnnxOp,
    dims: Sequence[Dim],
    weights: Sequence[Dim],
    result: Sequence[Dim],
    before: list[Dim],
    after: list[Dim],
) -> None:
    """Takes the first spatial axis' padding for the kernel's own where many taps are in it.

    The kernel then leaves these out, which it can do for axes whose places are no rows of a tile:
    with large dilations most of a window's lines are outside of a small image. Volumes always do
    without this padding: its planes are much memory, and to leave out a tap is little work beside
    the plane of taps that it has.
    """
    size, taps, places, *pads = dims[2], weights[2], result[2], before[0], after[0]
    known = [n for n in (size, taps, places, *pads) if isinstance(n, int)]
    if len(known) < 5 or len(dims) == 3 or place_axis(result[2:]) == 0 or not any(pads):
        return
    size, taps, places, first, last = known
    stride, dilation = (op.get("strides") or (1,))[0], (op.get("dilations") or (1,))[0]
    inside = sum(
        0 <= place * stride - first + tap * dilation < size
        for place in range(places)
        for tap in range(taps)
    )
    is_volume = len(dims) > 4
    if is_volume or inside <= MOST_TAPS * places * taps:
        rank = len(dims) - 2
        pads = [0] * (2 * rank)
        pads[0], pads[rank] = first, last
        op.properties["pads"] = integers(tuple(pads))
        before[0] = after[0] = 0


def _is_transposed_for(op: OnnxOp, value: SSAValue) -> bool:
    """Whether a product's operand is a transposition, or computed of one, that nothing else uses.

    Its elements are put into another order in any case: attention's keys.
    """
    while value.has_one_use() and isinstance(owner := value.owner, OnnxOp):
        if owner.OP_TYPE == "Transpose":
            rank = len(dims_of(value.type) or ())
            perm = owner.get("perm") or tuple(range(rank - 1, -1, -1))
            return perm[-1] != rank - 1 and value.owner.parent is op.parent
        if owner.OP_TYPE not in ("Mul", "Div") or value.type != owner.operands[0].type:
            return False
        value = owner.operands[0]
    return False


def _rows(op: OnnxOp, rank: int) -> Dim:
    """How many rows a product has that meet the same right-hand side, which is of some rank."""
    lhs, result = dims_of(op.operands[0].type), dims_of(op.results[0].type)
    if lhs is None or result is None or len(lhs) == 1:
        return 1
    if op.OP_TYPE != "Gemm" and rank == 2:
        return lhs[row_axis(lhs)]
    return result[-2]


def _share(channels: Dim, groups: int) -> int:
    assert isinstance(channels, int), "a convolution's weights have static sizes"
    return channels // groups


def _collides(data: SSAValue, channels: Dim) -> bool:
    """Whether channels-last neighbours are so many bytes apart that few of them stay in a cache.

    They are then mapped to a sixteenth of its sets, or fewer.
    """
    width = getattr(element_type_of(data.type), "bitwidth", 32) // 8
    return isinstance(channels, int) and channels * width % COLLISION_BYTES == 0


def panel_of_order(order: tuple[int, ...]) -> bool:
    """Whether an order names an axis twice, that is, cuts it into panels."""
    return len(set(order)) != len(order)


def _dominates(value: SSAValue, op: Operation) -> bool:
    """Whether a conversion made earlier can serve here: it stands in the same block."""
    return isinstance(value.owner, Operation) and value.owner.parent is op.parent


def _set_type(value: SSAValue, kind: Attribute) -> None:
    value._type = kind
