"""onnx-check-operators: name all nodes that cannot be compiled, at once, before any work on them.

Requires: parameters are bound, so that computations on shapes are gone. Changes nothing.

Ensures: every operator has a lowering. Raises UnsupportedOperators, which lists all nodes whose
operators have none.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.onnx.locations import node_of, place_of
from dialects.onnx.ops import Content, Custom, OnnxOp
from passes.lower.onnx_to_krnl import is_lowered
from passes.lower.onnx_to_krnl.registry import key_of
from passes.onnx.expand_functions.schemas import has_body
from runtime.errors import UnsupportedError

SHOWN = 20
"""Nodes that an error lists; of more it gives the number."""


class UnsupportedOperators(UnsupportedError):
    """Nodes whose operators have no lowering, whatever the sizes of their operands."""


@dataclass(frozen=True)
class CheckOperators(ModulePass):
    """Reports operators without a lowering; see the module's docstring."""

    name = "onnx-check-operators"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Checks the module."""
        if found := unlowered_operations(op):
            raise _error(found)


def unlowered_operations(module: ModuleOp) -> list[OnnxOp]:
    """The operations, in order, whose operators have no lowering."""
    return [
        op
        for op in module.walk()
        if isinstance(op, OnnxOp) and not isinstance(op, Content) and not is_lowered(*_key(op))
    ]


def _key(op: OnnxOp) -> tuple[str, str]:
    key = key_of(op)
    assert key is not None
    return key


def _error(found: list[OnnxOp]) -> UnsupportedOperators:
    if len(found) == 1:
        return UnsupportedOperators(reason(found[0]), place_of(found[0].location, "onnx"))
    lines = [f"{len(found)} nodes cannot be compiled:"]
    lines += [f"  {describe(op)}: {reason(op)}" for op in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    return UnsupportedOperators("\n".join(lines))


def describe(op: OnnxOp) -> str:
    """Name, operator, domain and opset of a node."""
    node = node_of(op.location)
    domain, operator = _key(op)
    opset = f" opset {node.opset}" if node.opset else ""
    return f"'{node.name or operator}' ({domain or 'ai.onnx'}.{operator}{opset})"


def reason(op: OnnxOp) -> str:
    """Why a node cannot be compiled."""
    if isinstance(op, Custom):
        return "the operator is unknown, and the model has no function of that name"
    if has_body(op):
        return "no lowering, and its ONNX function body has no form for these types"
    return "no lowering"
