"""Roots that put tensors together: Concat, Content."""

from __future__ import annotations

from dialects.onnx.dims import parse_dim
from dialects.onnx.ops import Content, OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from passes.lower.index import Affine, affine
from passes.lower.onnx_to_krnl.kernel import Kernel
from passes.lower.onnx_to_krnl.registry import root


@root("Content")
def content(k: Kernel, op: OnnxOp) -> None:
    """Symbolic sizes as data."""
    assert isinstance(op, Content)
    dims = k.dims(op.result)
    for place, text in enumerate(op.content):
        number = k.index_value(k.size(parse_dim(text.data)))
        element = k.s.from_index(number, k.element(op.result))
        k.give(op.result, k.divide_along(affine(place), dims), element)


@root("Concat")
def concat(k: Kernel, op: OnnxOp) -> None:
    """Operands one after the other along an axis: a nest for each."""
    result = op.results[0]
    axis = normalize_axis(op.get("axis") if op.get("axis") is not None else 1, len(k.dims(result)))
    offset = affine(0)
    layout = k.result_layout(result)
    for operand in op.operands:
        dims = k.dims(operand)

        def body(ivs: list[Affine], operand=operand, offset=offset) -> None:
            entries = k.logical(layout, ivs)
            scalar = k.read(operand, entries)
            entries[axis] = entries[axis] + offset
            k.give(result, entries, scalar)

        k.nest([dims[a] for a in layout.order], body)
        offset = offset + k.size(dims[axis])
