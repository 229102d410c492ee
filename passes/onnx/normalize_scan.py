"""`onnx-normalize-scan`: make every Scan go along first axes.

Requires inferred shapes. Ensures that no Scan has an axis other than 0 in `scan_input_axes` or
`scan_output_axes`: a Transpose in front of it or behind it moves the axis instead.

    %s, %y = Scan(%a, %x) {scan_input_axes = [1]}   ==>   %t = Transpose(%x) {perm = [1, 0]}
                                                          %s, %y = Scan(%a, %t)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.krnl import integers
from dialects.onnx import ops
from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import dims_of, element_type_of, tensor_type


@dataclass(frozen=True)
class NormalizeScan(ModulePass):
    """Moves scanned axes to the front."""

    name = "onnx-normalize-scan"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place."""
        for node in list(op.walk()):
            if isinstance(node, OnnxOp) and (node.DOMAIN, node.OP_TYPE) == ("", "Scan"):
                if node.properties.get("scan_input_axes") is not None:
                    _inputs_first(node)
                if node.properties.get("scan_output_axes") is not None:
                    _outputs_first(node)


def _inputs_first(op: OnnxOp) -> None:
    axes = op.get("scan_input_axes")
    del op.properties["scan_input_axes"]
    first = len(op.operands) - op.get("num_scan_inputs")
    for number, axis in enumerate(axes, first):
        dims = dims_of(op.operands[number].type)
        axis = normalize_axis(axis, len(dims)) if dims else 0
        if dims and axis:
            others = [other for other in range(len(dims)) if other != axis]
            made = _transpose(op.operands[number], [axis, *others], op)
            assert op.parent is not None
            op.parent.insert_op_before(made, op)
            op.operands[number] = made.results[0]


def _outputs_first(op: OnnxOp) -> None:
    axes = op.get("scan_output_axes")
    del op.properties["scan_output_axes"]
    for result, axis in zip(list(op.results)[-len(axes) :], axes, strict=True):
        dims = dims_of(result.type)
        axis = normalize_axis(axis, len(dims)) if dims else 0
        if not dims or not axis:
            continue
        others = [other for other in range(len(dims)) if other != axis]
        result._type = _permuted(result.type, [axis, *others])
        made = _transpose(result, [*range(1, axis + 1), 0, *range(axis + 1, len(dims))], op)
        assert op.parent is not None
        op.parent.insert_op_after(made, op)
        made.results[0].name_hint = result.name_hint
        for use in list(result.uses):
            if use.operation is not made:
                use.operation.operands[use.index] = made.results[0]


def _transpose(value: SSAValue, perm: Sequence[int], op: OnnxOp) -> Operation:
    return ops.class_of_schema_version("", "Transpose", 13).create(
        operands=[value],
        result_types=[_permuted(value.type, perm)],
        properties={"perm": integers(tuple(perm))},
        location=op.location,
    )


def _permuted(kind: Attribute, perm: Sequence[int]) -> Attribute:
    dims = dims_of(kind)
    assert dims is not None
    return tensor_type(element_type_of(kind), [dims[axis] for axis in perm])
