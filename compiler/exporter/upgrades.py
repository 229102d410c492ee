"""Nodes written as newer versions of their operators, where one opset must serve all.

Passes may make operators that are newer than the model's opset. A new version of an operator often
only allows more: then nothing changes. Some turned attributes into inputs: `UPGRADES` says how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnx.defs

from dialects.onnx.ops import OnnxOp, op_class
from dialects.onnx.types import dims_of, dtype_of, is_none, is_tensor

_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSumSquare"),
)
_NORMALIZATIONS = ("Hardmax", "LogSoftmax", "Softmax")

_SAME_AS_BEFORE: dict[int, tuple[str, ...]] = {
    8: ("Max", "Mean", "Min", "Sum"),
    10: ("AveragePool", "Dropout", "MaxPool"),
    11: (
        *_REDUCTIONS,
        *_NORMALIZATIONS,
        *("ArgMax", "ArgMin", "AveragePool", "Concat", "ConvTranspose", "DepthToSpace"),
        *("Gather", "Gemm", "Loop", "OneHot", "ReduceSum", "Slice", "TopK", "Unsqueeze"),
    ),
    12: ("ArgMax", "ArgMin", "MaxPool", "ReduceMax", "ReduceMin"),
    13: (
        *_REDUCTIONS,
        *("Abs", "ArgMax", "ArgMin", "Cast", "Ceil", "Clip", "DepthToSpace", "DequantizeLinear"),
        *("Floor", "Gather", "GatherElements", "GatherND", "Gemm", "LRN", "Loop", "Mod", "Pad"),
        *("QuantizeLinear", "Resize", "Slice"),
    ),
    14: ("Add", "Div", "GRU", "LSTM", "Mul", "RNN", "Reshape", "Sub"),
    15: ("BatchNormalization", "Shape"),
    16: ("Loop", "PRelu", "ScatterElements", "ScatterND"),
    18: ("Pad", "Resize", "ScatterElements", "ScatterND"),
    19: ("AveragePool", "Cast", "DequantizeLinear", "Pad", "QuantizeLinear", "Resize"),
    20: ("ReduceMax", "ReduceMin"),
    21: ("DequantizeLinear", "QuantizeLinear"),
    22: ("AveragePool", "MaxPool"),
}
"""Versions that only allow more than the one before although the schemas differ.

Their new inputs and attributes mean, where absent, what the version before did.
"""


@dataclass(frozen=True)
class Change:
    """What makes a node one of the next version: constants as inputs, attributes out and in."""

    inputs: dict[int, np.ndarray] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    add: dict[str, Any] = field(default_factory=dict)


def upgrades(op: OnnxOp, opset: int) -> list[Change] | None:
    """The changes that write a node under an opset, or None when its meaning would change."""
    changes: list[Change] = []
    for old, new in pairwise(_versions(type(op), opset)):
        if _same(old, new):
            continue
        upgrade = UPGRADES.get((new.OP_TYPE, new.SINCE)) if new.DOMAIN == "" else None
        change = upgrade(op) if upgrade is not None else None
        if change is None:
            return None
        changes.append(change)
    return changes


@cache
def _versions(made: type[OnnxOp], opset: int) -> tuple[type[OnnxOp], ...]:
    """The operator's versions from this one to that of an opset."""
    later = {op_class(made.DOMAIN, made.OP_TYPE, n) for n in range(made.SINCE, opset + 1)}
    return tuple(sorted(filter(None, later), key=lambda entry: entry.SINCE))


@cache
def _same(old: type[OnnxOp], new: type[OnnxOp]) -> bool:
    before, after = old.SCHEMA, new.SCHEMA
    assert before is not None and after is not None
    if old.DOMAIN == "" and old.OP_TYPE in _SAME_AS_BEFORE.get(new.SINCE, ()):
        return True
    same = before.doc == after.doc and _interface(before) == _interface(after)
    return same and not after.deprecated


def _interface(schema: onnx.defs.OpSchema) -> object:
    formals = ([(f.name, f.option) for f in side] for side in (schema.inputs, schema.outputs))
    attributes = {
        name: (attribute.type, attribute.required, attribute.default_value.SerializeToString())
        for name, attribute in schema.attributes.items()
    }
    return [*formals, attributes]


