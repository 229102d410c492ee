"""`onnx-bind-parameters`: write what operators are told by small tensors onto the operators.

Requires inferred shapes. Axes, bounds, repeats, target shapes: where their content is known, as
numbers or symbolic sizes, it becomes the attribute `onnx.parameters` (operand number -> numbers or
expressions) and the operand becomes absent, so that no kernel reads it. Computations on shapes
whose outcome is known but which a run needs as data become `onnx.Content`.

    %2 = Slice(%x, %starts, %ends)       ==>   %2 = Slice(%x, none, none) {onnx.parameters =
                                                   {"1" = ["0"], "2" = ["n - 1"]}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    ModuleOp,
    StringAttr,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx.constants import ConstantPool, constant_of, dense_attribute, pool_of
from dialects.onnx.dims import Dim, Function, parse_dim, substitute
from dialects.onnx.ops import CheckCondition, Const, Content, NoValue, OnnxOp, Symbols
from dialects.onnx.types import dtype_of, is_none, none_type
from passes.onnx.infer_shapes import content_of

PARAMETERS: dict[str, tuple[int, ...]] = {
    "Reshape": (1,),
    "Expand": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Pad": (1, 3),
    "CenterCropPad": (1,),
    "Tile": (1, 2),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "ConstantOfShape": (0,),
    "OneHot": (1,),
    "TopK": (1,),
    "Trilu": (1,),
    "CumSum": (1,),
    "CumProd": (1,),
    "Range": (0, 1, 2),
    "ReduceSum": (1,),
    "ReduceMean": (1,),
    "ReduceMax": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceSumSquare": (1,),
    "MaxUnpool": (2,),
    "DFT": (1, 2),
    "STFT": (1, 3),
    "AffineGrid": (1,),
    "ReverseSequence": (),
    "Col2Im": (1, 2),
    "Dropout": (1, 2),
}
"""Operands that tell an operator what to do rather than what to work on."""


@dataclass(frozen=True)
class BindParameters(ModulePass):
    """Makes known parameters part of their operators."""

    name = "onnx-bind-parameters"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Rewrites the module in place; operations that become unused vanish."""
        pool = pool_of(ctx)
        nodes = [node for node in op.walk() if isinstance(node, OnnxOp)]
        for node in nodes:
            _bind(node, pool)
        for check in [check for check in op.walk() if isinstance(check, CheckCondition)]:
            if "onnx.assume" in check.attributes:  # No run has to look at the condition itself.
                check.operands[0] = _absent(check)
        for node in reversed(nodes):
            if not any(list(r.uses) for r in node.results) and not node.regions and node.results:
                node.detach()
                node.erase()
            elif len(node.results) == 1 and not isinstance(node, Content):
                _as_content(node)
        for node in [n for n in op.walk() if isinstance(n, Const | NoValue)]:
            if not list(node.results[0].uses):
                node.detach()
                node.erase()


def _bind(op: OnnxOp, pool: ConstantPool) -> None:
    if op.DOMAIN:
        return
    bound: dict[str, Attribute] = {}
    for number in PARAMETERS.get(op.OP_TYPE, ()):
        if number < len(op.operands) and not is_none(op.operands[number]):
            attribute = _parameter(op.operands[number], pool)
            if attribute is not None:
                bound[str(number)] = attribute
    if not bound:
        return
    op.attributes["onnx.parameters"] = DictionaryAttr(bound)
    absent = _absent(op)
    for number in bound:
        op.operands[int(number)] = absent


def _absent(op: Operation) -> SSAValue:
    """An absent value in front of an operation."""
    made = NoValue.create(result_types=[none_type])
    assert op.parent is not None
    op.parent.insert_op_before(made, op)
    return made.result


def _parameter(value: SSAValue, pool: ConstantPool) -> Attribute | None:
    array = constant_of(value, pool)
    if array is not None:
        return _inline(array, pool)
    content = content_of(value, pool)
    return None if content is None else _strings(content.reshape(-1))


def _inline(array: np.ndarray, pool: ConstantPool) -> Attribute | None:
    if array.dtype.kind in "iub":
        return _strings([int(entry) for entry in array.reshape(-1)])
    attribute = dense_attribute(array, pool)
    return attribute if isinstance(attribute, DenseIntOrFPElementsAttr) else None


def _strings(entries: Iterable[Dim]) -> ArrayAttr:
    return ArrayAttr([StringAttr(str(entry)) for entry in entries])


def _as_content(op: OnnxOp) -> None:
    """Replaces a computation on shapes by its known outcome."""
    content = op.attributes.get("onnx.content")
    if not isinstance(content, ArrayAttr) or op.regions:
        return
    if any(isinstance(use.operation, Symbols) for use in op.results[0].uses):
        return  # The outcome is what names the symbols.
    made = Content.create(
        result_types=[op.results[0].type], properties={"content": content}, location=op.location
    )
    assert op.parent is not None
    op.parent.insert_op_before(made, op)
    op.results[0].replace_all_uses_with(made.results[0])
    op.detach()
    op.erase()


def parameter(op: Operation, number: int) -> list[Dim] | list[float] | None:
    """What operand ``number`` of an operator was known to hold; None when a run has to tell."""
    bound = op.attributes.get("onnx.parameters")
    found = bound.data.get(str(number)) if isinstance(bound, DictionaryAttr) else None
    if isinstance(found, ArrayAttr):
        return [parse_dim(entry.data) for entry in found]
    if isinstance(found, DenseIntOrFPElementsAttr):
        return np.frombuffer(found.data.data, dtype_of(found.type)).tolist()
    return None


def symbolic_attributes(op: Operation) -> list[Dim]:
    """All symbolic sizes in an operation's attributes: its parameters, or a Content's elements."""
    texts: list[StringAttr] = []
    if isinstance(op, Content):
        texts += op.content
    bound = op.attributes.get("onnx.parameters")
    for entry in bound.data.values() if isinstance(bound, DictionaryAttr) else ():
        texts += entry if isinstance(entry, ArrayAttr) else ()
    return [parse_dim(text.data) for text in texts]


def rename_symbols(op: Operation, rename: Mapping[str, Dim] | Mapping[str | Function, Dim]) -> None:
    """Replaces symbols (by name) and functions in an operation's attributes."""

    def renamed(entries: ArrayAttr) -> ArrayAttr:
        return _strings([substitute(parse_dim(text.data), rename) for text in entries])

    if isinstance(op, Content):
        op.properties["content"] = renamed(op.content)
    bound = op.attributes.get("onnx.parameters")
    if isinstance(bound, DictionaryAttr):
        op.attributes["onnx.parameters"] = DictionaryAttr(
            {
                number: renamed(entry) if isinstance(entry, ArrayAttr) else entry
                for number, entry in bound.data.items()
            }
        )
