"""`onnx-check-indices`: make a run fail, rather than read elsewhere, when data index out of range.

Requires inferred shapes. In front of every Gather, Scatter and the like whose indices are not
constant, the range of the indices is computed and compared with the sizes that they index.

    %y = Gather(%x, %i)      ==>   %r = IndexRange(%i)
                                   CheckRange(%r) {sizes = ["100"]}
                                   %y = Gather(%x, %i)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, UnitAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.dims import Dim
from dialects.onnx.ops import CheckRange, Const, IndexRange, OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import dims_of, tensor_type
from passes.onnx.infer_shapes import content_of

ALONG_AXIS = frozenset({"Gather", "GatherElements", "ScatterElements", "Scatter"})
TUPLES = frozenset({"GatherND", "ScatterND"})


@dataclass(frozen=True)
class CheckIndices(ModulePass):
    """Inserts range checks."""

    name = "onnx-check-indices"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place."""
        checked: dict[tuple, None] = {}
        for node in list(op.walk()):
            if isinstance(node, OnnxOp) and not node.DOMAIN:
                sizes = _sizes(node)
                if sizes is not None:
                    _check(node, sizes, checked)


def _sizes(op: OnnxOp) -> list[Dim] | None:
    """Sizes that the components of an operator's indices must stay below."""
    if op.OP_TYPE not in ALONG_AXIS | TUPLES:
        return None
    dims, indices = dims_of(op.operands[0].type), dims_of(op.operands[1].type)
    if dims is None or indices is None:
        return None
    if op.OP_TYPE in ALONG_AXIS:
        return [dims[normalize_axis(op.get("axis"), len(dims))]]
    first = op.get("batch_dims") or 0
    width = indices[-1]
    return list(dims[first : first + width]) if isinstance(width, int) else None


def _check(op: OnnxOp, sizes: Sequence[Dim], checked: dict[tuple, None]) -> None:
    indices: SSAValue = op.operands[1]
    key = (indices, op.parent, *sizes)
    if isinstance(indices.owner, Const) or content_of(indices) is not None or key in checked:
        return
    checked[key] = None
    tuples = op.OP_TYPE in TUPLES
    made = IndexRange.create(
        operands=[indices],
        result_types=[tensor_type("int64", (2, len(sizes)))],  # type: ignore[arg-type]
        properties={"tuples": UnitAttr()} if tuples else {},
        location=op.location,
    )
    check = CheckRange.create(
        operands=[made.result],
        properties={"sizes": ArrayAttr([StringAttr(str(size)) for size in sizes])},
        location=op.location,
    )
    assert op.parent is not None
    op.parent.insert_ops_before([made, check], op)