def _integers(*names: str) -> Callable[[OnnxOp], Change]:
    """Lists of integers that became the inputs 1, 2, ... in this order."""

    def change(op: OnnxOp) -> Change:
        values = {k: op.get(name) for k, name in enumerate(names, 1)}
        given = {k: np.array(v, np.int64) for k, v in values.items() if v is not None}
        return Change(given, drop=names)

    return change


def _scalars(first: int, *names: str) -> Callable[[OnnxOp], Change | None]:
    """Numbers of the input's element type that became inputs, from position ``first`` on."""

    def change(op: OnnxOp) -> Change | None:
        kind = op.operands[0].type
        if not is_tensor(kind):
            return None
        given = [(k, name) for k, name in enumerate(names, first) if name in op.properties]
        arrays = {k: np.array(op.get(name), dtype_of(kind)) for k, name in given}
        return Change(arrays, drop=names)

    return change


def _pad(op: OnnxOp) -> Change | None:
    value = _scalars(2, "value")(op)
    if value is None:
        return None
    pads = _integers("pads")(op)
    return Change(pads.inputs | value.inputs, drop=("pads", "value"))


def _number_of_parts(op: OnnxOp) -> Change:
    """`Split` without sizes makes equal parts, since version 18 of a given number."""
    sizes = op.get("split") is not None or (len(op.operands) > 1 and not is_none(op.operands[1]))
    return Change() if sizes else Change(add={"num_outputs": len(op.results)})


def _over_the_last_axis(op: OnnxOp) -> Change | None:
    """Until version 13 all axes from ``axis`` on were taken together: the last one is the same."""
    dims = dims_of(op.operands[0].type)
    last = op.get("axis") == -1 or (dims is not None and op.get("axis") == len(dims) - 1)
    return Change(add={"axis": -1}) if last else None


def _inference_only(op: OnnxOp) -> Change | None:
    """`BatchNormalization` in its training form had other outputs."""
    plain = all(is_none(result) for result in op.results[1:]) and op.get("spatial") in (None, 1)
    return Change(drop=("spatial",)) if plain else None


def _top_k(op: OnnxOp) -> Change:
    return Change({1: np.array([op.get("k")], np.int64)}, drop=("k",))


def _ratio(op: OnnxOp) -> Change:
    return Change({1: np.array(op.get("ratio"), np.float32)}, drop=("ratio",))


UPGRADES: dict[tuple[str, int], Callable[[OnnxOp], Change | None]] = {
    ("BatchNormalization", 9): _inference_only,
    ("BatchNormalization", 14): _inference_only,
    ("Clip", 11): _scalars(1, "min", "max"),
    ("Dropout", 12): _ratio,
    ("Pad", 11): _pad,
    ("ReduceSum", 13): _integers("axes"),
    ("Slice", 10): _integers("starts", "ends", "axes"),
    ("Split", 13): _integers("split"),
    ("Split", 18): _number_of_parts,
    ("Squeeze", 13): _integers("axes"),
    ("TopK", 10): _top_k,
    ("Unsqueeze", 13): _integers("axes"),
    **{(name, 13): _over_the_last_axis for name in _NORMALIZATIONS},
    **{(name, 18): _integers("axes") for name in _REDUCTIONS},
}
"""How a node becomes one of a version that changed the interface; None where it cannot."""


def apply(
    changes: list[Change],
    node: onnx.NodeProto,
    constant: Callable[[np.ndarray], str],
) -> None:
    """Changes a node; ``constant`` gives the name of a new constant."""
    for change in changes:
        for position, array in change.inputs.items():
            node.input.extend([""] * (position + 1 - len(node.input)))
            node.input[position] = constant(array)
        for position in reversed(range(len(node.attribute))):
            if node.attribute[position].name in (*change.drop, *change.add):
                del node.attribute[position]
        for name, value in change.add.items():
            node.attribute.append(onnx.helper.make_attribute(name, value))
