"""`onnx-check-indices`: make a run fail, rather than read elsewhere, when data index out of range.

Requires inferred shapes. In front of every Gather, Scatter and the like whose indices are not known
to be inside, the range of the indices is computed and compared with the sizes that they index. So
is the range of constant indices: the model may be one that never comes here.

    %y = Gather(%x, %i)      ==>   %r = IndexRange(%i)
                                   CheckRange(%r) {sizes = ["100"]}
                                   %y = Gather(%x, %i)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, UnitAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.constants import ConstantPool, constant_of, make_const, pool_of
from dialects.onnx.dims import Dim, at_most
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
        pool = pool_of(ctx)
        for node in list(op.walk()):
            if isinstance(node, OnnxOp) and not node.DOMAIN:
                sizes = _sizes(node)
                if sizes is not None:
                    _check(node, sizes, checked, pool)


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


def _check(
    op: OnnxOp, sizes: Sequence[Dim], checked: dict[tuple, None], pool: ConstantPool
) -> None:
    indices: SSAValue = op.operands[1]
    key = (indices, op.parent, *sizes)
    if key in checked or not sizes:
        return
    checked[key] = None
    constant = constant_of(indices, pool)
    known = content_of(indices) if constant is None else _range(constant, len(sizes))
    if known is not None and _are_inside(known.reshape(-1, len(sizes)), sizes):
        return
    if constant is not None and known is not None:
        made: Const | IndexRange = make_const(known, pool, "range")
    else:
        made = IndexRange.create(
            operands=[indices],
            result_types=[tensor_type(np.dtype(np.int64), (2, len(sizes)))],
            properties={"tuples": UnitAttr()} if op.OP_TYPE in TUPLES else {},
        )
    made.location = op.location
    check = CheckRange.create(
        operands=[made.result],
        properties={"sizes": ArrayAttr([StringAttr(str(size)) for size in sizes])},
        location=op.location,
    )
    assert op.parent is not None
    op.parent.insert_ops_before([made, check], op)


def _range(array: np.ndarray, components: int) -> np.ndarray:
    """Smallest and largest of constant indices, of every component; nothing of no indices."""
    rows = array.reshape(-1, components).astype(np.int64)
    return np.stack([rows.min(0), rows.max(0)]) if len(rows) else rows


def _are_inside(rows: np.ndarray, sizes: Sequence[Dim]) -> bool:
    """Whether indices, as numbers or sizes, are inside of what they index for all sizes."""
    return all(
        at_most(-size, entry) and at_most(entry, size - 1)
        for row in rows.tolist()
        for entry, size in zip(row, sizes, strict=True)
    )
