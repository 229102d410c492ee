"""Views: operations whose result is their operand's buffer under another shape."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute, Operation

from dialects.onnx.dims import Dim
from dialects.onnx.ops import Pack
from dialects.onnx.shape.helpers import permutation
from dialects.onnx.types import dims_of, layout_of, panel_of
from passes.lower.onnx_to_krnl.layout import Layout
from passes.lower.onnx_to_krnl.registry import key_of

SHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Operators that keep all elements in order of rows."""

RESHAPES = frozenset({*SHAPES, "Identity", "Transpose"})
"""Operators whose result may be the operand's bytes under another shape; a Pack's always is."""


def is_view(op: Operation) -> bool:
    """Whether an operation's result is its operand's buffer under another shape."""
    key = key_of(op)
    if isinstance(op, Pack):
        return True
    if key is None or key[0] or key[1] not in RESHAPES:
        return False
    source, target = op.operands[0].type, op.results[0].type
    before, after = dims_of(source), dims_of(target)
    if before is None or after is None:
        return False
    layouts = [_layout(kind, dims) for kind, dims in ((source, before), (target, after))]
    if key[1] == "Identity":
        return layouts[0].same_bytes(layouts[1], before)
    if key[1] == "Transpose":
        perm = permutation(op.get("perm"), len(before))  # type: ignore[attr-defined]
        place = {axis: position for position, axis in enumerate(perm)}
        if layouts[0].panel or layouts[1].panel:
            return False
        seen = Layout(tuple(place[axis] for axis in layouts[0].order))
        return seen.same_bytes(layouts[1], after)
    row_major = (Layout.row_major(len(before)), Layout.row_major(len(after)))
    return layouts[0].same_bytes(row_major[0], before) and layouts[1].same_bytes(
        row_major[1], after
    )


def _layout(kind: Attribute, dims: Sequence[Dim]) -> Layout:
    order = layout_of(kind)
    return Layout.row_major(len(dims)) if order is None else Layout(order, panel_of(kind))
