"""`onnx-align-operands`: give operands of pointwise operators shapes that broadcast as numpy's do.

Requires inferred shapes and bound parameters. Ensures that the second operand of a binary operator
before version 7 (`broadcast`, `axis`), the slope of a PRelu before version 7, and scales and zero
points of QuantizeLinear and DequantizeLinear (per axis, per block) meet the first operand axis by
axis.

    QuantizeLinear(%x: 2x3x4x4, %s: 3) {axis = 1}   ==>   %t = Unsqueeze(%s) : 3x1x1
                                                          QuantizeLinear(%x, %t)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.krnl import integers
from dialects.onnx.dims import Dim
from dialects.onnx.ops import NoValue, OnnxOp, class_of_schema_version
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import dims_of, element_type_of, is_none, none_type, tensor_type

QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True)
class AlignOperands(ModulePass):
    """Inserts changes of shape in front of pointwise operators."""

    name = "onnx-align-operands"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place."""
        for node in list(op.walk()):
            if not isinstance(node, OnnxOp) or node.DOMAIN:
                continue
            if node.OP_TYPE in QUANTIZERS:
                for number in (1, 2):
                    if number < len(node.operands) and not is_none(node.operands[number]):
                        _align_scale(node, number)
            elif "broadcast" in node.DEFAULTS and node.get("axis") is not None:
                _align(node, 1, node.get("axis"))
            elif node.OP_TYPE == "PRelu" and node.SINCE < 7:
                _align(node, 1, 1)


def _sizes(value: SSAValue) -> tuple[Dim, ...]:
    dims = dims_of(value.type)
    assert dims is not None
    return dims


def _align(op: OnnxOp, number: int, axis: int) -> None:
    """Puts an operand's first axis below axis ``axis`` of operand 0."""
    rank, own = len(_sizes(op.operands[0])), _sizes(op.operands[number])
    axis = normalize_axis(axis, rank)
    trailing = rank - axis - len(own)
    if trailing > 0 and any(dim != 1 for dim in own):
        dims = [*own, *[1] * trailing]
        axes = tuple(range(len(own), len(dims)))
        op.operands[number] = _insert(op, "Unsqueeze", 11, op.operands[number], dims, axes)


def _align_scale(op: OnnxOp, number: int) -> None:
    dims, own = _sizes(op.operands[0]), _sizes(op.operands[number])
    if len(own) > len(dims):
        axes = tuple(range(len(own)))
        op.operands[number] = _insert(op, "Squeeze", 11, op.operands[number], (), axes)
    elif op.get("block_size"):
        axis = 1 if op.get("axis") is None else op.get("axis")
        _repeat_blocks(op, number, normalize_axis(axis, len(dims)), op.get("block_size"))
    elif len(own) == 1 and own[0] != 1:
        _align(op, number, 1 if op.get("axis") is None else op.get("axis"))


def _repeat_blocks(op: OnnxOp, number: int, axis: int, block: int) -> None:
    """Gives every element of a block its scale."""
    whole, value = _sizes(op.operands[0])[axis], op.operands[number]
    before, count, after = (d := _sizes(value))[:axis], d[axis], d[axis + 1 :]
    value = _insert(op, "Unsqueeze", 11, value, (*before, count, 1, *after), (axis + 1,))
    repeated = (*before, count, block, *after)
    value = _insert(op, "Expand", 13, value, repeated, parameters={1: repeated})
    joined = (*before, count * block, *after)
    value = _insert(op, "Reshape", 14, value, joined, parameters={1: joined})
    if count * block != whole:
        cut = {1: (0,), 2: (whole,), 3: (axis,), 4: (1,)}
        value = _insert(op, "Slice", 13, value, (*before, whole, *after), parameters=cut)
    op.operands[number] = value


def _insert(
    op: OnnxOp,
    name: str,
    since: int,
    value: SSAValue,
    dims: Sequence[Dim],
    axes: tuple[int, ...] | None = None,
    parameters: Mapping[int, Sequence[Dim]] | None = None,
) -> SSAValue:
    """An operation in front of ``op`` that gives ``value`` these sizes."""
    block = op.parent
    assert block is not None
    operands, attributes = [value], {}
    if parameters:
        absent = NoValue.create(result_types=[none_type])
        block.insert_op_before(absent, op)
        operands += [absent.results[0]] * len(parameters)
        attributes["onnx.parameters"] = DictionaryAttr(
            {str(number): _strings(entries) for number, entries in parameters.items()}
        )
    made: Operation = class_of_schema_version("", name, since).create(
        operands=operands,
        result_types=[tensor_type(element_type_of(value.type), dims)],
        properties={} if axes is None else {"axes": integers(axes)},
        attributes=attributes,
        location=op.location,
    )
    block.insert_op_before(made, op)
    return made.results[0]


def _strings(entries: Sequence[Dim]) -> Attribute:
    return ArrayAttr([StringAttr(str(entry)) for entry in entries])
