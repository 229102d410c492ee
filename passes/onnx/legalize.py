"""onnx-legalize: leave only operators that have a lowering, and name all others at once.

    %y = "onnx.SwiGLU.v28"(%a, %b)   ==>   the operators of its ONNX function body

Requires: types from `onnx-infer-shapes`; no model-local functions.

Ensures: every operator has a lowering. One without is expanded to its ONNX function body, if it has
one, and the result is folded and simplified. Raises UnsupportedError that lists every node for
which there is neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.onnx.locations import node_of, place_of
from dialects.onnx.ops import Content, Custom, OnnxOp
from passes.lower.onnx_to_krnl.registry import HOST, MAPS, POINTWISE, ROOTS, is_lowered, key_of
from passes.onnx.expand_functions import ExpandFunctions
from passes.onnx.expand_functions.schemas import has_body
from passes.onnx.fold_constants import FoldConstants
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.simplify import Simplify
from runtime.errors import UnsupportedError

SHOWN = 20
"""Nodes that an error lists; of more it gives the number."""


@dataclass(frozen=True)
class Legalize(ModulePass):
    """Expands operators without a lowering; see the module's docstring."""

    name = "onnx-legalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Legalizes the module in place."""
        found = illegal_operations(op)
        if any(map(has_body, found)):
            ExpandFunctions(keep=_lowered()).apply(ctx, op)
            for each in (InferShapes(), FoldConstants(), Simplify(), InferShapes()):
                each.apply(ctx, op)
            found = illegal_operations(op)
        if found:
            raise unsupported(found)


def illegal_operations(module: ModuleOp) -> list[OnnxOp]:
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


def _lowered() -> tuple[str, ...]:
    keys = {**POINTWISE, **MAPS, **ROOTS, **HOST}
    return tuple(f"{domain}.{name}" if domain else name for domain, name in keys)


def unsupported(found: list[OnnxOp]) -> UnsupportedError:
    """One error about all of them."""
    if len(found) == 1:
        return UnsupportedError(_reason(found[0]), place_of(found[0].location, "onnx"))
    lines = [f"{len(found)} nodes cannot be compiled:"]
    for op in found[:SHOWN]:
        node = node_of(op.location)
        domain, operator = _key(op)
        opset = f" opset {node.opset}" if node.opset else ""
        name = node.name or operator
        lines.append(f"  '{name}' ({domain or 'ai.onnx'}.{operator}{opset}): {_reason(op)}")
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    return UnsupportedError("\n".join(lines))


def _reason(op: OnnxOp) -> str:
    if isinstance(op, Custom):
        return "unknown operator of another domain"
    return "its function body has no form for these types" if has_body(op) else "no lowering"
