"""Operations that do nothing, and bounds or axes of which they need not know."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import DenseResourceAttr
from xdsl.ir import SSAValue

from dialects.onnx.constants import array_of
from dialects.onnx.dims import Dim
from dialects.onnx.ops import OnnxOp, class_of_schema_version
from dialects.onnx.shape import NodeShapes, ShapeError, broadcast
from dialects.onnx.shape.movement import pad_amounts
from dialects.onnx.types import is_none
from passes.onnx.simplify.rewriter import Replacement, Rewriter, present, rewrite


@rewrite("Identity")
def identity(r: Rewriter, op: OnnxOp) -> Replacement:
    """Identity(x) -> x"""
    return op.operands[0]


@rewrite("Dropout")
def dropout(r: Rewriter, op: OnnxOp) -> Replacement:
    """Dropout(x) -> x in inference, when nobody reads the mask."""
    if any(result.first_use is not None for result in op.results[1:]):
        return None
    training = present(op, 2)
    if training is not None and r.scalar(training) != 0:
        return None
    return [op.operands[0], *op.results[1:]]


_EXACT_IN: dict[str, set[str]] = {
    "bool": {"uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"},
    "uint8": {"int16", "uint16", "int32", "uint32", "int64", "float16", "float32", "float64"},
    "int8": {"int16", "int32", "int64", "float16", "float32", "float64"},
    "int16": {"int32", "int64", "float32", "float64"},
    "int32": {"int64", "float64"},
    "float16": {"float32", "float64"},
    "bfloat16": {"float32", "float64"},
    "float32": {"float64"},
}
"""Types that hold every value of a type."""


@rewrite("Cast")
def cast(r: Rewriter, op: OnnxOp) -> Replacement:
    """Cast(x: T -> T) -> x; Cast(Cast(x: T -> wider) -> U) -> Cast(x: T -> U)"""
    x, result = op.operands[0], op.results[0]
    if r.dtype(x) == r.dtype(result):
        return x
    inner = r.producer(x, "Cast")
    if inner is None:
        return None
    source, middle = r.dtype(inner.operands[0]), r.dtype(x)
    if source is None or middle is None or middle.name not in _EXACT_IN.get(source.name, ()):
        return None
    return r.like(op, [inner.operands[0]])


@rewrite("CastLike")
def cast_like(r: Rewriter, op: OnnxOp) -> Replacement:
    """CastLike(x: T, y: T) -> x"""
    return op.operands[0] if r.dtype(op.operands[0]) == r.dtype(op.results[0]) else None


@rewrite("Expand", "Tile", "Slice", "Resize", "Upsample", "Pad", "CenterCropPad")
def same_shape(r: Rewriter, op: OnnxOp) -> Replacement:
    """An operation that may change sizes, but does not -> x"""
    x, dims = op.operands[0], r.dims(op.operands[0])
    if dims is None or dims != r.dims(op.results[0]):
        return None
    keeps = {"Slice": _whole_slice, "Resize": _scale_one, "Upsample": _scale_one, "Pad": _no_pads}
    rule = keeps.get(op.OP_TYPE)
    return x if rule is None or rule(r, op) else None


def _whole_slice(r: Rewriter, op: OnnxOp) -> bool:
    steps = present(op, 4)
    array = np.ones(1) if steps is None else r.constant(steps)
    return array is not None and bool((array > 0).all())


def _scale_one(r: Rewriter, op: OnnxOp) -> bool:
    if op.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return False
    if op.OP_TYPE == "Resize" and op.SINCE > 10 and present(op, 3) is not None:
        return not op.get("antialias")
    scales = op.get("scales") or r.constant(op.operands[2 if op.SINCE > 10 else 1])
    return scales is not None and all(scale == 1 for scale in scales)


def _no_pads(r: Rewriter, op: OnnxOp) -> bool:
    dims = r.dims(op.operands[0])
    assert dims is not None
    amounts = pad_amounts(NodeShapes(op, r), len(dims))
    return amounts is not None and not any(amount != 0 for part in amounts for amount in part)


@rewrite("Concat", "Sum", "Max", "Min", "Mean")
def of_one(r: Rewriter, op: OnnxOp) -> Replacement:
    """Concat(x) -> x, and the like of other variadic operators"""
    return op.operands[0] if len(op.operands) == 1 else None


@rewrite("Concat")
def concat_without_empty(r: Rewriter, op: OnnxOp) -> Replacement:
    """Concat(x, empty, y) -> Concat(x, y)"""
    shapes = [r.dims(value) for value in op.operands]
    if any(dims is None for dims in shapes):
        return None
    kept = [value for value, dims in zip(op.operands, shapes, strict=True) if 0 not in (dims or ())]
    return r.like(op, kept) if 0 < len(kept) < len(shapes) else None


@rewrite("Split")
def split_in_one(r: Rewriter, op: OnnxOp) -> Replacement:
    """Split(x) into one -> x"""
    return op.operands[0] if len(op.results) == 1 else None


@rewrite("ConstantOfShape")
def of_a_number_that_is_kept_apart(r: Rewriter, op: OnnxOp) -> Replacement:
    """ConstantOfShape(shape) -> Expand(value, shape) of infinities and the like

    They do not stand in the operation itself, but among the module's constants.
    """
    value = op.get("value")
    if not isinstance(value, DenseResourceAttr):
        return None
    number = r.const(array_of(value, value.type, r.pool).reshape(()), "value")
    return r.make("Expand", number, op.operands[0], result_type=op.results[0].type)


@rewrite("GlobalAveragePool")
def global_average(r: Rewriter, op: OnnxOp) -> Replacement:
    """GlobalAveragePool(x) -> ReduceMean(x, spatial axes), whose axes are joined to one"""
    x, dims = op.operands[0], r.dims(op.operands[0])
    if dims is None or len(dims) < 3:
        return None
    axes = tuple(range(2, len(dims)))
    return r.build(class_of_schema_version("", "ReduceMean", 13), [x], {"axes": axes})


@rewrite("Sum")
def sum_of_two(r: Rewriter, op: OnnxOp) -> Replacement:
    """Sum(a, b, c) -> Add(Add(a, b), c)"""
    if op.SINCE < 8:
        return None
    total: SSAValue = op.operands[0]
    for value in op.operands[1:]:
        total = r.make("Add", total, value)
    return total


_NEUTRAL: dict[str, tuple[float, tuple[int, ...]]] = {
    "Add": (0.0, (0, 1)),
    "Sub": (0.0, (1,)),
    "Mul": (1.0, (0, 1)),
    "Div": (1.0, (1,)),
    "Pow": (1.0, (1,)),
}
"""Operators with their neutral element and the operands where it is one."""


@rewrite(*_NEUTRAL)
def neutral(r: Rewriter, op: OnnxOp) -> Replacement:
    """x + 0, x - 0, x * 1, x / 1, x ** 1 -> x"""
    number, places = _NEUTRAL[op.OP_TYPE]
    for place in places:
        array = r.constant(op.operands[place])
        if array is None or array.size == 0 or array.size > 65536 or not (array == number).all():
            continue
        other = op.operands[1 - place]
        if other.type == op.results[0].type:
            return other
    return None


@rewrite("Clip")
def clip_of_nothing(r: Rewriter, op: OnnxOp) -> Replacement:
    """Clip(x) -> x; Clip(x, 0) -> Relu(x)"""
    low, high = clip_bounds(r, op)
    if low is None and high is None and all(is_none(value) for value in op.operands[1:]):
        return op.operands[0]
    if low == 0 and high == float("inf") and r.is_float(op.operands[0]):
        return r.make("Relu", op.operands[0])
    return None


def clip_bounds(r: Rewriter, op: OnnxOp) -> tuple[float | None, float | None]:
    """Known bounds of a Clip; infinite where absent, None where only the run tells."""
    if op.SINCE < 11:
        low, high = op.properties.get("min"), op.properties.get("max")
        return op.get("min") if low else -float("inf"), op.get("max") if high else float("inf")
    low, high = present(op, 1), present(op, 2)
    return (
        -float("inf") if low is None else r.scalar(low),
        float("inf") if high is None else r.scalar(high),
    )


_BROADCASTING = (
    "Add Sub Mul Div Pow Max Min Where Equal Greater Less GreaterOrEqual LessOrEqual PRelu"
)
_BROADCASTING += " And Or Xor"


@rewrite(*_BROADCASTING.split())
def expanded_operand(r: Rewriter, op: OnnxOp) -> Replacement:
    """Add(x, Expand(y)) -> Add(x, y) where the broadcast gives the same shape"""
    if "broadcast" in op.DEFAULTS:
        return None
    operands = list(op.operands)
    for i, operand in enumerate(operands):
        expand = r.producer(operand, "Expand")
        if expand is not None and _same_broadcast(r, op, i, expand.operands[0]):
            operands[i] = expand.operands[0]
    return None if operands == list(op.operands) else r.like(op, operands)


def _same_broadcast(r: Rewriter, op: OnnxOp, i: int, replaced: SSAValue) -> bool:
    shapes: list[tuple[Dim, ...]] = []
    for k, operand in enumerate(op.operands):
        dims = r.dims(replaced if k == i else operand)
        if dims is None:
            return False
        shapes.append(dims)
    try:
        return broadcast(*shapes) == r.dims(op.results[0])
    except ShapeError:
        return False
