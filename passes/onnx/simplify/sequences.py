"""Sequences and optionals whose elements are known when compiling, as the tensors they hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from dialects.onnx.ops import OnnxOp
from dialects.onnx.shape.helpers import normalize_axis
from dialects.onnx.types import is_tensor
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite

MOST_PARTS = 256
"""A sequence of more elements stays one."""


def elements(r: Rewriter, value: SSAValue) -> Sequence[SSAValue] | None:
    """The tensors of a sequence in order, made in front of the operation being replaced; or None.

    None when they, or where something is inserted, are not known.
    """
    op = r.producer(
        value,
        *("SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase"),
        *("SplitToSequence", "Identity"),
    )
    if op is None:
        return None
    match op.OP_TYPE:
        case "SequenceConstruct":
            return list(op.operands)
        case "SequenceEmpty":
            return []
        case "Identity":
            return elements(r, op.operands[0])
        case "SplitToSequence":
            return _parts(r, op)
    return _edited(r, op)


def _edited(r: Rewriter, op: OnnxOp) -> Sequence[SSAValue] | None:
    """What SequenceInsert and SequenceErase make of a sequence."""
    inserts = op.OP_TYPE == "SequenceInsert"
    found = elements(r, op.operands[0])
    if found is None:
        return None
    place = _position(r, op, 2 if inserts else 1, len(found), end=len(found) - (not inserts))
    if place is None or not 0 <= place < len(found) + inserts:
        return None
    middle = [op.operands[1]] if inserts else []
    return [*found[:place], *middle, *found[place + (not inserts) :]]


def _position(r: Rewriter, op: OnnxOp, operand: int, count: int, end: int) -> int | None:
    """A constant place in a sequence of ``count`` elements; ``end`` where it is absent."""
    value = present(op, operand)
    if value is None:
        return end
    number = r.scalar(value)
    return None if number is None else int(number) + (count if number < 0 else 0)


def _parts(r: Rewriter, op: OnnxOp) -> Sequence[SSAValue] | None:
    """The parts that SplitToSequence cuts a tensor into."""
    source, given = op.operands[0], present(op, 1)
    dims, sizes = r.dims(source), None if given is None else r.constant(given)
    if dims is None or (given is not None and sizes is None):
        return None
    axis = normalize_axis(op.get("axis"), len(dims))
    length = dims[axis]
    if sizes is not None and sizes.ndim == 1:
        counts = [int(size) for size in sizes]
    elif isinstance(length, int):
        step = 1 if sizes is None else int(sizes)
        counts = [min(step, length - start) for start in range(0, length, step)]
    else:
        return None
    if len(counts) > MOST_PARTS:
        return None
    ends = np.cumsum(counts).tolist()
    bounds = zip([0, *ends[:-1]], ends, strict=True)
    parts = [
        r.make("Slice", source, *(r.const([entry], "bound") for entry in (start, end, axis)))
        for start, end in bounds
    ]
    if given is None and not op.get("keepdims"):
        return [_without(r, part, axis) for part in parts]
    return parts


def _without(r: Rewriter, value: SSAValue, axis: int) -> SSAValue:
    axes = r.const([axis], "axes")
    return r.make("Squeeze", value, axes)


@rewrite("SequenceAt")
def sequence_at(r: Rewriter, op: OnnxOp) -> Replacement:
    """SequenceAt(sequence of known elements, constant) -> the element"""
    found = elements(r, op.operands[0])
    if found is None:
        return None
    place = _position(r, op, 1, len(found), end=0)
    return found[place] if place is not None and 0 <= place < len(found) else None


@rewrite("SequenceLength")
def sequence_length(r: Rewriter, op: OnnxOp) -> Replacement:
    """SequenceLength(sequence of known elements) -> a number"""
    found = elements(r, op.operands[0])
    return None if found is None else r.const(np.array(len(found), np.int64), "length")


@rewrite("ConcatFromSequence")
def concat_from_sequence(r: Rewriter, op: OnnxOp) -> Replacement:
    """ConcatFromSequence(sequence of known elements) -> Concat of them (along a new axis)"""
    found = elements(r, op.operands[0])
    if not found or any(r.dims(value) is None for value in found):
        return None
    axis = op.get("axis")
    if op.get("new_axis"):
        axis = normalize_axis(axis, len(r.dims(found[0]) or ()) + 1)
        found = [r.make("Unsqueeze", value, r.const([axis], "axes")) for value in found]
    return r.make("Concat", *found, axis=axis)


@rewrite("OptionalGetElement")
def optional_get_element(r: Rewriter, op: OnnxOp) -> Replacement:
    """OptionalGetElement(Optional(x)) -> x; of a tensor it is the tensor"""
    value = op.operands[0]
    made = r.producer(value, "Optional")
    if made is not None:
        return present(made, 0)
    return value if is_tensor(value.type) else None


@rewrite("OptionalHasElement")
def optional_has_element(r: Rewriter, op: OnnxOp) -> Replacement:
    """Whether an Optional that is made here has an operand; a tensor always is one"""
    value = present(op, 0)
    if value is None:
        return r.const(np.array(False), "absent")
    made = r.producer(value, "Optional")
    if made is None and not is_tensor(value.type):
        return None
    return r.const(np.array(made is None or present(made, 0) is not None), "present")
