"""Joining axes: a pointwise dispatch over [8, 64, 56, 56] is one over [8, 64, 3136] or [1605632].

Axes that are neighbours in memory and that every operand treats alike (all of it, or broadcast)
become one, so that the innermost loop is long and the vectorizer sees no short rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects import func
from xdsl.ir import SSAValue

from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp
from dialects.onnx.types import dims_of, element_type_of, is_tensor, layout_of
from passes.lower.onnx_to_krnl.registry import POINTWISE, key_of
from passes.lower.onnx_to_krnl.scalars import storage_type


def collapsed_dims(dispatch: func.FuncOp) -> dict[SSAValue, tuple[Dim, ...]]:
    """Sizes of a pointwise dispatch's values after joining; empty where nothing may be joined."""
    body = dispatch.body.block
    nodes = [op for op in body.ops if isinstance(op, OnnxOp)]
    if not nodes or any(key_of(op) not in POINTWISE for op in nodes):
        return {}
    assert body.last_op is not None
    outputs = list(body.last_op.operands)
    dims = dims_of(outputs[0].type)
    order = layout_of(outputs[0].type) or tuple(range(len(dims or ())))
    values = [v for op in nodes for v in (*op.operands, *op.results) if is_tensor(v.type)]
    if dims is None or any(dims_of(v.type) != dims for v in outputs):
        return {}
    aligned: dict[SSAValue, list[Dim]] = {}
    for value in values:
        entry = _aligned(value, dims, order)
        if entry is None:
            return {}
        aligned[value] = entry
    groups = _groups([dims[a] for a in order], list(aligned.values()))
    return {
        value: tuple(prod((entry[a] for a in group), start=1) for group in groups)
        for value, entry in aligned.items()
    }


def _aligned(value: SSAValue, dims: Sequence[Dim], order: Sequence[int]) -> list[Dim] | None:
    """A value's sizes in the order of the output's buffer, 1 where it is broadcast."""
    own = dims_of(value.type)
    if own is None or len(own) > len(dims):
        return None
    full = [1] * (len(dims) - len(own)) + list(own)
    if any(d not in (1, whole) for d, whole in zip(full, dims, strict=True)):
        return None
    own_order = layout_of(value.type) or tuple(range(len(own)))
    if len(set(own_order)) != len(own_order):
        return None
    shift = len(dims) - len(own)
    long = [a + shift for a in own_order if full[a + shift] != 1]
    if long != [a for a in order if full[a] != 1]:
        return None
    return [full[a] for a in order]


def _groups(dims: Sequence[Dim], values: Sequence[Sequence[Dim]]) -> list[list[int]]:
    """Runs of axes that every value either has or broadcasts as a whole."""
    groups: list[list[int]] = []
    for axis, dim in enumerate(dims):
        if dim == 1:
            continue
        alike = groups and all(
            (entry[groups[-1][0]] == 1) == (entry[axis] == 1) for entry in values
        )
        if alike:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def reusable_inputs(dispatch: func.FuncOp) -> list[int]:
    """Inputs whose buffer the only output may take over: elements are read where written."""
    body = dispatch.body.block
    nodes = [op for op in body.ops if isinstance(op, OnnxOp)]
    assert body.last_op is not None
    outputs = body.last_op.operands
    if len(outputs) != 1 or not nodes or any(key_of(op) not in POINTWISE for op in nodes):
        return []
    shape, storage = _placement(outputs[0])
    return [
        number
        for number, value in enumerate(body.args)
        if is_tensor(value.type) and _placement(value) == (shape, storage)
    ]


def _placement(value: SSAValue) -> tuple:
    """What two tensors must share for one buffer to serve both: sizes, order, bytes."""
    order = (dims_of(value.type), layout_of(value.type))
    element = storage_type(element_type_of(value.type))
    return order, getattr(element, "bitwidth", 0)
