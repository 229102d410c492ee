"""onnx-legalize: expand operators that have no lowering but an ONNX function body.

    %y = "onnx.SwiGLU.v28"(%a, %b)   ==>   the operators of its body

Requires: types from `onnx-infer-shapes`; no model-local functions.

Ensures: what the expansion has made is folded, simplified and typed. An operator that has neither a
lowering nor a body for its types stays; `onnx-check-operators` reports it.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from passes.lower.onnx_to_krnl.registry import HOST, MAPS, POINTWISE, ROOTS
from passes.onnx.check_operators import unlowered_operations
from passes.onnx.expand_functions import ExpandFunctions
from passes.onnx.expand_functions.schemas import has_body
from passes.onnx.fold_constants import FoldConstants
from passes.onnx.infer_shapes import InferShapes
from passes.onnx.simplify import Simplify


@dataclass(frozen=True)
class Legalize(ModulePass):
    """Expands operators without a lowering; see the module's docstring."""

    name = "onnx-legalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Legalizes the module in place."""
        if any(map(has_body, unlowered_operations(op))):
            ExpandFunctions(keep=_lowered()).apply(ctx, op)
            for each in (InferShapes(), FoldConstants(), Simplify(), InferShapes()):
                each.apply(ctx, op)


def _lowered() -> tuple[str, ...]:
    keys = {**POINTWISE, **MAPS, **ROOTS, **HOST}
    return tuple(f"{domain}.{name}" if domain else name for domain, name in keys)
